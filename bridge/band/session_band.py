"""The session band: follows a session's transport and harmony, and takes commands and gives events like a voice."""

import itertools
import threading
import time
from collections.abc import Callable
from typing import Final

from bridge.band.band import Band
from bridge.band.clock import BandTime, SessionTime
from bridge.band.commands import BandCommand
from bridge.band.events import BandEvents
from bridge.band.fluid import open_sound
from bridge.band.keys import ListenerPair
from bridge.band.old_names import OldBandNames
from bridge.band.options import BandOptions
from bridge.band.tones import Sound
from bridge.band.view import BandView
from bridge.midi.ports import MidiListener
from engine.band.process import band_named
from engine.controls import Value, get_value, with_value
from engine.errors import BundleError, ControlError
from engine.messages.session import (
    Applied,
    BandLoad,
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
from engine.protocols.accompanist import BAR_TICKS
from engine.session.session import Session

__all__ = ["SessionBand", "concerns_band"]

_JOIN_S: Final = 5.0


def concerns_band(command: Command) -> bool:
    """Whether a command is for the band and for nothing else."""
    return isinstance(command, BandStart | BandStop | BandLoad) or (
        isinstance(command, Set) and command.path[:1] == ("band",)
    )


class SessionBand:
    """A band that plays with a session.

    Threads: `start` and `stop` one; everything else any. The band has a thread of its own.

    Args:
        options: of the band.
        session: the session to follow.
        latency_s: as `SessionTime`.
        say: takes lines for people, from any thread.
        sounding: add the band's own sound to `mixed`.
        make_band: puts the band together from options, view, clock and sound.
    Raises:
        EngineError: the MIDI output or the soundfont cannot be opened.
    """

    def __init__(
        self,
        options: BandOptions,
        session: Session,
        latency_s: Callable[[], float],
        say: Callable[[str], None],
        *,
        sounding: bool = False,
        make_band: Callable[[BandOptions, BandView, BandTime, Sound | None], Band] = Band,
    ) -> None:
        self._session, self._say = session, say
        self._clock = SessionTime(session, latency_s)
        self._sound: Sound | None = None
        if sounding:
            self._sound, line = open_sound(session.sample_rate, self._ahead_s, options.soundfont)
            say(f"band sound: {line}")
        self._events = BandEvents(say)
        self.band = make_band(options, self._events, self._clock, self._sound)
        self._old_names = OldBandNames(say)
        self._numbers = itertools.count(-1, -1)  # a session's own count up from 1
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="band", daemon=True)

    def start(self) -> None:
        """Start the band's thread; it plays as soon as it has loaded."""
        self._thread.start()

    def stop(self) -> None:
        """End every note and close the ports."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)
        self.band.close()

    def listener(self, other: MidiListener) -> MidiListener:
        """A listener for an input that both `other` and the band are to receive."""
        return ListenerPair(other, self.band.inbox)

    def mixed(self, frames: int) -> Audio:
        """[2, frames], the session's next samples with the band's own sound, if it has one, in its mix."""
        return self._session.read(frames, None if self._sound is None else self._sound.read(frames))

    def panic(self) -> None:
        """Silence everything at once, until `BandStart`."""
        self.band.post(Panic())
        self.band.post(BandStop())

    def post(self, command: Command, when: When) -> int:
        """Send the band a command; the number returned comes back in `Applied` or `Failed`. Never waits.

        Raises:
            ControlError: no such control, a value out of range, no such band, or a command that is not for a band.
        """
        wanted = self._checked(command)
        number, posted_s = next(self._numbers), time.perf_counter()

        def done(why: str) -> None:
            if why:
                self._events.add(Failed(number=number, command=command, reason=why))
                return
            if isinstance(command, Set):
                self._events.add(Changed(path=command.path, value=get_value(self.band.controls, command.path[1:])))
            now_s = time.perf_counter()
            sample, waited_ms = self._clock.sample_at(now_s) or 0.0, 1000.0 * (now_s - posted_s)
            self._events.add(
                Applied(number=number, command=command, voice="band", sample=int(sample), latency_ms=waited_ms)
            )

        self.band.post(wanted, self._tick(when), done)
        return number

    def poll(self) -> list[Event]:
        """Events since the last call, oldest first."""
        return self._events.take()

    def value(self, path: tuple[str, ...]) -> Value | None:
        """The present value of a control; None if there is no such control."""
        try:
            return get_value(self.band.controls, path)
        except ControlError:
            return None

    def status(self) -> list[tuple[str, int | float | str]]:
        """(name, value) rows for a status display."""
        rows: list[tuple[str, int | float | str]] = [("band", self.band.name), ("band_state", self.band.state)]
        seen = self._events.status
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
            self.band.all_notes_off()

    def _ahead_s(self) -> float:
        """Seconds from now until the sample that is read next sounds."""
        at_s = self._clock.sounds_at_s(self._session.position)
        return 0.0 if at_s is None else at_s - time.perf_counter()

    def _checked(self, command: Command) -> BandCommand:
        """The command with its band resolved; refused here, in the caller's thread, if it cannot be applied.

        Raises:
            ControlError: as `post`.
        """
        match command:
            case BandLoad(name=name):
                try:
                    return BandLoad(name=band_named(self._old_names.current(name, "/band/load {}"), paths=False))
                except BundleError as error:
                    raise ControlError(str(error)) from None
            case Set(path=path, value=value):
                with_value(self.band.controls, path[1:], value)
                return command
            case BandStart() | BandStop():
                return command
            case _:
                got = type(command).__name__
                raise ControlError(f"got {got}, wanted a command for the band: its controls, start, stop or load")

    def _tick(self, when: When) -> float | None:
        """The tick before which a command is not applied; None: apply at once."""
        here = self._clock.sample_at(time.perf_counter())
        if when.kind == "now" or here is None:
            return None
        if when.kind == "sample":
            return self._clock.tick_of(float(when.value))
        return when.tick(self._clock.tick_of(here), BAR_TICKS)
