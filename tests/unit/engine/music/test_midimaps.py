"""Tempo and meter maps: bars are where notation programs have them, tempos are what the file says."""

from fractions import Fraction

import pytest

from engine.music.midimaps import meters_of, tempos_of
from engine.music.score import Meter, TempoChange


def _meter(beats: int, power: int) -> bytes:
    return bytes((0xFF, 0x58, 4, beats, power, 24, 8))


@pytest.mark.parametrize(
    ("rows", "meters"),
    [
        ([(0, 4, 2), (480, 4, 2)], [(0, 4, 4), (480, 4, 4)]),  # a pick-up of one beat, the meter repeated
        ([(0, 1, 2), (480, 4, 2)], [(0, 1, 4), (480, 4, 4)]),  # a pick-up bar of its own meter
        ([(0, 4, 2), (1920, 4, 2), (3840, 4, 2)], [(0, 4, 4)]),
        ([(0, 3, 2), (960, 3, 2), (2400, 3, 2)], [(0, 3, 4), (960, 3, 4)]),
        ([(0, 4, 2), (1919, 4, 2), (1925, 4, 2)], [(0, 4, 4)]),  # beside the bar line
    ],
)
def test_a_repeated_meter_starts_a_bar_off_the_bar_lines(
    rows: list[tuple[int, int, int]], meters: list[tuple[int, int, int]]
) -> None:
    made, ticks = meters_of([(tick, _meter(beats, power)) for tick, beats, power in rows], Fraction(480))
    assert made == tuple(Meter(*meter) for meter in meters)
    assert ticks == tuple(meter.tick for meter in made)


def test_meters_keep_the_ticks_of_their_file() -> None:
    made, ticks = meters_of([(0, _meter(4, 2)), (1001, _meter(3, 2))], Fraction(1000))
    assert (made[1].tick, ticks) == (480, (0, 1001))


def test_tempos_are_those_of_the_file() -> None:
    rows = [(0, 0), (480, 30_000), (960, 0xFFFFFF), (960, 500_001)]
    made = tempos_of([(tick, b"\xff\x51\x03" + micros.to_bytes(3, "big")) for tick, micros in rows], 1.0)
    assert made == (TempoChange(0, 120.0), TempoChange(480, 2000.0), TempoChange(960, 60e6 / 500_001))
