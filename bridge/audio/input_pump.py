"""From a device's ring to a listener: the right way round, at the session's rate, at the session's samples.

What one turn does is plain code over a ring and a clock, so it runs in tests without threads and without waiting.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from bridge.audio.child import InputOpened
from bridge.audio.input import InputStats
from bridge.audio.input_thread import InputThread
from bridge.audio.rings import CaptureRing, Interleaved
from engine.audio.resample import Resampler
from engine.music.audio import Audio

__all__ = ["DeviceCapture", "InputPump", "RingCapture"]

_TURN_S: Final = 0.005
_MOST: Final = 4096  # frames taken at a time
_JUMP_S: Final = 0.02  # estimates further from where the sound is put than this are followed at once
_DRIFT_S: Final = 0.001  # nearer ones by stretching, once they are as far as this
_SETTLED_S: Final = 0.0001  # until they are as near as this
_STRETCHABLE: Final = 64  # samples among which one more or less is not heard


class DeviceCapture(Protocol):
    """What a device records, as we see it. Called from one thread; nothing here waits."""

    @property
    def rate(self) -> int:
        """Hz."""
        ...

    @property
    def width(self) -> int:
        """Channels of what is read: 2, or 1 for mono."""
        ...

    @property
    def exact(self) -> bool:
        """Whether positions are exact, or estimates that waver."""
        ...

    @property
    def overruns(self) -> int:
        """Times the ring was found full."""
        ...

    @property
    def device_flags(self) -> int:
        """Callbacks in which the driver reported a gap."""
        ...

    def read(self, most: int) -> Interleaved:
        """The next frames [N, width], N at most `most`."""
        ...

    def position(self, frame: int) -> float | None:
        """The session's sample that sounded when this frame came in, frames counted from 0; None: none did."""
        ...


class RingCapture:
    """A ring that a device's process records into; arguments as the properties of `DeviceCapture`."""

    def __init__(
        self, ring: CaptureRing, opened: InputOpened, position: Callable[[int], float | None], *, exact: bool
    ) -> None:
        self.rate, self.width, self.position, self.exact = opened.sample_rate, opened.width, position, exact
        ring.width = opened.width
        self._ring, self.read = ring, ring.read

    @property
    def overruns(self) -> int:
        """Times the ring was found full."""
        return self._ring.overruns

    @property
    def device_flags(self) -> int:
        """Callbacks in which the driver reported a gap."""
        return self._ring.device_flags


class InputPump(InputThread):
    """Takes what a device records to a listener.

    Two clocks never agree for long. Where positions are estimates, what comes in is stretched by single samples to stay
    where it belongs, which nobody notices; only a leap is followed by a leap, which is counted.

    Threads:
        start, stop             the owner's
        begin, turn             its own, or a test's
        attach, detach          the one that minds the device
        stats, notices, poll    any

    Args:
        sample_rate: Hz of the session.
        opened: the input in the stream of an output, which minds the device; its name, rate and latency.
    """

    def __init__(self, sample_rate: int, opened: InputOpened | None = None) -> None:
        super().__init__("audio-input-pump", _TURN_S)
        self.name, self.latency_s = ("", 0.0) if opened is None else (opened.name, opened.latency_s)
        self.sample_rate = sample_rate
        self._rate = sample_rate
        self._capture: DeviceCapture | None = None
        self._changes: deque[DeviceCapture | None] = deque()
        self._resampler = Resampler(sample_rate, sample_rate, 2)
        self._frame = 0  # of the capture, the next
        self._at: float | None = None  # where that is put
        self._pulling = False
        self._losses = 0
        self._before = (0, 0)  # overruns and flags of the captures before

    def attach(self, capture: DeviceCapture) -> None:
        """From the next turn on, listen to this."""
        self._changes.append(capture)

    def detach(self) -> None:
        """What was listened to has gone."""
        self._losses += 1
        self._changes.append(None)

    @property
    def stats(self) -> InputStats:
        """What was counted so far."""
        capture, (overruns, flags) = self._capture, self._before
        if capture is not None:
            overruns, flags = overruns + capture.overruns, flags + capture.device_flags
        return InputStats(
            samples=self._samples,
            overruns=overruns,
            device_flags=flags,
            losses=self._losses,
            jumps=self._jumps,
            faults=self.notices.faults,
        )

    # work

    def turn(self) -> None:
        """Hand on what has come."""
        while self._changes:
            self._change(self._changes.popleft())
        capture = self._capture
        if capture is None or self._listener is None:
            return
        while len(frames := capture.read(_MOST)):
            first, self._frame = self._frame, self._frame + len(frames)
            position = capture.position(first)
            if position is not None:
                self._hand_on(capture, frames, position)
            else:
                self._at = None

    def _change(self, capture: DeviceCapture | None) -> None:
        old, self._capture = self._capture, capture
        if old is not None:
            self._before = self._before[0] + old.overruns, self._before[1] + old.device_flags
        self._frame, self._at, self._pulling = 0, None, False

    def _hand_on(self, capture: DeviceCapture, frames: Interleaved, position: float) -> None:
        """Bring frames to the session's rate, and put them where they belong."""
        away = 0.0 if self._at is None else position - self._at
        if self._at is None or abs(away) > (0.5 if capture.exact else _JUMP_S * self._rate):
            self._jumps += self._at is not None
            self._resampler = Resampler(capture.rate, self._rate, capture.width)
            self._at, self._next, self._pulling, away = position, round(position), False, 0.0
        self._at += len(frames) * self._rate / capture.rate
        audio = self._resampler.process(frames.T)
        if not capture.exact:
            longer = self._pull(away)
            if longer and audio.shape[1] >= _STRETCHABLE:
                audio = _stretched(audio, audio.shape[1] + longer)
                self._at += longer
        if audio.shape[1]:
            self._give(audio)

    def _pull(self, away: float) -> int:
        """Samples to add: one more, one less or none, so that estimates are followed without wavering with them."""
        off_s = abs(away) / self._rate
        self._pulling = off_s > (_SETTLED_S if self._pulling else _DRIFT_S)
        return (1 if away > 0.0 else -1) if self._pulling else 0


def _stretched(audio: Audio, samples: int) -> Audio:
    """[C, N] as [C, samples], by lines between neighbours; its first and last sample stay."""
    at = np.linspace(0.0, audio.shape[1] - 1, samples)
    return np.stack([np.interp(at, np.arange(audio.shape[1]), row) for row in audio]).astype(np.float32)
