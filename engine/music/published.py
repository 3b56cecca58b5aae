"""The published way from notes to a grid, cell by cell, for weights that were trained on grids made so.

Its habits: strokes shorter than half a sixteenth and chords that the dictionary has not are dropped, a group has the
length of its lowest note, the chord of a bar stands in the bar after it, and the last event of a piece (nearly always
a chord after the end) only lengthens the grid. Everything dropped is counted.
"""

from collections import Counter
from typing import Final

import numpy as np

from engine.music.arrays import I64
from engine.music.bars import COLUMN, COLUMNS
from engine.music.chords import NO_STATE, bar_vectors, detect_chords
from engine.music.columns import DRUM, NoteTable
from engine.music.score import ROLES
from engine.music.tokens import Spelling, floor_code
from engine.music.vocabulary import KINDS, PAD, UNITS, Dictionary

__all__ = ["LAST", "ZERO", "published_grid"]


ZERO: Final = "shorter than half a sixteenth"
LAST: Final = "in the last event of the piece"


def published_grid(table: NoteTable, dictionary: Dictionary, shift: int, lost: Counter[str]) -> tuple[I64, I64]:
    """The grid [14, L] and the chords [bars], not late, of a table made with `even`.

    Args:
        shift: semitones into the key of the grid.
        lost: where notes that are dropped are counted.
    """
    code = floor_code(np.maximum(0, np.rint((table.start + table.length) / COLUMN) - np.rint(table.start / COLUMN)))
    lost[ZERO] += int((code == 0).sum())
    table, code = table.where(code > 0), code[code > 0]
    pitch, length = table.moved(shift), np.array(UNITS)[code]
    states = _chords(table, pitch, length)
    last_note, last_chord = int(table.column.max(initial=-1)), COLUMNS * (len(states) - 1)
    grid = np.full((14, max(last_note, last_chord) + 1), PAD, np.int64)
    groups = list(table.groups())
    spelling = Spelling(dictionary, strict=True)
    # The chord of a bar sorts after the notes of its first column; a later note is the last event instead.
    skipped = None
    if last_note > last_chord:
        skipped = max(groups, key=lambda group: (table.column[group.start], table.role[group.start]))
    for group in groups:
        role, column = int(table.role[group.start]), int(table.column[group.start])
        rows = range(group.start, group.stop - (group == skipped))
        lost[LAST] += group.stop - group.start - len(rows)
        if rows:
            sounding = sorted({int(pitch[row]) for row in rows})
            token, causes = spelling.token(ROLES[role], sounding)
            lost.update(causes)
            if token is not None:
                grid[2 * role : 2 * role + 2, column] = token, code[group.start] - 1
    for bar, state in enumerate(states.tolist()):
        if state != NO_STATE and not (skipped is None and bar == len(states) - 1):
            root, kind = divmod(state - 1, len(KINDS))
            cells = slice(COLUMNS * bar, COLUMNS * (bar + 1))
            grid[12, cells], grid[13, cells] = dictionary.roots[root], dictionary.kinds[kind]
    return grid, states[1:]


def _chords(table: NoteTable, pitch: I64, length: I64) -> I64:
    """Chords as published: one more than bars are heard (or two, the count being rounded to even), late by one."""
    heard = (table.role != DRUM) & (pitch >= 1) & (pitch <= 127)
    end = int((table.column + length)[heard].max(initial=0))
    bars = round(end // COLUMNS + 0.5)
    vectors = bar_vectors(pitch[heard], table.column[heard], length[heard], max(1, bars))
    # The published frames begin with an empty one before the piece, which takes the chord of the first bar.
    return detect_chords(np.concatenate((np.zeros((1, 12)), vectors)))
