"""Bars of a score as bars of sixteen columns, and back: where a tick is in a grid, and where a column is in time.

A column is a sixteenth, 120 ticks. Bars of 4/4 fill their sixteen columns; shorter ones leave the last columns unused;
longer ones become two or more bars of a grid, broken between beats.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from engine.music.arrays import I64, Mask
from engine.music.score import Meter, Score, ScoreError
from engine.music.units import TICKS_PER_BEAT

__all__ = ["COLUMN", "COLUMNS", "Bars"]

COLUMNS: Final = 16
COLUMN: Final = TICKS_PER_BEAT // 4
_MOST: Final = 20_000  # bars; ten hours at 120 a minute are 18,000


def _parts(meter: Meter) -> list[int]:
    """Ticks of the pieces that a bar is broken into, none longer than sixteen columns, as even as beats allow."""
    beat = meter.bar_ticks // meter.beats
    group = 3 if meter.unit >= 8 and meter.beats % 3 == 0 and meter.beats > 3 and 3 * beat <= COLUMN * COLUMNS else 1
    groups = meter.beats // group
    for count in range(1, groups + 1):
        size, more = divmod(groups, count)
        parts = [(size + (index < more)) * group * beat for index in range(count)]
        if parts[0] <= COLUMN * COLUMNS:
            return parts
    return [beat] * meter.beats


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of a grid in the time of a score.

    Args:
        starts: [bars + 1] ticks at which they start, and that at which the last one ends.
        bars: bars of a grid.
        remarks: sentences for people about what is not 4/4; empty if all is.
    """

    starts: I64 = field(repr=False)
    bars: int
    remarks: tuple[str, ...] = ()

    @classmethod
    def common(cls, bars: int) -> "Bars":
        """So many bars of 4/4 from tick 0."""
        return cls(np.arange(bars + 1, dtype=np.int64) * COLUMN * COLUMNS, bars)

    @classmethod
    def of(cls, score: Score, least: int = 1) -> "Bars":
        """Bars for all that a score holds.

        Args:
            least: so many at least; bars after the end are in the last meter.
        Raises:
            ScoreError: it has more bars than a grid may have.
        """
        starts: list[int] = []
        until = max((track.notes[-1].start for track in score.tracks if track.notes), default=0) + COLUMN // 2
        for meter, after in zip(score.meters, [*score.meters[1:], None], strict=True):
            if meter.tick > until:
                break
            end = until + 1 if after is None else min(after.tick, until + 1)
            parts = _parts(meter)
            if (end - meter.tick) // meter.bar_ticks + len(starts) > _MOST:
                raise ScoreError(f"got a score of more than {_MOST} bars, wanted fewer: split it")
            whole = np.arange(meter.tick, end, meter.bar_ticks, dtype=np.int64)
            found = (whole[:, None] + np.cumsum([0, *parts[:-1]])).ravel()
            found = found[found < end]
            starts += found.tolist()
        turn = len(found)
        while len(starts) <= min(least, _MOST) or starts[-1] <= until:
            starts.append(starts[-1] + parts[(turn - 1) % len(parts)])
            turn += 1
        return cls(np.array(starts, np.int64), len(starts) - 1, _remarks(score))

    @property
    def columns(self) -> int:
        """Columns of the grid, used or not."""
        return self.bars * COLUMNS

    @property
    def widths(self) -> I64:
        """[bars] columns used of each bar, 1..16."""
        widths: I64 = np.clip(-(-np.diff(self.starts) // COLUMN), 1, COLUMNS)
        return widths

    @property
    def used(self) -> Mask:
        """[columns] which columns are in time; the others stay silent."""
        return (np.arange(COLUMNS) < self.widths[:, None]).ravel()

    def columns_of(self, ticks: I64, *, even: bool = False) -> I64:
        """The column nearest to each tick.

        Args:
            ticks: [N], 0 or later and before the end of the last bar.
            even: what lies right between two columns goes to the even one (the published rule), not to the later one.
        """
        bar = np.clip(np.searchsorted(self.starts, ticks, "right") - 1, 0, self.bars - 1)
        inside = ticks - self.starts[bar]
        column: I64 = np.rint(inside / COLUMN).astype(np.int64) if even else (inside + COLUMN // 2) // COLUMN
        over = column >= self.widths[bar]
        last = bar == self.bars - 1
        within = np.where(over, np.where(last, self.widths[bar] - 1, COLUMNS), column)
        columns: I64 = bar * COLUMNS + within
        return columns

    def ticks_of(self, columns: I64) -> I64:
        """The tick at which each column starts; of one that is not used, where it would be."""
        bar = np.clip(columns // COLUMNS, 0, self.bars - 1)
        ticks: I64 = self.starts[bar] + (columns - bar * COLUMNS) * COLUMN
        return ticks


def _remarks(score: Score) -> tuple[str, ...]:
    """One sentence for each meter that a grid has not."""
    made = {}
    for meter in score.meters:
        parts = _parts(meter)
        if parts != [COLUMN * COLUMNS]:
            name = f"{meter.beats}/{meter.unit}"
            sizes = "+".join(f"{size / COLUMN:g}" for size in parts)
            made[name] = (
                f"bars of {name} are mapped to {len(parts)} of 4/4 ({sizes} of 16 columns each are used): "
                "what is made for them was learned in 4/4"
            )
    return tuple(made.values())
