"""Bars of any meter as bars of sixteen columns."""

import numpy as np
import pytest

from engine.music.bars import COLUMN, Bars
from engine.music.score import Meter, Note, Score, ScoreError, Track


def _score(end: int, *meters: Meter) -> Score:
    return Score((Track((Note(end, 60, 120),)),), meters=meters or (Meter(0, 4, 4),))


def test_common_time_is_sixteen_columns_a_bar_and_says_nothing() -> None:
    bars = Bars.of(_score(1920 * 3 + 100))
    assert (bars.bars, bars.columns, bars.remarks) == (4, 64, ())
    assert bars.used.all()
    np.testing.assert_array_equal(bars.columns_of(np.array([0, 59, 60, 1920, 3779])), [0, 0, 1, 16, 31])
    np.testing.assert_array_equal(bars.ticks_of(np.array([0, 1, 16, 63])), [0, 120, 1920, 7560])


def test_a_note_just_before_the_bar_line_belongs_to_the_next_bar() -> None:
    bars = Bars.of(_score(1920 - 60))
    assert bars.bars == 2
    assert bars.columns_of(np.array([1860])).tolist() == [16]


def test_the_published_rounding_goes_to_the_even_column() -> None:
    bars = Bars.common(1)
    assert bars.columns_of(np.array([60, 180, 300]), even=True).tolist() == [0, 2, 2]
    assert bars.columns_of(np.array([60, 180, 300])).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("beats", "unit", "widths"),
    [
        (3, 4, [12]), (2, 4, [8]), (6, 8, [12]), (7, 8, [14]), (9, 8, [12, 6]), (12, 8, [12, 12]), (15, 8, [12, 12, 6]),
        (5, 4, [12, 8]), (6, 4, [12, 12]), (7, 4, [16, 12]), (4, 2, [16, 16]), (2, 1, [16, 16]), (1, 64, [1]),
        (5, 16, [5]),
    ],
)  # fmt: skip
def test_other_meters_leave_columns_unused_or_become_several_bars(beats: int, unit: int, widths: list[int]) -> None:
    meter = Meter(0, beats, unit)
    bars = Bars.of(_score(3 * meter.bar_ticks + 1, meter))
    np.testing.assert_array_equal(bars.widths[: 3 * len(widths)], widths * 3)
    assert bars.starts[len(widths)] == meter.bar_ticks
    assert len(bars.remarks) == 1
    assert f"{beats}/{unit}" in bars.remarks[0]


def test_ticks_and_columns_are_inverse_wherever_columns_are_in_time() -> None:
    meters = (Meter(0, 1, 4), Meter(480, 4, 4), Meter(480 + 1920 * 2, 3, 4), Meter(480 + 1920 * 2 + 1440 + 700, 12, 8))
    bars = Bars.of(_score(20000, *meters))
    columns = np.flatnonzero(bars.used)
    np.testing.assert_array_equal(bars.columns_of(bars.ticks_of(columns)), columns)


def test_a_meter_that_begins_inside_a_bar_cuts_it_short() -> None:
    bars = Bars.of(_score(4000, Meter(0, 4, 4), Meter(960, 3, 4)))
    np.testing.assert_array_equal(bars.starts[:3], [0, 960, 2400])


def test_more_bars_can_be_asked_for() -> None:
    bars = Bars.of(_score(0, Meter(0, 12, 8)), 6)
    assert bars.bars == 6
    np.testing.assert_array_equal(np.diff(bars.starts), [3 * 480] * 6)


def test_a_piece_of_weeks_is_refused_in_a_sentence() -> None:
    with pytest.raises(ScoreError, match="more than 20000 bars"):
        Bars.of(_score(1920 * 30_000 * COLUMN))
    with pytest.raises(ScoreError, match="more than 20000 bars"):
        Bars.of(_score(2_000_000, *(Meter(tick * 60, 1 + tick % 2, 32) for tick in range(30_000))))
