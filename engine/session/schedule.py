"""When a command holds: from words (next bar) to musical time, and from there to a sample as late as possible.

A command for a bar line waits as a tick; its sample is fixed only when it is near, so a tempo change on the way moves
it along.
"""

import heapq
import itertools
from dataclasses import dataclass
from typing import Final

from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import NOW, Command, When

__all__ = ["MOST_WAITING", "Scheduled", "Scheduler", "Target", "target_of"]

MOST_WAITING: Final = 4096
"""Commands that may wait for their time."""


@dataclass(frozen=True, slots=True)
class Target:
    """A tick, or if that is None a sample; a sample of -1 is as soon as can be."""

    tick: float | None
    sample: float = -1.0

    @property
    def at_once(self) -> bool:
        return self.tick is None and self.sample < 0

    def near(self, conductor: Conductor, after: float) -> float:
        """Its sample by what is known now, never before `after`."""
        if self.tick is not None:
            return conductor.sample_of(self.tick, after)
        return max(after, self.sample)


def target_of(when: When, conductor: Conductor, after: float) -> Target:
    """What `when` means to somebody to whom the samples before `after` are no longer open.

    Raises:
        ControlError: a kind of time that does not exist.
    """
    if when.kind == "sample":
        return Target(None, float(max(0, when.value)))
    # A line that is less than a sample away has passed.
    return Target(when.tick(conductor.tick_at(after + 1.0), conductor.bar_ticks_at(after)))


@dataclass(slots=True)
class Scheduled:
    """A posted command that waits for its time; `posted_s` by the session's clock, `when` as it was asked."""

    number: int
    command: Command
    target: Target
    posted_s: float
    when: When = NOW


_Queue = list[tuple[float, int, int, Scheduled]]  # heaps: key, number, a count for equal ones


class Scheduler:
    """Commands that wait, ordered by time: asking for those that are near costs next to nothing while none is.

    Commands for a tick and commands for a sample wait apart, as a change of tempo moves the one against the other.
    Among ticks the order stays: a later tick is never reached at an earlier sample.

    Threads: the session's housekeeping.
    """

    def __init__(self) -> None:
        self._by_tick: _Queue = []
        self._by_sample: _Queue = []
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._by_tick) + len(self._by_sample)

    def add(self, due: Scheduled) -> None:
        """Have a command wait.

        Raises:
            ControlError: too many wait already; what is to be done at once is always taken.
        """
        target = due.target
        if not target.at_once and len(self) >= MOST_WAITING:
            raise ControlError(
                f"{MOST_WAITING} commands wait for their time, which is the most: wait for some, or send /waiting/clear"
            )
        queue, key = (self._by_sample, target.sample) if target.tick is None else (self._by_tick, target.tick)
        heapq.heappush(queue, (key, due.number, next(self._count), due))

    def take_near(self, conductor: Conductor, after: float, horizon: float) -> list[tuple[Scheduled, float]]:
        """Those whose sample, by what is known now, lies before `horizon`, with that sample; they are given out once.

        The earliest comes first, so that what it changes is known to the next.
        """
        near = []
        for queue in (self._by_tick, self._by_sample):
            while queue and (sample := queue[0][-1].target.near(conductor, after)) <= horizon:
                near.append((heapq.heappop(queue)[-1], sample))
        return sorted(near, key=lambda row: (row[1], row[0].number))

    def clear(self) -> list[Scheduled]:
        """Drop all; gives them in the order of their posting."""
        dropped = sorted((row[-1] for row in (*self._by_tick, *self._by_sample)), key=lambda due: due.number)
        self._by_tick, self._by_sample = [], []
        return dropped
