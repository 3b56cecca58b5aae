"""An infill, and for the parts that came back empty or all but empty more of them: other seeds, fewer rests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.models.getmusic.model import Filled, FillSettings, Getmusic
from engine.models.getmusic.sheet import Sheet
from engine.music.arrays import I64
from engine.music.score import ROLES, Note
from engine.offline.infill_parts import InfillParts
from engine.protocols.streamer import Job

__all__ = ["Attempt", "attempts"]

_RETRIES: Final = 4
_REST_STEP: Final = -1.5  # added to the bias of rests at each further attempt
_DENSITY: Final = 0.15  # share of sixteenths with an onset that the last attempt asks for
_NOTES: Final = {"drum": 2.0, "string": 0.25}  # notes a bar, below which a part is all but empty
_FEW: Final = 0.5  # of other parts
_SEEDS: Final = 7919  # from one attempt's seed to the next
_MOST_SEEDS: Final = 2**31

Placed = tuple[Note, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One variation.

    Args:
        parts: new notes by role, with their ticks in the file. passes: of the network.
        remarks: what to say about parts without a note.
    """

    parts: Mapping[str, tuple[Placed, ...]]
    passes: int
    remarks: tuple[str, ...] = ()


def attempts(
    model: Getmusic,
    sheet: Sheet,
    parts: InfillParts,
    targets: Sequence[str],
    bars: tuple[int, int],
    settings: FillSettings,
) -> Job[tuple[Attempt, ...]]:
    """A job that fills a sheet, and makes again what came back all but empty.

    Args:
        bars: first and last, from 0.
    Returns:
        One attempt a variation.
    """
    count = bars[1] - bars[0] + 1
    few = {role: max(1.0, count * _NOTES.get(role, _FEW)) for role in targets}
    filled = yield from _filled(model, sheet, targets, settings, sheet.grid)
    made = []
    for number, grid in enumerate(filled.grids):
        best, passes = parts.fitted(sheet.notes(grid)), filled.passes if number == 0 else 0
        for again in range(1, _RETRIES + 1):
            poor = [role for role, rows in best.items() if len(rows) < few[role] and _may_retry(role, settings)]
            if not poor:
                break
            more = replace(_bolder(settings, poor, again), variations=1, first=settings.first + number)
            result = yield from _filled(model, sheet, poor, more, grid)
            passes += result.passes
            tried = parts.fitted(sheet.notes(result.grids[0]))
            if any(len(tried[role]) > len(best[role]) for role in poor):
                grid, best = result.grids[0], tried
        made.append(Attempt(parts=best, passes=passes, remarks=tuple(_remarks(best, bars, number, settings))))
    return tuple(made)


def _filled(model: Getmusic, sheet: Sheet, targets: Sequence[str], settings: FillSettings, grid: I64) -> Job[Filled]:
    """Fill some targets of a sheet."""
    chosen = np.array([role in targets for role in ROLES])[:, None]
    return model.fill(
        grid, sheet.targets & chosen, settings, limits=sheet.limits, features=sheet.features, first_bar=sheet.first_bar
    )


def _may_retry(role: str, settings: FillSettings) -> bool:
    """Whether nothing that was asked for makes the part sparse."""
    return settings.densities.get(role, 1.0) > 0.0 and settings.rests.get(role, 0.0) <= 0.0


def _bolder(settings: FillSettings, roles: Sequence[str], again: int) -> FillSettings:
    """Settings of attempt number `again`: another seed, fewer rests, at last a density."""
    settings = replace(settings, seed=(settings.seed + _SEEDS * again) % _MOST_SEEDS)
    if settings.plan == "official":
        return settings
    rests = {role: settings.rests.get(role, 0.0) + _REST_STEP * again for role in roles}
    densities = dict.fromkeys(roles, _DENSITY) if again == _RETRIES else {}
    return replace(settings, rests={**settings.rests, **rests}, densities={**densities, **settings.densities})


def _remarks(
    made: Mapping[str, Sequence[Placed]], bars: tuple[int, int], number: int, settings: FillSettings
) -> Iterator[str]:
    """A sentence for each part without a note."""
    where = f"bar {bars[0] + 1}" if bars[0] == bars[1] else f"bars {bars[0] + 1}-{bars[1] + 1}"
    which = f"variation {number + 1}: " if settings.variations > 1 else ""
    for role, rows in made.items():
        if not rows:
            yield (
                f"{which}no note of {role} was made in {where}: try another --seed, --density {role}=0.3, "
                f"a wider --range or more bars"
            )
