"""Child processes of MIDI ports, played by the test: it holds the other end of each line."""

from multiprocessing import Pipe
from typing import Any, ClassVar

from engine.processes import ProcessEnded

__all__ = ["FakeChild"]


class FakeChild:
    """In place of `ChildProcess`: what is sent lies at `other`, and what the test sends there is received.

    `made` holds all of them in order; a test clears it.
    """

    made: ClassVar[list["FakeChild"]] = []
    first: ClassVar[list[object]] = []
    """What the first child says at once."""

    def __init__(self, main: object, *args: Any, name: str, quiet: bool = False) -> None:
        self.main, self.args, self.name = main, args, name
        self.line, self.other = Pipe()
        self.killed = self.closed = 0
        if not FakeChild.made:
            for message in FakeChild.first:
                self.other.send(message)
        FakeChild.made.append(self)

    def send(self, message: object) -> bool:
        try:
            self.line.send(message)
        except OSError:
            return False
        return True

    def receive(self, timeout_s: float = 0.0) -> Any:
        try:
            return self.line.recv() if self.line.poll(timeout_s) else None
        except (EOFError, OSError):
            raise ProcessEnded(None) from None

    def kill(self) -> None:
        self.killed += 1

    def close(self, *, wait_s: float) -> None:
        self.closed += 1
        self.line.close()

    # the test's side

    def die(self) -> None:
        self.other.close()

    def taken(self) -> list[Any]:
        """What it has been sent since the last call."""
        messages = []
        while self.other.poll(0.0):
            messages.append(self.other.recv())
        return messages
