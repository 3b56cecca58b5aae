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
    """The least of the values of the last seconds. Threads: one."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._sights: deque[tuple[float, float]] = deque()  # (when, value), both rising

    @property
    def least(self) -> float | None:
        """None before the first value."""
        return self._sights[0][1] if self._sights else None

    def add(self, now_s: float, value: float) -> float:
        """Take a value seen now; gives the least."""
        while self._sights and self._sights[-1][1] >= value:
            self._sights.pop()
        self._sights.append((now_s, value))
        while self._sights[0][0] < now_s - self._window_s:
            self._sights.popleft()
        return self._sights[0][1]

    def clear(self) -> None:
        """What was seen so far was of another time."""
        self._sights.clear()


class Sounding:
    """Which of the session's samples is heard at a moment of the clock.

    The ring of an output is never fuller than just after a read, so of all reads the earliest, seen against its sample,
    tells the sample clock; to that comes the output's latency.

    Threads: one.

    Args:
        moment: `Session.moment`: first sample of the latest read, and the clock then; (0, 0.0) before the first.
        sample_rate: Hz, the session's.
        latency_s: tells how long after such a read its first sample is heard.
    """

    def __init__(
        self, moment: Callable[[], tuple[int, float]], sample_rate: int, latency_s: Callable[[], float]
    ) -> None:
        self._moment, self._rate, self._latency_s = moment, sample_rate, latency_s
        self._reads = Earliest()
        self._seen = (0, -math.inf)

    def sample_at(self, time_s: float) -> float | None:
        """The sample, with its fraction; None before the first read."""
        moment = self._moment()
        if moment[1] <= 0.0:
            return None
        if moment != self._seen:
            self._seen = moment
            self._reads.add(moment[1], moment[1] - moment[0] / self._rate)
        begun_s = self._reads.least
        return None if begun_s is None else (time_s - begun_s - self._latency_s()) * self._rate
