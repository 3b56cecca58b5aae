"""The available MIDI inputs (ALSA, JACK, Core MIDI, Windows), and choosing one by name."""

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from bridge.audio.port import PortError

__all__ = [
    "CLIENT",
    "VIRTUAL",
    "MidiSource",
    "NoMidiError",
    "api_of",
    "choose_again",
    "choose_source",
    "load_rtmidi",
    "midi_sources",
    "names",
    "refusals",
    "still_there",
    "twins_of",
]

VIRTUAL: Final = "virtual"
"""The name of a virtual port, which other programs connect to."""

CLIENT: Final = "Ripieno"
"""Our client name in a MIDI system."""

_REMEDY: Final = "load ALSA's sequencer (modprobe snd-seq), start JACK, or play without"


class NoMidiError(PortError):
    """There is no MIDI system or no port at all; the message says how to get one. Everything else works without."""


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
        return re.sub(r"\s\d+$" if "Windows" in self.api else r"\s\d+:\d+$", "", self.name)

    @property
    def own(self) -> bool:
        """Whether this is a port of a Ripieno, also where another system passes it on (a2j, PipeWire)."""
        return CLIENT.casefold() in self.name.casefold()


def midi_sources() -> list[MidiSource]:
    """Every MIDI input of every running system.

    C libraries may write to stderr when their system is missing. Not for a process with an open JACK client: if its
    server has ended meanwhile, libjack frees that client.

    Raises:
        NoMidiError: no MIDI system is running.
    """
    rtmidi = load_rtmidi()
    found: list[MidiSource] = []
    absent: list[str] = []
    for api in rtmidi.get_compiled_api():
        title = rtmidi.get_api_display_name(api)
        try:
            found += [MidiSource(title, name) for name in names(api)]
        except PortError:
            absent.append(title)
    if len(absent) == len(rtmidi.get_compiled_api()):
        raise NoMidiError(f"no MIDI system is running, looked for {' and '.join(absent)}: {_REMEDY}")
    return found


def choose_source(found: Sequence[MidiSource], name: str | None, *, what: str = "input") -> MidiSource:
    """The input (or, by `what`, the output) with this name.

    Args:
        found: the available ones.
        name: None: the first that is neither a pass-through nor one of our own; otherwise part of a name or of
            ``API: name``, in any case. A whole name comes before a part; part of a name does not mean a port of our
            own, unless it says so.
    Raises:
        NoMidiError: there is none.
        PortError: no name matches; lists the available ones.
    """
    foreign = [source for source in found if not source.own]
    real = [source for source in foreign if "through" not in source.name.casefold()]
    if name is None:
        if not real:
            raise NoMidiError(f"no MIDI input: connect a keyboard, or use {VIRTUAL!r} and connect to it")
        return real[0]
    wanted = name.strip().casefold()
    for source in found:
        if wanted in (source.name.casefold(), source.stem.casefold(), source.title.casefold()):
            return source
    for source in (*real, *(found if CLIENT.casefold() in wanted else foreign)):
        if wanted and wanted in source.title.casefold():
            return source
    there = "; ".join(source.title for source in found) or "there is none"
    raise PortError(f"no MIDI {what} is called {name!r}: give part of one of these names: {there}; or {VIRTUAL}")


def still_there(source: MidiSource, there: Sequence[str], before: Sequence[str]) -> bool:
    """Whether an open port is still in its system; of ports of equal names, whether they are as many as before.

    Args:
        there, before: names of all ports now, and when they were last looked at.
    """
    if "Windows" in source.api:  # its numbers move up when another device goes
        stems, were = ([MidiSource(source.api, name).stem for name in names_] for names_ in (there, before))
        return stems.count(source.stem) >= max(1, were.count(source.stem))
    return there.count(source.name) >= max(1, before.count(source.name))


def twins_of(source: MidiSource, there: Sequence[str]) -> tuple[str, ...]:
    """Other ports whose names differ from that of `source` only by a number: keyboards of one make."""
    if "Windows" in source.api:
        return ()
    return tuple(name for name in there if name != source.name and MidiSource(source.api, name).stem == source.stem)


def choose_again(found: Sequence[MidiSource], source: MidiSource, twins: Sequence[str]) -> MidiSource:
    """The port that was lost, under its old name or with a new number; never another keyboard of that name.

    Args:
        twins: as `twins_of`, when the port was last seen.
    Raises:
        PortError: it is not there.
    """
    same = [other for other in found if other.api == source.api and other.stem == source.stem]
    for other in (*(o for o in same if o.name == source.name), *(o for o in same if o.name not in twins)):
        return other
    raise PortError(f"{source.title} is not there: connect it again")


def api_of(source: MidiSource | None) -> int:
    """rtmidi's number of a source's system; for None that of the first running system.

    Raises:
        NoMidiError: there is none.
    """
    rtmidi = load_rtmidi()
    for api in rtmidi.get_compiled_api():
        if source is not None:
            if rtmidi.get_api_display_name(api) == source.api:
                return int(api)
            continue
        with contextlib.suppress(PortError):
            names(api)
            return int(api)
    raise NoMidiError(f"no MIDI system is running: {_REMEDY}")


def names(api: int, *, outputs: bool = False) -> list[str]:
    """Inputs or outputs of a system, from a short-lived client: a lasting one would not notice that JACK has ended.

    Raises:
        PortError: the system is not running.
    """
    rtmidi = load_rtmidi()
    with refusals(rtmidi.get_api_display_name(api)):
        client = (rtmidi.MidiOut if outputs else rtmidi.MidiIn)(rtapi=api, name=f"{CLIENT} looks")
        try:
            return cast(list[str], client.get_ports())
        finally:
            client.delete()


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    """Raise rtmidi's errors as PortError."""
    rtmidi = load_rtmidi()
    try:
        yield
    except rtmidi.RtMidiError as error:
        raise PortError(f"{what} cannot be used ({str(error).strip().rstrip('.')})") from None


def load_rtmidi() -> Any:
    """The rtmidi module.

    Raises:
        NoMidiError: it is not installed.
    """
    try:
        import rtmidi
    except ImportError as error:
        raise NoMidiError(
            f"no MIDI ({error}): pip install python-rtmidi, which is ready-made up to Python 3.12"
        ) from None
    return rtmidi
