"""The two rings between a sound device's process and its parent: frames to be played, frames that were recorded.

A C callback plays straight from the one and records straight into the other, so a ring is what PortAudio's ring buffer
wants: frames interleaved, a power of two of them. The callback knows only its own process; what crosses the border are
the positions beside the frames. Their order is said in `engine.audio.circular`; PortAudio's own indices have the same
fences (pa_memorybarrier.h).
"""

import multiprocessing
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bridge.audio.port import PortError
from engine.audio.circular import CircularBuffer, Positions

__all__ = ["CAPACITY", "CaptureRing", "Interleaved", "PlaybackRing"]

Interleaved = npt.NDArray[np.float32]
"""[N, C], C-contiguous: what sound cards want."""

CAPACITY: Final = 1 << 16
"""Frames of a ring, a power of two: 0.68 s at 96 kHz."""

_NOWHERE: Final = -(1 << 62)


class _SharedRing:
    """Memory for frames and positions, passed to a child process as an argument.

    Threads: `width` is set by each side before it touches a frame.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._memory = context.RawArray("q", 8), context.RawArray("f", 2 * CAPACITY)
        self.cells = Positions(memoryview(self._memory[0]))
        self.width = 2

    def __getstate__(self) -> Any:
        return self._memory, self.width

    def __setstate__(self, state: Any) -> None:
        self._memory, width = state
        self.cells = Positions(memoryview(self._memory[0]))
        self.width = width

    @property
    def width(self) -> int:
        """Channels of a frame, 1 or 2."""
        return int(self.sound.shape[1])

    @width.setter
    def width(self, width: int) -> None:
        flat: Interleaved = np.frombuffer(self._memory[1], np.float32)
        self.sound: Interleaved = flat[: CAPACITY * width].reshape(CAPACITY, width)
        """[CAPACITY, width], the shared memory itself."""
        self._frames = CircularBuffer(self.sound.T)


class PlaybackRing(_SharedRing):
    """Frames from the pump to the process that plays them: one writer, one reader.

    Threads:
        prefill, write, close, fill                                   the pump's
        written, prefilled, closed, played, ran_empty, flagged        the device's process
        underruns, device_flags                                       any
    """

    # Each cell has one writer: the pump for the first three, the device's process for the others.
    _WRITTEN, _PREFILL, _CLOSED = 0, 1, 2
    _PLAYED, _UNDERRUNS, _FLAGS = 3, 4, 5

    @property
    def underruns(self) -> int:
        """Times the device found it empty."""
        return self.cells.peek(self._UNDERRUNS)

    @property
    def device_flags(self) -> int:
        """Callbacks in which the driver reported a gap of its own."""
        return self.cells.peek(self._FLAGS)

    # the pump's

    def fill(self) -> int:
        """Frames written and not yet played, as of the device's last turn."""
        return self.cells.peek(self._WRITTEN) - self.cells.read(self._PLAYED)

    def prefill(self, frames: int) -> None:
        """Sound begins, at first and after running empty, when this much is ready."""
        self.cells.publish(self._PREFILL, frames)

    def write(self, frames: Interleaved) -> None:
        """Add [N, width].

        Raises:
            PortError: it does not fit: the lead is too long for the ring.
        """
        if self.fill() + len(frames) > CAPACITY:
            raise PortError(f"the playback ring takes {CAPACITY} frames, got more: choose a shorter lead")
        written = self.cells.peek(self._WRITTEN)
        self._frames.put(written, frames.T)
        self.cells.publish(self._WRITTEN, written + len(frames))

    def close(self) -> None:
        """No more will come."""
        self.cells.publish(self._CLOSED, 1)

    # the device's process

    @property
    def written(self) -> int:
        """Frames that may be played, since the beginning."""
        return self.cells.read(self._WRITTEN)

    @property
    def prefilled(self) -> int:
        """What `prefill` asked for; 0 as long as it did not."""
        return self.cells.peek(self._PREFILL)

    @property
    def closed(self) -> bool:
        """Whether no more will come."""
        return bool(self.cells.peek(self._CLOSED))

    def played(self, frames: int) -> None:
        """So many frames have been played since the beginning: their place is free."""
        self.cells.publish(self._PLAYED, frames)

    def ran_empty(self) -> None:
        """The device found nothing to play."""
        self.cells.count(self._UNDERRUNS)

    def flagged(self, callbacks: int) -> None:
        """The driver reported a gap of its own in so many callbacks."""
        self.cells.count(self._FLAGS, callbacks)


class CaptureRing(_SharedRing):
    """Frames from the process that records to its parent: one writer, one reader.

    Threads:
        captured, place, overran, flagged      the device's process
        read, placed, overruns, device_flags   the parent's
        taken                                  both
    """

    # Each cell has one writer: the device's process, the parent for the last.
    _CAPTURED, _PLACE, _OVERRUNS, _FLAGS = 0, 1, 2, 3
    _TAKEN = 4

    def __init__(self) -> None:
        super().__init__()
        self.cells.publish(self._PLACE, _NOWHERE)

    @property
    def taken(self) -> int:
        """Frames that the parent has copied, since the beginning: their place is free."""
        return self.cells.read(self._TAKEN)

    # the device's process

    def captured(self, frames: int) -> None:
        """So many frames have come since the beginning."""
        self.cells.publish(self._CAPTURED, frames)

    def place(self, place: int) -> None:
        """Where or when frame 0 came in; what the number means is between the device's process and its parent."""
        self.cells.publish(self._PLACE, place)

    def overran(self) -> None:
        """The ring was full: frames are lost."""
        self.cells.count(self._OVERRUNS)

    def flagged(self, callbacks: int) -> None:
        """The driver reported a gap of its own in so many callbacks."""
        self.cells.count(self._FLAGS, callbacks)

    # the parent's

    @property
    def placed(self) -> int | None:
        """The latest `place`; None as long as there was none."""
        place = self.cells.read(self._PLACE)
        return None if place == _NOWHERE else place

    @property
    def overruns(self) -> int:
        """Times it was found full."""
        return self.cells.peek(self._OVERRUNS)

    @property
    def device_flags(self) -> int:
        """Callbacks in which the driver reported a gap of its own."""
        return self.cells.peek(self._FLAGS)

    def read(self, most: int) -> Interleaved:
        """A copy [N, width] of what has come and was not taken, N at most `most`; it counts as taken."""
        taken = self.cells.peek(self._TAKEN)
        frames = min(self.cells.read(self._CAPTURED) - taken, most)
        out = np.empty((frames, self.width), np.float32)
        if frames:
            self._frames.get(taken, frames, out.T)
            self.cells.publish(self._TAKEN, taken + frames)
        return out
