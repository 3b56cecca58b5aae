"""The limiter keeps the mix below its ceiling, in the same way in blocks of any length, and leaves the rest alone."""

import numpy as np
import pytest

from engine.audio.limiter import CEILING_DB, Limiter

RATE = 48000


def _loud(seconds: float = 1.0, peak: float = 2.0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    swell = np.sin(np.pi * t / seconds)
    both = [swell * (np.sin(2 * np.pi * 110 * t) + 0.5 * np.sin(2 * np.pi * hz * t)) for hz in (1870.0, 2310.0)]
    return (peak / 1.5 * np.stack(both)).astype(np.float32)


def _in_blocks(sound: np.ndarray, size: int) -> np.ndarray:
    limiter = Limiter(RATE)
    return np.concatenate([limiter.process(part) for part in np.split(sound, range(size, sound.shape[1], size), 1)], 1)


def _true_peak_db(sound: np.ndarray) -> float:
    """By four times as many samples, as ITU-R BS.1770-4 annex 2 measures it."""
    import soxr

    return float(20 * np.log10(np.abs(soxr.resample(sound.T, RATE, 4 * RATE, quality="VHQ")).max()))


def test_what_is_below_the_ceiling_is_the_same_array() -> None:
    sound = _loud(peak=0.75)
    limiter = Limiter(RATE)
    assert limiter.process(sound) is sound
    assert limiter.reduction_db == 0.0


@pytest.mark.parametrize("peak", [0.9, 1.5, 4.0, 500.0])
def test_nothing_is_above_the_ceiling_nor_its_true_peak_above_half_a_decibel(peak: float) -> None:
    made = _in_blocks(_loud(peak=peak), 256)
    assert np.isfinite(made).all()
    assert np.abs(made).max() <= 10 ** (CEILING_DB / 20) * 1.000001
    assert _true_peak_db(made) <= -0.5


def test_noise_at_three_times_full_scale_stays_below_half_a_decibel() -> None:
    noise = np.random.default_rng(0).uniform(-3.0, 3.0, (2, 2 * RATE))
    spectrum = np.fft.rfft(noise)
    spectrum[:, 16000:] = 0.0  # above 8 kHz
    made = _in_blocks(np.fft.irfft(spectrum).astype(np.float32), 256)
    assert _true_peak_db(made) <= -0.5


def test_blocks_of_any_length_give_the_same_samples() -> None:
    sound = _loud(peak=3.0)
    whole = _in_blocks(sound, sound.shape[1])
    for size in (1, 64, 255, 1024):
        part = sound if size > 1 else sound[:, :6000]
        assert np.array_equal(_in_blocks(part, size), whole[:, : part.shape[1]])


def test_the_reduction_is_told_and_comes_back_slowly() -> None:
    limiter, loud = Limiter(RATE), np.full((2, 100), 2.0, np.float32)
    limiter.process(loud)
    assert limiter.reduction_db == pytest.approx(6.02 - CEILING_DB, abs=0.05)
    soft = np.full((2, RATE), 0.1, np.float32)
    made = limiter.process(soft)
    steps = np.diff(made[0])
    assert made[0, 0] == pytest.approx(0.1 * 10 ** (-(6.02 - CEILING_DB) / 20), rel=0.01)
    assert (steps >= 0).all()
    assert steps.max() < 1e-5
    assert np.array_equal(made[0, -100:], soft[0, -100:])


@pytest.mark.parametrize("louder", [0, 1])
def test_both_channels_are_turned_down_alike_whichever_is_louder(louder: int) -> None:
    sound = np.full((2, 64), 0.5, np.float32)
    sound[louder] = 2.0
    made = Limiter(RATE).process(sound)
    assert np.allclose(made[louder] / made[1 - louder], 4.0)
