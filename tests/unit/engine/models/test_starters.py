"""What comes with the program plays: every starter bundle opens, and the one that continues sound does so."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.bundles.bundle import describe, open_musicgen
from engine.offline.continuation import ContinueTask, continued
from engine.protocols.streamer import work

STARTERS = Path(__file__).parents[4] / "engine" / "starter"
NAME = "musicgen-live"


@pytest.mark.parametrize("name", sorted(path.name for path in STARTERS.iterdir() if path.is_dir()))
def test_a_starter_is_whole(name: str) -> None:
    info = describe(name)
    assert info.path == (STARTERS / name).resolve()
    assert info.licence.split(";")[0] == "MIT"


def test_words_are_played(tmp_path: Path) -> None:
    made = work(continued(ContinueTask(source=None, out=tmp_path / "a.wav", seconds=3.0, text="techno, 120 bpm")))
    sound, rate = soundfile.read(tmp_path / "a.wav")
    assert (rate, len(sound), made.complete) == (32000, 96000, True)
    assert np.abs(sound).max() <= 1.0
    assert sound[rate:].std() > 0.003


def test_what_is_given_is_heard_as_it_was_and_gone_on_with(tmp_path: Path) -> None:
    model = open_musicgen(NAME, words=False)
    times = np.arange(3 * 32000) / 32000
    chord = sum(np.sin(2 * np.pi * hz * times) for hz in (220.0, 277.18, 329.63)) * np.exp(-3.0 * (times % 0.5)) * 0.15
    codes = model.codec.encode(chord[None, None].astype(np.float32))
    heard = model.codec.decode(codes)[0, 0]
    spectra = [np.abs(np.fft.rfft(each[-32000:])) for each in (chord[: len(heard)], heard)]
    assert np.corrcoef(*spectra)[0, 1] > 0.8
    soundfile.write(tmp_path / "in.wav", chord, 32000)
    made = work(continued(ContinueTask(source=tmp_path / "in.wav", out=tmp_path / "b.wav", seconds=2.0, bundle=NAME)))
    assert (made.heard, made.made) == (3.0, 2.0)
    sound, _ = soundfile.read(tmp_path / "b.wav")
    assert sound[-32000:].std() > 0.003
