"""A MIDI input opened by name, or a virtual port that other programs connect to; it may be lost and come back."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from bridge.audio.port import PortError
from bridge.midi.driver import MidiOpened, MidiTwins, driver_main, first_answer
from bridge.midi.maps import ControllerMap
from bridge.midi.notes import HeldKeys, Knobs
from bridge.midi.sources import CLIENT, VIRTUAL, MidiSource
from bridge.notices import Notices
from engine.messages.session import Keys, Set
from engine.music.settling import SettledKeys
from engine.processes import ChildProcess, ProcessEnded

__all__ = ["MidiCommands", "MidiInput", "MidiListener", "MidiStats", "open_keys"]

_ANSWER_S: Final = 20.0
_LOOK_S: Final = 0.01  # active sensing and keys at rest are looked for this often
_STOP_S: Final = 1.0
_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class MidiStats:
    """Messages so far, when the last one arrived (perf_counter seconds; 0 for none), and losses of the port."""

    messages: int = 0
    last_s: float = 0.0
    losses: int = 0


class MidiListener(Protocol):
    """Receives what arrives at an input. Called from a thread of the port, one call at a time."""

    def receive(self, message: Sequence[int], at_s: float) -> None:
        """Take one message that arrived at `at_s` (perf_counter seconds)."""
        ...

    def check_timeout(self, now_s: float) -> None:
        """Called a hundred times a second and after every message, for time-outs."""
        ...

    def release_all(self) -> None:
        """The port is lost: all keys count as released."""
        ...


class MidiCommands:
    """MIDI messages in, session commands out. It owns no device and no thread.

    Threads: one at a time; `post` is called from it.

    Args:
        post: `Session.post`; must not wait.
        keys, knobs: translate the messages; by default all keys except drum pads, and no knobs.
        maps: more controllers that move controls.
    """

    def __init__(
        self,
        post: Callable[[Keys | Set], object],
        *,
        keys: HeldKeys | None = None,
        knobs: Knobs | None = None,
        maps: Sequence[ControllerMap] = (),
    ) -> None:
        self._post, self._keys, self._knobs = post, keys or HeldKeys(), knobs or Knobs({})
        self._settled = SettledKeys()
        self._moves: tuple[Knobs | ControllerMap, ...] = (self._knobs, *maps)

    def receive(self, message: Sequence[int], at_s: float) -> None:
        """Take one message that arrived at `at_s`."""
        self._post_change(self._keys.feed(message, at_s), at_s)
        for moved in self._moves:
            value = moved.feed(message)
            if value is not None:
                self._post(value)

    def check_timeout(self, now_s: float) -> None:
        """Post keys that are at rest; release all if the sender has fallen silent, see `HeldKeys.expire`."""
        self._post_change(self._keys.expire(now_s), now_s)
        self._post_settled(self._settled.poll(now_s))

    def release_all(self) -> None:
        """Release all keys: the port is lost."""
        self._post_change(self._keys.release(), 0.0)

    def _post_change(self, keys: Keys | None, now_s: float) -> None:
        if keys is not None:
            self._post_settled(self._settled.feed(keys.pitches, now_s))

    def _post_settled(self, changes: Sequence[tuple[int, ...]]) -> None:
        for pitches in changes:
            self._post(Keys(pitches))


def open_keys(
    name: str | None, post: Callable[[Keys | Set], object], *, keys: HeldKeys | None = None, knobs: Knobs | None = None
) -> "MidiInput":
    """Open a MIDI input whose keys and knobs go to `post`.

    Args:
        name: None for the first input; part of its name or of ``API: name``; or ``virtual`` for a port of our own
            (not on Windows).
        post, keys, knobs: as `MidiCommands`; `post` is called from a thread of the port.
    Raises:
        NoMidiError: no MIDI system, or no input.
        PortError: no such input, or it cannot be opened; lists the available ones.
    """
    return MidiInput(name, MidiCommands(post, keys=keys, knobs=knobs))


class MidiInput:
    """An open input; while the port is away no key is held.

    Threads and processes:
        the reader     passes messages from the driver to the listener; starts another driver when one ends
        the driver     a child process, see `bridge.midi.driver`
        stats, poll    any thread

    Args:
        name: as `open_keys`.
        listener: receives what arrives.
        timing: receive clock and transport messages as well.
    Raises:
        NoMidiError, PortError: as `open_keys`.
    """

    def __init__(self, name: str | None, listener: MidiListener, *, timing: bool = False) -> None:
        self._listener, self._timing = listener, timing
        self._notices = Notices()
        self._messages, self._last_s, self._losses = 0, 0.0, 0
        self._source: MidiSource | None = None
        self._twins: tuple[str, ...] = ()
        self._driver: ChildProcess | None = self._start(name, patient=False)
        try:
            source = first_answer(self._driver, _ANSWER_S, "input").source
        except PortError:
            self._end_driver()
            raise
        self.name = source.title if source is not None else f"{VIRTUAL}: {CLIENT}"
        self._source = source
        # After a loss only this very port is opened again, not another whose name also fits.
        self._again = source.stem if source is not None else VIRTUAL
        self._present = True
        self._stopping = threading.Event()
        self._reader = threading.Thread(target=self._read, name="midi-reader", daemon=True)
        self._reader.start()

    @property
    def stats(self) -> MidiStats:
        """Counts so far."""
        return MidiStats(self._messages, self._last_s, self._losses)

    def poll(self) -> list[str]:
        """Lines for people since the last call: the port lost or back."""
        return self._notices.poll()

    def stop(self) -> None:
        """Release all keys and close the port."""
        self._stopping.set()
        self._reader.join()
        self._end_driver()
        self._guarded(self._listener.release_all)

    def _start(self, name: str | None, *, patient: bool) -> ChildProcess:
        lost = None if self._source is None else (self._source, self._twins)
        return ChildProcess(driver_main, name, patient, self._timing, lost, name="ripieno-midi", quiet=True)

    def _read(self) -> None:
        while not self._stopping.is_set():
            if self._driver is None:
                if not self._stopping.wait(_AGAIN_S):
                    self._driver = self._start(self._again, patient=True)
                continue
            try:
                said = self._driver.receive(_LOOK_S)
            except ProcessEnded:
                self._lose()
                continue
            if isinstance(said, tuple):
                self._messages, self._last_s = self._messages + 1, said[0]
                self._guarded(partial(self._listener.receive, said[1], said[0]))
            elif isinstance(said, MidiTwins):
                self._twins = said.names
            elif isinstance(said, MidiOpened):
                self._present, self._source = True, said.source
                self._notices.say(f"{self.name} is back")
            self._guarded(lambda: self._listener.check_timeout(time.perf_counter()))

    def _lose(self) -> None:
        """Release all keys: the driver has ended. The reader starts another, which waits for the port."""
        if self._present:
            self._present = False
            self._losses += 1
            self._notices.say(f"{self.name} is lost: its keys are released; waiting for it")
            self._guarded(self._listener.release_all)
        self._end_driver()

    def _end_driver(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close(wait_s=_STOP_S)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Do the work; a command that is refused must not end the reader."""
        try:
            work()
        except Exception as error:
            self._notices.say(f"{self.name}: {type(error).__name__}: {error}")
