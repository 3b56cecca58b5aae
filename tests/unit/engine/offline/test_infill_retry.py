"""A part that comes back all but empty is made again, with bolder settings, a few times at most."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from engine.models.getmusic.model import Filled, FillSettings
from engine.music.score import ROLES, Note
from engine.offline.infill_retry import Attempt, attempts
from engine.protocols.streamer import Job, Progress, work


@dataclass
class Model:
    """Writes into the grid how many notes each call makes of each role that it is asked for."""

    counts: Sequence[int]
    asked: list[tuple[list[str], FillSettings]] = field(default_factory=list)

    def fill(self, grid: Any, targets: Any, settings: FillSettings, **_: Any) -> Job[Filled]:
        roles = [role for role, row in zip(ROLES, targets, strict=True) if row.any()]
        count = self.counts[min(len(self.asked), len(self.counts) - 1)]
        self.asked.append((roles, settings))
        made = np.repeat(grid[None], settings.variations, axis=0)
        for role in roles:
            made[:, 2 * ROLES.index(role), 0] = count
        yield Progress(1, 1)
        return Filled(grids=made, made=targets, log_p=np.zeros((1, 6, 1)), passes=1, complete=True)


class Sheet:
    grid, targets = np.zeros((14, 4), np.int64), np.ones((6, 4), np.bool_)
    limits, features, first_bar = None, None, 0

    def notes(self, grid: Any) -> dict[str, tuple[Note, ...]]:
        return {role: (Note(0, 60, 1),) * int(grid[2 * ROLES.index(role), 0]) for role in ("bass", "string")}


class Parts:
    def fitted(self, made: dict[str, tuple[Note, ...]]) -> dict[str, Any]:
        return {role: tuple((note, 0, 1) for note in notes) for role, notes in made.items()}


def _run(model: Model, settings: FillSettings | None = None) -> tuple[Attempt, ...]:
    sheet, parts = cast(Any, Sheet()), cast(Any, Parts())
    return work(attempts(cast(Any, model), sheet, parts, ("bass", "string"), (0, 7), settings or FillSettings()))


def test_parts_with_notes_are_made_once() -> None:
    model = Model([4])
    assert len(_run(model)[0].parts["bass"]) == 4
    assert len(model.asked) == 1


def test_only_the_poor_part_is_made_again_until_it_has_notes() -> None:
    model = Model([2, 0, 5])
    (made,) = _run(model)
    assert {role: len(rows) for role, rows in made.parts.items()} == {"bass": 5, "string": 2}
    assert [roles for roles, _ in model.asked[1:]] == [["bass"], ["bass"]]
    assert len({settings.seed for _, settings in model.asked}) == 3
    assert (made.passes, made.remarks) == (3, ())


def test_the_last_attempt_asks_for_a_density_and_then_it_is_said() -> None:
    model = Model([0])
    (made,) = _run(model)
    assert len(model.asked) == 5
    assert model.asked[-1][1].densities == {"bass": 0.15, "string": 0.15}
    assert [remark.split(":")[0] for remark in made.remarks] == [
        "no note of bass was made in bars 1-8", "no note of string was made in bars 1-8",
    ]  # fmt: skip


@pytest.mark.parametrize("settings", [FillSettings(densities={"bass": 0.0}), FillSettings(rests={"bass": 3.0})])
def test_a_part_that_is_asked_to_rest_is_not_made_again(settings: FillSettings) -> None:
    model = Model([0])
    _run(model, settings)
    assert all(roles == ["string"] for roles, _ in model.asked[1:])


def test_each_variation_is_made_again_for_itself() -> None:
    model = Model([0, 9])
    assert [len(one.parts["bass"]) for one in _run(model, FillSettings(variations=3))] == [9, 9, 9]
    assert [settings.first for _, settings in model.asked] == [0, 0, 1, 2]


def test_the_official_plan_only_gets_other_seeds() -> None:
    model = Model([0])
    _run(model, FillSettings(plan="official"))
    assert all(not settings.rests and not settings.densities for _, settings in model.asked)
