"""Which MIDI outputs there are, and which one a name means."""

import ctypes
import ctypes.util
from typing import Any, Final, cast

from bridge.audio.port import PortError
from bridge.midi.sources import CLIENT, VIRTUAL, MidiSource, NoMidiError, api_of, choose_source, refusals

__all__ = ["OUT_CLIENT", "PORT", "choose_sink", "jack_wait_s", "open_sink", "sink_names"]

OUT_CLIENT: Final = f"{CLIENT} band"
"""Our name among the clients of a MIDI system, for what we send."""

_NO_START: Final = 1  # JackNoStartServer of jack/types.h

PORT: Final = "out"
"""The name of our output port, of our own or towards another."""


def sink_names(api: int) -> list[str]:
    """Outputs of one system, asked by a client that goes at once: a lasting one would not notice that JACK has ended.

    Raises:
        PortError: the system is not there.
    """
    rtmidi = _rtmidi()
    with refusals(rtmidi.get_api_display_name(api)):
        client = rtmidi.MidiOut(rtapi=api, name=f"{CLIENT} looks")
        try:
            return cast(list[str], client.get_ports())
        finally:
            client.delete()


def choose_sink(name: str | None) -> MidiSource | None:
    """The output that a name means; None for a port of our own, which other programs connect to.

    Args:
        name: None or ``virtual`` for a port of our own; otherwise part of a name or of ``API: name``, in any case.
    Raises:
        NoMidiError: no MIDI system is running.
        PortError: no such output; lists what there is.
    """
    if name is None or name.strip().casefold() == VIRTUAL:
        api_of(None)
        return None
    rtmidi = _rtmidi()
    found: list[MidiSource] = []
    for api in rtmidi.get_compiled_api():
        try:
            found += [MidiSource(rtmidi.get_api_display_name(api), sink) for sink in sink_names(api)]
        except PortError:
            continue
    if not found:
        raise NoMidiError(
            f"no MIDI output is called {name!r}, there is none at all: play to {VIRTUAL!r} and connect it"
        )
    return choose_source(found, name, what="output")


def open_sink(sink: MidiSource | None) -> Any:
    """rtmidi's port, open.

    Raises:
        PortError: it has gone, or cannot be opened.
    """
    rtmidi = _rtmidi()
    api = api_of(sink)
    with refusals(sink.title if sink is not None else VIRTUAL):
        opened = rtmidi.MidiOut(rtapi=api, name=OUT_CLIENT)
        if sink is None:
            opened.open_virtual_port(PORT)
            return opened
        there = opened.get_ports()
        fitting = [index for index, other in enumerate(there) if MidiSource(sink.api, other).stem == sink.stem]
        if not fitting:
            raise PortError(f"{sink.title} has gone: connect it again")
        opened.open_port(fitting[0], name=PORT)
        return opened


def jack_wait_s(sink: MidiSource | None) -> float:
    """How long a message waits in JACK on average: it leaves in the next cycle, so half a period; 0 on other systems.

    Asked by a client that goes at once.
    """
    rtmidi = _rtmidi()
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


def _rtmidi() -> Any:
    try:
        import rtmidi
    except ImportError as error:
        raise NoMidiError(f"no MIDI ({error}): pip install python-rtmidi") from None
    return rtmidi
