"""Child processes: spawned, watched, silenced, prioritised and ended in one way; and the processor cores there are.

A child is started with ``spawn``, so that it shares nothing with its parent but what it is given, on every system. It
holds one end of a line (a duplex pipe) and its parent the other, and nobody else holds either. So each side sees the
death of the other, however sudden, as the end of the line: a child needs no timer to notice that its parent has gone.
"""

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Final

from engine.errors import EngineError

__all__ = [
    "AUDIO_PRIORITY",
    "BACKGROUND_PRIORITY",
    "BAND_PRIORITY",
    "ENDING_SIGNALS",
    "MIDI_PRIORITY",
    "NORMAL_PRIORITY",
    "VOICE_PRIORITY",
    "ChildProcess",
    "Priority",
    "ProcessEnded",
    "catch_signals",
    "cores",
    "freeze_garbage",
    "set_priority",
    "until_parent_exits",
]

ENDING_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What asks a program to end: Ctrl-C, the system, a terminal that is closed."""

_EXIT_S: Final = 0.3
_GRACE_S: Final = 1.5  # a child that is asked to end by a signal waits for its parent to end it in good order


def cores() -> int:
    """Processor cores that this process may use, at least 1."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on every system
        return max(1, os.cpu_count() or 1)


# the parent's side


class ProcessEnded(EngineError):
    """A child process has ended by itself; `code` is its exit code, None while it is not known yet."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"its process ended with code {code}")
        self.code = code


class ChildProcess:
    """A child process and the line to it, as its parent sees them.

    The child ignores Ctrl-C, which is the parent's to answer, and is terminated when the parent exits in good order.
    Other signals that ask it to end may have been sent to the whole group: it ends by them a moment later, so that a
    parent that was asked too can let it end, and does not take it for one that has failed.

    Threads: one at a time; one more may `send` while another receives.

    Args:
        main: what the child runs, a function of a module; its last argument is the child's end of the line.
        args: its other arguments, picklable.
        name: for people and process lists.
        quiet: what the child's libraries print goes nowhere, C libraries included.
    """

    def __init__(self, main: Callable[..., None], *args: Any, name: str, quiet: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        line, theirs = context.Pipe()
        self.line: Connection = line
        """Our end, for `multiprocessing.connection.wait`."""
        self._process: SpawnProcess = context.Process(
            target=_run, args=(main, args, quiet, theirs), name=name, daemon=True
        )
        try:
            self._process.start()
        except BaseException:
            line.close()
            raise
        finally:
            theirs.close()  # or the end of the child would not be seen here
        self.pid = self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def send(self, message: object) -> bool:
        """Send a message, waiting as long as the pipe is full; False if the child has gone."""
        try:
            self.line.send(message)
        except (OSError, ValueError):
            return False
        return True

    def receive(self, timeout_s: float = 0.0, *, exit_s: float = _EXIT_S) -> Any:
        """The next message, or None if none came within `timeout_s`.

        Args:
            exit_s: the longest to wait for the exit code of a child that has hung up.
        Raises:
            ProcessEnded: the child has gone, and all that it sent has been received.
        """
        try:
            return self.line.recv() if self.line.poll(timeout_s) else None
        except (EOFError, OSError, pickle.UnpicklingError):  # it may have died in the middle of a message
            self._process.join(exit_s)
            raise ProcessEnded(self._process.exitcode) from None

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def stop(self, *, wait_s: float, terminate_s: float = 0.0) -> None:
        """Wait for its end, and make sure of it.

        Args:
            wait_s: how long it may take to end by itself.
            terminate_s: how long it may take once asked to by SIGTERM; 0 does not ask.
        """
        self._process.join(wait_s)
        if terminate_s > 0.0 and self._process.is_alive():
            self._process.terminate()
            self._process.join(terminate_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def close(self, *, wait_s: float, terminate_s: float = 0.0) -> None:
        """Hang up, which asks the child to end; then as `stop`. Nothing can be asked of it afterwards."""
        self.line.close()
        self.stop(wait_s=wait_s, terminate_s=terminate_s)
        self._process.close()


# the child's side


def _run(main: Callable[..., None], args: tuple[Any, ...], quiet: bool, line: Connection) -> None:
    """Main of every child process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _put_off_signals()
    if quiet:
        _silence()
    main(*args, line)


def _put_off_signals() -> None:
    """End by SIGTERM or SIGHUP only after a while; in a thread, since the main one may be deep in a driver."""
    if not hasattr(signal, "pthread_sigmask"):
        return
    numbers = {number for number in ENDING_SIGNALS if number != signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # threads that are started from now on inherit it

    def wait() -> None:
        number = signal.sigwait(numbers)
        time.sleep(_GRACE_S)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)

    threading.Thread(target=wait, name="signals", daemon=True).start()


def _silence() -> None:
    """Standard output and error of this process, of C libraries too, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


@contextlib.contextmanager
def until_parent_exits(*, at_once: bool = False) -> Iterator[None]:
    """The work of a child: it ends, without a word, when the line to the parent breaks.

    Args:
        at_once: leave the process there and then, with code 1: a driver whose server has died may hang or crash in
            whatever is called on the way out.
    """
    try:
        yield
    except (EOFError, OSError):
        if at_once:
            os._exit(1)


def catch_signals(*numbers: int) -> threading.Event:
    """From now on these signals set the event that is returned, and do nothing else. Main thread only.

    SIGHUP stays ignored where it was, as by nohup.
    """
    caught = threading.Event()

    def catch(_number: int, _frame: FrameType | None) -> None:
        caught.set()

    for number in numbers:
        if signal.getsignal(number) is signal.SIG_IGN and number not in (signal.SIGINT, signal.SIGTERM):
            continue
        signal.signal(number, catch)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    return caught


# priorities


@dataclass(frozen=True, slots=True)
class Priority:
    """How a thread stands among all others of the machine.

    Args:
        nice: below 0 comes before others.
        realtime: round-robin priority, 1..99, tried first; 0 for none. Sound servers use 10 and more above ours.
        relative: `nice` is added to the parent's, and holds for a whole process where threads cannot be distinguished.
    """

    nice: int
    realtime: int = 0
    relative: bool = False


AUDIO_PRIORITY: Final = Priority(-11, realtime=10)
"""The thread that feeds a sound card, and the process that owns one: its driver's threads inherit it."""

MIDI_PRIORITY: Final = Priority(-10, realtime=5, relative=True)
"""The process that sends notes at their time."""

VOICE_PRIORITY: Final = Priority(-5)
"""The thread that makes a voice's sound: before other programs, behind the sound card's."""

BAND_PRIORITY: Final = Priority(-5, relative=True)
"""The processes of the band: before what the machine does beside a performance."""

NORMAL_PRIORITY: Final = Priority(0)
"""As programs begin."""

BACKGROUND_PRIORITY: Final = Priority(5)
"""Work beside the sound of a voice: what sounds comes first."""


def set_priority(priority: Priority) -> str:
    """Give the calling thread, and threads that it starts from now on, a priority as far as the system allows.

    Returns:
        What was obtained: ``realtime``, ``nice``, ``high`` (Windows) or ``normal``.
    """
    if sys.platform == "win32":
        if not priority.realtime or priority.relative:
            return "normal"
        import ctypes

        time_critical = 15  # THREAD_PRIORITY_TIME_CRITICAL of winbase.h
        kernel = ctypes.windll.kernel32
        return "high" if kernel.SetThreadPriority(kernel.GetCurrentThread(), time_critical) else "normal"
    with contextlib.suppress(AttributeError, OSError, ValueError):  # neither every system nor every user can
        if priority.realtime and (priority.relative or sys.platform == "linux"):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority.realtime))  # 0: the calling thread
            return "realtime"
    with contextlib.suppress(AttributeError, OSError):
        if priority.relative:
            os.nice(priority.nice)
            return "nice"
        if sys.platform == "linux":  # elsewhere threads cannot be distinguished like this
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), priority.nice)
            return "nice"
    return "normal"


def freeze_garbage() -> None:
    """Have what is loaded so far never looked through for garbage again: that takes milliseconds each time."""
    gc.collect()
    gc.freeze()
