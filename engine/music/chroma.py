"""Pitch classes and chords estimated from sound alone: in numpy, so that every machine gives the same result."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np

from engine.music.arrays import F64
from engine.music.audio import Audio
from engine.music.beats import power_frames
from engine.music.chords import chord_of, detect_chords
from engine.music.harmony import Chord

__all__ = ["pitch_classes", "sounding_chords"]


_WINDOW_S: Final = 0.186
_CONTRAST: Final = 0.6  # of the pitch classes' range to their mean: notes have more, drums and noise have less
_LEAST: Final = 1e-3  # of that mean: what is less is silence


def pitch_classes(audio: Audio, rate: int) -> F64:
    """Pitch classes [12] of sound [C, N], at least a sample: the median over time in each bin, so that drums do not
    count. The least is 0, the length 1; zeros where nothing sounds.
    """
    return _unit(_strengths(audio, rate))


def sounding_chords(audio: Audio, rate: int, times_s: Sequence[float] | F64) -> tuple[Chord, ...]:
    """One chord for each span between given times: `NO_CHORD` where nothing has a pitch and none outlasts that.

    Args:
        audio: [C, N].
        rate: Hz.
        times_s: seconds, ascending, of at least 0.1 s; what lies outside the sound is cut off.
    Source:
        Pitch classes of each span, decoded by the hidden Markov model of `engine.music.chords`: chords of one key
        follow each other.
    """
    vectors = np.zeros((max(0, len(times_s) - 1), 12))
    for row, (start, end) in enumerate(pairwise(times_s)):
        span = audio[:, max(0, round(start * rate)) : max(0, round(end * rate))]
        if not span.shape[1]:
            continue
        strengths = _strengths(span, rate)
        mean = float(strengths.mean())
        if mean > _LEAST and float(np.ptp(strengths)) > _CONTRAST * mean:
            vectors[row] = _unit(strengths)
    return tuple(chord_of(int(state)) for state in detect_chords(vectors)) if len(vectors) else ()


def _strengths(audio: Audio, rate: int) -> F64:
    window = 1 << round(np.log2(rate * _WINDOW_S))
    power = np.concatenate(list(power_frames(audio, window, window // 4)))
    amplitude = np.sqrt(np.median(power, axis=0)) / window
    return np.asarray(_weights(rate, window) @ np.log1p(1000.0 * amplitude[1:]), np.float64)


@lru_cache(maxsize=4)
def _weights(rate: int, window: int) -> F64:
    """[12, window / 2]: how much each bin but the first tells of each pitch class."""
    frequencies = np.arange(1, window // 2 + 1) * rate / window
    pitch = 69.0 + 12.0 * np.log2(frequencies / 440.0)
    away = (pitch[None, :] - np.arange(12)[:, None] + 6.0) % 12.0 - 6.0
    weights = np.exp(-0.5 * (away / 0.35) ** 2)
    # Around 400 Hz most: below 100 Hz a bin is wider than a semitone, above 2 kHz are overtones and cymbals.
    weights *= np.exp(-0.5 * (np.log2(frequencies / 400.0) / 1.0) ** 2)
    return np.asarray(weights, np.float64)


def _unit(strengths: F64) -> F64:
    above = strengths - strengths.min()
    return np.asarray(above / max(float(np.linalg.norm(above)), 1e-9), np.float64)
