"""Recording in the stream that plays: for each frame that comes in, the frame that sounded at that moment.

Both lie in one process and are moved by the same callbacks, so once their beginnings are placed against each other they
stay so, to the sample.
"""

from typing import Any, Final

from bridge.audio.recording import Recording
from bridge.audio.rings import CaptureRing

__all__ = ["Duplex"]

_PLAUSIBLE_S: Final = 2.0  # a host whose times are further from its own clock does not fill them in


class Duplex:
    """The recording beside the playing. In the card's process; threads: one.

    Args:
        stream: a running rtmixer stream with input and output.
        channels: the device's input channels for the ring's.
        ring: gets in its `place` the frame of the playing that sounded when frame 0 of the recording came in.
    """

    def __init__(self, stream: Any, channels: tuple[int, ...], ring: CaptureRing) -> None:
        self._stream, self._ring = stream, ring
        self._recording = Recording(stream, channels, ring)
        self._play: Any = None
        self._play_first = 0
        self._play_s: float | None = None  # when that was heard, in the stream's time
        self._begun_s = 0.0  # when the recording began
        self._known = False  # whether the present recording has a place
        self._due = False  # whether a place is to be found

    def before_playing(self) -> None:
        """Playing is about to begin: begin to record, if possible with the same callback, whose times agree."""
        self._resume()

    def playing(self, action: Any, first: int) -> None:
        """Playing begins, with frame `first`."""
        self._play, self._play_first, self._play_s = action, first, None
        self._due = True

    def turn(self) -> None:
        """Place what has come, and hand it on."""
        if self._play is None:
            return
        self._resume()
        if self._due:
            place = self._found()
            if place is not None:
                if self._known:
                    self._recording.turn()  # what came before belongs where it was
                self._ring.place(place)
                self._known, self._due = True, False
        if self._known:
            self._recording.turn()

    def _resume(self) -> None:
        if not self._recording.running and self._recording.begin():
            self._known, self._due = False, True

    def _found(self) -> int | None:
        """The frame of the playing at frame 0 of the recording; None until both have begun."""
        if self._play_s is None and self._play.done_frames > 0:
            self._play_s = self._sensible(float(self._play.actual_time), float(self._stream.latency[1]))
        begun_s = self._recording.begun_s
        if self._play_s is None or begun_s is None:
            return None
        if not self._known:
            self._begun_s = self._sensible(begun_s, -float(self._stream.latency[0]))
        apart = round((self._begun_s - self._play_s) * float(self._stream.samplerate))
        return self._play_first - self._recording.first + apart

    def _sensible(self, at_s: float, latency_s: float) -> float:
        """A time that the host gave for something that has just begun, or one that makes sense instead."""
        now_s = float(self._stream.time)
        return at_s if abs(at_s - now_s) < _PLAUSIBLE_S else now_s + latency_s
