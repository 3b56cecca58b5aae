"""Where a band's musical time comes from: a clock of its own, a MIDI clock that comes in, or a session's transport.

Each gives a `Pulse` and says when it has changed; a band works the same under all three.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bridge.midi.clock import ClockFollower
from engine.controls import Live, accept
from engine.music.harmony import Chord
from engine.music.pulse import Pulse
from engine.music.units import TICKS_PER_BEAT, samples_per_tick
from engine.protocols.accompanist import BAR_TICKS, BEATS
from engine.session.session import Session

__all__ = ["BandTime", "ClockReading", "MidiTime", "OwnTime", "SessionTime"]

_READY_S: Final = 0.3  # between the first message to a new port and the first note
_HOLD_S: Final = 4.0  # a lost clock's tempo is held so long
_WINDOW_S: Final = 2.0  # reads by which the clock of a session is told
_OFF_S: Final = 0.001  # the pulse is told anew when it is wrong by more
_JUMP_S: Final = 0.05  # and musical time has jumped when it is wrong by more than this
_TEMPO: Final = Live(20.0, 400.0, "quarter notes a minute", "bpm")
_BAR: Final = Live(0, 1_000_000, "bar, the first is 0")


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Musical time from now on.

    Args:
        pulse: None: it stands still.
        jumped: what was planned is void.
        say: a line for people.
    """

    pulse: Pulse | None
    jumped: bool = False
    say: str = ""


class BandTime(Protocol):
    """Threads: the band's."""

    def begin(self, now_s: float) -> ClockReading | None:
        """The band is ready to play."""
        ...

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """A system message from the input, and whether it was one about time."""
        ...

    def look(self, now_s: float) -> ClockReading | None:
        """What has changed since the last look."""
        ...

    def steer(self, words: Mapping[str, Any], now_s: float) -> ClockReading | None:
        """An order: ``start``, ``stop``, ``tempo`` bpm, ``locate`` bar; None where others decide.

        Raises:
            ControlError: a value that cannot be taken.
        """
        ...

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """What a conductor says of a bar, one chord a beat."""
        ...


class OwnTime:
    """A clock of our own, which begins when the band is ready.

    Args:
        tempo_bpm: at first.
        count_in: begin a bar early.
    """

    def __init__(self, tempo_bpm: float, *, count_in: bool = False) -> None:
        self._tempo_bpm, self._first = tempo_bpm, -BAR_TICKS if count_in else 0
        self._pulse: Pulse | None = None

    def begin(self, now_s: float) -> ClockReading | None:
        """From the start, unless it runs."""
        if self._pulse is not None:
            return None
        return self._set(Pulse(now_s + _READY_S, self._first, self._tempo_bpm), jumped=True)

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """Nobody else's clock matters."""
        return False

    def look(self, now_s: float) -> ClockReading | None:
        """It changes only when it is steered."""
        return None

    def steer(self, words: Mapping[str, Any], now_s: float) -> ClockReading | None:
        """See `BandTime`."""
        if "stop" in words:
            return self._set(None)
        if "start" in words:
            return self.begin(now_s)
        if self._pulse is None:
            return None
        if "tempo" in words:
            self._tempo_bpm = float(accept(float, _TEMPO, words["tempo"]))
            return self._set(self._pulse.at_tempo(self._tempo_bpm, now_s))
        if "locate" in words:
            bar = int(accept(int, _BAR, words["locate"]))
            return self._set(Pulse(now_s, bar * BAR_TICKS, self._pulse.tempo_bpm), jumped=True)
        return None

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """Nobody conducts."""
        return ()

    def _set(self, pulse: Pulse | None, *, jumped: bool = False) -> ClockReading:
        self._pulse = pulse
        return ClockReading(pulse, jumped)


class MidiTime:
    """A MIDI clock that comes in, with its start, stop, continue and song position.

    Args:
        latency_s: how late its messages arrive.
    """

    def __init__(self, latency_s: float = 0.0) -> None:
        self._clock = ClockFollower(latency_s=latency_s)
        self._rolling = self._fed = False

    def begin(self, now_s: float) -> ClockReading | None:
        """It begins when the clock does."""
        return None

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """See `BandTime`."""
        taken = self._clock.feed(message, at_s)
        self._fed = self._fed or taken
        return taken

    def look(self, now_s: float) -> ClockReading | None:
        """The clock after a message, or that it has been lost for too long."""
        if self._fed:
            self._fed = False
            jumped, pulse = self._clock.jumped(), self._clock.pulse()
            if pulse is None and not self._rolling:
                return None
            jumped = jumped or not self._rolling
            self._rolling = pulse is not None
            return ClockReading(pulse, jumped)
        if self._rolling and self._clock.silence_s(now_s) > _HOLD_S:
            self._rolling = False
            return ClockReading(None, say="the clock has been lost for too long: stopped until it is back")
        return None

    def steer(self, words: Mapping[str, Any], now_s: float) -> ClockReading | None:
        """Whoever sends the clock decides."""
        return None

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """Nobody conducts."""
        return ()


class SessionTime:
    """The transport and the harmony of a session, as they are heard.

    A sample is heard when it leaves the output, not when it is read: the ring of the output is never fuller than just
    after a read, so of the reads of the last seconds the earliest, seen against its sample, tells the sample clock;
    what is read late only finds the ring emptier. To that comes the output's latency.

    Args:
        session: whose.
        latency_s: tells how long after such a read its first sample is heard.
        now: the session's clock.
    """

    def __init__(
        self, session: Session, latency_s: Callable[[], float], now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._session, self._latency_s, self._now = session, latency_s, now
        self._reads: deque[tuple[float, float]] = deque()  # (clock, clock minus sample time), both rising
        self._pulse: Pulse | None = None
        self._begun, self._wanted, self._resting = False, True, False

    def begin(self, now_s: float) -> ClockReading | None:
        """The transport runs already; from now on it is followed."""
        self._begun = True
        return self.look(now_s)

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """The session's clock is the only one."""
        return False

    def look(self, now_s: float) -> ClockReading | None:
        """The pulse, if tempo, place or clock have changed; rests while a bar has not four quarters."""
        self._observe(now_s)
        here = self.sample_at(now_s)
        if here is None or not self._begun:
            return None
        conductor = self._session.conductor()
        fits, resting = conductor.bar_ticks_at(here) == BAR_TICKS, self._resting
        self._resting = not fits
        say = "" if fits or resting else f"the band plays in {BEATS}/4 only: it rests until the meter is that again"
        if not fits or not self._wanted:
            moved, self._pulse = self._pulse is not None, None
            return ClockReading(None, say=say) if moved or say else None
        pulse = Pulse(now_s, conductor.tick_at(here), conductor.tempo_at(here))
        if self._pulse is not None:
            off_s = abs(pulse.tick - self._pulse.tick_at(now_s)) / pulse.ticks_per_s
            if pulse.tempo_bpm == self._pulse.tempo_bpm and off_s <= _OFF_S:
                return None
            jumped = off_s > _JUMP_S
        else:
            jumped = True
        self._pulse = pulse
        return ClockReading(pulse, jumped)

    def steer(self, words: Mapping[str, Any], now_s: float) -> ClockReading | None:
        """Play with the session, or not; tempo and place are the session's own."""
        if "stop" in words:
            self._wanted = False
        elif "start" in words:
            self._wanted = True
        return self.look(now_s)

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """The conductor's, as far as it is known now."""
        here = self.sample_at(self._now())
        if here is None:
            return (None,) * BEATS
        conductor = self._session.conductor()
        tick_here = conductor.tick_at(here)
        row: list[Chord | None] = []
        for beat in range(BEATS):
            tick = bar * BAR_TICKS + (beat + 0.5) * TICKS_PER_BEAT  # of a beat its middle, where no change falls
            if tick > tick_here:
                sample = conductor.sample_of(tick, here)
            else:
                apart = samples_per_tick(conductor.tempo_at(here), conductor.sample_rate)
                sample = here + (tick - tick_here) * apart
            row.append(conductor.chord_at(tick, sample))
        return tuple(row)

    def sample_at(self, time_s: float) -> float | None:
        """The session's sample that is heard at a time; None before the first read."""
        if not self._reads:
            return None
        return (time_s - self._reads[0][1] - self._latency_s()) * self._session.sample_rate

    def heard_s(self, sample: float) -> float | None:
        """The time at which a sample is heard; None before the first read."""
        if not self._reads:
            return None
        return self._reads[0][1] + self._latency_s() + sample / self._session.sample_rate

    def tick_of(self, sample: float) -> float:
        """The tick at a sample, as it is known now."""
        return self._session.conductor().tick_at(sample)

    def _observe(self, now_s: float) -> None:
        """Take the latest read into the window, whose first entry is always the least."""
        sample, read_s = self._session.moment
        if read_s <= 0.0:
            return
        offset_s = read_s - sample / self._session.sample_rate
        while self._reads and self._reads[-1][1] >= offset_s:
            self._reads.pop()
        self._reads.append((read_s, offset_s))
        while len(self._reads) > 1 and self._reads[0][0] < now_s - _WINDOW_S:
            self._reads.popleft()
