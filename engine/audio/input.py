"""The last seconds of the live input, at absolute positions of the session's clock.

Position s holds the sound that came in while the session's sample s was audible, so what a player plays on the beat is
stored on the beat. The caller of `write` has compensated the latencies that the host reports.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np

from engine.audio.circular import CircularBuffer, Positions
from engine.audio.level import glide, peak_db, peak_of
from engine.controls import Live, Value, get_value, with_value
from engine.errors import ControlError, ShapeError
from engine.music.audio import Audio
from engine.music.units import db_to_amplitude

__all__ = ["INPUT", "INPUT_HISTORY_S", "MONITOR_OFF_DB", "InputControls", "InputHistory"]

INPUT: Final = "input"
"""First part of the addresses of the input's controls."""

INPUT_HISTORY_S: Final = 30.0
"""Seconds that are kept by default."""

MONITOR_OFF_DB: Final = -60.0
"""The monitor's lowest level means that the input is not mixed into the output."""

_LEAST_S: Final = 5.0
_MOST_S: Final = 120.0
_MARGIN_S: Final = 1.0  # how long a copy may take until what it copies is written over
_RAMP_S: Final = 0.01  # a change of gain, spread over so long, is not heard as a click
_SETTLED: Final = 1e-4
_END: Final = 0
_WAITING: Final = 64  # changes of controls that wait for their sample; more than this and the oldest is passed over


@dataclass(frozen=True, kw_only=True, slots=True)
class InputControls:
    """The live input."""

    gain: Annotated[float, Live(-60.0, 24.0, "level of the live input", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "1: ignore the live input")] = False
    monitor: Annotated[
        float,
        Live(
            MONITOR_OFF_DB,
            0.0,
            "level of the input in the output mix; -60: off. Feedback risk with open speakers",
            "dB",
        ),
    ] = MONITOR_OFF_DB


class InputHistory:
    """The last seconds of the live input, [2, N] at the session's rate, and zeros where nothing came in.

    Threads: `write` by one thread, an input port's; `turn` by the session's housekeeping; everything else by any, the
    audio pump included. Nothing waits, see `engine.audio.circular`; a reader who copies what is about to be forgotten
    has a second to do so.

    Args:
        sample_rate: Hz, the session's.
        seconds: how much is kept, 5..120.
        controls: at first.
    Raises:
        ControlError: `seconds` out of range.
    """

    def __init__(
        self, sample_rate: int, seconds: float = INPUT_HISTORY_S, controls: InputControls | None = None
    ) -> None:
        if not _LEAST_S <= seconds <= _MOST_S:
            raise ControlError(f"the live input is kept for {_LEAST_S:g}..{_MOST_S:g} s, got {seconds:g}")
        self.sample_rate = sample_rate
        self.span = round(seconds * sample_rate)
        """Samples that are kept."""
        self.expected = False
        """Whether there is an input, though nothing may have come from it yet."""
        self.received = 0
        """Samples received so far, gaps not counted."""
        self.gaps = 0
        """Times at which something is missing between two writes; `missed` is how many samples in all."""
        self.missed = 0
        self.mended = 0
        """Samples that were no number, and are 0."""
        self.clipped = 0
        """Writes that reached beyond full scale and were cut off there."""
        self.peak = 0.0
        """Greatest amplitude since somebody set it to 0."""
        self._positions = Positions.local(1)
        self._sound = CircularBuffer.zeros(self.span + round(_MARGIN_S * sample_rate))
        self._ramp = max(1, round(_RAMP_S * sample_rate))
        self._asked = self._held = controls or InputControls()
        self._waiting: deque[tuple[int, InputControls]] = deque(maxlen=_WAITING)
        self._gain = _gain_of(self._held)

    @property
    def end(self) -> int:
        """The position after the latest sample of the input."""
        return self._positions.read(_END)

    @property
    def controls(self) -> InputControls:
        """The controls as they were last turned."""
        return self._asked

    @property
    def level(self) -> float:
        """Peak of the input since `peak` was set to 0, in dB below full scale."""
        return peak_db(self.peak)

    def turn(self, path: tuple[str, ...], value: Value, sample: int) -> Value:
        """Give a control a value, which holds from the session's `sample` on; the monitor's level holds at once.

        Returns:
            The value as it was taken.
        Raises:
            ControlError: there is no such control, or it does not take this value.
        """
        self._asked = with_value(self._asked, path, value)
        self._waiting.append((sample, self._asked))
        return get_value(self._asked, path)

    def write(self, audio: Audio, sample: int) -> None:
        """Take the input from the session's sample `sample` on.

        Writes may leave gaps, which are zeros, and may come again for the same samples: the later one holds. What is
        older than all that is kept, or before sample 0, is dropped.

        Args:
            audio: [2, N], or [1, N] for both channels; samples that are no number become 0.
        Raises:
            ShapeError: it is neither.
        """
        if audio.ndim != 2 or audio.shape[0] not in (1, 2):
            raise ShapeError(f"live input is [2, N] or [1, N], got {audio.shape}")
        end = self._positions.peek(_END)
        begin = max(sample, end - self.span, 0)
        last = sample + audio.shape[1]
        begin = max(begin, last - self.span)
        if begin >= last:
            return
        self._settle(sample)
        audio = self._finite(audio[:, begin - sample :])
        if begin > end:
            self._forget(end, begin)
        self._place(begin, audio)
        if last > end:
            self.received += last - max(begin, end)
            self._positions.publish(_END, last)

    def last(self, samples: int, until: int | None = None) -> Audio:
        """A copy of the input before a position.

        Args:
            samples: how many, at least 0; more than are kept give zeros in front.
            until: the position after the last of them; None: `end`. What lies ahead of `end` is zeros.
        Returns:
            [2, samples], zero where nothing was received or it is no longer kept.
        Raises:
            ShapeError: `samples` is negative.
        """
        if samples < 0:
            raise ShapeError(f"samples are counted from 0, got {samples}")
        end = self.end
        until = end if until is None else until
        out = np.zeros((2, samples), np.float32)
        begin, stop = max(until - samples, end - self.span, 0), min(until, end)
        if begin < stop:
            at, count = begin - (until - samples), stop - begin
            self._sound.get(begin, count, out[:, at : at + count])
        return out

    def _settle(self, sample: int) -> None:
        """Take the controls that hold by `sample`."""
        while self._waiting and self._waiting[0][0] <= sample:
            self._held = self._waiting.popleft()[1]

    def _finite(self, audio: Audio) -> Audio:
        """The same sound, or a copy without what is no number."""
        if math.isfinite(_peak_of(audio)):
            return audio
        self.mended += int(np.count_nonzero(~np.isfinite(audio)))
        clean: Audio = np.nan_to_num(audio, nan=0.0, posinf=0.0, neginf=0.0)
        return clean

    def _forget(self, end: int, begin: int) -> None:
        """Zeros from `end`, the present one, to `begin`."""
        if not self.received:
            return  # nothing but zeros yet
        self.gaps += 1
        self.missed += begin - end
        self._sound.clear(end, begin - end)

    def _place(self, first: int, audio: Audio) -> None:
        """Write finite [1 or 2, N], N up to the span, at a position, at the present gain and within -1..1."""
        wanted, samples = _gain_of(self._held), audio.shape[1]
        before = self._gain
        if before != wanted:
            away = (wanted - before) * min(1.0, samples / self._ramp)
            self._gain = wanted if abs(wanted - before - away) < _SETTLED else before + away
            audio = glide(audio, before, self._gain, samples)
        gain = np.float32(self._gain if before == wanted else 1.0)
        peak = float(gain) * _peak_of(audio)
        head, tail = self._sound.parts(first, samples)
        seam = samples - tail.stop
        for to, part in ((head, audio[:, :seam]), (tail, audio[:, seam:])):
            kept = self._sound.data[:, to]
            kept[:] = part
            if gain != 1.0:
                kept *= gain
            if peak > 1.0:
                np.clip(kept, -1.0, 1.0, out=kept)
        self.clipped += peak > 1.0
        self.peak = max(self.peak, min(peak, 1.0))


def _peak_of(audio: Audio) -> float:
    """As `peak_of`, infinite if it is not finite; row by row, for which numpy needs no buffer of its own."""
    peaks = [peak_of(row) for row in audio]
    return max(peaks) if all(map(math.isfinite, peaks)) else math.inf


def _gain_of(controls: InputControls) -> float:
    return 0.0 if controls.mute else db_to_amplitude(controls.gain)
