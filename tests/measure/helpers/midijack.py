"""A JACK-MIDI client that is exact to the sample: hears when messages reach it, sends messages at set times.

Written on libjack by ctypes, because rtmidi stamps what it hears with the time at which Python woke up, and sends in
the next cycle, whatever the time. It runs in a process of its own (`MidiWitness`), where nobody starves it.
"""

import ctypes
import ctypes.util
import heapq
import itertools
import multiprocessing
import signal
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any, Final

from tests.measure.helpers.jackd import INPUT, OUTPUT

__all__ = ["Heard", "MidiWitness"]

Heard = tuple[float, bytes]
"""perf_counter seconds of the frame at which a message reached the client, and its bytes."""

_MIDI: Final = b"8 bit raw midi"
_NO_START, _SERVER_NAME = 1, 4
_TURN_S: Final = 0.005


class _Event(ctypes.Structure):
    _fields_ = (("time", ctypes.c_uint32), ("size", ctypes.c_size_t), ("buffer", ctypes.POINTER(ctypes.c_ubyte)))


class _Client:
    """One input and one output port."""

    def __init__(self, server: str, name: str) -> None:
        self._jack = _library()
        status = ctypes.c_int()
        self._client = ctypes.c_void_p(
            self._jack.jack_client_open(name.encode(), _NO_START | _SERVER_NAME, ctypes.byref(status), server.encode())
        )
        if not self._client:
            raise RuntimeError(f"JACK server {server} does not answer (status {status.value:#x})")
        self._in = self._jack.jack_port_register(self._client, b"in", _MIDI, INPUT, 0)
        self._out = self._jack.jack_port_register(self._client, b"out", _MIDI, OUTPUT, 0)
        self.heard: list[Heard] = []
        self.late_s = 0.0
        self._queue: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._process = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p)(self._cycle)  # kept
        self._jack.jack_set_process_callback(self._client, self._process, None)
        self._rate = self._jack.jack_get_sample_rate(self._client)
        self._jack.jack_activate(self._client)

    def connect(self, source: str, sink: str) -> None:
        self._jack.jack_connect(self._client, source.encode(), sink.encode())

    def schedule(self, messages: Iterable[Heard]) -> None:
        """Send at these times; what is due already leaves in the next cycle."""
        for at_s, message in messages:
            heapq.heappush(self._queue, (at_s, next(self._order), message))

    def close(self) -> None:
        self._jack.jack_client_close(self._client)

    def _cycle(self, frames: int, _: Any) -> int:
        # By the time at which the cycle really begins: JACK's own estimate smooths over cycles that come late, and then
        # has messages arrive before they were sent.
        jack, start_s, period_s = self._jack, time.perf_counter(), frames / self._rate
        heard = jack.jack_port_get_buffer(self._in, frames)
        event = _Event()
        for index in range(jack.jack_midi_get_event_count(heard)):
            if jack.jack_midi_event_get(ctypes.byref(event), heard, index) == 0:
                self.heard.append((start_s + period_s * event.time / frames, bytes(event.buffer[: event.size])))
        out = jack.jack_port_get_buffer(self._out, frames)
        jack.jack_midi_clear_buffer(out)
        # A cycle's events are heard by others at its own frames: what falls into it is written at its place.
        last = 0
        while self._queue and self._queue[0][0] < start_s + period_s:
            at_s, _, message = heapq.heappop(self._queue)
            offset = max(last, min(frames - 1, int((at_s - start_s) / period_s * frames)))
            self.late_s = max(self.late_s, start_s - at_s)
            jack.jack_midi_event_write(out, offset, message, len(message))
            last = offset
        return 0


def _library() -> Any:
    """libjack with the signatures used here."""
    name = ctypes.util.find_library("jack")
    if name is None:
        raise RuntimeError("no libjack on this machine (on Debian: jackd2)")
    jack: Any = ctypes.CDLL(name)
    pointer, unsigned = ctypes.c_void_p, ctypes.c_uint32
    jack.jack_client_open.restype = pointer
    jack.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, pointer, ctypes.c_char_p]
    jack.jack_activate.argtypes = jack.jack_client_close.argtypes = [pointer]
    jack.jack_connect.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p]
    jack.jack_get_sample_rate.restype = unsigned
    jack.jack_get_sample_rate.argtypes = [pointer]
    jack.jack_port_register.restype = pointer
    jack.jack_port_register.argtypes = [pointer, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_ulong]
    jack.jack_set_process_callback.argtypes = [pointer, pointer, pointer]
    jack.jack_port_get_buffer.restype = pointer
    jack.jack_port_get_buffer.argtypes = [pointer, unsigned]
    jack.jack_midi_get_event_count.restype = unsigned
    jack.jack_midi_get_event_count.argtypes = [pointer]
    jack.jack_midi_event_get.argtypes = [pointer, pointer, unsigned]
    jack.jack_midi_clear_buffer.argtypes = [pointer]
    jack.jack_midi_event_write.argtypes = [pointer, unsigned, ctypes.c_char_p, ctypes.c_size_t]
    return jack


def _witness_main(server: str, name: str, line: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    client = _Client(server, name)
    line.send("ready")
    try:
        while True:
            if line.poll(_TURN_S):
                what, value = line.recv()
                if what == "connect":
                    client.connect(*value)
                elif what == "schedule":
                    client.schedule(value)
            if client.heard:
                heard, client.heard = client.heard, []
                line.send(heard)
    except (EOFError, OSError):
        client.close()


class MidiWitness:
    """The client in its process.

    Args:
        server: name of the JACK server.
        name: of the client, whose ports are ``in`` and ``out``.
    Raises:
        RuntimeError: the server does not answer.
    """

    def __init__(self, server: str, name: str = "witness") -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_witness_main, args=(server, name, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self.name, self._heard = name, list[Heard]()
        try:
            ready = self._line.poll(20.0) and self._line.recv() == "ready"
        except EOFError:
            ready = False
        if not ready:
            self._process.kill()
            raise RuntimeError("the JACK-MIDI witness does not run")

    def connect(self, source: str, sink: str) -> None:
        """Connect two ports; nothing happens if one is not there."""
        self._line.send(("connect", (source, sink)))

    def schedule(self, messages: list[Heard]) -> None:
        """Have messages sent at their times, from port ``out``."""
        self._line.send(("schedule", messages))

    def heard(self) -> list[Heard]:
        """Everything that has reached port ``in`` so far."""
        while self._line.poll(0):
            self._heard += self._line.recv()
        return self._heard

    def wait(self, until_s: float) -> None:
        """Let time pass until `until_s`, taking what is heard meanwhile."""
        while (left_s := until_s - time.perf_counter()) > 0.0:
            time.sleep(min(0.1, left_s))
            self.heard()

    def close(self) -> None:
        """Leave the server."""
        self._line.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
