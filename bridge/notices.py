"""Lines for people: left by any thread, shown by the one that talks to them."""

from collections import deque
from typing import Final

__all__ = ["Notices"]

_MOST: Final = 100


class Notices:
    """Lines that wait to be shown; of more than a hundred, the latest. Threads: any."""

    def __init__(self) -> None:
        self.faults = 0
        """Faults so far."""
        self._lines: deque[str] = deque(maxlen=_MOST)
        self._fault = ""

    def say(self, line: str) -> None:
        """Leave a line."""
        self._lines.append(line)

    def fault(self, what: str, error: Exception) -> None:
        """Count a fault; a line says it, unless it is the same as the last one."""
        self.faults += 1
        fault = f"{what}: {type(error).__name__}: {error}"
        if fault != self._fault:
            self._fault = fault
            self.say(fault)

    def poll(self) -> list[str]:
        """Lines since the last call."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines
