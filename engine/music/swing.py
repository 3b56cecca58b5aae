"""Swing: how late the second eighth of each beat is, and ticks of swung music as straight ones and back.

Between the beat and the second eighth, and from there to the next beat, time is stretched evenly, so the triplets of a
shuffle become straight sixteenths or eighths.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from engine.music.score import Note, Score
from engine.music.units import TICKS_PER_BEAT

__all__ = ["Swing", "swing_of"]

_HALF: Final = TICKS_PER_BEAT // 2
_LEAST: Final = 0.54  # place of the second eighth in a beat, from which it is swing
_MOST: Final = 0.72  # and up to which; 0.75 is a dotted eighth
_FEW: Final = 8  # off-beats, below which nothing is known
_SHARE: Final = 0.7  # of all off-beats, that a swing holds
_WIDTH: Final = 0.04  # of a beat, on both sides, in which the off-beats of a swing are
_SIXTEENTHS: Final = 0.1  # share of notes off the eighths, from which a piece has sixteenths


@dataclass(frozen=True, slots=True)
class Swing:
    """How a score swings.

    Args:
        score: whose bars are meant; only bars of quarter or half notes swing.
        ratio: place of the second eighth in its beat, 0..1; 0.5 is straight.
        sixteenths: whether the score has notes between its eighths.
    """

    score: Score = field(repr=False)
    ratio: float = 0.5
    sixteenths: bool = True

    @property
    def swings(self) -> bool:
        """Whether there is any."""
        return self.ratio != 0.5

    def straight(self, note: Note) -> Note:
        """A note as it is without swing."""
        return self._moved(note, self.ratio * TICKS_PER_BEAT, _HALF) if self.swings else note

    def swung(self, note: Note) -> Note:
        """A straight note with the swing."""
        return self._moved(note, _HALF, self.ratio * TICKS_PER_BEAT) if self.swings else note

    def _moved(self, note: Note, old: float, new: float) -> Note:
        start = self._tick(note.start, old, new)
        length = max(min(1, note.length), self._tick(note.end, old, new) - start)
        return replace(note, start=start, length=length)

    def _tick(self, tick: int, old: float, new: float) -> int:
        """The tick for which the point `old` of its beat has become `new`."""
        inside = _inside(self.score, tick)
        if inside < 0:
            return tick
        if inside < old:
            return tick - inside + round(inside * new / old)
        share = (inside - old) / (TICKS_PER_BEAT - old)
        return tick - inside + round(new + share * (TICKS_PER_BEAT - new))


def _inside(score: Score, tick: int) -> int:
    """Ticks from the beat before; -1 where beats are no quarter notes."""
    meter = score.meter_at(tick)
    return (tick - meter.tick) % TICKS_PER_BEAT if meter.unit in (2, 4) else -1


def swing_of(score: Score, notes: Iterable[Note]) -> Swing:
    """The swing of notes of a score: where most notes between the beats are late alike, and few are straight."""
    inside = np.array([_inside(score, note.start) for note in notes], np.float64) / TICKS_PER_BEAT
    inside = inside[inside >= 0]
    off = inside[(inside > 0.4) & (inside < 0.8)]
    late = off[(off >= _LEAST) & (off <= _MOST)]
    if len(late) < _FEW:
        return Swing(score)
    place = float(np.median(late))
    near = off[np.abs(off - place) <= _WIDTH]
    if len(near) < _SHARE * len(off):
        return Swing(score)
    ratio = float(np.median(near))
    known = np.array([0.0, ratio, 1.0])
    between = (np.abs(inside[:, None] - known) > 2 * _WIDTH).all(axis=1)
    return Swing(score, ratio, bool(between.mean() > _SIXTEENTHS))
