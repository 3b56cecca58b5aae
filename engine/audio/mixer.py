"""From rings to one mix: each voice a lane that starts, stops, covers, thaws and changes over, every time with a fade.

What a lane does is a list of turns, each at a sample. Live, a lane finds its turns itself, by looking at what its ring
holds; a replay gives it the turns that were found. The sound that follows from turns and rings is the same.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from engine.audio.circular import CircularBuffer
from engine.audio.level import peak_of
from engine.audio.limiter import CEILING_DB, Limiter
from engine.audio.overlap import fade_in, fade_out
from engine.audio.ring import Ring
from engine.music.audio import Audio

__all__ = ["Fades", "Lane", "LaneChange", "LaneRequest", "Mixer"]

_HISTORY_S: Final = 17.0  # what a lane has played: a bar of it is played again when its voice is late
_LOOP_FALLS_TO: Final = 0.25  # a cover that goes on sinks to -12 dB
_LOOP_FALLS_OVER: Final = 8  # repetitions


@dataclass(frozen=True, slots=True)
class Fades:
    """Lengths of fades, in samples.

    Args:
        begin: when a voice starts or starts again.
        end: when it stops.
        cover: into and out of a cover. A ring with fewer unread samples than this counts as empty, since a fade needs
            something to fade from.
        swap: from one bundle to another.
        panic: to silence.
    """

    begin: int
    end: int
    cover: int
    swap: int
    panic: int

    @classmethod
    def at(cls, sample_rate: int) -> "Fades":
        """20, 15, 10, 20 and 10 ms."""
        begin, end, cover, swap, panic = (round(sample_rate * ms / 1000) for ms in (20, 15, 10, 20, 10))
        return cls(begin, end, cover, swap, panic)


@dataclass(frozen=True, slots=True)
class LaneChange:
    """A lane changes what it plays.

    Args:
        sample: from here on.
        kind: ``start``, ``stop``, ``cover``, ``thaw`` or ``swap``.
        fade: samples.
        player: number of the player whose ring sounds from here on; 0 for none.
        loop: samples that are repeated, for a cover.
    """

    sample: int
    kind: str
    fade: int
    player: int = 0
    loop: int = 0


@dataclass(frozen=True, slots=True)
class LaneRequest:
    """What the session wants of a lane.

    Args:
        kind: ``play`` (as soon as the ring has something), ``stop`` at `sample`, ``swap`` to `ring` at `sample`,
            ``feed`` (go on from another `ring`, a restarted voice's) or ``drop`` (forget rings; after a stop).
        player: number of the player that owns `ring`.
    """

    kind: str
    sample: int = 0
    fade: int = 0
    player: int = 0
    ring: Ring | None = None


class _LaneSource(Protocol):
    player: int

    def read(self, first: int, samples: int) -> Audio: ...


class _RingSource:
    """A ring."""

    def __init__(self, ring: Ring, player: int) -> None:
        self.ring, self.player = ring, player

    def read(self, first: int, samples: int) -> Audio:
        return self.ring.read(first, samples)


class _LoopSource:
    """A cover: a piece of what was heard, again and again, slowly falling back."""

    player = 0

    def __init__(self, sound: Audio, first: int) -> None:
        self._sound, self._first = sound, first

    def read(self, first: int, samples: int) -> Audio:
        length = self._sound.shape[1]
        since = first - self._first + np.arange(samples)
        gone = np.minimum(1.0, since / (length * _LOOP_FALLS_OVER)).astype(np.float32)
        falling = np.float32(1.0) - np.float32(1.0 - _LOOP_FALLS_TO) * gone
        sound: Audio = np.take(self._sound, since % length, axis=1) * falling
        return sound


class Lane:
    """One voice in the mix.

    Threads: `read` by the mixer only. `ask` and `take_turns` by the session's housekeeping only; they pass frozen
    values through deques, whose ends are safe to use at once.

    Args:
        loop_length: gives the samples of a cover that begins at a sample; asked by the mixer's thread.
        script: the turns to take, for a replay; None to find them.
        rings: gives a scripted player's ring.
    """

    def __init__(
        self,
        sample_rate: int,
        fades: Fades,
        loop_length: Callable[[int], int],
        *,
        script: Iterable[LaneChange] | None = None,
        rings: Callable[[int], Ring] | None = None,
    ) -> None:
        self._rate, self._fades, self._loop_length, self._rings = sample_rate, fades, loop_length, rings
        self._script = None if script is None else deque(script)
        self._asks: deque[LaneRequest] = deque()
        self._turns: deque[LaneChange] = deque()
        self._history = CircularBuffer.zeros(1 << math.ceil(math.log2(_HISTORY_S * sample_rate)))
        self._heard_from = 0  # the history goes back to here
        self._now: _LaneSource | None = None
        self._before: _LaneSource | None = None
        self._turned, self._fade = 0, 0
        self._feed: _RingSource | None = None  # what is, or should be, heard
        self._wanted = False
        self._stop: LaneRequest | None = None
        self._swap: LaneRequest | None = None
        self.peak = 0.0  # since somebody set it to 0
        self.missing = 0  # samples of cover so far

    def ask(self, ask: LaneRequest) -> None:
        self._asks.append(ask)

    def take_turns(self) -> list[LaneChange]:
        """The turns taken since the last call."""
        turns = []
        while self._turns:
            turns.append(self._turns.popleft())
        return turns

    def uses(self, ring: Ring) -> bool:
        """Whether the next read may touch a ring; ask again after a read if False was hoped for."""
        sources = (self._now, self._before, self._feed)
        asked = any(ask.ring is ring for ask in (self._swap, *tuple(self._asks)) if ask is not None)
        return asked or any(isinstance(source, _RingSource) and source.ring is ring for source in sources)

    @property
    def silent(self) -> bool:
        """Whether nothing of this lane sounds."""
        return self._now is None and self._before is None

    def read(self, first: int, samples: int) -> Audio | None:
        """[2, samples] from session sample `first` on, each sample read once; None for silence."""
        while self._asks and self._stop is None:  # what was asked after a stop comes after it
            self._heed(self._asks.popleft())
        out: Audio | None = None
        at, end = first, first + samples
        while at < end:
            turn = self._next_turn(at, end)
            until = end if turn is None else turn.sample
            if until > at:
                part = self._sound(at, until - at)
                if part is not None:
                    if out is None:
                        out = np.zeros((2, samples), np.float32)
                    out[:, at - first : until - first] = part
                    self._history.put(at, part)
                else:
                    self._heard_from = until
                at = until
            if turn is not None:
                self._take(turn)
        for live in (self._now, self._feed):
            if isinstance(live, _RingSource):
                live.ring.set_read(end)
        if self._swap is not None and self._swap.ring is not None:
            self._swap.ring.set_read(end)
        if out is not None:
            self.peak = max(self.peak, peak_of(out))
        return out

    # what the session wants

    def _heed(self, ask: LaneRequest) -> None:
        if ask.kind == "stop":
            self._stop = ask
            return
        if ask.kind == "play":
            self._wanted = True
        elif ask.kind == "swap":
            self._swap = ask
        elif ask.kind == "drop":
            self._feed, self._swap, self._wanted = None, None, False
        if ask.ring is not None and ask.kind != "swap":
            self._feed = _RingSource(ask.ring, ask.player)

    # turns

    def _next_turn(self, at: int, end: int) -> LaneChange | None:
        """The next turn within at..end, if there is one."""
        if self._script is not None:
            due = bool(self._script) and self._script[0].sample < end
            return self._script.popleft() if due else None
        free = max(at, self._turned + self._fade)  # one fade at a time
        if free >= end:
            return None
        found = [turn for turn in (self._stopping(free), self._swapping(free, end), self._filling(free, end)) if turn]
        found = [turn for turn in found if turn.sample < end]
        return min(found, key=lambda turn: turn.sample, default=None)

    def _stopping(self, free: int) -> LaneChange | None:
        if self._stop is None:
            return None
        return LaneChange(max(free, self._stop.sample), "stop", 0 if self._now is None else self._stop.fade)

    def _swapping(self, free: int, end: int) -> LaneChange | None:
        ask, fade = self._swap, self._fades.swap
        if ask is None or ask.ring is None or not self._wanted:
            return None
        at = max(free, ask.sample, ask.ring.start)
        if ask.ring.holds(at, max(fade, end - at) + self._fades.cover):
            return LaneChange(at, "swap", fade, ask.player)
        return None

    def _filling(self, free: int, end: int) -> LaneChange | None:
        """Start, cover or thaw, as the ring's contents say."""
        fades = self._fades
        if isinstance(self._now, _RingSource):
            short = self._now.ring.written - fades.cover
            if short >= end:
                return None
            sample = max(free, short)
            return LaneChange(sample, "cover", 0, 0, self._cover_length(sample))
        if self._feed is None or not self._wanted:
            return None
        fade = fades.begin if self._now is None else fades.cover
        at = max(free, self._feed.ring.start)
        if not self._feed.ring.holds(at, max(fade, end - at) + fades.cover):
            return None
        return LaneChange(at, "start" if self._now is None else "thaw", fade, self._feed.player)

    def _cover_length(self, sample: int) -> int:
        """A bar if that much has been heard, else a second, else what there is; 0 if that is under a quarter."""
        heard = min(sample - self._heard_from, self._history.capacity)
        bar = self._loop_length(sample)
        if 0 < bar <= heard:
            return bar
        length = min(heard, self._rate)
        return length if length >= self._rate // 4 else 0

    def _take(self, turn: LaneChange) -> None:
        self._turns.append(turn)
        self._before, self._turned, self._fade = self._now, turn.sample, turn.fade
        if turn.kind == "cover":
            self._now, self._fade = self._cover(turn)
        elif turn.kind == "stop":
            self._now, self._wanted, self._stop = None, False, None
        elif self._rings is not None:
            self._now = _RingSource(self._rings(turn.player), turn.player)
        else:
            if turn.kind == "swap" and self._swap is not None and self._swap.ring is not None:
                self._feed, self._swap = _RingSource(self._swap.ring, self._swap.player), None
            self._now = self._feed
        if self._fade == 0:
            self._before = None

    def _cover(self, turn: LaneChange) -> tuple[_LaneSource | None, int]:
        """The loop; its head is what the ring still had, fading, so that neither its start nor its seams click.

        Without anything worth repeating, what the ring still had fades away: no source, and a fade.
        """
        tail, fade = self._before, self._fades.cover
        if turn.loop == 0 or tail is None:
            return None, fade
        sound = self._history.get(turn.sample - turn.loop, turn.loop)
        sound[:, :fade] = sound[:, :fade] * fade_in(fade) + tail.read(turn.sample, fade) * fade_out(fade)
        return _LoopSource(sound, turn.sample), 0

    # sound

    def _sound(self, first: int, samples: int) -> Audio | None:
        if isinstance(self._now, _LoopSource):
            self.missing += samples
        if self._before is None and self._now is None and self._fade == 0:
            return None
        done = first - self._turned
        if done >= self._fade:
            self._before, self._fade = None, 0
            return None if self._now is None else self._now.read(first, samples)
        part = min(samples, self._fade - done)
        out = np.zeros((2, samples), np.float32)
        if self._before is not None:
            out[:, :part] = self._before.read(first, part) * fade_out(self._fade)[done : done + part]
        if self._now is not None:
            sound = self._now.read(first, samples)
            sound[:, :part] *= fade_in(self._fade)[done : done + part]
            out += sound
        return out


class Mixer:
    """The sum of all lanes, limited.

    Threads: `read` by one thread; `lanes` may be replaced by another (a tuple, so that a read sees one or the other).

    Args:
        keep_s: how much of the mix is kept.
        ceiling_db: the greatest level of a sample, see `Limiter`; None cuts off what is above full scale instead.
    """

    def __init__(self, sample_rate: int, keep_s: float = 0.0, ceiling_db: float | None = CEILING_DB) -> None:
        self.lanes: tuple[Lane, ...] = ()
        self.position = 0
        self.peak = 0.0  # since somebody set it to 0
        self.mended = 0  # samples that were no number
        self.kept = CircularBuffer.zeros(max(1, round(keep_s * sample_rate)))
        self._keeps = keep_s > 0
        self.limiter = None if ceiling_db is None else Limiter(sample_rate, ceiling_db)

    def read(self, samples: int, guest: Audio | None = None) -> Audio:
        """[2, samples], the next of the session; `guest` is a sound of the same shape that is mixed in."""
        out = np.zeros((2, samples), np.float32) if guest is None else guest.astype(np.float32)
        first = self.position
        for lane in self.lanes:
            part = lane.read(first, samples)
            if part is not None:
                out += part
        peak = peak_of(out)
        if not math.isfinite(peak):
            self.mended += int(np.count_nonzero(~np.isfinite(out)))
            np.nan_to_num(out, copy=False, posinf=0.0, neginf=0.0)
            peak = peak_of(out)
        if self.limiter is not None:
            out = self.limiter.process(out)
        elif peak > 1.0:
            np.clip(out, -1.0, 1.0, out=out)
        self.peak = max(self.peak, peak)
        if self._keeps:
            self.kept.put(first, out)
        self.position = first + samples
        return out
