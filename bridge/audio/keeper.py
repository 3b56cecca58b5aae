"""What outputs and inputs on a device have in common: the device goes away, and is brought back when it returns."""

import abc
import threading
from dataclasses import replace
from typing import Final, Generic, Protocol, TypeVar

from bridge.audio.child import ANSWER_S, DeviceProcess, InputOpened, Opened, OpenRequest, Refusal, no_answer, raised

__all__ = ["LOOK_S", "DeviceKeeper", "DeviceRun"]

LOOK_S: Final = 0.2
"""How often a device's process is looked at."""

_AGAIN_S: Final = 1.0


class DeviceRun(Protocol):
    """One run of a device's process, with its rings."""

    child: DeviceProcess


R = TypeVar("R", bound=DeviceRun)
A = TypeVar("A", bound=Opened | InputOpened)


class DeviceKeeper(abc.ABC, Generic[R, A]):
    """A device in a process of its own; when that ends, another is started that waits for the device.

    Threads: the owner's, and the keeper, between `_start_keeper` and `_stop_keeper`.

    Args:
        kind: what the process answers when the device is open.
    """

    name: str
    """The device, for people."""

    def __init__(self, kind: type[A]) -> None:
        self._kind = kind
        self._run: R | None = None
        self._stopping = threading.Event()
        self._keeper: threading.Thread | None = None

    def _connect(self, request: OpenRequest) -> tuple[R, A]:
        """Open the device for the first time.

        Raises:
            NoDeviceError, PortError: it is not there, refuses, or the sound system hangs.
        """
        run = self._run = self._launch(request)
        answer = run.child.answer(ANSWER_S)
        if not isinstance(answer, self._kind):
            self._end_run()
            raise raised(answer) if isinstance(answer, Refusal) else no_answer()
        self._request = replace(request, patient=True)
        return run, answer

    def _start_keeper(self, name: str) -> None:
        self._keeper = threading.Thread(target=self._keep, name=name, daemon=True)
        self._keeper.start()

    def _stop_keeper(self) -> None:
        """End the keeper, if it was started, and the device's process."""
        self._stopping.set()
        if self._keeper is not None:
            self._keeper.join()
            self._keeper = None
        self._end_run()

    # what differs

    @abc.abstractmethod
    def _launch(self, request: OpenRequest) -> R:
        """Start a process that opens the device."""

    @abc.abstractmethod
    def _has_gone(self, run: R | None) -> bool:
        """Look at the process, for `LOOK_S` at most; whether the device has gone."""

    @abc.abstractmethod
    def _lose(self) -> None:
        """The device has gone."""

    @abc.abstractmethod
    def _join(self, run: R, answer: A) -> None:
        """The device is open: sound flows through the rings of `run`."""

    @abc.abstractmethod
    def _say(self, line: str) -> None:
        """Leave a line for people."""

    def _count(self, run: R) -> None:
        """A run is about to end: keep what it counted."""

    # what does not

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            self._count(run)
            run.child.end()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            if self._has_gone(self._run) and not self._stopping.is_set():
                self._lose()
                self._end_run()
                self._bring_back()

    def _bring_back(self) -> None:
        """Wait, in another process, for the device to be there again."""
        while not self._stopping.is_set():
            run = self._run = self._launch(self._request)
            answer = self._final_answer(run)
            if isinstance(answer, self._kind):
                self._join(run, answer)
                self._say(f"{answer.name} is back")
                return
            if not self._stopping.is_set():
                self._end_run()
                self._stopping.wait(_AGAIN_S)

    def _final_answer(self, run: R) -> object:
        """What the process says at last; None if we stop before."""
        while not self._stopping.is_set():
            answer = run.child.answer(LOOK_S)
            if isinstance(answer, Refusal) and not answer.final:
                self._say(answer.reason)
            elif answer is not None:
                return answer
        return None
