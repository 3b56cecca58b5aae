"""The recording of a running stream into a ring, and what its driver reports. In the device's process."""

from typing import Any

from bridge.audio.rings import CaptureRing

__all__ = ["DriverStats", "Recording"]


class Recording:
    """What the device gives, put into a ring for the parent. In the card's process; threads: one.

    Source:
        rtmixer 0.1.7: the recording of a ring that is found full ends, after what still fitted, and says nothing.

    Args:
        stream: a running rtmixer stream with an input.
        channels: the device's channels for the ring's.
        ring: whose width is the number of `channels`.
    """

    def __init__(self, stream: Any, channels: tuple[int, ...], ring: CaptureRing) -> None:
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
        """When `first` came in, in the stream's time; None if it has not yet."""
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
