"""Continuations that a voice was asked for: found, made by its worker beside its sound, and landed at their time.

Making takes a moment, so it begins at once, or shortly before a bar that is far ahead; what is asked for a line that
passes before it is ready lands on the next one like it. A voice that dies meanwhile is asked again.
"""

from dataclasses import dataclass, replace
from typing import Final

from engine.errors import EngineError
from engine.messages.continuation import changed_controls
from engine.messages.session import Commit, Continue, Prepared, Rewind
from engine.session.schedule import Scheduled, target_of
from engine.session.slot import SessionContext, Slot
from engine.worker.background import BackgroundTask
from engine.worker.orders import AT_ONCE, Made, Order

__all__ = ["Continuations"]

_BEFORE_S: Final = 2.0  # a future is begun so long before it lands, if there is time
_NEAR_S: Final = 0.2  # the sample at which it lands is fixed when it is this near
_FIRST_S: Final = 0.3  # what making takes, before it is known
_ROOM: Final = 1.25  # for making that takes longer than it did
_SHOWN: Final = 200


@dataclass(slots=True)
class _Row:
    """One continuation: `waiting`, `finding` its source, `found`, `asked` for, `ready`, or `landing`."""

    due: Scheduled
    state: str = "waiting"
    finding: BackgroundTask | None = None
    command: Continue | Rewind | None = None
    sample: float = 0.0  # at which it lands


class Continuations:
    """Of one voice; one at a time, the latest. Threads: the session's housekeeping."""

    def __init__(self, voice: str, stage: SessionContext) -> None:
        self._voice, self._stage = voice, stage
        self._row: _Row | None = None
        self._takes_s = _FIRST_S
        self.prepared_s = 0.0
        """How long the latest was in the making; 0 before."""

    def ask(self, due: Scheduled) -> None:
        """Ask for another future; one that is on its way is given up."""
        self.drop("another came after it")
        self._row = _Row(due)

    def drop(self, reason: str) -> None:
        """Give up what is on its way."""
        if self._row is not None:
            self._stage.failed(self._row.due, reason)
            self._row = None

    def again(self) -> None:
        """The worker is gone, and with it what it has made."""
        if self._row is not None and self._row.command is not None:
            self._row.state = "found"

    def made(self, made: Made) -> None:
        """The worker says that a future is ready."""
        row = self._row
        if row is None or row.due.number != made.number:
            return
        row.state = "ready"
        if made.seconds:
            self._takes_s = self.prepared_s = made.seconds
        self._stage.events.append(
            Prepared(number=made.number, voice=self._voice, seconds=made.seconds, prompt_s=made.prompt_s)
        )

    def refused(self, number: int, reason: str) -> bool:
        """The worker cannot make or land it; False if it is none of these."""
        if self._row is None or self._row.due.number != number:
            return False
        self.drop(reason)
        return True

    def landed(self, number: int) -> tuple[Scheduled, float] | None:
        """A continuation was applied: the command that requested it, and the sample at which it was to sound."""
        row = self._row
        if row is None or row.due.number != number:
            return None
        self._row = None
        return row.due, row.sample

    def tend(self, cast: Slot, lead: int, playing: bool) -> None:
        """Move on what is on its way.

        Args:
            cast: who plays. lead: samples from now in which a run of sound can be made ready.
        """
        row, stage = self._row, self._stage
        if row is None:
            return
        if row.state == "waiting" and self._is_near(row, lead):
            self._find(row)
        if row.finding is not None and row.finding.done:
            self._found(row, row.finding)
        if row.state == "found" and row.command is not None:
            row.state = "asked"
            command = replace(row.command, aim=self._aim(row, lead))
            cast.player.send(Order(row.due.number, AT_ONCE, command))
        if row.state != "ready" or row.command is None:
            return
        due, here = row.due, stage.position()
        # A voice that plays can turn as soon as its next chunk; one that is silent needs time to begin.
        after = max(here, cast.player.ring.committed) if playing else here + lead
        if due.target.tick is not None and stage.conductor.tick_at(after) > due.target.tick:
            due.target = target_of(due.when, stage.conductor, after)
        sample = due.target.near(stage.conductor, after)
        if sample > after + lead + _NEAR_S * stage.sample_rate:
            return
        row.state, row.sample = "landing", sample
        at_once = due.target.at_once and playing
        land = Commit(voice=self._voice, number=due.number, values=changed_controls(row.command))
        cast.player.send(Order(due.number, AT_ONCE if at_once else float(round(sample)), land))

    def _aim(self, row: _Row, lead: int) -> int:
        """The sample at which a future that is begun now is expected to land."""
        stage, target = self._stage, row.due.target
        here = stage.position()
        soon = here + lead + _ROOM * self._takes_s * stage.sample_rate
        if target.tick is not None and stage.conductor.tick_at(soon) > target.tick and row.due.when.kind != "at":
            target = target_of(row.due.when, stage.conductor, soon)
        return max(round(soon), round(target.near(stage.conductor, float(here))))

    def _is_near(self, row: _Row, lead: int) -> bool:
        before_s = _BEFORE_S + 2.0 * self._takes_s
        return self._aim(row, lead) - self._stage.position() <= lead + before_s * self._stage.sample_rate

    def _find(self, row: _Row) -> None:
        """Begin to find what is to be continued."""
        command = row.due.command
        row.state = "finding"
        try:
            if isinstance(command, Continue):
                row.finding = self._stage.find(command)
            else:
                row.finding = BackgroundTask(lambda: command, threaded=False)
        except EngineError as error:
            self.drop(str(error)[:_SHOWN])

    def _found(self, row: _Row, finding: BackgroundTask) -> None:
        """What is to be continued is known: a file of the session's folder, or the voice's own past."""
        row.finding = None
        try:
            command: Continue | Rewind = finding.result()
        except (EngineError, OSError) as error:  # a disk has many ways to fail, and none may end the housekeeping
            self.drop(str(error)[:_SHOWN])
            return
        seed = row.due.number if command.seed < 0 else command.seed
        row.command, row.state = replace(command, seed=seed), "found"
