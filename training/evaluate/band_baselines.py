"""Players without a network, for a trained one to be compared with."""

from collections.abc import Mapping, Sequence

import numpy as np

from engine.music.arrays import I64
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary
from training.data.grids import BAR, Grids
from training.evaluate.bands import ACCOMPANIMENT

__all__ = ["BarLibrary", "chord_random", "copy_bar"]


# Semitones above the root of the chord kinds of a grid, in the order of their tokens.
_KINDS = ((0, 4, 7), (0, 3, 7), (0, 4, 8), (0, 3, 6), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6, 10))


def _rows(roles: Sequence[str]) -> list[int]:
    return [row for role in roles for row in (2 * ROLES.index(role), 2 * ROLES.index(role) + 1)]


def copy_bar(grid: I64, first: int, seed_bar: I64, roles: Sequence[str] = ACCOMPANIMENT) -> I64:
    """Every bar is the bar before it.

    Args:
        grid: [14, L], filled from column `first` on.
        seed_bar: [14, 16] what is repeated.
    """
    made = grid.copy()
    rows = _rows(roles)
    for column in range(first, grid.shape[1], BAR):
        made[rows, column : column + BAR] = seed_bar[rows, : grid.shape[1] - column]
    return made


def _chord_of(grid: I64, column: int, dictionary: Dictionary) -> tuple[int, int] | None:
    root, kind = int(grid[12, column]), int(grid[13, column])
    if root not in dictionary.roots or kind not in dictionary.kinds:
        return None
    return root - dictionary.roots.start, kind - dictionary.kinds.start


def chord_random(
    grid: I64,
    first: int,
    rates: Mapping[str, float],
    dictionary: Dictionary,
    rng: np.random.Generator,
    roles: Sequence[str] = ACCOMPANIMENT,
) -> I64:
    """Single tones of the bar's chord at random, as densely as tracks play on the whole; drums at random.

    Args:
        rates: by role, share of columns with an onset in the training set.
    """
    made = grid.copy()
    spans = {"bass": (28, 50), "guitar": (45, 70), "piano": (48, 78), "string": (55, 80), "drum": (36, 52)}
    for role in roles:
        low, high = spans[role]
        row = 2 * ROLES.index(role)
        made[row : row + 2, first:] = PAD
        for column in range(first, grid.shape[1]):
            if rng.random() >= rates[role]:
                continue
            chord = _chord_of(grid, column - column % BAR, dictionary)
            tones = None if chord is None else {(chord[0] + step) % 12 for step in _KINDS[chord[1]]}
            pitches = [p for p in range(low, high) if role == "drum" or tones is None or p % 12 in tones]
            token = dictionary.token(role, (int(rng.choice(pitches)),))
            assert token is not None
            made[row, column], made[row + 1, column] = token, int(rng.integers(0, 6))
    return made


class BarLibrary:
    """Bars of the training set by their chord.

    Args:
        grids: the store; its training side is read.
        most: pieces to read, spread evenly.
    """

    def __init__(self, grids: Grids, most: int = 600) -> None:
        self._grids = grids
        self._bars: dict[tuple[int, int] | None, list[tuple[int, int]]] = {}
        everything = grids.pieces(held_out=False)
        picked = everything[:: max(1, len(everything) // most)]
        counts = {role: [0, 0] for role in ROLES}
        for index in picked:
            grid = grids.whole(index).grid
            there = [role for role in ACCOMPANIMENT if grid[2 * ROLES.index(role), 0] != grids.dictionary.empty]
            for role in there:
                row = grid[2 * ROLES.index(role)]
                counts[role][0] += int((row != PAD).sum())
                counts[role][1] += len(row)
            if len(there) < len(ACCOMPANIMENT):
                continue
            for column in range(0, grid.shape[1], BAR):
                self._bars.setdefault(_chord_of(grid, column, grids.dictionary), []).append((index, column))
        self.rates = {role: there / max(1, whole) for role, (there, whole) in counts.items()}
        """Share of columns with an onset, by role."""

    def retrieve(self, grid: I64, first: int, rng: np.random.Generator, roles: Sequence[str] = ACCOMPANIMENT) -> I64:
        """Each bar from `first` on is a bar of the training set with its chord, drawn at random."""
        made = grid.copy()
        rows = _rows(roles)
        for column in range(first, grid.shape[1], BAR):
            chord = _chord_of(grid, column, self._grids.dictionary)
            found = self._bars.get(chord) or [bar for bars in self._bars.values() for bar in bars]
            index, start = found[int(rng.integers(len(found)))]
            made[rows, column : column + BAR] = self._grids.window(index, start, BAR).grid[rows]
        return made
