"""The line through the clocks of a MIDI clock: counts are right, arrival times are late, in steps, in bursts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import F64

__all__ = ["ClockLine", "fit", "steady", "two_trains"]

_FEW: Final = 6  # clocks, as many as a known tempo counts for
_BURST_S: Final = 0.002  # clocks closer together than this came as one packet; the last of them was on time
_STEPS_S: Final = np.geomspace(0.004, 0.036, 200)  # steps of time in which a sender may work
_GAPS: Final = 96  # newest gaps in which steps are looked for
_ON_STEP: Final = 0.9  # mean cosine of gaps as parts of a step: 1 for exact multiples
_STEP_SHARE: Final = 0.45  # of a step that delays spread over at least
_WIDER: Final = 1.3  # times the delays by steps: spreads from here on are jitter on top of the steps
_APART: Final = 1.2  # times the steps: clocks farther apart than this do not share one
_UNSURE_S: Final = 0.005  # the most that a step's unseen part moves the line
_ONE_S: Final = 0.0156  # longer intervals than this (160 bpm) are more likely one clock than two
_TAIL: Final = 1.5  # times the width of the middle 80 % of evenly spread delays: wider ones have outliers
_SPLITS: Final = ((6, 0.6), (12, 0.4), (24, 0.3), (48, 0.2), (72, 0.2))  # newest clocks, and the share of the width
_KNOWN, _UNKNOWN = 18, 1.5  # clocks whose spread is known well; the share of the width where it is not
_EDGE_S: Final = 0.001  # beyond the edge of a strip a clock counts as outside
_BEND_S: Final = 0.0015  # by which both parts of a bent line must be narrower than the whole


@dataclass(frozen=True, slots=True)
class ClockLine:
    """Time of clock `index` is `at_s`, and `interval_s` more for each clock after it; `width_s` is the spread."""

    index: float
    at_s: float
    interval_s: float
    width_s: float


def fit(index: F64, seconds: F64, known_s: float | None) -> ClockLine:
    """The line on which clocks left their sender.

    Args:
        index: [N] numbers of clocks, ascending. seconds: [N] when they came, ascending.
        known_s: interval, used where the clocks do not give one; None: 120 beats a minute.
    Source:
        The narrowest strip that holds all clocks: its slope has an error of the order of 1/N^2 for delays within
        bounds (least squares: 1/N^1.5). In the strip: its middle for jitter, its lower edge for delays by steps.
        Least squares where jitter and steps come together, or where some clocks are far off.
    """
    at, when = _packets(index, seconds)
    if len(at) < 2 or (known_s is not None and len(at) < _FEW):
        slope, level = _weighed(at, when, known_s or 2.5 / 120.0)
        return ClockLine(float(index[-1]), level + slope * float(index[-1]), slope, 0.0)
    slope, low, width = _strip(at, when)
    rest = when - slope * at
    middle = float(np.quantile(rest, 0.9) - np.quantile(rest, 0.1)) / 0.8
    if len(at) >= 12 and width > _TAIL * middle + 1e-3:
        slope, level = _trimmed(at, when)
    else:
        step = _step_of(np.diff(seconds)[-_GAPS:]) if width > _EDGE_S else None
        spread = step
        if step is not None and np.median(np.diff(at)) * slope < _APART * step:
            spread = min(step, slope)  # of clocks that share a step only the last is here
        if spread is not None and width > _WIDER * spread:
            slope, level = _least_squares(at, when)
            level -= 0.5 * spread
        else:
            level = low + _place(spread, width)
    last = float(index[-1])
    return ClockLine(last, level + slope * last, slope, width)


def steady(index: F64, seconds: F64) -> tuple[int, float]:
    """How many of the newest clocks lie on one line, fewer than all where the tempo has changed; and their spread."""
    at, when = _packets(index, seconds)
    if len(at) < 2 * _SPLITS[0][0]:
        return len(index), _strip(at, when)[2] if len(at) > 1 else 0.0
    whole = _strip(at, when)[2]
    if whole <= _BEND_S:
        return len(index), whole
    floor = _step_of(np.diff(seconds)[-_GAPS:]) or 0.0
    for newest, share in _SPLITS:
        before = len(at) - newest
        if before < max(newest, _SPLITS[0][0]):
            break
        slope, low, old = _strip(at[:-newest], when[:-newest])
        new = _strip(at[-newest:], when[-newest:])[2]
        # Clocks beyond the edges of the old strip are in the new tempo.
        rest = when[-newest:] - slope * at[-newest:] - low
        outside = (rest < -_EDGE_S) | (rest > old + _EDGE_S)
        usual = max(old, new, floor)
        margin = max(_BEND_S, (share if before >= _KNOWN else _UNKNOWN) * usual)
        if whole > usual + margin and outside.sum() >= max(3, newest // 4):
            first = min(int(outside.argmax()), newest - 3)  # those before it are still in the old tempo
            return int((index >= at[first - newest]).sum()), _strip(at[first - newest :], when[first - newest :])[2]
    return len(index), whole


def two_trains(seconds: F64) -> bool:
    """Whether clocks that came at these times are those of two senders on one cable."""
    count = len(seconds)
    if count < 48:
        return False
    time = seconds - seconds[0]
    apart = time[-1] / (count - 1)
    if apart > _ONE_S and _step_of(np.diff(seconds)) is not None:
        return False  # steps of one sender may repeat every second clock
    periods = np.geomspace(1.4 * apart, 3.5 * apart, 900)
    first = _train(time, periods)
    if not 0.28 * count <= first.sum() <= 0.72 * count:
        return False
    rest = time[~first]
    second = _train(rest, periods)
    return bool(second.mean() >= 0.9)


def _train(time: F64, periods: F64) -> np.ndarray:
    """Which of some times lie on the most regular train with one of these periods, within 1.5 ms."""
    sums = np.exp(2j * np.pi * time[None, :] / periods[:, None]).mean(axis=1)
    # The phase of the best period is refined among the times near it, since the others pull it away.
    period = float(periods[int(np.abs(sums).argmax())])
    best = np.zeros(len(time), bool)
    for start in time[: min(len(time), 12)]:
        off = (time - start + period / 2) % period - period / 2
        near = np.abs(off) <= 0.0015 + 0.0005 * period / 0.02
        if near.sum() > best.sum():
            best = near
    return best


def _packets(index: F64, seconds: F64) -> tuple[F64, F64]:
    """Of clocks that came together the last one; where that is usual, without the newest packet, which may grow."""
    last = np.append(np.diff(seconds) > _BURST_S, True)
    at, when = index[last], seconds[last]
    if len(at) >= 3 and len(index) > 1.3 * len(at):
        return at[:-1], when[:-1]
    return at, when


def _place(spread: float | None, width: float) -> float:
    """Where in a strip the true line is, above its lower edge; `spread`: of the delays by steps, if there are any."""
    if spread is None or width < _STEP_SHARE * spread:
        return 0.5 * width
    return -min(_UNSURE_S, max(0.0, 0.5 * (spread - width)))


def _step_of(gaps: F64) -> float | None:
    """The longest step of which all gaps are multiples; None if there is none."""
    moved = gaps[gaps > _BURST_S]
    if len(moved) < 6:
        return None
    on_step = np.cos(2.0 * np.pi * moved[None, :] / _STEPS_S[:, None]).mean(axis=1)
    fits = np.flatnonzero(on_step >= _ON_STEP)
    return float(_STEPS_S[fits[-1]]) if len(fits) else None


def _weighed(at: F64, when: F64, known_s: float) -> tuple[float, float]:
    """(slope, level at 0) of a few clocks by least squares, where a known interval weighs like `_FEW` clocks."""
    middle, level = float(at.mean()), float(when.mean())
    weight = _FEW**3 / 12.0
    slope = float(((at - middle) * (when - level)).sum()) + weight * known_s
    slope /= float(((at - middle) ** 2).sum()) + weight
    return slope, level - slope * middle


def _least_squares(at: F64, when: F64) -> tuple[float, float]:
    """(slope, level at 0)."""
    middle, level = at.mean(), when.mean()
    slope = float(((at - middle) * (when - level)).sum() / ((at - middle) ** 2).sum())
    return slope, float(level - slope * middle)


def _trimmed(at: F64, when: F64) -> tuple[float, float]:
    """(slope, level at 0) by least squares without outliers."""
    keep = np.ones(len(at), bool)
    slope, level = 0.0, 0.0
    for _ in range(4):
        slope, level = _least_squares(at[keep], when[keep])
        rest = when - level - slope * at
        middle = float(np.median(rest))
        keep = np.abs(rest - middle) <= max(1e-3, 3.0 * float(np.median(np.abs(rest - middle))))
    return slope, level


def _strip(at: F64, when: F64) -> tuple[float, float, float]:
    """(slope, level at 0 of the lower edge, width in seconds) of the narrowest strip that holds all points."""
    points = list(zip(at.tolist(), when.tolist(), strict=True))
    lower, upper = (np.array(_hull(points, side)) for side in (1.0, -1.0))
    slopes = np.concatenate([np.diff(edge[:, 1]) / np.diff(edge[:, 0]) for edge in (lower, upper)])
    below = (lower[None, :, 1] - slopes[:, None] * lower[None, :, 0]).min(axis=1)
    above = (upper[None, :, 1] - slopes[:, None] * upper[None, :, 0]).max(axis=1)
    best = int((above - below).argmin())
    return float(slopes[best]), float(below[best]), float(above[best] - below[best])


def _hull(points: Sequence[tuple[float, float]], side: float) -> list[tuple[float, float]]:
    """The lower (`side` 1) or upper (-1) edge of the convex hull of points sorted by x."""
    hull: list[tuple[float, float]] = []
    for x, y in points:
        while len(hull) >= 2:
            (x0, y0), (x1, y1) = hull[-2:]
            if side * ((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) > 0.0:
                break
            hull.pop()
        hull.append((x, y))
    return hull
