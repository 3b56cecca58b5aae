"""The process that owns a MIDI input: stamps each message and passes it on.

A process of its own, because libjack frees the clients of a server that has ended as soon as another is opened, even
those in use (measured: a segmentation fault). That ends only this process, and a new one waits for the port.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from bridge.audio.port import PortError
from bridge.midi.sources import (
    CLIENT,
    VIRTUAL,
    MidiSource,
    NoMidiError,
    api_of,
    choose_again,
    choose_source,
    midi_sources,
    names,
    refusals,
    still_there,
    twins_of,
)
from engine.processes import ChildProcess, ProcessEnded, until_parent_exits

__all__ = ["MidiOpened", "MidiRefusal", "MidiTwins", "Stamped", "driver_main", "first_answer"]

Stamped = tuple[float, bytes]
"""When a message arrived (perf_counter seconds, one clock for all processes), and its bytes."""

_RETRY_S: Final = 1.0
_SEARCH_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class MidiOpened:
    """The port is open; `source` None: a virtual port."""

    source: MidiSource | None


@dataclass(frozen=True, slots=True)
class MidiTwins:
    """Names of the other ports that differ from that of the open one only by a number; sent when they change."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MidiRefusal:
    """The port cannot be opened, and why; `nothing`: there is no port or no MIDI system at all."""

    reason: str
    nothing: bool


def first_answer(child: ChildProcess, within_s: float, what: str) -> MidiOpened:
    """What a process that opens a MIDI device says first.

    Args:
        what: ``input`` or ``output``.
    Raises:
        NoMidiError, PortError: it refuses, ends, or says nothing in time.
    """
    try:
        answer = child.receive(within_s)
    except ProcessEnded:
        raise PortError(f"the process of the MIDI {what} has ended: restart the MIDI system") from None
    if isinstance(answer, MidiRefusal):
        raise NoMidiError(answer.reason) if answer.nothing else PortError(answer.reason)
    if not isinstance(answer, MidiOpened):
        raise PortError(f"the MIDI {what} did not open within {within_s:g} s: restart the MIDI system")
    return answer


def driver_main(
    name: str | None, patient: bool, timing: bool, lost: tuple[MidiSource, tuple[str, ...]] | None, line: Connection
) -> None:
    """Open the input, answer, then pass messages on until the parent hangs up or the port is lost.

    Args:
        patient: try again until the port is there, instead of refusing.
        timing: pass on clocks, start, stop, continue and song position as well.
        lost: the port to open again, and its twins, see `choose_again`; None: the one called `name`.
    """
    opened: Any = None
    with until_parent_exits(at_once=True):
        while opened is None:
            try:
                source, opened = _open(name, timing, lost, lambda stamped: line.send(stamped))
            except PortError as error:
                if not patient:
                    line.send(MidiRefusal(str(error), isinstance(error, NoMidiError)))
                    return
                if line.poll(_RETRY_S):
                    return
        line.send(MidiOpened(source))
        try:
            _watch(source, line)
        except PortError:
            os._exit(1)  # what a dead server left is not touched again
        with contextlib.suppress(Exception):
            opened.cancel_callback()
            opened.delete()


def _watch(source: MidiSource | None, line: Connection) -> None:
    """Return when the parent hangs up.

    A port of our own cannot be lost, so it is not looked for: each look opens a client of the MIDI system, and with
    JACK every new client costs messages that are on their way.

    Raises:
        PortError: the port, or its MIDI system, is gone.
    """
    before: list[str] = []
    twins: tuple[str, ...] = ()
    while not line.poll(_SEARCH_S):
        if source is None:
            continue
        there = names(api_of(source))
        if not still_there(source, there, before or there):
            raise PortError("gone")
        if twins_of(source, there) != twins:
            twins = twins_of(source, there)
            line.send(MidiTwins(twins))
        before = there


def _open(
    name: str | None, timing: bool, lost: tuple[MidiSource, tuple[str, ...]] | None,
    hand_on: Callable[[Stamped], object],
) -> tuple[MidiSource | None, Any]:  # fmt: skip
    """The source and its open rtmidi port, whose messages go to `hand_on`."""
    source: MidiSource | None = None
    if name is None or name.strip().lower() != VIRTUAL:
        found = midi_sources()
        source = choose_source(found, name) if lost is None else choose_again(found, *lost)
    elif sys.platform == "win32":
        raise PortError("Windows has no virtual MIDI ports: install loopMIDI, then give the name of its port")
    api = api_of(source)
    import rtmidi

    with refusals(source.title if source is not None else VIRTUAL):
        opened = rtmidi.MidiIn(rtapi=api, name=CLIENT)
        # Ignored: system exclusive, and clocks unless asked for. Active sensing shows whether the cable is dead.
        opened.ignore_types(sysex=True, timing=not timing, active_sense=False)
        opened.set_callback(lambda event, _: hand_on((time.perf_counter(), bytes(event[0]))))
        if source is None:
            opened.open_virtual_port("keys")
        else:
            ports = opened.get_ports()
            if source.name not in ports:
                raise PortError(f"{source.title} is no longer there: connect it again")
            opened.open_port(ports.index(source.name), name="keys")
    return source, opened
