"""The accompanist process that plays, and the one that loads to replace it between two bars."""

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Protocol

from engine.band.controls import NetworkControls
from engine.band.process import AccompanistFailed, AccompanistReady
from engine.protocols.accompanist import BarMade, BarRequest

__all__ = ["AccompanistHandle", "AccompanistHandover", "StartAccompanist"]


class AccompanistHandle(Protocol):
    """An accompanist in a process of its own; see `engine.band.process.AccompanistProcess`."""

    @property
    def name(self) -> str: ...

    @property
    def ready(self) -> bool: ...

    @property
    def line(self) -> Connection | None: ...

    def ask(self, request: BarRequest) -> bool: ...

    def steer(self, controls: NetworkControls) -> None: ...

    def poll(self, timeout_s: float = 0.0) -> BarMade | AccompanistReady | AccompanistFailed | None: ...

    def stop(self) -> None: ...


StartAccompanist = Callable[[str, NetworkControls], AccompanistHandle]
"""Starts the process of the band with this name."""


class AccompanistHandover:
    """One accompanist in use, at most one in preparation. Threads: one owner.

    Args:
        name: of the first band; it starts to load at once.
        controls: of its network, kept for those that follow.
        start: starts a process.
    """

    def __init__(self, name: str, controls: NetworkControls, start: StartAccompanist) -> None:
        self._start, self._controls = start, controls
        self._current = start(name, controls)
        self._next: tuple[AccompanistHandle, Callable[[str], None]] | None = None

    @property
    def name(self) -> str:
        """Of the band in use."""
        return self._current.name

    @property
    def line(self) -> Connection | None:
        """To wait on for the next answer; None while there is no process."""
        return self._current.line

    def ask(self, request: BarRequest) -> bool:
        """Pass a request to the accompanist in use; False if there is no process to take it."""
        return self._current.ask(request)

    def poll(self) -> BarMade | AccompanistReady | AccompanistFailed | None:
        """The next message of the accompanist in use, if there is one."""
        return self._current.poll()

    def set_controls(self, controls: NetworkControls) -> None:
        """Have the next bars made like this, by whichever accompanist."""
        self._controls = controls
        for process in (self._current, *([self._next[0]] if self._next is not None else [])):
            process.steer(controls)

    def load(self, name: str, done: Callable[[str], None]) -> None:
        """Start to load another band; `done` is called with "" when it plays, with a reason if it cannot.

        A band that is loading already is given up.
        """
        if self._next is not None:
            waiting, answer = self._next
            waiting.stop()
            answer(f"{name} was loaded instead")
        self._next = self._start(name, self._controls), done

    def swap(self, *, busy: bool) -> str:
        """The name of the band that plays from now on, "" if it stays the same; to be called often.

        Args:
            busy: a bar of the present accompanist is still expected: the swap waits for it.
        """
        if self._next is None:
            return ""
        process, done = self._next
        if not process.ready:
            message = process.poll()
            if isinstance(message, AccompanistFailed):
                self._next = None
                process.stop()
                done(message.why)
            return ""
        if busy:
            return ""
        old, self._current, self._next = self._current, process, None
        old.stop()
        done("")
        return process.name

    def closers(self) -> list[Callable[[], None]]:
        """What ends the processes."""
        return [self._current.stop, *([self._next[0].stop] if self._next is not None else [])]
