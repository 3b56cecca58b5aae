"""The process that owns an input of its own: PortAudio in C, recording into shared memory.

Its frames have no output beside them to be counted against. So they are placed by their time: when the first came in,
in nanoseconds of `time.perf_counter_ns`, a clock that all processes of a machine share.
"""

import time
from multiprocessing.connection import Connection
from typing import Any, Final

from bridge.audio.child import InputOpened, OpenRequest, serve
from bridge.audio.clocks import Earliest
from bridge.audio.port import PortError
from bridge.audio.recording import DriverStats, Recording
from bridge.audio.rings import CaptureRing
from bridge.audio.scan import choose, inputs, pick, refused

__all__ = ["input_main"]

_TURN_S: Final = 0.002
_SLOW_S: Final = 0.1  # how often the parent, the stream and its flags are looked at
_STALL_S: Final = 1.0  # a device that gave nothing for this long has gone, whatever its driver says

_Found = tuple[Any, tuple[int, ...], InputOpened]
"""An rtmixer stream, the device's channels for the ring's, and the answer."""


def input_main(ring: CaptureRing, request: OpenRequest, line: Connection) -> None:
    """Open, answer, record until the parent hangs up or the device goes. Runs as the process's main."""

    def work(found: _Found) -> None:
        recorder, channels, opened = found
        ring.width = opened.width
        line.send(opened)
        _record(recorder, channels, opened, ring, line)
        recorder.stop()
        recorder.close()

    serve(line, request.patient, lambda: _open(request), work)


def _open(request: OpenRequest) -> _Found:
    """A running stream, at the rate asked for if the device takes it, else at its own."""
    import rtmixer
    import sounddevice

    device = choose(inputs(), request.name, "input")
    channels = pick(device, request.channels)
    why: PortError | None = None
    for rate in dict.fromkeys((request.sample_rate or device.sample_rate, device.sample_rate)):
        try:
            recorder = rtmixer.Recorder(
                device=device.index, channels=max(channels), samplerate=rate, latency=request.latency, blocksize=0
            )
            recorder.start()
        except sounddevice.PortAudioError as error:
            why = refused(device, rate, error, "input")
            continue
        opened = InputOpened(
            name=device.title, sample_rate=rate, width=len(channels), latency_s=float(recorder.latency)
        )
        return recorder, channels, opened
    raise why or PortError(f"{device.title} has no rate at which it records: choose another input")


def _record(recorder: Any, channels: tuple[int, ...], opened: InputOpened, ring: CaptureRing, line: Connection) -> None:
    """Hand on what comes, with its time, until the parent hangs up; leaves if the stream ends."""
    recording, driver, sights = Recording(recorder, channels, ring), DriverStats(recorder), Earliest()
    slow_s = moved_s = time.perf_counter()
    seen = 0
    while True:
        frames, now_s = recording.frames, time.perf_counter()
        if frames != seen or not recording.running:
            seen, moved_s = frames, now_s
        if not recording.running and recording.begin():
            sights.clear()
        elif recording.running and frames > recording.first:
            first_s = sights.add(now_s, now_s - frames / opened.sample_rate) - opened.latency_s
            ring.place(round(1e9 * first_s))
        recording.turn()
        if now_s >= slow_s:
            slow_s = now_s + _SLOW_S
            if line.poll():
                return
            if not recorder.active or now_s - moved_s > _STALL_S:
                raise EOFError  # closing such a stream may never end
            counts = driver.look()
            if counts is not None and counts.input_overflows:
                ring.flagged(counts.input_overflows)
                sights.clear()  # what was lost has moved all that comes after
        time.sleep(_TURN_S)
