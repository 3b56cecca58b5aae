"""The melody of a sound as a condition of a language model: at each moment the one pitch class that is strongest.

Source: Copet et al. 2023, section 2.3 and its release (window 2^14, hop 2^12, power, argument of the maximum); chroma
filters as librosa defines them (Gaussian bumps of a semitone, weighted by octave about the fifth, 12 classes from C).
"""

from functools import lru_cache
from typing import Final

import numpy as np

from engine.music.arrays import F32, F64, I64
from engine.music.spectrum import hann

__all__ = ["CLASSES", "chroma_filters", "melody_classes", "no_melody"]


CLASSES: Final = 12

_WINDOW: Final = 1 << 14
_HOP: Final = 1 << 12
_A0_HZ: Final = 27.5
_OCTAVE, _WIDTH = 5.0, 2.0  # where the octaves that count lie, and how far they reach


@lru_cache(maxsize=4)
def chroma_filters(sample_rate: int, window: int = _WINDOW) -> F64:
    """[12, window // 2 + 1]: how much each frequency belongs to each pitch class, C first."""
    octaves = np.log2(np.arange(1, window) * sample_rate / window / _A0_HZ)
    bumps = CLASSES * octaves
    bumps = np.concatenate([[bumps[0] - 1.5 * CLASSES], bumps])  # 0 Hz is taken to lie an octave and a half lower
    widths = np.concatenate([np.maximum(np.diff(bumps), 1.0), [1.0]])
    away = bumps[None] - np.arange(CLASSES)[:, None]
    away = np.remainder(away + CLASSES // 2 + 10 * CLASSES, CLASSES) - CLASSES // 2
    weights = np.exp(-0.5 * (2.0 * away / widths) ** 2)
    weights /= np.maximum(np.sqrt((weights**2).sum(axis=0)), 1e-30)
    weights *= np.exp(-0.5 * ((bumps / CLASSES - _OCTAVE) / _WIDTH) ** 2)
    return np.asarray(np.roll(weights, -3, axis=0)[:, : window // 2 + 1], np.float64)  # from A to C


def melody_classes(sound: F32, sample_rate: int, count: int = 0) -> F32:
    """[T, 12], one of the classes 1, of sound [N]; 7.8 columns a second at 32 kHz.

    Args:
        count: T: repeated from the beginning, or cut; 0 for as many as there are.
    """
    if len(sound) < _WINDOW:
        short = _WINDOW - len(sound)
        sound = np.pad(sound, (short // 2, short - short // 2))
    padded = np.pad(sound, _WINDOW // 2, mode="reflect")
    starts = range(0, len(padded) - _WINDOW + 1, _HOP)
    shape, filters = hann(_WINDOW), chroma_filters(sample_rate)
    power = np.stack([np.abs(np.fft.rfft(padded[at : at + _WINDOW] * shape)) ** 2 for at in starts])
    classes = (power @ filters.T).argmax(axis=1)
    if count:
        classes = classes[np.arange(count) % len(classes)]
    return _one_hot(classes)


def no_melody(count: int) -> F32:
    """[T, 12] as silence gives it, which is how a model has learned that there is no melody."""
    return _one_hot(np.zeros(count, np.int64))


def _one_hot(classes: I64) -> F32:
    rows: F32 = np.eye(CLASSES, dtype=np.float32)[classes]
    return rows
