"""A rendered corpus is opened like any other, keeps its own split, and cuts are what whole pieces hold."""

from pathlib import Path

import numpy as np
import pytest

from training.config import Data
from training.data.band.command import render_corpus
from training.data.band.stored import BandCorpus, BandCuts
from training.data.corpus import DataError
from training.data.opening import open_corpus, open_samples
from training.data.store import Samples

HOURS = 0.03


@pytest.fixture
def corpus(tmp_path: Path, tiny_fonts: Path) -> BandCorpus:
    render_corpus(tmp_path / "corpus", HOURS, 2)  # the second piece of this seed is held out
    opened = open_corpus(Data(folder=str(tmp_path / "corpus"), cache=str(tmp_path / "cache")))
    assert isinstance(opened, BandCorpus)
    return opened


def test_sides_sound_and_cuts(corpus: BandCorpus) -> None:
    cuts = BandCuts(corpus, 0.06, 44100)
    cuts.prepare()
    assert {entry.checksum for entry in cuts.held_out} == {c for c, line in corpus.lines.items() if line["held_out"]}
    assert cuts.held_out
    assert cuts.train
    for training in (True, False):
        cut, entry, start = cuts.placed_cut(5000, np.random.default_rng(3), training=training)
        whole = corpus.audio(entry, 44100)
        assert cut == pytest.approx(np.round(whole[:, start : start + 5000] * 32768.0), abs=1)
        assert corpus.record(entry)["held_out"] is not training
    entry = cuts.train[0]
    tempo, onsets = corpus.rhythm(entry)
    assert tempo == corpus.record(entry)["tempo_bpm"]
    assert 0.0 <= onsets[0] < onsets[-1] < entry.duration_s
    assert cuts.whole(entry).shape == corpus.audio(entry, 44100).shape
    assert cuts.crops(3, 1000, np.random.default_rng(1)).shape == (3, 1000)
    longer = cuts.cut(cuts.whole(entry).shape[1] * 4, np.random.default_rng(1))
    assert longer.shape[1] > cuts.whole(entry).shape[1]
    assert corpus.audio(entry, 22050).shape[1] == pytest.approx(entry.duration_s * 22050, abs=2)


def test_samples_are_copied_only_at_another_rate(corpus: BandCorpus, tmp_path: Path) -> None:
    cuts = open_samples(corpus, tmp_path / "copies", 44100, 0.06, 1000)
    assert isinstance(cuts, BandCuts)
    cuts.prepare()
    assert not (tmp_path / "copies").exists()
    other = open_samples(corpus, tmp_path / "copies", 8000, 0.06, 1000)
    assert type(other) is Samples
    other.prepare()
    assert len(list((tmp_path / "copies" / "samples-8000").iterdir())) == len(corpus.entries)
    assert {entry.checksum for entry in other.held_out} == {entry.checksum for entry in cuts.held_out}


def test_an_empty_corpus_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "pieces").mkdir()
    (tmp_path / "index.jsonl").touch()
    with pytest.raises(DataError, match="run ripieno corpus"):
        BandCorpus(tmp_path)
