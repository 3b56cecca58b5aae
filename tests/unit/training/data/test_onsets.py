"""Onsets are found where they are."""

import numpy as np

from training.data.onsets import onset_times

RATE = 22050


def clicks(times: np.ndarray, seconds: float, rate: int = RATE) -> np.ndarray:
    """Decaying bursts of noise over a faint floor, stereo."""
    rng = np.random.default_rng(1)
    sound = 1e-3 * rng.standard_normal(int(seconds * rate))
    decay = np.exp(-np.arange(rate // 10) / rate * 80.0)
    for time in times:
        first = round(time * rate)
        room = sound[first : first + len(decay)]
        room += 0.5 * (rng.standard_normal(len(decay)) * decay)[: len(room)]
    return np.stack([sound, sound]).astype(np.float32)


def test_onsets_are_found_where_they_are() -> None:
    times = np.array([0.0, 0.5, 0.8, 1.7, 2.0])
    found = onset_times(clicks(times, 3.0), RATE)
    assert len(found) == len(times)
    assert np.abs(found - times).max() < 0.012
    assert not len(onset_times(np.zeros((2, RATE), np.float32), RATE))
