"""Work that is done beside what may not wait: in a thread where time passes, when its result is wanted where not."""

import threading
import time
from collections.abc import Callable
from typing import Any

from engine.processes import BACKGROUND_PRIORITY, Priority, set_priority

__all__ = ["BackgroundTask"]


class BackgroundTask:
    """One piece of work and, later, its result.

    Threads: one owner; the work in a thread of its own, which lets go of the GIL while a network runs.

    Args:
        work: called once, and let go of then. threaded: begin now; otherwise when `result` is asked for.
        priority: of the thread.
    """

    def __init__(self, work: Callable[[], Any], *, threaded: bool, priority: Priority = BACKGROUND_PRIORITY) -> None:
        self.reported = False
        """Whether the owner has said that it is done."""
        self.seconds = 0.0
        self._work: Callable[[], Any] | None = work
        self._priority = priority
        self._made: Any = None
        self._error: Exception | None = None
        self._began = threaded
        self._ended = not threaded
        if threaded:
            threading.Thread(target=self._do_beside, name="ahead", daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether `result` would not have to wait for a thread."""
        return self._ended

    def result(self) -> Any:
        """What the work gave, or raises what it raised; without a thread it is done now. Ask when `done`."""
        if not self._began:
            self._began = True
            self._do()
        if self._error is not None:
            raise self._error
        return self._made

    def _do_beside(self) -> None:
        set_priority(self._priority)
        self._do()

    def _do(self) -> None:
        begun = time.perf_counter()
        work, self._work = self._work, None
        try:
            self._made = work() if work is not None else None
        except Exception as error:  # raised when the result is asked for
            self._error = error
        del work  # with the audio that it was made from, which may be large
        self.seconds = time.perf_counter() - begun
        self._ended = True
