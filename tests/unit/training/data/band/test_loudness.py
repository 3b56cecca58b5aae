"""Loudness as BS.1770 has it, and peaks between samples."""

import numpy as np
import pytest

from training.data.band.loudness import LoudnessMeter, true_peak

RATE = 44100


def sine(hertz: float, level: float, seconds: float = 6.0) -> np.ndarray:
    tone = level * np.sin(2.0 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.stack([tone, tone]).astype(np.float32)


def test_a_full_scale_tone_of_1_khz_in_both_channels_is_at_0_lufs() -> None:
    """BS.1770-4: a full scale 1 kHz sine in one front channel reads -3.01 LKFS; two channels are 3 dB more."""
    assert LoudnessMeter(sine(997.0, 1.0), RATE).lufs() == pytest.approx(0.0, abs=0.15)
    one = sine(997.0, 1.0)
    one[1] = 0.0
    assert LoudnessMeter(one, RATE).lufs() == pytest.approx(-3.01, abs=0.15)


def test_bass_counts_less_and_treble_more() -> None:
    low, high = (LoudnessMeter(sine(hertz, 0.1), RATE).lufs() for hertz in (40.0, 6000.0))
    assert low == pytest.approx(-20.0 - 6.2, abs=0.5)  # the highpass at 38 Hz, and no shelf
    assert high == pytest.approx(-20.0 + 3.3, abs=0.5)


def test_pauses_do_not_count_and_silence_is_the_lowest() -> None:
    sound = sine(997.0, 0.1)
    padded = np.pad(sound, ((0, 0), (20 * RATE, 0)))
    whole, alone = LoudnessMeter(padded, RATE), LoudnessMeter(sound, RATE)
    assert whole.lufs() == pytest.approx(alone.lufs(), abs=0.3)
    assert whole.between(0.0, 18.0) == -70.0
    assert whole.between(22.0, 25.0) == pytest.approx(-20.0, abs=0.2)
    assert LoudnessMeter(np.zeros((2, RATE), np.float32), RATE).lufs() == -70.0
    assert LoudnessMeter(sound, RATE, 40960).lufs() == pytest.approx(alone.lufs(), abs=0.3)


def test_peaks_between_samples_are_seen() -> None:
    """A sine at a quarter of the rate whose samples all lie 45 degrees from its peaks."""
    tone = 0.5 * np.sin(np.pi / 2.0 * np.arange(RATE) + np.pi / 4.0)
    assert np.abs(tone).max() == pytest.approx(0.3536, abs=1e-3)
    assert true_peak(np.stack([tone, 0.1 * tone]).astype(np.float32)) == pytest.approx(0.5, abs=0.01)
    assert true_peak(np.zeros((2, 1000), np.float32)) == 0.0
