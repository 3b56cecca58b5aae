"""A limiter for the mix: what is too loud is turned down at once and comes back slowly; all else passes untouched.

It adds no latency. The reduction in decibels is counted in whole steps, so the same sound gives the same samples
whatever the lengths of the blocks in which it comes: a replay is what was played.

Source: peak limiting with linear release in decibels, as in Giannoulis, Massberg and Reiss, "Digital Dynamic Range
Compressor Design", 2012, section 2, without their attack.
"""

import math
from functools import cache
from typing import Final

import numpy as np

from engine.audio.level import peak_of
from engine.music.arrays import F32, I64
from engine.music.audio import Audio

__all__ = ["CEILING_DB", "Limiter"]

CEILING_DB: Final = -2.0
"""The greatest sample that is let through; what lies between samples (true peaks) stays below -0.5 dB."""

_RELEASE_DB_S: Final = 24.0  # slow enough not to follow a bass wave
_MOST_DB: Final = 60.0
_TINY: Final = 1e-12


@cache
def _gains(step_db: float) -> F32:
    """Gain of each number of steps of reduction."""
    steps = np.arange(math.ceil(_MOST_DB / step_db) + 1, dtype=np.float64)
    return np.asarray(10.0 ** (-steps * step_db / 20.0), np.float32)


class Limiter:
    """Of one mix. Threads: one owner; `reduction_db` may be read and set by another.

    Args:
        sample_rate: Hz. ceiling_db: greatest level of a sample, in dB below full scale.
    """

    def __init__(self, sample_rate: int, ceiling_db: float = CEILING_DB) -> None:
        self._step_db = _RELEASE_DB_S / sample_rate  # what comes back with each sample
        self._ceiling_db, self._ceiling = ceiling_db, 10.0 ** (ceiling_db / 20.0)
        self._table = _gains(self._step_db)
        self._steps = 0  # of reduction at the last sample
        self.reduction_db = 0.0
        """The greatest reduction since somebody set it to 0."""

    def process(self, sound: Audio) -> Audio:
        """Sound [2, N], finite, of which no sample is above the ceiling; the same array where nothing was to do."""
        samples = sound.shape[1]
        if peak_of(sound) <= self._ceiling:
            if not self._steps:
                return sound
            needed = np.zeros(samples, np.int64)
        else:
            needed = self._needed(sound)
        steps = self._released(needed)
        self._steps = int(steps[-1]) if samples else self._steps
        self.reduction_db = max(self.reduction_db, float(steps.max(initial=0)) * self._step_db)
        limit = np.float32(self._ceiling)
        out: Audio = np.clip(sound * self._table[steps], -limit, limit)  # a step is rounded, and 60 dB are the most
        return out

    def _needed(self, sound: Audio) -> I64:
        """[N] steps by which each sample must be turned down."""
        level = np.abs(sound).max(axis=0).astype(np.float64)
        over_db = 20.0 * np.log10(np.maximum(level, _TINY)) - self._ceiling_db
        steps = np.ceil(np.maximum(over_db, 0.0) / self._step_db)
        needed: I64 = np.minimum(steps, len(self._table) - 1).astype(np.int64)
        return needed

    def _released(self, needed: I64) -> I64:
        """[N] steps that are taken: those needed, and what is left of those before, one fewer with each sample."""
        places = np.arange(1, len(needed) + 1)
        before = np.maximum.accumulate(np.maximum(needed + places, self._steps))
        return np.asarray(np.maximum(before - places, 0), np.int64)
