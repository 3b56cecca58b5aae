"""Levels: gains that change without a click, peaks, and a bend that keeps them below full scale."""

from typing import Final

import numpy as np

from engine.music.audio import Audio
from engine.music.units import amplitude_to_db

__all__ = ["glide", "limited", "peak_db", "peak_of"]

_KNEE: Final = np.float32(0.9)  # louder sound is bent so that it stays below 1


def glide(audio: Audio, start: float, end: float, samples: int) -> Audio:
    """Scale sound by a gain that goes from `start` to `end` over the first samples and then stays.

    Args:
        audio: [C, N].
        start, end: linear gains.
        samples: length of the way, clipped to 1..N; the curve is half a cosine, so its slope never jumps.
    Returns:
        [C, N]; `audio` itself where both gains are 1.
    """
    if start == end:
        return audio if end == 1.0 else audio * np.float32(end)
    samples = max(1, min(samples, audio.shape[1]))
    turn = 0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 1) / samples)
    gains = np.full(audio.shape[1], end, np.float32)
    gains[:samples] = start + (end - start) * turn
    return audio * gains


def peak_of(audio: Audio) -> float:
    """Greatest absolute sample of [C, N]; NaN or infinite if any sample is, 0 if there is none."""
    return float(max(audio.max(initial=0.0), -audio.min(initial=0.0)))


def peak_db(amplitude: float) -> float:
    """A peak in dB below full scale, rounded to a tenth and floored at -120."""
    return round(amplitude_to_db(amplitude), 1)


def limited(audio: Audio) -> Audio:
    """A copy of [C, N] within -1..1: untouched below 0.9, bent smoothly above, silent where it is not finite."""
    audio = np.nan_to_num(audio, nan=0.0, posinf=1.0, neginf=-1.0)
    over = np.maximum(np.abs(audio) - _KNEE, 0.0) / (1.0 - _KNEE)
    loud = np.sign(audio) * (_KNEE + (1.0 - _KNEE) * np.tanh(over))
    return np.where(over > 0.0, loud, audio).astype(np.float32)
