"""A bar's sixteenth steps, beats, accents and places for chords, by meter: the one place that knows them."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engine.music.score import Meter
from engine.music.units import TICKS_PER_BEAT

__all__ = ["GRIDS", "STEP_TICKS", "BarGrid"]

STEP_TICKS: Final = TICKS_PER_BEAT // 4
"""Ticks of a sixteenth, the arranger's step."""


@dataclass(frozen=True, slots=True)
class BarGrid:
    """A bar of one meter.

    Args:
        name: such as 3/4.
        beats: notes of the `unit`-th in a bar, as written.
        unit: 4 for quarter notes, 8 for eighths.
        pulse: steps of a felt beat: 4, and 6 in 6/8.
        half: step at which the second half of a pattern begins.
        strong: steps between accents, from the bar's first step on.
        splits: steps of each chord, by the number of chords that share a bar.
    """

    name: str
    beats: int
    unit: int
    pulse: int
    half: int
    strong: int
    splits: MappingProxyType[int, tuple[int, ...]]

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        return self.beats * 16 // self.unit

    @property
    def ticks(self) -> int:
        """Ticks in a bar."""
        return self.steps * STEP_TICKS

    @property
    def meter(self) -> Meter:
        """The meter of a whole score."""
        return Meter(0, self.beats, self.unit)

    def accented(self, step: int) -> bool:
        """Whether a step of the bar is a strong one."""
        return step % self.strong == 0

    def on_beat(self, step: int) -> bool:
        """Whether a felt beat begins at a step of the bar."""
        return step % self.pulse == 0


def _grid(name: str, pulse: int, half: int, strong: int, *splits: tuple[int, ...]) -> BarGrid:
    beats, unit = map(int, name.split("/"))
    return BarGrid(name, beats, unit, pulse, half, strong, MappingProxyType({len(each): each for each in splits}))


GRIDS: Final = MappingProxyType(
    {
        grid.name: grid
        for grid in (
            _grid("4/4", 4, 8, 8, (16,), (8, 8), (4, 4, 4, 4)),
            _grid("3/4", 4, 8, 12, (12,), (8, 4), (4, 4, 4)),
            _grid("6/8", 6, 6, 6, (12,), (6, 6)),
            _grid("2/4", 4, 4, 8, (8,), (4, 4)),
        )
    }
)
"""The meters that the arranger writes."""
