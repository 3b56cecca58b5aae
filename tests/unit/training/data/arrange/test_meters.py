"""A bar's steps, beats and places for chords agree with the engine's meters."""

import pytest

from training.data.arrange.meters import GRIDS


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_bar_is_as_long_as_the_scores_meter_says(grid) -> None:
    assert grid.ticks == grid.meter.bar_ticks
    assert all(sum(split) == grid.steps for split in grid.splits.values())
    assert {1, 2} <= set(grid.splits)


def test_beats_and_accents_are_where_musicians_count_them() -> None:
    beats = {name: [step for step in range(grid.steps) if grid.on_beat(step)] for name, grid in GRIDS.items()}
    accents = {name: [step for step in range(grid.steps) if grid.accented(step)] for name, grid in GRIDS.items()}
    assert beats == {"4/4": [0, 4, 8, 12], "3/4": [0, 4, 8], "6/8": [0, 6], "2/4": [0, 4]}
    assert accents == {"4/4": [0, 8], "3/4": [0], "6/8": [0, 6], "2/4": [0]}
