"""Two clocks seen through each other's late messages: which of the session's samples sounds at a moment.

What is seen late is seen late by chance, and never early: of many sights the earliest tells the truth.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["WINDOW_S", "Earliest", "Sounding"]

WINDOW_S: Final = 1.0
"""Sights are kept for so long: enough to hold one that was not late, and to follow a clock that drifts."""


class Earliest:
    """The least of the values of the last seconds.

    Threads: `add` and `clear` one; `least` any.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._sights: deque[tuple[float, float]] = deque()  # (when, value), both rising
        self.least: float | None = None
        """None before the first value."""

    def add(self, now_s: float, value: float) -> float:
        """Take a value seen now; gives the least."""
        while self._sights and self._sights[-1][1] >= value:
            self._sights.pop()
        self._sights.append((now_s, value))
        while self._sights[0][0] < now_s - self._window_s:
            self._sights.popleft()
        self.least = self._sights[0][1]
        return self.least

    def clear(self) -> None:
        """Forget all values: they were of another time."""
        self._sights.clear()
        self.least = None


class Sounding:
    """Which of the session's samples sounds at a moment of the clock, and when a sample sounds.

    A sample sounds when it leaves the output, not when it is read. The output's ring is never fuller than just after a
    read, so the earliest read of the last seconds, relative to its sample, gives the sample clock; later reads only
    find the ring emptier. The output's latency is added.

    Threads: `look` and `latest_sample_at` one; everything else any.

    Args:
        moment: `Session.moment`: first sample of the latest read, and the clock then; (0, 0.0) before the first.
        sample_rate: Hz, the session's.
        latency_s: gives the time from such a read until its first sample sounds.
        window_s: for how long a read counts.
    """

    def __init__(
        self,
        moment: Callable[[], tuple[int, float]],
        sample_rate: int,
        latency_s: Callable[[], float],
        window_s: float = WINDOW_S,
    ) -> None:
        self._moment, self._rate, self._latency_s = moment, sample_rate, latency_s
        self._reads = Earliest(window_s)
        self._seen = (0, -math.inf)

    def look(self) -> None:
        """Take in the latest read."""
        moment = self._moment()
        if moment[1] > 0.0 and moment != self._seen:
            self._seen = moment
            self._reads.add(moment[1], moment[1] - moment[0] / self._rate)

    def latest_sample_at(self, time_s: float) -> float | None:
        """Take in the latest read; then as `sample_at`."""
        self.look()
        return self.sample_at(time_s)

    def sample_at(self, time_s: float) -> float | None:
        """The sample, with its fraction, that sounds at a time, by what was looked at; None before the first read."""
        begun_s = self._reads.least
        return None if begun_s is None else (time_s - begun_s - self._latency_s()) * self._rate

    def time_of(self, sample: float) -> float | None:
        """The time at which a sample sounds, by what was looked at; None before the first read."""
        begun_s = self._reads.least
        return None if begun_s is None else begun_s + self._latency_s() + sample / self._rate
