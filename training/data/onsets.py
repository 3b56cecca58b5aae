"""When notes start in a recording."""

import numpy as np

from engine.music.arrays import F64
from engine.music.audio import Audio
from engine.music.beats import onset_envelope

__all__ = ["onset_times"]


def onset_times(audio: Audio, rate: int, threshold_db: float = 1.0) -> F64:
    """Seconds of note starts: local maxima of the onset envelope.

    Args:
        audio: [C, N].
        rate: Hz.
        threshold_db: how far a peak must rise above the mean of the 0.2 s around it.
    Returns:
        Ascending times, at least 50 ms apart (the stronger of two wins).
    """
    envelope, fps = onset_envelope(audio, rate)
    reach = max(1, round(0.1 * fps))
    padded = np.pad(envelope, reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    near = max(1, round(0.05 * fps))
    peaks = np.lib.stride_tricks.sliding_window_view(np.pad(envelope, near), 2 * near + 1).max(axis=1)
    found = np.flatnonzero((envelope >= peaks) & (envelope > windows.mean(axis=1) + threshold_db))
    if len(found):
        found = found[np.concatenate([[True], np.diff(found) > near])]
    return np.asarray(found / fps, np.float64)
