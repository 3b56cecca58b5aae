"""The process that owns a MIDI device: stamps what arrives and hands it on.

It is a process of its own because libjack frees the clients of a server that has ended as soon as another is opened,
under whoever still holds them (measured: a segmentation fault). Here that ends only this process, and a new one waits.
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
    choose_source,
    midi_sources,
    names,
    refusals,
)
from engine.processes import until_parent_exits

__all__ = ["MidiOpened", "MidiRefusal", "Stamped", "driver_main"]

Stamped = tuple[float, bytes]
"""When a message arrived (perf_counter seconds, one clock for all processes), and its bytes."""

_RETRY_S: Final = 1.0
_SEARCH_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class MidiOpened:
    """The answer: the port is open; None stands for a port of our own."""

    source: MidiSource | None


@dataclass(frozen=True, slots=True)
class MidiRefusal:
    """The other answer: why not; `nothing`: there is nothing to be had at all."""

    reason: str
    nothing: bool


def driver_main(name: str | None, patient: bool, timing: bool, line: Connection) -> None:
    """Open the input that `name` means, answer, hand on messages until the parent hangs up or the port goes.

    Args:
        patient: try again until it is there, instead of refusing.
        timing: hand on clocks, start, stop, continue and song position as well.
    """
    opened: Any = None
    with until_parent_exits(at_once=True):
        while opened is None:
            try:
                source, opened = _open(name, timing, lambda stamped: line.send(stamped))
            except PortError as error:
                if not patient:
                    line.send(MidiRefusal(str(error), isinstance(error, NoMidiError)))
                    return
                if line.poll(_RETRY_S):
                    return
        line.send(MidiOpened(source))
        try:
            api = api_of(source)
            while not line.poll(_SEARCH_S):
                if source is not None and source.stem not in [MidiSource(source.api, n).stem for n in names(api)]:
                    raise PortError("gone")
        except PortError:
            os._exit(1)  # what a dead server left is not touched again
        with contextlib.suppress(Exception):
            opened.cancel_callback()
            opened.delete()


def _open(name: str | None, timing: bool, hand_on: Callable[[Stamped], object]) -> tuple[MidiSource | None, Any]:
    """What was opened, and rtmidi's port, whose messages go to `hand_on`."""
    source: MidiSource | None = None
    if name is None or name.strip().lower() != VIRTUAL:
        source = choose_source(midi_sources(), name)
    elif sys.platform == "win32":
        raise PortError("Windows has no virtual MIDI ports: install loopMIDI, then give the name of its port")
    api = api_of(source)
    import rtmidi

    with refusals(source.title if source is not None else VIRTUAL):
        opened = rtmidi.MidiIn(rtapi=api, name=CLIENT)
        # System exclusive stays ignored, clocks mostly; active sensing tells a dead cable from a held chord.
        opened.ignore_types(sysex=True, timing=not timing, active_sense=False)
        opened.set_callback(lambda event, _: hand_on((time.perf_counter(), bytes(event[0]))))
        if source is None:
            opened.open_virtual_port("keys")
        else:
            ports = opened.get_ports()
            if source.name not in ports:
                raise PortError(f"{source.title} has gone: connect it again")
            opened.open_port(ports.index(source.name), name="keys")
    return source, opened
