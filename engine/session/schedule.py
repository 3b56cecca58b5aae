"""When a command holds: from words (next bar) to musical time, and from there to a sample as late as possible.

A command for a bar line waits as a tick; its sample is fixed only when it is near, so a tempo change on the way moves
it along.
"""

from dataclasses import dataclass

from engine.conductor import Conductor
from engine.messages.session import NOW, Command, When

__all__ = ["Scheduled", "Scheduler", "Target", "target_of"]


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


class Scheduler:
    """Commands in the order of their posting, given out when near. Threads: the session's housekeeping."""

    def __init__(self) -> None:
        self._waiting: list[Scheduled] = []

    def add(self, due: Scheduled) -> None:
        self._waiting.append(due)

    def take_near(self, conductor: Conductor, after: float, horizon: float) -> list[tuple[Scheduled, float]]:
        """Those whose sample, by what is known now, lies before `horizon`, with that sample; they are given out once.

        The earliest comes first, so that what it changes is known to the next.
        """
        near = [(due, due.target.near(conductor, after)) for due in self._waiting]
        near = sorted((row for row in near if row[1] <= horizon), key=lambda row: (row[1], row[0].number))
        taken = {due.number for due, _ in near}
        self._waiting = [due for due in self._waiting if due.number not in taken]
        return near
