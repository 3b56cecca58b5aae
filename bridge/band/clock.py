"""Where a band's musical time comes from: a clock of its own, an incoming MIDI clock, or a session's transport.

Each gives a `Pulse` and reports when it has changed; a band works the same with all three.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, assert_never

from bridge.audio.clocks import Sounding
from bridge.band.commands import ClockCommand
from bridge.midi.clock import ClockFollower
from engine.errors import ControlError
from engine.messages.session import BandStart, BandStop, Locate, Tempo
from engine.music.harmony import Chord
from engine.music.pulse import Pulse
from engine.music.units import TICKS_PER_BEAT, samples_per_tick
from engine.protocols.accompanist import BAR_TICKS, BEATS
from engine.session.session import Session

__all__ = ["BandTime", "ClockReading", "MidiTime", "OwnTime", "SessionTime"]

_READY_S: Final = 0.3  # between the first message to a new port and the first note
_HOLD_S: Final = 4.0  # a lost clock's tempo is held so long
_WINDOW_S: Final = 2.0  # length of the window of reads from which a session's clock is estimated
_OFF_S: Final = 0.001  # a new pulse is reported when the old one is wrong by more
_JUMP_S: Final = 0.05  # and musical time has jumped when it is wrong by more than this


@dataclass(frozen=True, slots=True)
class ClockReading:
    """Musical time from now on.

    Args:
        pulse: None: it stands still.
        jumped: the position was set; what was planned is void.
        line: for people; empty for none.
    """

    pulse: Pulse | None
    jumped: bool = False
    line: str = ""


class BandTime(Protocol):
    """Threads: the band's."""

    def begin(self, now_s: float) -> ClockReading | None:
        """The band is ready to play: start, if it is this clock that decides."""
        ...

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """Take a system message from the input; True if it was about musical time."""
        ...

    def poll(self, now_s: float) -> ClockReading | None:
        """Musical time if it has changed since the last call, otherwise None."""
        ...

    def apply(self, command: ClockCommand, now_s: float) -> ClockReading | None:
        """Carry out a command; the new musical time, None if it stays the same.

        Raises:
            ControlError: this clock is set elsewhere, or cannot take the command now.
        """
        ...

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """A conductor's chords of a bar, one a beat; empty where there is no conductor."""
        ...


class OwnTime:
    """The band's own clock, which starts when the band is ready.

    Args:
        tempo_bpm: at the start.
        count_in: start one bar early.
    """

    def __init__(self, tempo_bpm: float, *, count_in: bool = False) -> None:
        self._tempo_bpm, self._first = tempo_bpm, -BAR_TICKS if count_in else 0
        self._pulse: Pulse | None = None

    def begin(self, now_s: float) -> ClockReading | None:
        """Start from the beginning; None if it runs already."""
        if self._pulse is not None:
            return None
        return self._set(Pulse(now_s + _READY_S, self._first, self._tempo_bpm), jumped=True)

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """Ignore incoming clocks."""
        return False

    def poll(self, now_s: float) -> ClockReading | None:
        """It changes only by `apply`."""
        return None

    def apply(self, command: ClockCommand, now_s: float) -> ClockReading | None:
        """See `BandTime`. A tempo that comes while the clock is stopped is used at the next start."""
        match command:
            case BandStop():
                return self._set(None)
            case BandStart():
                return self.begin(now_s)
            case Tempo(bpm=bpm):
                self._tempo_bpm = bpm
                return None if self._pulse is None else self._set(self._pulse.at_tempo(bpm, now_s))
            case Locate(bar=bar):
                if self._pulse is None:
                    raise ControlError(f"got locate {bar} while the clock is stopped; start the band first")
                return self._set(Pulse(now_s, bar * BAR_TICKS, self._pulse.tempo_bpm), jumped=True)
            case _:
                assert_never(command)

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """There is no conductor."""
        return ()

    def _set(self, pulse: Pulse | None, *, jumped: bool = False) -> ClockReading:
        self._pulse = pulse
        return ClockReading(pulse, jumped)


class MidiTime:
    """An incoming MIDI clock, with its start, stop, continue and song position.

    Args:
        latency_s: how late its messages arrive.
    """

    def __init__(self, latency_s: float = 0.0) -> None:
        self._clock = ClockFollower(latency_s=latency_s)
        self._rolling = self._fed = False

    def begin(self, now_s: float) -> ClockReading | None:
        """It starts when the incoming clock does."""
        return None

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """See `BandTime`."""
        taken = self._clock.feed(message, at_s)
        self._fed = self._fed or taken
        return taken

    def poll(self, now_s: float) -> ClockReading | None:
        """The clock after a message, or that it has been lost for too long."""
        if self._fed:
            self._fed = False
            jumped, pulse = self._clock.jumped(), self._clock.pulse()
            line = "; ".join(self._clock.remarks())
            if pulse is None and not self._rolling:
                return ClockReading(None, line=line) if line else None
            jumped = jumped or not self._rolling
            self._rolling = pulse is not None
            return ClockReading(pulse, jumped, line)
        if self._rolling and self._clock.silence_s(now_s) > _HOLD_S:
            self._rolling = False
            return ClockReading(None, line="the MIDI clock is lost: the band stops until it is back")
        return None

    def apply(self, command: ClockCommand, now_s: float) -> ClockReading | None:
        """Refuse: the sender of the clock decides."""
        name = type(command).__name__.removeprefix("Band").lower()
        raise ControlError(f"got {name}, but an incoming MIDI clock decides it: set it there, or use --clock own")

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """There is no conductor."""
        return ()


class SessionTime:
    """The transport and the harmony of a session, at the moment they sound.

    Args:
        session: the session to follow.
        latency_s: as `bridge.audio.clocks.Sounding`.
        now: the session's clock, perf_counter seconds.
    """

    def __init__(
        self, session: Session, latency_s: Callable[[], float], now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._session, self._now = session, now
        self._sounding = Sounding(lambda: session.moment, session.sample_rate, latency_s, _WINDOW_S)
        self._pulse: Pulse | None = None
        self._begun, self._wanted, self._resting = False, True, False

    def begin(self, now_s: float) -> ClockReading | None:
        """The transport runs already; follow it from now on."""
        self._begun = True
        return self.poll(now_s)

    def feed(self, message: Sequence[int], at_s: float) -> bool:
        """Ignore incoming clocks."""
        return False

    def poll(self, now_s: float) -> ClockReading | None:
        """The pulse, if tempo, position or clock have changed; None pulse while the meter is not 4/4."""
        self._sounding.look()
        here = self.sample_at(now_s)
        if here is None or not self._begun:
            return None
        conductor = self._session.conductor()
        fits, resting = conductor.bar_ticks_at(here) == BAR_TICKS, self._resting
        self._resting = not fits
        line = "" if fits or resting else f"the band plays only in {BEATS}/4: it rests until the meter fits"
        if not fits or not self._wanted:
            moved, self._pulse = self._pulse is not None, None
            return ClockReading(None, line=line) if moved or line else None
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

    def apply(self, command: ClockCommand, now_s: float) -> ClockReading | None:
        """Play with the session, or rest; tempo and position are the session's own and refused here."""
        match command:
            case BandStop():
                self._wanted = False
            case BandStart():
                self._wanted = True
            case Tempo() | Locate():
                name = type(command).__name__.lower()
                raise ControlError(f"got {name} for the band, but it follows the session: use /transport/{name}")
            case _:
                assert_never(command)
        return self.poll(now_s)

    def chords(self, bar: int) -> tuple[Chord | None, ...]:
        """The conductor's chords of a bar, as far as they are known now."""
        here = self.sample_at(self._now())
        if here is None:
            return (None,) * BEATS
        conductor = self._session.conductor()
        tick_here = conductor.tick_at(here)
        row: list[Chord | None] = []
        for beat in range(BEATS):
            tick = bar * BAR_TICKS + (beat + 0.5) * TICKS_PER_BEAT  # the beat's middle, where no chord changes
            if tick > tick_here:
                sample = conductor.sample_of(tick, here)
            else:
                apart = samples_per_tick(conductor.tempo_at(here), conductor.sample_rate)
                sample = here + (tick - tick_here) * apart
            row.append(conductor.chord_at(tick, sample))
        return tuple(row)

    def sample_at(self, time_s: float) -> float | None:
        """The session's sample that sounds at a time; None before the first read."""
        return self._sounding.sample_at(time_s)

    def sounds_at_s(self, sample: float) -> float | None:
        """The time at which a sample sounds, perf_counter seconds; None before the first read."""
        return self._sounding.time_of(sample)

    def tick_of(self, sample: float) -> float:
        """The tick at a sample, as far as is known now."""
        return self._session.conductor().tick_at(sample)
