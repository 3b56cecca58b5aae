"""MIDI inputs of this machine (ALSA, JACK, Core MIDI, Windows), or one of our own that other programs connect to."""

import contextlib
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from bridge.audio.port import PortError
from bridge.midi.notes import HeldKeys, Knobs
from engine.messages import Keys, Set

__all__ = [
    "VIRTUAL",
    "MidiInput",
    "MidiSource",
    "MidiStats",
    "NoMidiError",
    "choose_source",
    "midi_sources",
    "open_midi",
]

VIRTUAL: Final = "virtual"
"""The name that asks for a port of our own, which other programs connect to."""

CLIENT: Final = "Ripieno"

_LOOK_S: Final = 0.1  # active sensing wants to be asked this often
_SEARCH_S: Final = 2.0
_SEARCH_JACK_S: Final = 5.0  # each look is a JACK client that comes and goes
_JACK: Final = "Jack"
_STDERR: Final = threading.Lock()


class NoMidiError(PortError):
    """There is no MIDI system or no input at all; the message says how to get one. Everything else works without."""


@dataclass(frozen=True, slots=True)
class MidiSource:
    """One MIDI input: the system it belongs to, and its name there."""

    api: str
    name: str

    @property
    def title(self) -> str:
        """What `choose_source` takes: ``API: name``."""
        return f"{self.api}: {self.name}"

    @property
    def stem(self) -> str:
        """The name without the numbers that change from one connection to the next (ALSA's address, Windows' index)."""
        return re.sub(r"\s\d+:\d+$" if "Windows" not in self.api else r"\s\d+$", "", self.name)


@dataclass(frozen=True, slots=True)
class MidiStats:
    """Messages so far, when the last one arrived (perf_counter seconds; 0 for none), and times the port went away."""

    messages: int = 0
    last_s: float = 0.0
    losses: int = 0


def midi_sources() -> list[MidiSource]:
    """Every MIDI input of every system that is there; those that other programs of ours offer are among them.

    Raises:
        NoMidiError: no MIDI system can be used at all.
    """
    rtmidi = _rtmidi()
    found: list[MidiSource] = []
    failures: list[str] = []
    for api in rtmidi.get_compiled_api():
        title = rtmidi.get_api_display_name(api)
        try:
            found += [MidiSource(title, name) for name in _names(api)]
        except PortError as error:
            failures.append(f"{title}: {error}")
    if failures and len(failures) == len(rtmidi.get_compiled_api()):
        raise NoMidiError(f"no MIDI system ({'; '.join(failures)}): load ALSA's sequencer or start JACK")
    return found


def choose_source(found: Sequence[MidiSource], name: str | None) -> MidiSource:
    """The input that a name means.

    Args:
        found: what there is.
        name: None: the first that is not a mere pass-through; otherwise part of a name or of ``API: name``, in any
            case. A whole name comes before a part.
    Raises:
        NoMidiError: there is none.
        PortError: no name fits; lists what there is.
    """
    real = [source for source in found if "through" not in source.name.casefold()]
    if name is None:
        if not real:
            raise NoMidiError(f"no MIDI input: connect a keyboard, or ask for {VIRTUAL!r} and connect to that")
        return real[0]
    wanted = name.strip().casefold()
    for source in found:
        if wanted in (source.name.casefold(), source.stem.casefold(), source.title.casefold()):
            return source
    for source in (*real, *found):
        if wanted and wanted in source.title.casefold():
            return source
    there = "; ".join(source.title for source in found) or "there is none"
    raise PortError(f"no MIDI input is called {name!r}: give part of one of these names: {there}; or {VIRTUAL}")


def open_midi(
    name: str | None, post: Callable[[Keys | Set], object], *, keys: HeldKeys | None = None, knobs: Knobs | None = None
) -> "MidiInput":
    """Open a MIDI input; from now on what is played goes to `post`.

    Args:
        name: as `choose_source`, or ``virtual`` for a port of our own (not on Windows).
        post: `Session.post`: called from the driver's thread, must not wait.
        keys, knobs: what to make of the messages; by default all keys but drum pads, and no knobs.
    Raises:
        NoMidiError, PortError: as `choose_source`; or the port cannot be opened.
    """
    if name is not None and name.strip().lower() == VIRTUAL:
        return MidiInput(None, post, keys or HeldKeys(), knobs)
    return MidiInput(choose_source(midi_sources(), name), post, keys or HeldKeys(), knobs)


class MidiInput:
    """An open input. It may go and come back: meanwhile no key is held.

    Threads:
        the driver's    calls `post` for every change of the keys held, and for every turned knob
        the watcher     looks for silence, loss and return; the only one that opens and closes after the start
        stats, poll     any
    """

    def __init__(
        self, source: MidiSource | None, post: Callable[[Keys | Set], object], keys: HeldKeys, knobs: Knobs | None
    ) -> None:
        self.name = source.title if source is not None else f"{VIRTUAL}: {CLIENT}"
        self._source, self._post, self._keys, self._knobs = source, post, keys, knobs
        self._lock = threading.Lock()  # the driver's thread and the watcher both move the keys
        self._lines: deque[str] = deque(maxlen=100)
        self._messages, self._last_s, self._losses = 0, 0.0, 0
        self._api = _api(source.api) if source is not None else _virtual_api()
        self._input: Any = self._open()
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="midi-watcher", daemon=True)
        self._watcher.start()

    @property
    def stats(self) -> MidiStats:
        """What has arrived so far."""
        return MidiStats(self._messages, self._last_s, self._losses)

    def poll(self) -> list[str]:
        """Lines for people since the last call: the port gone or back."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def close(self) -> None:
        """Let go of all keys and give the port back."""
        self._stopping.set()
        self._watcher.join()
        self._shut()
        self._let_go()

    def arrived(self, message: Sequence[int], now_s: float) -> None:
        """Take one message, stamped when it arrived; what the driver's thread calls."""
        self._messages += 1
        self._last_s = now_s
        with self._lock:
            keys = self._keys.feed(message, now_s)
        turned = self._knobs.feed(message) if self._knobs is not None else None
        for command in (keys, turned):
            if command is not None:
                self._send(command)

    def _send(self, command: Keys | Set) -> None:
        try:
            self._post(command)
        except Exception as error:  # an exception here would end on stderr, in the driver's thread
            self._lines.append(f"{self.name}: {type(error).__name__}: {error}")

    def _let_go(self) -> None:
        with self._lock:
            keys = self._keys.release()
        if keys is not None:
            self._send(keys)

    def _open(self) -> Any:
        rtmidi = _rtmidi()
        with _refusals(self.name), _quiet():
            opened = rtmidi.MidiIn(rtapi=self._api, name=CLIENT)
            # Timing clocks and system exclusive stay ignored; active sensing tells a dead cable from a held chord.
            opened.ignore_types(sysex=True, timing=True, active_sense=False)
            opened.set_callback(lambda event, _: self.arrived(event[0], time.perf_counter()))
            if self._source is None:
                opened.open_virtual_port("keys")
            else:
                ports = [MidiSource(self._source.api, name).stem for name in opened.get_ports()]
                if self._source.stem not in ports:
                    raise PortError(f"{self.name} has gone: connect it again")
                opened.open_port(ports.index(self._source.stem), name="keys")
        return opened

    def _shut(self) -> None:
        if self._input is not None:
            with _quiet():
                self._input.cancel_callback()
                self._input.delete()
            self._input = None

    def _watch(self) -> None:
        jack = _rtmidi().get_api_display_name(self._api) == _JACK
        every_s = _SEARCH_JACK_S if jack else _SEARCH_S
        search_s = time.perf_counter() + every_s
        while not self._stopping.wait(_LOOK_S):
            now_s = time.perf_counter()
            with self._lock:
                keys = self._keys.expire(now_s)
            if keys is not None:
                self._send(keys)
            if now_s >= search_s:
                self._search()
                search_s = time.perf_counter() + every_s

    def _search(self) -> None:
        """Give up a port that is no longer there; take it back when it is."""
        if self._input is None:
            with contextlib.suppress(PortError):
                self._input = self._open()
                self._lines.append(f"{self.name} is back")
        elif not self._there():
            self._losses += 1
            self._shut()
            self._let_go()
            self._lines.append(f"{self.name} has gone: all keys let go; it is looked for")

    def _there(self) -> bool:
        try:
            names = _names(self._api)
        except PortError:
            return False
        if self._source is None:
            return True
        return any(MidiSource(self._source.api, name).stem == self._source.stem for name in names)


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError as error:
        raise NoMidiError(
            f"no MIDI ({error}): pip install python-rtmidi (Python 3.11 and 3.12 have it ready)"
        ) from None
    return rtmidi


def _api(title: str) -> int:
    rtmidi = _rtmidi()
    return next(int(api) for api in rtmidi.get_compiled_api() if rtmidi.get_api_display_name(api) == title)


def _virtual_api() -> int:
    """The first MIDI system that is there."""
    if sys.platform == "win32":
        raise PortError("Windows has no virtual MIDI ports: install loopMIDI, then give the name of its port")
    failures = []
    for api in _rtmidi().get_compiled_api():
        try:
            _names(api)
            return int(api)
        except PortError as error:
            failures.append(str(error))
    raise NoMidiError(f"no MIDI system ({'; '.join(failures)}): load ALSA's sequencer or start JACK")


def _names(api: int) -> list[str]:
    """Ports of one system, asked by a client that goes at once: a lasting one would not notice that JACK has ended.

    Raises:
        PortError: the system is not there.
    """
    rtmidi = _rtmidi()
    with _refusals(rtmidi.get_api_display_name(api)), _quiet():
        client = rtmidi.MidiIn(rtapi=api, name=f"{CLIENT} looks")
        try:
            return cast(list[str], client.get_ports())
        finally:
            client.delete()


@contextlib.contextmanager
def _refusals(what: str) -> Iterator[None]:
    """rtmidi's errors, which are OSError, ValueError and others, as PortError."""
    rtmidi = _rtmidi()
    try:
        yield
    except (rtmidi.RtMidiError, rtmidi.InvalidPortError, rtmidi.NoDevicesError) as error:
        text = str(error).strip().rstrip(".")
        raise PortError(f"{what} cannot be used ({text})") from None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what C libraries write to stderr off the terminal, for the moment of a call."""
    with _STDERR:
        try:
            kept = os.dup(2)
        except OSError:  # there is no stderr: nothing can be written there
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
