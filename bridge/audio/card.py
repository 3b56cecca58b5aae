"""The process that owns the output: PortAudio in C, fed from a ring in shared memory.

No sound passes through Python here: the C callback plays from the memory that the pump writes, and records, where the
device is an input as well, into memory that the input pump reads.
"""

import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

import numpy as np

from bridge.audio.child import InputOpened, Opened, OpenRequest, serve
from bridge.audio.duplex import Duplex
from bridge.audio.port import PortError
from bridge.audio.pump import FADE_S
from bridge.audio.recording import DriverStats
from bridge.audio.rings import CaptureRing, Interleaved, PlaybackRing
from bridge.audio.scan import Device, choose, inputs, outputs, pick, refused

__all__ = ["card_main"]

_TURN_S: Final = 0.002
_SLOW_S: Final = 0.1  # how often the parent, the stream and its flags are looked at


@dataclass(frozen=True, kw_only=True, slots=True)
class _Stream:
    """A running stream: the device's channels for each ring's, and the answer."""

    mixer: Any
    channels: tuple[int, ...]
    recorded: tuple[int, ...]
    opened: Opened


def card_main(ring: PlaybackRing, capture: CaptureRing, request: OpenRequest, line: Connection) -> None:
    """Open, answer, play until the parent hangs up or the device goes. Runs as the process's main.

    Args:
        capture: takes what is recorded, if the device is also the input that is wanted.
    """

    def work(stream: _Stream) -> None:
        ring.width, capture.width = stream.opened.width, max(1, len(stream.recorded))
        line.send(stream.opened)
        _play(stream, ring, Duplex(stream.mixer, stream.recorded, capture) if stream.recorded else None, capture, line)
        stream.mixer.stop()
        stream.mixer.close()

    serve(line, request.patient, lambda: _open(request), work)


def _open(request: OpenRequest) -> _Stream:
    """A running stream, still silent."""
    import rtmixer
    import sounddevice

    output = choose(outputs(), request.name)
    channels = pick(output, request.channels)
    rate = request.sample_rate or output.sample_rate
    both = _both(output, channels, rate, request)
    if both is not None:
        return both
    try:
        mixer = rtmixer.Mixer(
            device=output.index, channels=max(channels), samplerate=rate, latency=request.latency, blocksize=0
        )
        mixer.start()
    except sounddevice.PortAudioError as error:
        raise refused(output, rate, error) from None
    opened = Opened(name=output.title, sample_rate=rate, width=len(channels), latency_s=float(mixer.latency))
    return _Stream(mixer=mixer, channels=channels, recorded=(), opened=opened)


def _both(output: Device, channels: tuple[int, ...], rate: int, request: OpenRequest) -> _Stream | None:
    """A stream that plays and records, if the input asked for is the same device and it can do both at once.

    Two devices have two clocks, and a driver that waits for both drops what one of them is ahead: they get a stream
    each. Why an input cannot be had is said where it is opened alone.
    """
    import rtmixer
    import sounddevice

    if request.duplex is None:
        return None
    try:
        device = choose(inputs(), request.duplex.name, "input")
        recorded = pick(device, request.duplex.channels)
    except PortError:
        return None
    if device.index != output.index:
        return None
    try:
        mixer = rtmixer.MixerAndRecorder(
            device=output.index,
            channels=(max(recorded), max(channels)),
            samplerate=rate,
            latency=request.latency,
            blocksize=0,
        )
        mixer.start()
    except sounddevice.PortAudioError:
        return None
    in_s, out_s = mixer.latency
    opened = Opened(
        name=output.title,
        sample_rate=rate,
        width=len(channels),
        latency_s=float(out_s),
        duplex=InputOpened(name=device.title, sample_rate=rate, width=len(recorded), latency_s=float(in_s)),
    )
    return _Stream(mixer=mixer, channels=channels, recorded=recorded, opened=opened)


def _play(stream: _Stream, ring: PlaybackRing, duplex: Duplex | None, capture: CaptureRing, line: Connection) -> None:
    """Hand on what the pump has written, until the parent hangs up; leaves the process if the stream ends."""
    import rtmixer

    mixer, sound = stream.mixer, ring.sound
    queue = rtmixer.RingBuffer(4 * len(stream.channels), buffer=sound)
    driver = DriverStats(mixer)
    action: Any = None
    seen = 0
    slow_s = time.perf_counter()
    while True:
        written = ring.written
        if written > seen:
            queue.advance_write_index(written - seen)
            seen = written
        ready = int(queue.read_available)
        ring.played(seen - ready)
        # rtmixer ends the playing of a ring that runs empty, and says nothing: it is missed here.
        if action is not None and action not in mixer.actions:
            action = None
            if not ring.closed:
                ring.ran_empty()
        if action is None and ready >= ring.prefilled > 0 and not ring.closed:
            _fade_in(sound, seen - ready, min(ready, round(FADE_S * mixer.samplerate)))
            if duplex is not None:
                duplex.before_playing()
            action = mixer.play_ringbuffer(queue, channels=stream.channels)
            if duplex is not None:
                duplex.playing(action, seen - ready)
        if duplex is not None:
            duplex.turn()
        if time.perf_counter() >= slow_s:
            slow_s = time.perf_counter() + _SLOW_S
            if line.poll():
                return
            if not mixer.active:
                os._exit(1)  # closing such a stream may never end
            counts = driver.look()
            if counts is not None:
                ring.flagged(counts.output_underflows)
                capture.flagged(counts.input_overflows)
        time.sleep(_TURN_S)


def _fade_in(sound: Interleaved, first: int, frames: int) -> None:
    """Ramp up in place the frames from position `first` on."""
    where = np.arange(first, first + frames) % len(sound)
    sound[where] *= np.linspace(0.0, 1.0, frames, dtype=np.float32)[:, None]
