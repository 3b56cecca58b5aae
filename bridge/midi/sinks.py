"""The available MIDI outputs, and choosing one by name."""

import ctypes
import ctypes.util
from typing import Any, Final

from bridge.audio.port import PortError
from bridge.midi.sources import (
    CLIENT,
    VIRTUAL,
    MidiSource,
    NoMidiError,
    api_of,
    choose_source,
    load_rtmidi,
    names,
    refusals,
)

__all__ = ["OUT_CLIENT", "PORT", "choose_sink", "jack_wait_s", "open_sink", "sink_names"]

OUT_CLIENT: Final = f"{CLIENT} band"
"""Our client name in a MIDI system for outputs."""

_NO_START: Final = 1  # JackNoStartServer of jack/types.h

PORT: Final = "out"
"""The name of our output port."""


def sink_names(api: int) -> list[str]:
    """Outputs of one system, as `names` of inputs.

    Raises:
        PortError: the system is not running.
    """
    return names(api, outputs=True)


def choose_sink(name: str | None) -> MidiSource | None:
    """The output with this name; None for a virtual port, which other programs connect to.

    Args:
        name: None or ``virtual`` for a virtual port; otherwise part of a name or of ``API: name``, in any case.
    Raises:
        NoMidiError: no MIDI system is running.
        PortError: no such output; lists the available ones.
    """
    if name is None or name.strip().casefold() == VIRTUAL:
        api_of(None)
        return None
    rtmidi = load_rtmidi()
    found: list[MidiSource] = []
    for api in rtmidi.get_compiled_api():
        try:
            found += [MidiSource(rtmidi.get_api_display_name(api), sink) for sink in sink_names(api)]
        except PortError:
            continue
    if not found:
        raise NoMidiError(f"no MIDI output is called {name!r}, there are none: use {VIRTUAL!r} and connect to it")
    return choose_source(found, name, what="output")


def open_sink(sink: MidiSource | None) -> Any:
    """An open rtmidi port.

    Raises:
        PortError: it is no longer there, or cannot be opened.
    """
    rtmidi = load_rtmidi()
    api = api_of(sink)
    with refusals(sink.title if sink is not None else VIRTUAL):
        opened = rtmidi.MidiOut(rtapi=api, name=OUT_CLIENT)
        if sink is None:
            opened.open_virtual_port(PORT)
            return opened
        there = opened.get_ports()
        fitting = [index for index, other in enumerate(there) if other == sink.name]
        fitting += [index for index, other in enumerate(there) if MidiSource(sink.api, other).stem == sink.stem]
        if not fitting:
            raise PortError(f"{sink.title} is no longer there: connect it again")
        opened.open_port(fitting[0], name=PORT)
        return opened


def jack_wait_s(sink: MidiSource | None) -> float:
    """Mean delay of a message in JACK, half a period, since it leaves in the next cycle; 0 on other systems.

    Measured by a short-lived client.
    """
    rtmidi = load_rtmidi()
    if api_of(sink) != rtmidi.API_UNIX_JACK:
        return 0.0
    name = ctypes.util.find_library("jack")
    if name is None:
        return 0.0
    jack: Any = ctypes.CDLL(name)
    jack.jack_client_open.restype = ctypes.c_void_p
    for ask in ("jack_get_buffer_size", "jack_get_sample_rate"):
        getattr(jack, ask).restype = ctypes.c_uint32
    client = ctypes.c_void_p(jack.jack_client_open(f"{CLIENT} asks".encode(), _NO_START, ctypes.byref(ctypes.c_int())))
    if not client:
        return 0.0
    frames, rate = jack.jack_get_buffer_size(client), jack.jack_get_sample_rate(client)
    jack.jack_client_close(client)
    return float(0.5 * frames / rate) if rate else 0.0
