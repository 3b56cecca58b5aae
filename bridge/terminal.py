"""Lines for a terminal, a pipe or a file that may be gone, full or stopped: they cost only themselves."""

import os
import queue
import sys
import threading
from typing import Final

__all__ = ["TerminalLines"]

_MOST: Final = 256  # lines that wait for a reader that has stopped; later ones are dropped
_LAST_S: Final = 0.5  # the longest that the end waits for the last lines


class TerminalLines:
    """Writes lines without waiting: a thread of its own does, past Python's buffer, so that no exit waits for it.

    Threads: any.

    Args:
        handle: file descriptor to write to; None: standard output, nothing where there is none.
    """

    def __init__(self, handle: int | None = None) -> None:
        self._handle = _standard_output() if handle is None else handle
        self._queue: queue.Queue[bytes | None] = queue.Queue(_MOST)
        self._thread = threading.Thread(target=self._run, name="terminal", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Write a line, or drop it if too many wait."""
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        try:
            self._queue.put_nowait(f"{line}\n".encode(encoding, "replace"))
        except queue.Full:
            return

    def close(self) -> None:
        """Wait a moment for the last lines."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            try:
                while data and self._handle is not None:
                    data = data[os.write(self._handle, data) :]
            except OSError:  # closed, full or gone: this line is lost, the next may be written
                continue


def _standard_output() -> int | None:
    try:
        sys.stdout.flush()
        return sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # no console, or not one of the system's
        return None
