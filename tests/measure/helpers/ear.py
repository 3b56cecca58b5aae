"""All that reaches the speakers, with the time of every sample."""

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from engine.music.audio import Audio
from tests.measure.helpers.jackd import INPUT, OUTPUT, Jackd, Wires

__all__ = ["SILENT", "Ear", "find", "jack_device", "longest_silence"]

SILENT: Final = 1e-4
"""-80 dB: below it nobody hears anything."""

_RING: Final = 1 << 19  # frames, 11 s at 48 kHz
_TURN_S: Final = 0.005
_NEAR_S: Final = 0.05
_OUTS: Final = ":out_[0-9]+$"  # what PortAudio calls its ports


class Ear:
    """A PortAudio client, recording in C, whose inputs follow whoever plays.

    A moment of the clock `time.perf_counter` belongs to every frame: that at which the server had it, to a period.

    Threads: `_listen` fills, a thread of its own; everything else by the owner's.

    Args:
        server: running; it becomes the default server of this process.
        keep_s: of the past.
    """

    def __init__(self, server: Jackd, keep_s: float = 300.0) -> None:
        os.environ.update(server.environment())  # PortAudio looks when it is first imported
        import rtmixer

        self.rate, self._keep = server.rate, round(keep_s * server.rate)
        self.wires = Wires(server.name)
        self._pieces: deque[tuple[int, Audio]] = deque()
        self._marks: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()
        self._frames = 0
        self._ended = threading.Event()
        self._stream = rtmixer.Recorder(
            device=jack_device("max_input_channels"), channels=2, samplerate=self.rate, latency="low", blocksize=0
        )
        self._ring = rtmixer.RingBuffer(8, _RING)
        self._stream.start()
        self._stream.record_ringbuffer(self._ring)
        self._inputs = self.wires.ports(":in_[0-9]+$", INPUT)
        for number, sink in enumerate(self._inputs, start=1):
            self.wires.disconnect(f"system:capture_{number}", sink)
        self._thread = threading.Thread(target=self._listen, name="ear", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more, and leave PortAudio, which would abort this process once the server has gone."""
        import sounddevice

        self._ended.set()
        self._thread.join()
        self._stream.stop()
        self._stream.close()
        sounddevice._terminate()
        self.wires.close()

    def now(self) -> int:
        """The frame that is heard next."""
        with self._lock:
            return self._frames

    def heard(self, first: int, last: int | None = None) -> Audio:
        """[2, last - first]; None: all that was heard so far.

        Raises:
            ValueError: so much is not known any more.
        """
        with self._lock:
            last = self._frames if last is None else min(last, self._frames)
            if self._pieces and first < self._pieces[0][0]:
                raise ValueError(f"frame {first} is forgotten, the oldest is {self._pieces[0][0]}")
            rows = [sound[:, max(0, first - at) : last - at] for at, sound in self._pieces if at < last]
        return np.concatenate([np.zeros((2, 0), np.float32), *rows], axis=1)

    def frame_at(self, moment_s: float) -> int:
        """The frame heard at a moment not long ago; 0 if that was before the first."""
        near = self._near(lambda mark: abs(mark[0] - moment_s))
        return max(0, *(frames + round((moment_s - at_s) * self.rate) for at_s, frames in near), 0)

    def moment_of(self, frame: int) -> float:
        """When a frame was heard.

        Nothing is seen before it is there, so of all sightings soon after it the earliest is the best. From those
        before it nothing can be told, since a server leaves out time in an xrun.
        """
        near = self._near(lambda mark: (mark[1] - frame) / self.rate if mark[1] >= frame else math.inf)
        return min(at_s + (frame - frames) / self.rate for at_s, frames in near)

    def first_sound(self, since: int, within_s: float) -> int:
        """The first frame from `since` on that is not silent.

        Raises:
            TimeoutError: there is none.
        """
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            loud = np.flatnonzero(np.abs(self.heard(since)).max(axis=0, initial=0.0) > SILENT)
            if len(loud):
                return since + int(loud[0])
            time.sleep(0.02)
        raise TimeoutError(f"silent for {within_s:g} s")

    def wait_silent(self, for_s: float, within_s: float = 10.0) -> None:
        """Until nothing was heard for so long.

        Raises:
            TimeoutError: it never came.
        """
        end_s, wanted = time.monotonic() + within_s, round(for_s * self.rate)
        while time.monotonic() < end_s:
            sound = self.heard(max(0, self.now() - wanted))
            if sound.shape[1] >= wanted and np.abs(sound).max() <= SILENT:
                return
            time.sleep(0.02)
        raise TimeoutError(f"no silence within {within_s:g} s")

    def _near(self, far: Callable[[tuple[float, int]], float]) -> list[tuple[float, int]]:
        with self._lock:
            marks = list(self._marks)
        near = [mark for mark in marks if far(mark) <= _NEAR_S]
        return near or [min(marks, key=far)] if marks else []

    def _listen(self) -> None:
        wired_s = 0.0
        while not self._ended.wait(_TURN_S):
            ready, now_s = int(self._ring.read_available), time.perf_counter()
            if ready:
                flat = np.frombuffer(self._ring.read(ready), np.float32)
                sound = np.ascontiguousarray(flat.reshape(-1, 2).T)
                with self._lock:
                    self._pieces.append((self._frames, sound))
                    self._frames += ready
                    self._marks.append((now_s, self._frames))
                    while self._pieces[0][0] < self._frames - self._keep:
                        self._pieces.popleft()
                        self._marks.popleft()
            if now_s >= wired_s:
                wired_s = now_s + (0.1 if self._wire() else 0.0)

    def _wire(self) -> bool:
        """Listen to whoever plays; whether anybody does."""
        outs = self.wires.ports(_OUTS, OUTPUT)[:2]
        for source, sink in zip(outs, self._inputs, strict=False):
            self.wires.connect(source, sink)
        return len(outs) == 2


def jack_device(channels: str) -> int:
    """PortAudio's number of the JACK server's own device.

    Args:
        channels: ``max_input_channels`` or ``max_output_channels``: what it must have.
    """
    import sounddevice

    hosts: Any = sounddevice.query_hostapis()
    for index, device in enumerate(sounddevice.query_devices()):
        if "JACK" in hosts[device["hostapi"]]["name"] and device["name"] == "system" and device[channels] >= 2:
            return index
    raise RuntimeError("PortAudio sees no JACK server")


def longest_silence(sound: Audio) -> int:
    """Samples of the longest run in [2, N] in which both channels are silent."""
    loud = np.flatnonzero(np.abs(sound).max(axis=0, initial=0.0) > SILENT)
    edges = np.concatenate([[-1], loud, [sound.shape[1]]])
    return int(np.diff(edges).max()) - 1


def find(needle: Audio, hay: Audio) -> int | None:
    """Where [2, M] begins in [2, N], bit for bit; None if it is not there."""
    room = hay.shape[1] - needle.shape[1]
    if room < 0:
        return None
    where = np.arange(room + 1)
    step = max(1, needle.shape[1] // 64)
    for at in range(0, needle.shape[1], step):
        where = where[(hay[:, where + at] == needle[:, at : at + 1]).all(axis=0)]
        if not len(where):
            return None
    for at in where:
        if np.array_equal(hay[:, at : at + needle.shape[1]], needle):
            return int(at)
    return None
