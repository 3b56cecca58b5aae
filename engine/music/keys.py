"""The shift that moves music into the key of a grid: C major, or A minor."""

from typing import Final

import numpy as np

from engine.music.arrays import I64
from engine.music.harmony import MODES

__all__ = ["SHIFTS", "fold_shift", "key_shift"]

SHIFTS: Final = ("near", "down", "none")
"""Rules: the nearer way (-6..+5), the published one (majors downwards, minors -2..+9), or no shift at all."""


def _profiles() -> I64:
    """[24, 12]: 12 major scales, then 12 natural minor ones; 1 in the scale and -1 outside."""
    table = np.full((24, 12), -1, np.int64)
    for row in range(24):
        scale = MODES["major" if row < 12 else "minor"]
        table[row, [(row + step) % 12 for step in scale]] = 1
    return table


_PROFILES: Final = _profiles()


def fold_shift(shift: int) -> int:
    """The same key by the nearer way, -6..+5."""
    return (shift + 6) % 12 - 6


def key_shift(pitches: I64, weights: I64, rule: str = "near") -> int:
    """Semitones to add to pitched notes.

    Args:
        pitches: [N] MIDI pitches, no drums. weights: [N] 0 or more; how much each note tells of the key.
        rule: one of `SHIFTS`.
    Source:
        The published rule: the scale with most weight inside and least outside; a major key and its relative minor
        have the same scale, and the tonic with more weight decides between them. Weights here are whole numbers, so
        that ties are ties.
    """
    if rule == "none":
        return 0
    weight = np.bincount(pitches % 12, weights, minlength=12).astype(np.int64)
    score = _PROFILES @ weight
    best = np.flatnonzero(score == score.max())
    major, minor = int(best[0]), int(best[1]) % 12
    shift = 9 - minor if weight[major] < weight[minor] else -major
    return shift if rule == "down" else fold_shift(shift)
