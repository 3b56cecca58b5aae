"""The band inside a session: one of many under its conductor, steered by the same commands, heard at the same time."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from bridge.band.band import Band
from bridge.band.clock import SessionTime
from bridge.band.fluid import open_sound
from bridge.band.options import BandOptions
from bridge.band.tones import Sound
from bridge.band.view import Standing
from bridge.midi.ports import MidiListener
from engine.band.actions import Dropped, Planned
from engine.band.process import band_named
from engine.controls import Value, get_value, with_value
from engine.errors import BundleError, ControlError
from engine.messages.session import (
    Applied,
    BandCounts,
    BandLoad,
    BandNote,
    BandPlan,
    BandStart,
    BandStop,
    Changed,
    Command,
    Event,
    Failed,
    Panic,
    Set,
    When,
)
from engine.music.audio import Audio
from engine.music.units import TICKS_PER_BEAT
from engine.protocols.accompanist import BAR_TICKS
from engine.session.session import Session

__all__ = ["SessionBand", "concerns_band"]

_JOIN_S: Final = 5.0
_EVENTS_KEPT: Final = 10_000


def concerns_band(command: Command) -> bool:
    """Whether a command is the band's and nobody else's."""
    return isinstance(command, BandStart | BandStop | BandLoad) or (
        isinstance(command, Set) and command.path[:1] == ("band",)
    )


class SessionBand:
    """A band that plays with a session.

    Threads: `start` and `stop` by one; everything else by any. The band has a thread of its own.

    Args:
        options: of the band.
        session: whose transport and harmony it follows.
        latency_s: as `SessionTime`.
        say: takes lines for people, from any thread.
        sounding: the band is heard in `mixed`, too.
    Raises:
        EngineError: the output or the soundfont cannot be had.
    """

    def __init__(
        self,
        options: BandOptions,
        session: Session,
        latency_s: Callable[[], float],
        say: Callable[[str], None],
        *,
        sounding: bool = False,
    ) -> None:
        self._session, self._say = session, say
        self._clock = SessionTime(session, latency_s)
        self._sound: Sound | None = None
        if sounding:
            self._sound, line = open_sound(session.sample_rate, self._ahead_s, options.soundfont)
            say(f"the band is heard here: {line}")
        self._news = _EventSink(say)
        self.band = Band(options, self._news, self._clock, self._sound)
        self._numbers = itertools.count(-1, -1)  # a session's own count up from 1
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="band", daemon=True)

    def start(self) -> None:
        """Play as soon as the band has loaded."""
        self._thread.start()

    def stop(self) -> None:
        """End every note and give the ports back."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        self.band.close()

    def listener(self, other: MidiListener) -> MidiListener:
        """Who hears a keyboard that `other` hears, too."""
        return _Both(other, self.band.ears)

    def mixed(self, frames: int) -> Audio:
        """[2, frames], the session's next samples, and the band's sound if it is heard here; within -1..1."""
        if self._sound is None:
            return self._session.read(frames)
        band = self._sound.read(frames)
        out: Audio = (self._session.read(frames) + band).clip(-1.0, 1.0)
        return out

    def panic(self) -> None:
        """Everything silent at once, until `BandStart`."""
        self.band.order({"panic": 1, "stop": 1})

    def post(self, command: Command, when: When) -> int:
        """Ask for something of the band; the number given comes back in `Applied` or `Failed`. Never waits.

        Raises:
            ControlError: no such control, a value that it cannot take, or no such band.
        """
        words = self._words(command)
        number, asked_s = next(self._numbers), time.perf_counter()

        def told(why: str) -> None:
            if why:
                self._news.add(Failed(number=number, command=command, reason=why))
                return
            if isinstance(command, Set):
                self._news.add(Changed(path=command.path, value=get_value(self.band.controls, command.path[1:])))
            now_s = time.perf_counter()
            sample, waited_ms = self._clock.sample_at(now_s) or 0.0, 1000.0 * (now_s - asked_s)
            self._news.add(
                Applied(number=number, command=command, voice="band", sample=int(sample), latency_ms=waited_ms)
            )

        self.band.order(words, self._tick(when), told)
        return number

    def poll(self) -> list[Event]:
        """What has happened since the last call, oldest first."""
        return self._news.take()

    def value(self, path: tuple[str, ...]) -> Value | None:
        """The present value of a control, None if there is none."""
        try:
            return get_value(self.band.controls, path)
        except ControlError:
            return None

    def status(self) -> list[tuple[str, int | float | str]]:
        """The band in a few words and numbers."""
        rows: list[tuple[str, int | float | str]] = [("band", self.band.name), ("band_state", self.band.state)]
        seen = self._news.standing
        if seen is not None:
            rows += [("band_made", seen.counts["made"]), ("band_fallbacks", seen.fallbacks)]
            rows += [("band_notes", seen.out.ons), ("band_sounding", seen.out.sounding)]
        return rows

    # inside

    def _run(self) -> None:
        try:
            self.band.run(self._ended.is_set)
        except Exception as error:  # the voices play on
            self._say(f"the band has ended: {error}")
            self.band.hush()

    def _ahead_s(self) -> float:
        """How long after now the sample is heard that is read next."""
        heard_s = self._clock.heard_s(self._session.position)
        return 0.0 if heard_s is None else heard_s - time.perf_counter()

    def _words(self, command: Command) -> Mapping[str, Any]:
        match command:
            case BandStart():
                return {"start": 1}
            case BandStop():
                return {"stop": 1}
            case BandLoad(name=name):
                try:
                    return {"load": band_named(name, paths=False)}
                except BundleError as error:
                    raise ControlError(str(error)) from None
            case Set(path=path, value=value):
                with_value(self.band.controls, path[1:], value)
                return {"set": "/".join(path[1:]), "value": value}
            case Panic():
                return {"panic": 1, "stop": 1}
            case _:
                raise ControlError(f"{type(command).__name__} is not for the band")

    def _tick(self, when: When) -> float | None:
        """The tick before which a command is not to hold; None: at once."""
        here = self._clock.sample_at(time.perf_counter())
        if when.kind == "now" or here is None:
            return None
        if when.kind == "at":
            return float(when.value * BAR_TICKS)
        if when.kind == "sample":
            return self._clock.tick_of(float(when.value))
        line = TICKS_PER_BEAT if when.kind == "beat" else BAR_TICKS
        return float((self._clock.tick_of(here) // line + 1) * line)


class _Both:
    """Two listeners at one input."""

    def __init__(self, *listeners: MidiListener) -> None:
        self._listeners = listeners

    def arrived(self, message: Sequence[int], at_s: float) -> None:
        for listener in self._listeners:
            listener.arrived(message, at_s)

    def look(self, now_s: float) -> None:
        for listener in self._listeners:
            listener.look(now_s)

    def let_go(self) -> None:
        for listener in self._listeners:
            listener.let_go()


class _EventSink:
    """A band's view that makes events of what it is told. Threads: any may `take`."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.standing: Standing | None = None
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def add(self, event: Event) -> None:
        self._events.append(event)

    def take(self) -> list[Event]:
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def plan(self, news: Planned | Dropped) -> None:
        if isinstance(news, Dropped):
            return  # counted; and what is played instead is told
        names: list[str] = []
        for chord in news.chords:
            name = "-" if chord is None else str(chord)
            if not names or names[-1] != name:
                names.append(name)
        notes = [
            BandNote(bar=news.bar, role=role, start=n.start, pitch=n.pitch, length=n.length, velocity=n.velocity)
            for role, played in news.tracks.items() for n in played
        ]  # fmt: skip
        self._events.append(
            BandPlan(
                bar=news.bar,
                source=news.source,
                chords=" ".join(names),
                notes=len(notes),
                ahead_ms=1000.0 * news.ahead_s,
            )
        )
        self._events.extend(notes)
        if self.standing is not None:
            self._events.append(_counts(self.standing))

    def stand(self, standing: Standing) -> None:
        self.standing = standing


def _counts(seen: Standing) -> BandCounts:
    return BandCounts(
        made=seen.counts["made"], fallbacks=seen.fallbacks, late=seen.counts["late"], failed=seen.counts["failed"],
        ons=seen.out.ons, offs=seen.out.offs, stale=seen.out.stale, sounding=seen.out.sounding,
    )  # fmt: skip
