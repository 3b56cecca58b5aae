"""A grid as a picture: one strip a role, pitch upwards, time to the right."""

from typing import Final

import numpy as np

from engine.music.arrays import I64, U8, Mask
from engine.music.score import ROLES
from engine.music.vocabulary import UNITS, Dictionary

__all__ = ["piano_roll"]


_COLOURS: Final = np.array(
    [[250, 200, 70], [90, 150, 250], [230, 110, 90], [120, 200, 120], [190, 140, 240], [110, 210, 220]], np.uint8
)
_PAPER, _LINE, _GAP = 22, 48, 4
_ACROSS, _UP = 4, 2  # pixels to a column and to a semitone
_LOW, _HIGH = 24, 96


def piano_roll(grid: I64, dictionary: Dictionary, new: Mask | None = None) -> U8:
    """Draw [14, L]; lead on top.

    Args:
        new: [L] columns that were made; what was given is drawn darker.
    Returns:
        uint8 [H, 4 L, 3]; pitches outside 24..96 stand at the edge.
    """
    length = grid.shape[1]
    strips = []
    for track, role in enumerate(ROLES):
        strip = np.full(((_HIGH - _LOW + 1) * _UP, length * _ACROSS, 3), _PAPER, np.uint8)
        strip[:, :: 16 * _ACROSS] = _LINE
        for column in range(length):
            parts = dictionary.parts[int(grid[2 * track + 1, column])].tolist()
            for index, pitch in enumerate(dictionary.pitches(int(grid[2 * track, column]))):
                if int(grid[2 * track, column]) not in dictionary.ranges[role]:
                    continue
                row = (_HIGH - min(max(pitch, _LOW), _HIGH)) * _UP
                shade = 1.0 if new is None or new[column] or track == 0 else 0.5
                units = UNITS[max(0, parts[min(index, 1)]) + 1]
                end = min(length, column + units) * _ACROSS - 1
                strip[row : row + _UP, column * _ACROSS : end] = (_COLOURS[track] * shade).astype(np.uint8)
        strips += [strip, np.full((_GAP, length * _ACROSS, 3), _LINE, np.uint8)]
    return np.concatenate(strips[:-1])
