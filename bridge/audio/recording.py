"""Sound on its way from a device to us: a ring in shared memory that the C callback records straight into.

The callback knows nothing of the process's border, so two counters are carried across it: how much has come, and how
much has been taken. A third number places what comes.
"""

import multiprocessing
import threading
from typing import Any, Final

import numpy as np

from bridge.audio.pump import Interleaved

__all__ = ["CAPACITY", "DriverStats", "HeardRing", "Recording"]

CAPACITY: Final = 1 << 16
"""Frames of the ring, a power of two as PortAudio's ring buffer wants: 0.68 s at 96 kHz."""

_NOWHERE: Final = -(1 << 62)
_BARRIER: Final = threading.Lock()

# Cells of the ring's header, 64-bit; each has one writer: the card above the line, the parent below.
_CAPTURED, _PLACE, _OVERRUNS, _FLAGS = 0, 1, 2, 3
_TAKEN = 4


class HeardRing:
    """Sound between the card's process and its parent: one writer, one reader, no locks.

    Threads:
        width                                  the parent, before it reads
        captured, place, overran, flagged      the card's
        read, placed, overruns, device_flags   the parent's
        taken, sound                           both
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.width = 2
        self._cells = context.RawArray("q", 8)
        self._sound = context.RawArray("f", 2 * CAPACITY)
        self._cells[_PLACE] = _NOWHERE

    @property
    def sound(self) -> Interleaved:
        """[CAPACITY, width], the shared memory itself."""
        flat: Interleaved = np.frombuffer(self._sound, np.float32)
        return flat[: CAPACITY * self.width].reshape(CAPACITY, self.width)

    @property
    def taken(self) -> int:
        """Frames that the parent has copied, since the beginning."""
        return int(self._cells[_TAKEN])

    # the card's

    def captured(self, frames: int) -> None:
        """So many frames have come since the beginning."""
        # Sound before its counter, also on processors that reorder stores; see `CardRing.write`.
        for _ in range(2):
            with _BARRIER:
                pass
        self._cells[_CAPTURED] = frames

    def place(self, place: int) -> None:
        """Where or when frame 0 was heard; what the number means is between the card and its parent."""
        self._cells[_PLACE] = place

    def overran(self) -> None:
        """The ring was full: frames are lost."""
        self._cells[_OVERRUNS] += 1

    def flagged(self, callbacks: int) -> None:
        """The driver reported a gap of its own in so many callbacks."""
        self._cells[_FLAGS] += callbacks

    # the parent's

    @property
    def placed(self) -> int | None:
        """What `place` was told; None as long as it was not."""
        place = int(self._cells[_PLACE])
        return None if place == _NOWHERE else place

    @property
    def overruns(self) -> int:
        """Times it was found full."""
        return int(self._cells[_OVERRUNS])

    @property
    def device_flags(self) -> int:
        """Callbacks in which the driver reported a gap of its own."""
        return int(self._cells[_FLAGS])

    def read(self, most: int) -> Interleaved:
        """A copy [N, width] of what has come and was not taken, N at most `most`; it counts as taken."""
        taken = self.taken
        frames = min(int(self._cells[_CAPTURED]) - taken, most)
        at = taken % CAPACITY
        head = min(frames, CAPACITY - at)
        sound, out = self.sound, np.empty((frames, self.width), np.float32)
        out[:head] = sound[at : at + head]
        out[head:] = sound[: frames - head]
        self._cells[_TAKEN] = taken + frames
        return out


class Recording:
    """What the device gives, put into a ring for the parent. In the card's process; threads: one.

    Source:
        rtmixer 0.1.7: the recording of a ring that is found full ends, after what still fitted, and says nothing.

    Args:
        stream: a running rtmixer stream with an input.
        channels: the device's channels for the ring's.
        ring: whose width is the number of `channels`.
    """

    def __init__(self, stream: Any, channels: tuple[int, ...], ring: HeardRing) -> None:
        import rtmixer

        self._stream, self._channels, self._ring = stream, channels, ring
        self._queue = rtmixer.RingBuffer(4 * len(channels), buffer=ring.sound)
        self._action: Any = None
        self._taken = 0
        self.first = 0
        """The frame with which the present recording began."""

    @property
    def running(self) -> bool:
        """Whether the device's sound is being kept."""
        return self._action is not None

    @property
    def begun_s(self) -> float | None:
        """When `first` was heard, in the stream's time; None if it has not been yet."""
        if self._action is None or self._action.done_frames == 0:
            return None
        return float(self._action.actual_time)

    @property
    def frames(self) -> int:
        """Frames that have come since the beginning."""
        return self._taken + int(self._queue.read_available)

    def begin(self) -> bool:
        """Record from the next callback on; False as long as the parent has not taken what there is."""
        self._give_back()
        if self._action is None and not self._queue.read_available:
            self.first = self._taken
            self._action = self._stream.record_ringbuffer(self._queue, channels=self._channels)
        return self._action is not None

    def turn(self) -> None:
        """Tell each side of the other."""
        self._give_back()
        if self._action is not None and self._action not in self._stream.actions:
            self._action = None
            self._ring.overran()
        self._ring.captured(self.frames)

    def _give_back(self) -> None:
        taken = self._ring.taken
        if taken > self._taken:
            self._queue.advance_read_index(taken - self._taken)
            self._taken = taken


class DriverStats:
    """What the driver itself reports of a running stream, asked for now and then. In the card's process."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._asked: Any = None

    def look(self) -> Any:
        """The counts since the last answer, if there is a new one; else None. Asks for the next."""
        if self._asked is None:
            self._asked = self._stream.fetch_and_reset_stats()
        elif self._asked not in self._stream.actions:
            counts, self._asked = self._asked.stats, None
            return counts
        return None
