"""Streaming signal processing."""

import numpy as np
import pytest

from engine.audio.level import glide, peak_db, peak_of
from engine.audio.overlap import crossfade, fade_in, fade_out
from engine.audio.resample import Resampler
from engine.errors import ShapeError


def noise(samples: int, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


def test_fades_have_equal_power() -> None:
    assert np.allclose(fade_in(480) ** 2 + fade_out(480) ** 2, 1.0, atol=1e-6)


def test_crossfade_keeps_the_level_of_noise() -> None:
    rng = np.random.default_rng(1)
    old, new = (rng.standard_normal((1, 48000)).astype(np.float32) for _ in range(2))
    joint = crossfade(old, new, 24000)
    assert joint.shape == (1, 72000)
    level = np.sqrt((joint.reshape(-1, 6000) ** 2).mean(axis=1))
    assert np.abs(level - 1.0).max() < 0.05


@pytest.mark.parametrize("overlap", [0, 11])
def test_an_overlap_that_does_not_fit_is_refused(overlap: int) -> None:
    with pytest.raises(ShapeError):
        crossfade(noise(10), noise(20), overlap)


def test_glide_starts_and_ends_where_it_should() -> None:
    ones = np.ones((2, 100), np.float32)
    out = glide(ones, 0.2, 0.8, 50)
    assert 0.2 < out[0, 0] < 0.21
    assert (out[:, 49:] == np.float32(0.8)).all()
    assert (np.diff(out[0]) >= 0).all()
    assert glide(ones, 1.0, 1.0, 50) is ones


def test_peak_sees_what_is_no_number() -> None:
    assert peak_of(np.array([[0.1, -0.6]], np.float32)) == pytest.approx(0.6)
    assert peak_of(np.zeros((2, 0), np.float32)) == 0.0
    assert not np.isfinite(peak_of(np.array([[0.1, np.nan]], np.float32)))
    assert peak_db(1.0) == 0.0
    assert peak_db(0.0) == -120.0


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


def test_what_is_held_back_is_told() -> None:
    resampler = Resampler(44100, 48000, 2)
    made = resampler.process(noise(4410)).shape[1]
    assert made + resampler.held == pytest.approx(4800, abs=2)
    with pytest.raises(ShapeError):
        resampler.process(noise(10, channels=1))
