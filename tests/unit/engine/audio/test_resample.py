"""Resampling in pieces, aligned to the first sample."""

import numpy as np
import pytest

from engine.audio.resample import Resampler
from engine.errors import ShapeError


def noise(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 48000), (48000, 44100), (22050, 96000), (48000, 48000)])
def test_resampling_in_pieces_is_resampling_in_one(from_hz: int, to_hz: int) -> None:
    """The same pieces give the same bits; other pieces the same sound within rounding."""
    sound = noise(30000)
    whole = Resampler(from_hz, to_hz, 2).process(sound)
    pieces = Resampler(from_hz, to_hz, 2)
    parts = np.concatenate([pieces.process(sound[:, at : at + 1000]) for at in range(0, 30000, 1000)], axis=1)
    samples = min(whole.shape[1], parts.shape[1])
    assert samples > 25000 * to_hz / from_hz
    assert np.abs(whole[:, :samples] - parts[:, :samples]).max() < 1e-5


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44100, 48000), (48000, 44100), (16000, 96000)])
def test_resampling_does_not_shift(from_hz: int, to_hz: int) -> None:
    sound = np.zeros((2, from_hz), np.float32)
    sound[:, from_hz // 4] = 1.0
    out = Resampler(from_hz, to_hz, 2).process(sound)
    assert abs(int(np.argmax(np.abs(out[0]))) - to_hz // 4) <= 1


def test_what_is_held_back_is_known() -> None:
    resampler = Resampler(44100, 48000, 2)
    made = resampler.process(noise(4410)).shape[1]
    assert made + resampler.held == pytest.approx(4800, abs=2)
    with pytest.raises(ShapeError):
        resampler.process(noise(10, channels=1))
