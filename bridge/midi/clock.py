"""MIDI clock in and out, without I/O: time-stamped bytes to a line of musical time, and such a line to bytes."""

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.pulse import Pulse
from engine.music.units import TEMPO_BPM, TICKS_PER_BEAT

__all__ = ["CLOCKS_PER_BEAT", "LOST_S", "ClockFollower", "ClockSender", "ClockState"]

CLOCKS_PER_BEAT: Final = 24
LOST_S: Final = 0.5
"""Silence after which the clock counts as lost; the tempo is held until it is back."""

_POSITION, _CLOCK, _START, _CONTINUE, _STOP = 0xF2, 0xF8, 0xFA, 0xFB, 0xFC
_TICKS: Final = TICKS_PER_BEAT // CLOCKS_PER_BEAT
_CLOCKS_PER_STEP: Final = 6  # song position counts sixteenths
_WINDOW: Final = 36  # clocks a line is drawn through: one and a half beats
_PRIOR: Final = 6.0  # clocks that a known tempo weighs against what a few new ones say
_ODD_S: Final = 0.009  # a clock this far off the line is an outlier, not jitter
_MISSED: Final = 1.5  # intervals between two clocks that mean one is missing
_TURN: Final = 3  # that many odd clocks on the same side are a new tempo
_JITTER_S: Final = 0.005
_JITTER_SHARE: Final = 0.35  # of an interval: the most that is attributed to jitter
_LONGEST_S, _SHORTEST_S = (60.0 / CLOCKS_PER_BEAT / bpm for bpm in TEMPO_BPM)


@dataclass(frozen=True, slots=True)
class ClockState:
    """State of the clock: playing, receiving clocks within `LOST_S`, number of losses, tempo."""

    playing: bool
    receiving: bool
    losses: int
    tempo_bpm: float


class ClockFollower:
    """Follows a MIDI clock: filters jitter, follows tempo changes, bridges drop-outs.

    A straight line is fitted to the last clocks; a few outliers are left out, several on one side start a new line.
    The number of missing clocks is estimated from the time that has passed, so beats keep their place.

    Args:
        latency_s: how long a message takes to arrive; subtracted from every time.
    Source:
        Least squares. The end of a line through n points with jitter s has the deviation 2 s / sqrt(n).
    """

    def __init__(self, *, latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        self._seen: deque[tuple[int, float]] = deque(maxlen=_WINDOW)  # (clock, seconds)
        self._odd: list[tuple[int, float]] = []
        self._skipped: list[int] = []  # clocks taken for missing in the latest gaps, one after the other
        self._before: tuple[float, float, float] | None = None  # the line before a loss, see `_centre`
        self._heard_s = -math.inf  # when the last clock came
        self._last = -1  # number of the clock before the one in hand
        self._interval: float | None = None  # seconds a clock, as far as known
        self._index = -1  # of the last clock; its tick is 20 times that
        self._next = 0  # index of the clock that comes after start or continue
        self._armed = False
        self._playing = False
        self._losses = 0
        self._pulse: Pulse | None = None
        self._jumped = False

    def state(self, now_s: float) -> ClockState:
        """The state at `now_s`."""
        receiving = self.silence_s(now_s) <= LOST_S
        tempo = 120.0 if self._interval is None else _bpm(self._interval)
        return ClockState(self._playing, receiving, self._losses, tempo)

    def silence_s(self, now_s: float) -> float:
        """Seconds since the last clock; infinite before the first."""
        return now_s - self._latency_s - self._heard_s

    def pulse(self) -> Pulse | None:
        """Musical time from the clocks so far; None while stopped or before the first clock."""
        return self._pulse if self._playing else None

    def jumped(self) -> bool:
        """Whether the position has been set since the last call: plans are void."""
        jumped, self._jumped = self._jumped, False
        return jumped

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """Take a message that arrived at `at_s` (perf_counter seconds).

        Returns:
            Whether it was a clock or transport message. Other and incomplete messages change nothing.
        """
        if not message:
            return False
        status, at_s = message[0], at_s - self._latency_s
        if status == _CLOCK:
            self._clock(at_s)
        elif status == _START:
            self._roll(0)
        elif status == _CONTINUE:
            self._roll(self._next if not self._playing else self._index + 1)
        elif status == _STOP:
            if self._playing:
                self._next = self._index + 1
            self._playing = self._armed = False
        elif status == _POSITION and len(message) >= 3 and max(message[1:3]) < 128 and min(message[1:3]) >= 0:
            self._next = (message[1] + 128 * message[2]) * _CLOCKS_PER_STEP
            if self._playing:
                self._roll(self._next)
        else:
            return False
        return True

    def _roll(self, index: int) -> None:
        """The next clock is number `index`."""
        self._next, self._armed, self._jumped = index, True, True
        self._playing, self._pulse = False, None

    def _clock(self, at_s: float) -> None:
        if self._armed:
            self._armed, self._playing = False, True
            self._begin(at_s)
        elif not self._seen:
            self._index += 1
            self._take(self._index, at_s)
        else:
            gap = at_s - self._heard_s
            self._index = self._number(at_s, gap)
            if gap > LOST_S:
                self._losses += 1
                self._resume(at_s)
            else:
                self._judge(at_s, gap)
        self._heard_s = at_s

    def _resume(self, at_s: float) -> None:
        """Back after a loss: number clocks as if the tempo had been constant, until the new tempo is known."""
        if len(self._seen) >= _WINDOW // 2:
            self._before = _centre(self._seen)
        self._seen.clear()
        self._odd, self._skipped = [], []
        self._take(self._index, at_s)

    def _count_again(self) -> None:
        """Estimate how many clocks were lost, now that both tempos are known: one changed linearly into the other."""
        if self._before is None or len(self._seen) < _WINDOW * 2 // 3:
            return
        (index0, time0, rate0), (index1, time1, rate1) = self._before, _centre(self._seen)
        self._before = None
        shift = round(0.5 * (rate0 + rate1) * (time1 - time0) - (index1 - index0))
        if shift and abs(rate1 / rate0 - 1.0) < 0.25:
            self._index += shift
            self._last += shift
            self._seen = deque(((i + shift, s) for i, s in self._seen), maxlen=_WINDOW)
            self._draw()

    def _begin(self, at_s: float) -> None:
        """The first clock after start or continue; if clocks were running before, their line is kept and renumbered."""
        shift = self._next - self._number(at_s, at_s - self._heard_s) if self._seen else 0
        keep = self._seen and at_s - self._heard_s < LOST_S
        self._seen = deque(((i + shift, s) for i, s in self._seen) if keep else (), maxlen=_WINDOW)
        self._odd, self._index, self._skipped, self._before = [], self._next, [], None
        self._take(self._index, at_s)

    def _number(self, at_s: float, gap: float) -> int:
        """The number of this clock: the next, unless by the line some are missing or the last was late."""
        following = self._index + 1
        line, interval = self._pulse, self._interval
        if line is None or interval is None:
            return following
        near = round(line.tick_at(at_s) / _TICKS)
        away = abs(at_s - line.time_of(near * _TICKS))
        fits = away <= min(_JITTER_S, _JITTER_SHARE * interval)
        if gap > LOST_S:
            return max(following, near)
        if gap > _MISSED * interval and near > following and fits:
            return near
        if self._skipped and near == self._index and fits and gap < 1.0 / _MISSED * interval:
            return self._index
        return following

    def _judge(self, at_s: float, gap: float) -> None:
        """Add a clock to the line or to the outliers; enough outliers start a new line."""
        skipped = self._index - self._last - 1
        self._skipped = [*self._skipped, skipped][-_TURN:] if skipped > 0 and gap <= LOST_S else []
        if len(self._skipped) == _TURN:  # clocks are not lost every other time: the tempo is slower
            self._index -= sum(self._skipped)
            self._interval, self._skipped, self._odd = gap, [], []
            self._seen.clear()
            self._take(self._index, at_s)
            return
        if self._pulse is None or abs(at_s - self._pulse.time_of(self._index * _TICKS)) <= _ODD_S:
            self._odd = []
            if skipped >= 0:
                self._take(self._index, at_s)
                self._count_again()
            return
        self._last = self._index
        self._odd.append((self._index, at_s))
        if len(self._odd) >= _TURN:
            self._take_outliers()

    def _take_outliers(self) -> None:
        """Several outliers: the same tempo with wrong numbers, or another tempo."""
        (first, first_s), (last, last_s) = self._odd[0], self._odd[-1]
        interval = (last_s - first_s) / max(1, last - first)
        if self._pulse is not None and self._interval is not None and len(self._seen) > _WINDOW // 2:
            off = [(s - self._pulse.time_of(i * _TICKS)) / self._interval for i, s in self._odd]
            whole = round(sum(off) / len(off))
            if whole != 0 and max(abs(o - whole) for o in off) * self._interval <= _JITTER_S:
                self._index += whole
                for index, at_s in self._odd:
                    self._take(index + whole, at_s)
                self._odd = []
                return
        self._interval = min(max(interval, _SHORTEST_S), _LONGEST_S)
        self._seen = deque(self._odd, maxlen=_WINDOW)
        self._odd = []
        self._draw()

    def _take(self, index: int, at_s: float) -> None:
        self._seen.append((index, at_s))
        self._last = index
        self._draw()

    def _draw(self) -> None:
        """Fit the line through the clocks; with few clocks a known tempo counts as well."""
        index = np.array([i for i, _ in self._seen], np.float64)
        seconds = np.array([s for _, s in self._seen], np.float64)
        count = len(index)
        if count < 2 and self._interval is None:
            self._pulse = Pulse(float(seconds[-1]), float(index[-1]) * _TICKS, 120.0)
            return
        middle, level = index.mean(), seconds.mean()
        spread = float(((index - middle) ** 2).sum())
        slope_weight = 0.0 if self._interval is None else _PRIOR**3 / 12.0
        if count >= _WINDOW // 2:
            slope_weight = 0.0
        known = 0.0 if self._interval is None else self._interval
        slope = (float(((index - middle) * (seconds - level)).sum()) + slope_weight * known) / (spread + slope_weight)
        slope = min(max(slope, _SHORTEST_S), _LONGEST_S)
        self._interval = slope
        last = float(index[-1])
        self._pulse = Pulse(float(level + slope * (last - middle)), last * _TICKS, _bpm(slope))


class ClockSender:
    """The messages of an outgoing clock, and when they are due."""

    def __init__(self) -> None:
        self._next: int | None = None

    def roll(self, tick: float) -> list[bytes]:
        """Start at a tick: start at 0, otherwise position and continue; the first clock is the next one due."""
        step = max(0, math.ceil(tick / (_TICKS * _CLOCKS_PER_STEP) - 1e-6))
        self._next = step * _CLOCKS_PER_STEP
        if step == 0:
            return [bytes((_START,))]
        step %= 1 << 14
        return [bytes((_POSITION, step & 127, step >> 7)), bytes((_CONTINUE,))]

    def stop(self) -> list[bytes]:
        """Stop, if the clock runs."""
        rolling, self._next = self._next is not None, None
        return [bytes((_STOP,))] if rolling else []

    def next_s(self, pulse: Pulse | None) -> float:
        """When the next clock is due, perf_counter seconds; infinite for never."""
        return math.inf if self._next is None or pulse is None else pulse.time_of(self._next * _TICKS)

    def due(self, now_s: float, pulse: Pulse | None) -> list[tuple[float, bytes]]:
        """(time it was due, message) of all clocks due by now; after a long pause the position instead of a burst."""
        sent: list[tuple[float, bytes]] = []
        if self._next is None or pulse is None:
            return sent
        behind = (pulse.tick_at(now_s) - self._next * _TICKS) / _TICKS
        if behind > CLOCKS_PER_BEAT:
            return [(now_s, message) for message in [*self.stop(), *self.roll(pulse.tick_at(now_s))]]
        while (due_s := self.next_s(pulse)) <= now_s:
            sent.append((due_s, bytes((_CLOCK,))))
            self._next += 1
        return sent


def _centre(seen: Collection[tuple[int, float]]) -> tuple[float, float, float]:
    """(mean clock, mean time, clocks a second) of a stretch of clocks."""
    rows = np.array(seen, np.float64)
    index, seconds = rows.mean(axis=0)
    away = rows - (index, seconds)
    return float(index), float(seconds), float((away[:, 0] ** 2).sum() / max((away[:, 0] * away[:, 1]).sum(), 1e-9))


def _bpm(interval_s: float) -> float:
    return 60.0 / (interval_s * CLOCKS_PER_BEAT)
