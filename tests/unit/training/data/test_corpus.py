"""Pieces keep their side of the split, are made once, and come out the same everywhere."""

from pathlib import Path

import numpy as np
import pytest

from engine.models.musika.facts import CONDITIONS
from engine.music.conducting import tempo_value
from training.data.corpus import (
    Corpus,
    CorpusEntry,
    DataError,
    checksum,
    density_curve,
    split,
)
from training.data.store import Latents, Samples

RATE = 8000


class Fixed(Corpus):
    """Noise of given lengths in seconds; names in `broken` cannot be read."""

    def __init__(self, *lengths: float, broken: tuple[str, ...] = ()) -> None:
        self.broken, self.asked = broken, list[str]()
        self.entries = tuple(CorpusEntry(f"p{i}", checksum([str(i).encode()]), s) for i, s in enumerate(lengths))

    def audio(self, entry, sample_rate):
        self.asked.append(entry.name)
        if entry.name in self.broken:
            raise OSError(f"{entry.name}: not readable")
        rng = np.random.default_rng(int(entry.checksum[:8], 16))
        return rng.uniform(-0.9, 0.9, (2, round(entry.duration_s * sample_rate))).astype(np.float32)

    def rhythm(self, entry):
        return 240.0, np.arange(0.0, entry.duration_s, 0.25)


def entries(count: int) -> list[CorpusEntry]:
    return [CorpusEntry(str(i), checksum([bytes([i])]), 1.0) for i in range(count)]


def test_a_piece_never_changes_side_when_others_come() -> None:
    few, many = split(entries(60), 0.2), split(entries(200), 0.2)
    assert set(few[0]) <= set(many[0])
    assert set(few[1]) <= set(many[1])
    assert len(many[1]) == pytest.approx(40, abs=16)
    assert split(reversed(entries(200)), 0.2) == many


def test_both_sides_have_pieces_where_that_is_possible() -> None:
    for count in (2, 3, 5):
        train, held_out = split(entries(count), 0.01)
        assert (len(train), len(held_out)) == (count - 1, 1)
        assert len(split(entries(count), 0.9)[0]) >= 1
    assert split(entries(4), 0.0) == (tuple(sorted(entries(4), key=lambda e: e.checksum)), ())
    assert split(entries(1), 0.1) == ((entries(1)[0],),) * 2


def test_density_counts_onsets_per_second() -> None:
    onsets = np.concatenate([np.arange(0.0, 10.0, 0.25), np.arange(10.0, 20.0, 0.125)])
    curve = density_curve(onsets, np.array([5.0, 15.0, 100.0]))
    assert curve == pytest.approx([4 / 16, 8 / 16, 0.0], abs=0.01)
    assert density_curve(np.zeros(0), np.array([1.0])).tolist() == [0.0]
    assert density_curve(np.full(1000, 1.0), np.array([1.0])).tolist() == [1.0]
    assert [tempo_value(bpm) for bpm in (120.0, 240.0, 60.0)] == [0.0, 1.0, -1.0]


def test_samples_are_made_once_and_cut_by_seed(tmp_path: Path) -> None:
    corpus = Fixed(1.0, 2.0, 0.5)
    store = Samples(corpus, tmp_path, RATE, 0.34, 100)
    store.prepare()
    assert sorted(corpus.asked) == ["p0", "p1", "p2"]
    again = Samples(corpus, tmp_path, RATE, 0.34, 100)
    again.prepare()
    assert len(corpus.asked) == 3
    first, second = (s.crops(6, 100, np.random.default_rng(3)) for s in (store, again))
    assert np.array_equal(first, second)
    assert first.shape == (6, 100)
    assert 0.5 < np.abs(first).max() <= 0.9
    held = store.held_out[0]
    whole = corpus.audio(held, RATE)
    crop = store.crops(1, 100, np.random.default_rng(0), training=False)[0]
    windows = np.lib.stride_tricks.sliding_window_view(whole, 100, axis=1)
    assert np.abs(windows - crop).max(axis=2).min() < 1e-4


def test_cuts_fall_everywhere(tmp_path: Path) -> None:
    store = Samples(Fixed(0.5, 1.5), tmp_path, 1000, 0.0, 10)
    store.prepare()
    rng = np.random.default_rng(0)
    pieces = [store.cut(10, rng) for _ in range(400)]
    whole = [store.whole(entry) for entry in store.train]
    long = max(whole, key=lambda item: item.shape[1])
    at = [np.flatnonzero(long[0] == piece[0, 0]) for piece in pieces]
    hits = sum(bool(len(places)) for places in at)
    assert hits == pytest.approx(300, abs=40)  # by length: three quarters
    assert min(int(p[0]) for p in at if len(p)) < 100
    assert max(int(p[0]) for p in at if len(p)) > 1400


def test_short_pieces_are_repeated_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Samples(Fixed(0.1), tmp_path, 1000, 0.0, 250)
    store.prepare()
    assert "shorter than one item and is repeated" in caplog.text
    crop = store.cut(250, np.random.default_rng(0))
    assert np.array_equal(crop[:, :100], crop[:, 100:200])


def test_pieces_that_fail_are_reported_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Samples(Fixed(1.0, 1.0, broken=("p1",)), tmp_path, RATE, 0.0, 10)
    store.prepare()
    assert [entry.name for entry in store.train] == ["p0"]
    assert "p1: not readable" in caplog.text
    with pytest.raises(DataError, match="no piece can be used; the first: p0: not readable"):
        Samples(Fixed(1.0, broken=("p0",)), tmp_path / "x", RATE, 0.0, 10).prepare()
    with pytest.raises(DataError, match=r"set data\.valid"):
        store.cut(10, np.random.default_rng(0), training=False)


def test_interrupted_work_goes_on_where_it_stopped(tmp_path: Path) -> None:
    corpus = Fixed(1.0, 1.0, 1.0)
    store = Samples(corpus, tmp_path, RATE, 0.0, 10)
    made = store._make

    def dies(entry):
        if entry.name == "p2":
            raise KeyboardInterrupt
        return made(entry)

    store._make = dies
    with pytest.raises(KeyboardInterrupt):
        store.prepare()
    corpus.asked.clear()
    Samples(corpus, tmp_path, RATE, 0.0, 10).prepare()
    assert corpus.asked == ["p2"]


def test_latents_carry_their_conditions(tmp_path: Path) -> None:
    corpus = Fixed(4.0, 0.5)

    def encode(audio):
        return np.arange(audio.shape[1] // 400, dtype=np.float32)[None].repeat(4, axis=0)

    store = Latents(
        corpus, tmp_path, "ab" * 32, encode, sample_rate=RATE, centre=200.0, spacing=400, valid=0.0, shortest=60
    )
    store.prepare()
    assert (tmp_path / ("latents-" + "ab" * 8)).is_dir()
    long, short = (store.whole(e) for e in sorted(store.train, key=lambda e: e.duration_s, reverse=True))
    assert long.shape == (4 + len(CONDITIONS), 80)
    assert short.shape[1] >= 60  # the sound was repeated before it was encoded
    assert long[4, 40] == pytest.approx(4 / 16, abs=0.02)
    assert short[4, 30] == pytest.approx(4 / 16, abs=0.02)
    assert np.all(long[5] == 1.0)
    latents, told = store.windows(3, 60, np.random.default_rng(0), ("tempo", "density"))
    assert latents.shape == (3, 4, 60)
    assert told.shape == (3, 2, 60)
    assert np.all(told[:, 0] == 1.0)
    assert store.windows(3, 60, np.random.default_rng(0))[1].shape == (3, 0, 60)


def test_pieces_that_say_their_side_stay_there() -> None:
    entries = [CorpusEntry(str(i), checksum([str(i).encode()]), 1.0, held_out=i in (1, 5)) for i in range(9)]
    train, valid = split(entries, 0.5)
    assert {entry.name for entry in valid} == {"1", "5"}
    assert len(train) == 7
    assert split(entries, 0.0)[1] == ()
