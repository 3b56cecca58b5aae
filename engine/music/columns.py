"""The notes of a band as arrays in the columns of a grid: the table between scores and tokens."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import I64, Mask
from engine.music.bars import COLUMN, Bars
from engine.music.keys import key_shift
from engine.music.score import ROLES, Score
from engine.music.tokens import floor_code

__all__ = ["DRUM", "UNMAPPED", "NoteTable", "shift_of", "table_of"]


DRUM: Final = ROLES.index("drum")
UNMAPPED: Final = "in tracks that are no part of a band"


@dataclass(frozen=True, slots=True)
class NoteTable:
    """Notes of mapped tracks, [N] each, sorted by role, column, pitch, then the longer one.

    Args:
        role: position in `ROLES`. column: of the grid, where it starts. pitch: MIDI note number.
        start, length: ticks. velocity: 1..127.
    """

    role: I64
    column: I64
    pitch: I64
    start: I64
    length: I64
    velocity: I64

    def __len__(self) -> int:
        return len(self.role)

    def where(self, keep: Mask) -> "NoteTable":
        """The notes for which `keep` ([N]) is true."""
        return NoteTable(*(getattr(self, name)[keep] for name in self.__slots__))

    def moved(self, shift: int) -> I64:
        """Pitches in the key of the grid; drums stay."""
        return np.where(self.role == DRUM, self.pitch, self.pitch + shift)

    def groups(self) -> Iterator[slice]:
        """Runs of rows that start together in one role."""
        if len(self):
            edges = np.flatnonzero((np.diff(self.role) != 0) | (np.diff(self.column) != 0)) + 1
            bounds = [0, *edges.tolist(), len(self)]
            yield from map(slice, bounds[:-1], bounds[1:])

    def doubled(self) -> Mask:
        """[N] which rows repeat role, column and pitch of the row before."""
        same = (np.diff(self.role) == 0) & (np.diff(self.column) == 0) & (np.diff(self.pitch) == 0)
        return np.concatenate((np.zeros(min(1, len(self)), np.bool_), same))


def table_of(
    score: Score, roles: Sequence[str | None], bars: Bars, *, even: bool = False
) -> tuple[NoteTable, Counter[str]]:
    """The mapped notes of a score, and how many were not mapped.

    Args:
        roles: of each track. even: see `Bars.columns_of`.
    """
    rows: list[tuple[int, int, int, int, int]] = []
    lost: Counter[str] = Counter()
    for name, track in zip(roles, score.tracks, strict=True):
        if name is None:
            lost[UNMAPPED] += len(track.notes)
        else:
            role = ROLES.index(name)
            rows += [(role, note.pitch, note.start, note.length, note.velocity) for note in track.notes]
    role_, pitch, start, length, velocity = np.array(rows, np.int64).reshape(-1, 5).T
    column = bars.columns_of(start, even=even)
    # Of a pitch that is struck twice the published way has the length of the shorter one.
    later = (length,) if even else (-length, start)
    order = np.lexsort((*later, pitch, column, role_))
    table = NoteTable(*(values[order] for values in (role_, column, pitch, start, length, velocity)))
    return table, +lost


def shift_of(score: Score, rule: str) -> int:
    """Semitones into the key of a grid, from all pitched notes, in the band or not; long and loud ones tell more."""
    rows = [
        (note.pitch, note.start, note.end, note.velocity)
        for track in score.tracks
        if not track.drums
        for note in track.notes
    ]
    pitch, start, end, velocity = np.array(rows, np.int64).reshape(-1, 4).T
    units = np.rint(end / COLUMN).astype(np.int64) - np.rint(start / COLUMN).astype(np.int64)
    return key_shift(pitch, floor_code(np.maximum(units, 0)) * (velocity // 4), rule)
