"""MIDI clock in and out, without I/O: time-stamped bytes to a line of musical time, and such a line to bytes."""

import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.midi.clockfit import fit, steady, two_trains
from engine.music.pulse import Pulse
from engine.music.units import TEMPO_BPM, TICKS_PER_BEAT

__all__ = ["CLOCKS_PER_BEAT", "LOST_S", "ClockFollower", "ClockSender", "ClockState"]

CLOCKS_PER_BEAT: Final = 24
LOST_S: Final = 0.5
"""Silence after which the clock counts as lost; the tempo is held until it is back."""

_POSITION, _CLOCK, _START, _CONTINUE, _STOP = 0xF2, 0xF8, 0xFA, 0xFB, 0xFC
_TICKS: Final = TICKS_PER_BEAT // CLOCKS_PER_BEAT
_CLOCKS_PER_STEP: Final = 6  # song position counts sixteenths
_FEWEST, _MOST = 36, 240  # clocks that a line is fitted to: few where they are regular, many where they spread
_REGULAR_S, _SPREAD_S = 0.002, 0.022  # spreads at which the fewest and the most are taken
_LOST_CLOCKS: Final = 12  # so many intervals without a clock are a loss, if they are longer than `LOST_S`
_DRAW: Final = 6  # clocks for which a line that is sure is kept
_CHECK: Final = 96  # clocks between two looks for a second sender
_NO_START: Final = 48  # clocks without a start that are remarked on
_LONGEST_S, _SHORTEST_S = (60.0 / CLOCKS_PER_BEAT / bpm for bpm in TEMPO_BPM)


@dataclass(frozen=True, slots=True)
class ClockState:
    """State of the clock: playing, receiving clocks within `LOST_S`, number of losses, tempo."""

    playing: bool
    receiving: bool
    losses: int
    tempo_bpm: float


class ClockFollower:
    """Follows a MIDI clock through jitter, steps and bursts, through changes of tempo and through losses.

    Clocks are counted, and a line is fitted to the times of all that lie on one (see `bridge.midi.clockfit`). Only in
    a gap of more than `LOST_S` are missing clocks estimated from the time that has passed, so bars keep their place.

    Args:
        latency_s: how long a message takes to arrive; subtracted from every time.
    """

    def __init__(self, *, latency_s: float = 0.0) -> None:
        self._latency_s = latency_s
        self._seen: deque[tuple[int, float]] = deque(maxlen=_MOST)  # (clock, seconds)
        self._latest: deque[tuple[int, float]] = deque(maxlen=_FEWEST)  # whatever line they lie on
        self._spread_s = 0.0  # of the clocks seen
        self._before: tuple[float, float, float] | None = None  # the line before a loss, see `_centre`
        self._heard_s = -math.inf  # when the last clock came
        self._interval: float | None = None  # seconds a clock, as far as known
        self._index = -1  # of the last clock; its tick is 20 times that
        self._next = 0  # index of the clock that comes after start or continue
        self._armed = self._playing = self._jumped = False
        self._losses = self._unstarted = self._unchecked = 0
        self._started = False  # a start, continue or stop has come
        self._remarks: list[str] = []
        self._remarked = False  # on two senders
        self._pulse: Pulse | None = None

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

    def remarks(self) -> list[str]:
        """Lines for people on what is odd about the clock, since the last call."""
        remarks, self._remarks = self._remarks, []
        return remarks

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
            if not (self._playing or self._armed):
                self._roll(self._next)
        elif status == _STOP:
            if self._playing:
                self._next = self._index + 1
            self._playing = self._armed = False
        elif status == _POSITION and len(message) >= 3 and max(message[1:3]) < 128 and min(message[1:3]) >= 0:
            self._locate((message[1] + 128 * message[2]) * _CLOCKS_PER_STEP)
        else:
            return False
        self._started = self._started or status in (_START, _CONTINUE, _STOP)
        return True

    def _locate(self, index: int) -> None:
        """The next clock is number `index`; a position within the present sixteenth is where it already is."""
        if self._playing and abs(index - self._index - 1) < _CLOCKS_PER_STEP:
            return
        self._next = index
        if self._playing or self._armed:
            self._roll(index)

    def _roll(self, index: int) -> None:
        """The next clock is number `index`, and the music runs from there."""
        self._next, self._armed, self._jumped = index, True, True
        self._playing, self._pulse = False, None

    def _clock(self, at_s: float) -> None:
        gap, following = at_s - self._heard_s, self._index + 1
        lost = gap > max(LOST_S, _LOST_CLOCKS * (self._interval or 0.0))
        if self._armed:
            self._armed, self._playing = False, True
            shift = self._next - following
            self._renumber(shift)
            if lost:
                self._seen.clear()
                self._latest.clear()
            self._index, self._before = self._next, None
        elif lost and self._seen:
            self._resume(at_s)
        else:
            self._index = following
        self._heard_s = at_s
        self._seen.append((self._index, at_s))
        self._latest.append((self._index, at_s))
        if self._new or self._index % _DRAW == 0 or self._strays(at_s):
            self._draw()
        self._count_again()
        self._remark()

    @property
    def _new(self) -> bool:
        """Whether the line is not yet sure, so each clock counts."""
        return len(self._seen) < _FEWEST

    def _strays(self, at_s: float) -> bool:
        """Whether the clock in hand is farther from the line than clocks were so far."""
        if self._pulse is None:
            return True
        return abs(at_s - self._pulse.time_of(self._index * _TICKS)) > self._spread_s + _REGULAR_S

    def _resume(self, at_s: float) -> None:
        """Back after a loss: number clocks as if the tempo had been constant, until the new tempo is known."""
        self._losses += 1
        near = self._index + 1 if self._pulse is None else round(self._pulse.tick_at(at_s) / _TICKS)
        if len(self._latest) >= CLOCKS_PER_BEAT:
            self._before = _centre(self._latest)
        self._index = max(self._index + 1, near)
        self._seen.clear()
        self._latest.clear()

    def _count_again(self) -> None:
        """Estimate how many clocks were lost, now that both tempos are known: one changed linearly into the other."""
        if self._before is None or len(self._latest) < CLOCKS_PER_BEAT:
            return
        (index0, time0, rate0), (index1, time1, rate1) = self._before, _centre(self._latest)
        self._before = None
        shift = round(0.5 * (rate0 + rate1) * (time1 - time0) - (index1 - index0))
        if shift and abs(rate1 / rate0 - 1.0) < 0.25:
            self._index += shift
            self._renumber(shift)
            self._draw()

    def _renumber(self, shift: int) -> None:
        for clocks in (self._seen, self._latest):
            moved = [(index + shift, at_s) for index, at_s in clocks]
            clocks.clear()
            clocks.extend(moved)

    def _draw(self) -> None:
        """Fit the line through the newest clocks that lie on one; the more they spread, the more of them."""
        index, seconds = np.array(self._seen, np.float64).T
        known = self._interval
        if len(index) > 2:
            count, self._spread_s = steady(index, seconds)
            if count < len(index):
                known = None
            share = (self._spread_s - _REGULAR_S) / (_SPREAD_S - _REGULAR_S)
            count = min(count, round(_FEWEST + (_MOST - _FEWEST) * min(1.0, max(0.0, share))))
            while len(self._seen) > count:
                self._seen.popleft()
            index, seconds = index[-count:], seconds[-count:]
        line = fit(index, seconds, known)
        self._interval = min(max(line.interval_s, _SHORTEST_S), _LONGEST_S)
        self._pulse = Pulse(line.at_s, line.index * _TICKS, _bpm(self._interval))

    def _remark(self) -> None:
        """Notice a clock that nobody starts, and two clocks on one cable."""
        self._unstarted = 0 if self._started else self._unstarted + 1
        if self._unstarted == _NO_START:
            self._remarks.append("a MIDI clock ticks, but no start has come: press play (again) at its sender")
        self._unchecked += 1
        if self._unchecked >= _CHECK and not self._remarked and self._spread_s > _REGULAR_S:
            self._unchecked = 0
            if two_trains(np.array([s for _, s in self._seen][-_CHECK:])):
                self._remarked = True
                self._remarks.append("two MIDI clocks arrive at one input: let only one of the senders send its clock")


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
