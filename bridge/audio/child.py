"""The processes that own sound devices: how one is started, asked and ended, and what it does while it waits.

A device has a process of its own for two reasons, both measured. A driver may never come back from a call: when a JACK
server dies, PortAudio 19.6 hangs while closing and aborts the process at its end. And there no other Python thread
holds the interpreter.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

from bridge.audio.port import NoDeviceError, PortError
from bridge.audio.scan import rescan
from engine.processes import AUDIO_PRIORITY, ChildProcess, ProcessEnded, set_priority, until_parent_exits

__all__ = [
    "ANSWER_S",
    "DeviceProcess",
    "InputOpened",
    "OpenRequest",
    "Opened",
    "Refusal",
    "no_answer",
    "raised",
    "serve",
]

ANSWER_S: Final = 20.0
"""The longest that opening a device may take at first."""

_STOP_S: Final = 1.0
_RETRY_S: Final = 1.0

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What the parent wants opened.

    Args:
        name, sample_rate, channels, latency: as in `open_port` or `open_input`.
        patient: try again until it is there.
        duplex: of an output: the input that is wanted beside it, to be opened in the same stream if it is the same
            device; its rate and latency are the output's.
    """

    name: str | None
    sample_rate: int | None
    channels: tuple[int, int]
    latency: str | float
    patient: bool = False
    duplex: "OpenRequest | None" = None


@dataclass(frozen=True, kw_only=True, slots=True)
class InputOpened:
    """An input that was opened; `width` is what its ring carries, `latency_s` the driver's own."""

    name: str
    sample_rate: int
    width: int
    latency_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """The answer of an output's process: what was opened.

    Args:
        width: what the ring must carry.
        latency_s: the driver's own.
        duplex: the input that was opened with it, if one was wanted and is the same device.
    """

    name: str
    sample_rate: int
    width: int
    latency_s: float
    duplex: InputOpened | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The other answer: why not; `nothing`: there is no device at all; `final`: it does not try again."""

    reason: str
    nothing: bool = False
    final: bool = True


def serve(line: Connection, patient: bool, find: Callable[[], F], work: Callable[[F], None]) -> None:
    """Be the process of a device: find it, work until the parent hangs up. Runs as the process's main.

    Args:
        patient: look again, once a second, until it is there.
        find: opens the device; a `PortError` says why it cannot be had.
        work: answers with what was opened, and returns when the parent has hung up.
    """
    set_priority(AUDIO_PRIORITY)  # drivers' threads inherit it
    try:
        with until_parent_exits(at_once=True):
            found = _found(line, patient, find)
            if found is not None:
                work(found)
    except Exception as error:
        with contextlib.suppress(OSError):
            line.send(Refusal(f"{type(error).__name__}: {error}"))
        os._exit(1)


def _found(line: Connection, patient: bool, find: Callable[[], F]) -> F | None:
    """What was asked for; None if the parent lost interest, or has been refused."""
    said = ""
    while True:
        try:
            return find()
        except PortError as error:
            nothing = isinstance(error, NoDeviceError)
            if not patient:
                line.send(Refusal(str(error), nothing))
                return None
            # That nothing is there yet goes without saying; that it is there and refuses does not.
            if not nothing and str(error) != said:
                said = str(error)
                line.send(Refusal(said, final=False))
        if line.poll(_RETRY_S):
            return None
        rescan()


class DeviceProcess:
    """One run of a device's process, as its parent sees it. Threads: one at a time.

    Args:
        main: the process's main; its last argument is its end of the line.
        args: the others.
    """

    def __init__(self, main: Callable[..., None], *args: Any) -> None:
        # Drivers write to the terminal as they please; what matters goes through the line.
        self._process = ChildProcess(main, *args, name="ripieno-audio", quiet=True)
        self.gone = False
        """It has ended, or is to be ended."""

    def answer(self, within_s: float) -> Opened | InputOpened | Refusal | None:
        """The process's answer to the request; None if nothing yet."""
        try:
            answer = self._process.receive(within_s)
        except ProcessEnded as ended:
            self.gone = True
            return Refusal(f"the audio process ended with {ended.code}")
        return answer if isinstance(answer, Opened | InputOpened | Refusal) else None

    def end(self) -> None:
        """Ask it to end, and make sure of it."""
        self._process.close(wait_s=_STOP_S)


def raised(refusal: Refusal) -> PortError:
    """A refusal as the error that a caller gets."""
    return NoDeviceError(refusal.reason) if refusal.nothing else PortError(refusal.reason)


def no_answer() -> PortError:
    """The sound system hangs."""
    return PortError(f"the sound system did not answer within {ANSWER_S:g} s: restart it, or use null")
