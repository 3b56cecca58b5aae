"""What a network is shown of a window and what it must find: sources, targets, empty rows, spans, and what is hidden.

Two ways: the published one (whole rows, any subset of them), and ours for playing live, where a window is a bar that is
being played and the bar after it, what came before is finished, and the player's next notes are not known either.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import I64, Mask

__all__ = ["BAR", "PAD", "TRACKS", "Chances", "Shown", "choose_rows", "choose_targets", "hide", "published"]


PAD: Final = 15
BAR: Final = 16
TRACKS: Final = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Chances:
    """How often each situation is practised, 0..1.

    Args:
        alone: one instrument is there and all others are empty.
        absent: some instruments that the piece has are taken out.
        from_lead: all instruments but the lead are targets; else a random subset is.
        next_bar: only a window's last bar is open, what was played before it is known; else all of it is.
        unknown: the sources' notes from some moment on are not known either: they are targets too.
        spans: only random stretches of the targets are open.
        chord_drop: no chord is given at all.
        chord_ahead: chords of the window are given (else only those of the past), where any are.
    """

    alone: float = 0.1
    absent: float = 0.25
    from_lead: float = 0.4
    next_bar: float = 0.4
    unknown: float = 0.35
    spans: float = 0.15
    chord_drop: float = 0.25
    chord_ahead: float = 0.75


@dataclass(frozen=True, slots=True)
class Shown:
    """What the network is shown of a grid.

    Args:
        tokens: [14, L], MASK where hidden.
        given: [14, L] bool: conditions. Rows of absent instruments are neither given nor targets.
        targets: [14, L] bool: what is to be found, hidden or already revealed.
        hidden: [14, L] bool: targets that are masked.
    """

    tokens: I64
    given: Mask
    targets: Mask
    hidden: Mask


def _tracks(chosen: Mask) -> Mask:
    """[6] by track to [14] by row; chord rows are never chosen."""
    return np.concatenate([np.repeat(chosen, 2), np.zeros(2, bool)])


def choose_rows(grid: I64, empty: int, chances: Chances, rng: np.random.Generator) -> I64:
    """The grid with some instruments taken out (their rows EMPTY); at least one stays.

    Args:
        grid: [14, L]; an instrument that the piece does not have is EMPTY already.
    """
    there = (grid[: 2 * TRACKS : 2] != empty).any(axis=1)
    names = np.nonzero(there)[0]
    keep = there.copy()
    if len(names) > 1 and rng.random() < chances.alone:
        keep[:] = False
        keep[int(rng.choice(names))] = True
    elif len(names) > 2 and rng.random() < chances.absent:
        leaving = rng.permutation(names)[: int(rng.integers(1, len(names) - 1))]
        keep[leaving] = False
    made = grid.copy()
    made[_tracks(there & ~keep)] = empty
    return made


def _subset(names: I64, rng: np.random.Generator) -> Mask:
    """A random number of them, 1 to all."""
    chosen = np.zeros(TRACKS, bool)
    chosen[rng.permutation(names)[: int(rng.integers(1, len(names) + 1))]] = True
    return chosen


def choose_targets(grid: I64, empty: int, chances: Chances, rng: np.random.Generator) -> Mask:
    """[14, W] which cells of a window are to be found; pitch and duration of an onset always together.

    Args:
        grid: [14, W] a window of whole bars.
    """
    width = grid.shape[1]
    there = (grid[: 2 * TRACKS : 2] != empty).any(axis=1)
    names = np.nonzero(there)[0]
    others = names[names != 0]
    if there[0] and len(others) and rng.random() < chances.from_lead:
        chosen = np.zeros(TRACKS, bool)
        chosen[others] = True
    else:
        chosen = _subset(names, rng)
    targets = np.zeros((TRACKS, width), bool)
    targets[chosen] = True
    if width > BAR and rng.random() < chances.next_bar:
        targets[:, : width - BAR] = False
    elif rng.random() < chances.spans:
        first = int(rng.integers(width))
        last = int(rng.integers(first + 1, width + 1))
        targets[:, :first] = False
        targets[:, last:] = False
    sources = there & ~chosen
    if sources.any() and rng.random() < chances.unknown:
        # A player's bar is half known when the next one is asked for.
        targets[sources, int(rng.integers(width)) :] = True
    return np.concatenate([np.repeat(targets, 2, axis=0), np.zeros((2, width), bool)])


def hide(
    grid: I64, targets: Mask, share: float, mask: int, rng: np.random.Generator, *, together: bool = True
) -> Shown:
    """Hide a share of the targets.

    Args:
        grid: [14, W] the truth.
        share: chance of each target to be hidden, 0..1; at least one is.
        mask: the MASK token, greater than all others.
        together: pitch and duration of a column are hidden together.
    """
    tokens = grid.copy()
    drawn = rng.random((TRACKS + 1, grid.shape[1])).repeat(2, axis=0) if together else rng.random(grid.shape)
    hidden = targets & (drawn < share)
    if not hidden.any() and targets.any():
        rows, columns = np.nonzero(targets)
        one = int(rng.integers(len(rows)))
        first = rows[one] - rows[one] % 2 if together else rows[one]
        hidden[first : first + (2 if together else 1), columns[one]] = True
    tokens[hidden] = mask
    there = (grid < mask - 1).any(axis=1, keepdims=True)
    return Shown(tokens, there & ~targets, targets, hidden)


def published(grid: I64, empty: int, rng: np.random.Generator) -> tuple[I64, Mask]:
    """Conditions and targets as the published training draws them.

    Returns:
        The grid with what is taken out, and targets [14, L].
    Source:
        The collate function of the original: one instrument in 10 examples stays alone; a random subset of 1 to all
        instruments is to be found; chords are empty in three examples of four.
    """
    made = choose_rows(grid, empty, Chances(alone=0.1, absent=0.0), rng)
    names = np.nonzero((made[: 2 * TRACKS : 2] != empty).any(axis=1))[0]
    chosen = _subset(names, rng)
    if rng.random() < 0.75:
        made[2 * TRACKS :] = empty
    targets = np.repeat(_tracks(chosen)[:, None], grid.shape[1], axis=1) & (made != empty)
    return made, targets
