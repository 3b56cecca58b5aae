"""The plan of an infill: how many cells are decided in each pass, and in which windows of a long score.

A *cell* is one track in one column: its pitch and its duration are decided together. The plan of the official sampler
counts the two separately, as that sampler does.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import F64, I64, Mask
from engine.sampling import uniforms

__all__ = ["BAR", "PLANS", "PlanWindow", "blocks", "draws_of", "official_passes", "quotas", "windows"]


BAR: Final = 16
"""Columns of a bar."""

PLANS: Final = ("cosine", "linear", "official")
"""How the share of undecided cells falls: slowly at first, linearly, or as in the original release."""

_OFFICIAL_STEPS: Final = 99


def quotas(count: int, steps: int, plan: str) -> I64:
    """[steps] the number of cells that each pass decides; the sum is `count`.

    Args:
        plan: ``cosine`` leaves a share cos(pi/2 * k / steps) open after pass k, ``linear`` 1 - k / steps.
    Raises:
        ShapeError: no such plan, or no steps.
    Source:
        The cosine plan is MaskGIT's (Chang et al., 2022).
    """
    if steps < 1 or plan not in ("cosine", "linear"):
        raise ShapeError(f"got plan {plan} in {steps} steps, wanted cosine or linear in 1 or more")
    share = np.arange(steps + 1) / steps
    left = np.cos(np.pi / 2.0 * share) if plan == "cosine" else 1.0 - share
    left[-1] = 0.0
    return np.asarray(-np.diff(np.floor(count * left + 0.5).astype(np.int64)), np.int64)


def official_passes(count: int) -> I64:
    """[99] how many of `count` cells (pitch and duration separately) the official sampler decides at t = 99, 98, ... 1.

    Source:
        The sampler of microsoft/muzic/getmusic: an equal whole number each, and of the rest one at every
        ceil(100 / rest)-th step, again and again. It is followed by one pass at t = 0 that draws every cell anew.
    """
    plan = np.full(_OFFICIAL_STEPS, count // _OFFICIAL_STEPS, np.int64)
    rest = count % _OFFICIAL_STEPS
    while rest:
        chosen = np.arange(0, _OFFICIAL_STEPS, -(-100 // rest))
        plan[chosen] += 1
        rest -= chosen.size
    return plan


def draws_of(cells: int, columns: int, seed: int, purpose: int, variation: int, turn: int, first_bar: int = 0) -> F64:
    """[6, columns, cells] random numbers in 0..1 for each track and column, independent of all other draws.

    Args:
        cells: numbers for each. columns: counted from the line of bar `first_bar` of the piece.
        seed, purpose, variation, turn: each combination has numbers of its own.
    """
    bars = -(-columns // BAR)
    made = [
        uniforms(6 * BAR * cells, seed, purpose, variation, turn, first_bar + bar).reshape(BAR, 6, cells)
        for bar in range(bars)
    ]
    return np.concatenate(made)[:columns].swapaxes(0, 1) if made else np.zeros((6, 0, cells))


@dataclass(frozen=True, slots=True)
class PlanWindow:
    """Columns of a score that the network sees at once.

    Args:
        first, last: columns seen, `last` excluded.
        start, until: columns decided here, `until` excluded; earlier ones are decided, later ones wait.
    """

    first: int
    last: int
    start: int
    until: int


def windows(targets: Mask, context: int) -> Iterator[PlanWindow]:
    """The windows in which all targets are decided, from left to right, each from a bar line.

    Decisions of one window are given in the next: a quarter of each window is earlier music, an eighth is later music.

    Args:
        targets: [6, L] cells to decide.
        context: the most columns that the network sees at once; at least 4 bars.
    Raises:
        ShapeError: `context` is too small.
    """
    length = targets.shape[1]
    columns = np.flatnonzero(targets.any(axis=0))
    if columns.size and length <= context:
        yield PlanWindow(0, length, 0, length)
        return
    if context < 4 * BAR:
        raise ShapeError(f"got a context of {context} columns, wanted at least {4 * BAR}")
    seen, before, after = context // BAR * BAR, context // 4 // BAR * BAR, max(BAR, context // 8 // BAR * BAR)
    done = 0
    while columns.size and done <= columns[-1]:
        start = int(columns[np.searchsorted(columns, done)]) // BAR * BAR
        first = max(0, min(start - before, -(-length // BAR) * BAR - seen))
        last = min(length, first + seen)
        until = last if last == length or last > columns[-1] + after else last - after
        until = min(until, int(columns[-1]) + 1)
        yield PlanWindow(first, last, max(start, done), until)
        done = until


def blocks(targets: Mask, context: int, block: int) -> Iterator[PlanWindow]:
    """The windows of a network that decides only in its last columns and sees nothing after them.

    Args:
        targets: [6, L].
        context: the most columns that it sees. block: columns at the end of a window, in which it decides.
    """
    length = targets.shape[1]
    columns = np.flatnonzero(targets.any(axis=0))
    done = 0
    while columns.size and done <= columns[-1]:
        start = int(columns[np.searchsorted(columns, done)]) // BAR * BAR
        last = min(length, max(start + block, 0))
        first = max(0, -(-(last - context) // BAR) * BAR)
        yield PlanWindow(first, last, max(start, done), last)
        done = last
