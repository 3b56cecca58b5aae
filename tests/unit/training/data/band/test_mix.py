"""A mix never clips, is as loud as was drawn where peaks allow it, and holds all parts."""

import numpy as np
import pytest

from training.data.band.loudness import LoudnessMeter, true_peak
from training.data.band.mix import mix

RATE = 44100


def stems(seed: int) -> np.ndarray:
    """Hard beats on every half second, a tone, and noise; each at a level of its own."""
    rng = np.random.default_rng(seed)
    time = np.arange(8 * RATE) / RATE
    beats = np.exp(-(time % 0.5) / 0.01) * rng.standard_normal(len(time))
    rows = [beats, 0.02 * np.sin(2.0 * np.pi * 220.0 * time), 0.003 * rng.standard_normal(len(time))]
    return np.stack([np.stack([row, 0.9 * row]) for row in rows]).astype(np.float32)


@pytest.mark.parametrize("seed", range(8))
def test_peaks_stay_below_one_decibel_and_loudness_is_sensible(seed: int) -> None:
    made = mix(stems(seed), ("drum", "bass", "string"), (0.0, 0.3, 0.0), np.random.default_rng(seed), RATE)
    assert 20.0 * np.log10(true_peak(made.audio)) <= -1.0
    assert made.true_peak_db <= -1.0
    assert -25.0 <= made.lufs <= -9.5
    assert LoudnessMeter(made.audio, RATE).lufs() == pytest.approx(made.lufs, abs=0.01)
    assert np.isfinite(made.audio).all()
    assert made.audio.shape == (2, 8 * RATE)


def test_quiet_and_loud_stems_come_out_alike() -> None:
    """Levels follow roles, not how loud a font plays them."""

    def made(gain: float) -> np.ndarray:
        parts = stems(1)
        parts[1] *= np.float32(gain)
        return mix(parts, ("drum", "bass", "string"), (0.0, 0.0, 0.0), np.random.default_rng(3), RATE).audio

    assert made(0.1) == pytest.approx(made(10.0), abs=0.02)


def test_a_silent_stem_does_no_harm() -> None:
    parts = stems(2)
    parts[2] = 0.0
    made = mix(parts, ("drum", "bass", "lead"), (0.0, 0.0, 0.1), np.random.default_rng(4), RATE)
    assert np.isfinite(made.audio).all()
    assert made.lufs > -30.0
