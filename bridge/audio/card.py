"""The process that owns the sound device: PortAudio in C, fed from a ring in shared memory.

It is a process of its own for two reasons, both measured. A driver may never come back from a call: when a JACK server
dies, PortAudio 19.6 hangs while closing and aborts the process at its end. And here no other Python thread holds the
interpreter. No sound passes through Python here: the C callback plays from the memory that the pump writes.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from bridge.audio.outputs import Output, choose, outputs, rescan
from bridge.audio.port import NoDeviceError, PortError
from bridge.audio.pump import FADE_S, Interleaved, raise_priority

__all__ = ["CAPACITY", "CardRing", "Opened", "Refusal", "Wish", "card_main"]

CAPACITY: Final = 1 << 16
"""Frames of the ring, a power of two as PortAudio's ring buffer wants: 0.68 s at 96 kHz."""

_BARRIER: Final = threading.Lock()
_TURN_S: Final = 0.002
_SLOW_S: Final = 0.1  # how often the parent, the stream and its flags are looked at
_RETRY_S: Final = 1.0

# Cells of the ring's header, 64-bit; each has one writer: the pump above the line, the card below.
_WRITTEN, _PREFILL, _CLOSED = 0, 1, 2
_PLAYED, _UNDERRUNS, _FLAGS = 3, 4, 5


class CardRing:
    """Sound between the pump and the card's process: one writer, one reader, no locks.

    Threads:
        width, prefill, write, close, fill    the pump's
        anything else                         the card's
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.width = 2
        self._cells = context.RawArray("q", 8)
        self._sound = context.RawArray("f", 2 * CAPACITY)

    @property
    def cells(self) -> Any:
        """The header, as a ctypes array of 64-bit integers."""
        return self._cells

    @property
    def sound(self) -> Interleaved:
        """[CAPACITY, width], the shared memory itself."""
        flat: Interleaved = np.frombuffer(self._sound, np.float32)
        return flat[: CAPACITY * self.width].reshape(CAPACITY, self.width)

    @property
    def underruns(self) -> int:
        """Times the device found it empty."""
        return int(self._cells[_UNDERRUNS])

    @property
    def device_flags(self) -> int:
        """Callbacks in which the driver reported a gap of its own."""
        return int(self._cells[_FLAGS])

    def fill(self) -> int:
        """Frames written and not yet played, as of the card's last turn."""
        return int(self._cells[_WRITTEN] - self._cells[_PLAYED])

    def prefill(self, frames: int) -> None:
        """Sound begins, at first and after running empty, when this much is ready."""
        self._cells[_PREFILL] = frames

    def write(self, frames: Interleaved) -> None:
        """Add [N, width].

        Raises:
            PortError: it does not fit: the lead is too long for the ring.
        """
        if self.fill() + len(frames) > CAPACITY:
            raise PortError(f"the card's ring takes {CAPACITY} frames, got more: choose a shorter lead")
        written = int(self._cells[_WRITTEN])
        at = written % CAPACITY
        head = min(len(frames), CAPACITY - at)
        sound = self.sound
        sound[at : at + head] = frames[:head]
        sound[: len(frames) - head] = frames[head:]
        # Sound before its counter, also on processors that reorder stores: locks are made of acquire and release
        # operations, and a release followed by an acquire lets nothing across.
        for _ in range(2):
            with _BARRIER:
                pass
        self._cells[_WRITTEN] = written + len(frames)

    def close(self) -> None:
        """No more will come."""
        self._cells[_CLOSED] = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the parent wants opened, as in `open_port`; `patient`: try again until it is there."""

    name: str | None
    sample_rate: int | None
    channels: tuple[int, int]
    latency: str | float
    patient: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """The answer: what was opened; `width` is what the ring must carry, `latency_s` the driver's own."""

    name: str
    sample_rate: int
    width: int
    latency_s: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """The other answer: why not; `nothing`: there is no device at all; `final`: it does not try again."""

    reason: str
    nothing: bool = False
    final: bool = True


_Found = tuple[Any, tuple[int, ...], Opened]
"""An rtmixer stream, the device's channels for the ring's, and the answer."""


def card_main(ring: CardRing, wish: Wish, line: Connection) -> None:
    """Open, answer, play until the parent hangs up or the device goes. Runs as the process's main."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Drivers write to the terminal as they please; what matters goes through `line`.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    raise_priority()  # drivers' threads inherit it
    try:
        found = _open_patiently(wish, line)
        if found is not None:
            mixer, channels, opened = found
            ring.width = opened.width
            line.send(opened)
            _play(mixer, channels, ring, line)
            mixer.stop()
            mixer.close()
    except (EOFError, OSError):
        os._exit(1)  # the parent has gone
    except Exception as error:
        with contextlib.suppress(OSError):
            line.send(Refusal(f"{type(error).__name__}: {error}"))
        os._exit(1)


def _open_patiently(wish: Wish, line: Connection) -> _Found | None:
    """What was wished for; None if the parent lost interest, or was told that it cannot be had."""
    told = ""
    while True:
        try:
            return _open(wish)
        except PortError as error:
            nothing = isinstance(error, NoDeviceError)
            if not wish.patient:
                line.send(Refusal(str(error), nothing))
                return None
            # That nothing is there yet goes without saying; that it is there and refuses does not.
            if not nothing and str(error) != told:
                told = str(error)
                line.send(Refusal(told, final=False))
        if line.poll(_RETRY_S):
            return None
        rescan()


def _open(wish: Wish) -> _Found:
    """A running stream, still silent."""
    import rtmixer
    import sounddevice

    output = choose(outputs(), wish.name)
    left, right = wish.channels
    channels = (left,) if left == right or output.channels == 1 else (left, right)
    if not 1 <= min(channels) <= max(channels) <= output.channels:
        raise PortError(f"{output.title} has channels 1..{output.channels}, got {wish.channels}: choose among those")
    rate = wish.sample_rate or output.sample_rate
    try:
        mixer = rtmixer.Mixer(
            device=output.index, channels=max(channels), samplerate=rate, latency=wish.latency, blocksize=0
        )
        mixer.start()
    except sounddevice.PortAudioError as error:
        raise PortError(_refused(output, rate, error)) from None
    opened = Opened(name=output.title, sample_rate=rate, width=len(channels), latency_s=float(mixer.latency))
    return mixer, channels, opened


def _refused(output: Output, rate: int, error: Exception) -> str:
    remedy = f"ask for {output.sample_rate} Hz" if rate != output.sample_rate else "close what else uses it"
    return f"{output.title} refuses {rate} Hz ({error}): {remedy}, or choose another output"


def _play(mixer: Any, channels: tuple[int, ...], ring: CardRing, line: Connection) -> None:
    """Hand on what the pump has written, until the parent hangs up; leaves the process if the stream ends."""
    import rtmixer

    cells, sound = ring.cells, ring.sound
    queue = rtmixer.RingBuffer(4 * len(channels), buffer=sound)
    action: Any = None
    flags: Any = None
    seen = 0
    slow_s = time.perf_counter()
    while True:
        written = int(cells[_WRITTEN])
        if written > seen:
            queue.advance_write_index(written - seen)
            seen = written
        ready = int(queue.read_available)
        cells[_PLAYED] = seen - ready
        # rtmixer ends the playing of a ring that runs empty, and says nothing: it is missed here.
        if action is not None and action not in mixer.actions:
            action = None
            cells[_UNDERRUNS] += not cells[_CLOSED]
        if action is None and ready >= cells[_PREFILL] > 0 and not cells[_CLOSED]:
            _fade_in(sound, seen - ready, min(ready, round(FADE_S * mixer.samplerate)))
            action = mixer.play_ringbuffer(queue, channels=channels)
        if time.perf_counter() >= slow_s:
            slow_s = time.perf_counter() + _SLOW_S
            if line.poll():
                return
            if not mixer.active:
                os._exit(1)  # closing such a stream may never end
            if flags is None:
                flags = mixer.fetch_and_reset_stats()
            elif flags not in mixer.actions:
                cells[_FLAGS] += flags.stats.output_underflows
                flags = None
        time.sleep(_TURN_S)


def _fade_in(sound: Interleaved, first: int, frames: int) -> None:
    """Ramp up in place the frames from position `first` on."""
    where = np.arange(first, first + frames) % len(sound)
    sound[where] *= np.linspace(0.0, 1.0, frames, dtype=np.float32)[:, None]
