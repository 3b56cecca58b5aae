"""The band at work: ports, maker and accompanist put together, under any source of musical time."""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final

from bridge.band.clock import BandTime, ClockReading
from bridge.band.options import BandOptions
from bridge.band.tones import Sound
from bridge.band.view import BandView, Standing
from bridge.midi.out import MidiOutput, NoOutput
from bridge.midi.output_commands import (
    AllNotesOff,
    AllSoundOff,
    Book,
    OutputCommand,
    Raw,
    Release,
    SetPulse,
    StartClock,
    StopClock,
    Strike,
    Withdraw,
)
from bridge.midi.ports import MidiInput
from bridge.midi.sender import SenderSetup
from bridge.midi.sources import NoMidiError
from bridge.settings import SettingsError
from engine.band.accompanist import Accompanist
from engine.band.actions import Action, CancelNotes, PlayNotes, ReleaseNotes, RequestBar
from engine.band.controls import maker_controls, working
from engine.band.ledger import Booking
from engine.band.process import AccompanistFailed, AccompanistProcess, AccompanistReady
from engine.controls import with_value
from engine.errors import EngineError
from engine.music.units import TICKS_PER_BEAT
from engine.protocols.accompanist import BAR_TICKS, BEATS, CHANNELS, PROGRAMS

if TYPE_CHECKING:
    from bridge.audio.port import AudioPort

__all__ = ["Band", "MidiInbox"]

_TURN_S: Final = 0.01  # the longest between two looks at what has happened
_CLICK, _CLICK_VELOCITY = 37, (110, 80)  # side stick; the bar's first beat, the others
_NOTE_OFF, _NOTE_ON, _CLOCKS = 0x80, 0x90, 0xF0


class MidiInbox:
    """What arrives at an input, kept until the band has time. Threads: any."""

    def __init__(self) -> None:
        self.heard: deque[tuple[Sequence[int] | None, float]] = deque(maxlen=20_000)

    def arrived(self, message: Sequence[int], at_s: float) -> None:
        """Keep a message."""
        self.heard.append((message, at_s))

    def look(self, now_s: float) -> None:
        """Nothing falls due here."""

    def let_go(self) -> None:
        """The keyboard has gone: told as a message that is none."""
        self.heard.append((None, time.perf_counter()))


@dataclass(frozen=True, slots=True)
class _Wish:
    """Words to obey from `tick` on (None: at once), and whom to tell of it."""

    words: Mapping[str, Any]
    tick: float | None
    told: Callable[[str], None] | None


class Band:
    """Ports, maker and accompanist, put together.

    Threads and processes: one thread owns everything but `order` and `ears`, which are any thread's; the input, the
    output and the maker have processes.

    Args:
        options: what to set up.
        view: where news go; called from the owner's thread.
        clock: where musical time comes from.
        sound: heard beside the MIDI output; whoever gives it reads it. Without it `options.sound` names a device.
    """

    def __init__(self, options: BandOptions, view: BandView, clock: BandTime, sound: Sound | None = None) -> None:
        self.options, self.view, self.ears = options, view, MidiInbox()
        self.controls = options.controls
        self.player = Accompanist(working(options.controls, options.working))
        self.player.conducted = clock.chords
        self._time, self._sound = clock, sound
        self._ready = self._rolling = False
        self._struck: dict[tuple[int, int], Strike] = {}
        self._ids = -1
        self._wishes: deque[_Wish] = deque(maxlen=1000)
        self._next: tuple[AccompanistProcess, _Wish] | None = None
        self._maker = AccompanistProcess(options.band, maker_controls(self.controls))  # loads while the ports open
        self._in: MidiInput | None = None
        self._audio: AudioPort | None = None
        try:
            setup = SenderSetup(
                clock=options.send_clock,
                lead_s=options.output_ms / 1000.0,
                channels=tuple(sorted({CHANNELS[role] for role in (*self._roles(), self.player.settings.player)})),
                raw=self._programs(),
            )
            self._out = self._open_out(setup)
            try:
                self._open_in()
                if options.sound and sound is None:
                    self._open_sound()
                view.say(f"band: {options.band}; MIDI out: {self._out.name}" + (
                    f"; MIDI in: {self._in.name}" if self._in is not None else ""
                ))  # fmt: skip
            except BaseException:
                for port in (self._audio, self._in, self._out):
                    if port is not None:
                        port.stop()
                raise
        except BaseException:
            self._maker.stop()
            raise

    @property
    def name(self) -> str:
        """Who plays."""
        return self._maker.name

    @property
    def state(self) -> str:
        """``loading``, ``playing`` or ``resting``."""
        return "loading" if not self._ready else "playing" if self._rolling else "resting"

    def order(
        self, words: Mapping[str, Any], tick: float | None = None, told: Callable[[str], None] | None = None
    ) -> None:
        """Something from outside, such as ``{"tempo": 90}``; see `_obey`. From any thread.

        Args:
            tick: of musical time, before which it is not to hold.
            told: called from the band's thread when it has been obeyed, with a reason if it could not be.
        """
        self._wishes.append(_Wish(words, tick, told))

    def run(self, until: Callable[[], bool]) -> None:
        """PlayNotes until `until` says so."""
        while not until():
            now_s = time.perf_counter()
            self._move(self._time.look(now_s))
            self._listen()
            self._work(now_s)
            self._mind_wishes(now_s)
            self._act(self.player.turn(time.perf_counter()))
            self._tell()
            now_s = time.perf_counter()
            left_s = min(_TURN_S, max(0.0, self.player.next_s(now_s) - now_s))
            lines: list[Connection] = [self._maker.line] if self._maker.line is not None else []
            if lines:
                wait(lines, left_s)
            else:
                time.sleep(left_s)

    def hush(self) -> None:
        """End every note and forget what is booked. By the owner's thread."""
        self._send(StopClock())
        self._send(AllNotesOff())

    def close(self) -> None:
        """End every note, then the ports and the maker."""
        self.hush()
        others = [port.stop for port in (self._in, self._audio) if port is not None]
        makers = [self._maker.stop, *([self._next[0].stop] if self._next is not None else [])]
        for end in (self._out.stop, *makers, *others):
            try:
                end()
            except Exception as error:  # the others must end, too
                self.view.say(f"while stopping: {type(error).__name__}: {error}")
        self.view.stand(self._standing(time.perf_counter()))

    # ports

    def _send(self, order: OutputCommand) -> None:
        self._out.send(order)
        if self._sound is not None:
            self._sound.obey(order)

    def _open_out(self, setup: SenderSetup) -> MidiOutput | NoOutput:
        """The output asked for; with sound of our own, a machine without MIDI will do."""
        if self.options.sink == "none":
            return NoOutput()
        try:
            return MidiOutput(self.options.sink, setup)
        except NoMidiError as error:
            if not self.options.sound and self._sound is None:
                raise
            self.view.say(f"no MIDI out: {error}")
            return NoOutput()

    def _open_in(self) -> None:
        if self.options.source == "none":
            return
        try:
            self._in = MidiInput(self.options.source, self.ears, timing=self.options.follow)
        except NoMidiError as error:
            if not self.options.sound or self.options.follow:
                raise
            self.view.say(f"no MIDI in: {error}")

    def _open_sound(self) -> None:
        from bridge.audio.port import open_port
        from bridge.band.fluid import open_sound

        name = self.options.sound
        port = open_port(None if name == "default" else name)
        self._audio = port
        self._sound, line = open_sound(port.sample_rate, lambda: port.latency_s, self.options.soundfont)
        port.start(self._sound.read)
        self.view.say(f"sound: {port.name}, {line}")

    # what happens

    def _listen(self) -> None:
        delay_s = self.options.input_ms / 1000.0
        while self.ears.heard:
            message, at_s = self.ears.heard.popleft()
            if message is None:
                self.player.capture.let_go(None)
                self._let_go()
            elif message and message[0] >= _CLOCKS and self._time.feed(message, at_s):
                self._move(self._time.look(at_s))
            else:
                self.player.hear(message, at_s - delay_s)
                if self.options.thru:
                    self._pass(message)

    def _move(self, moment: ClockReading | None) -> None:
        """Musical time from now on, for the accompanist and for the output."""
        if moment is None:
            return
        if moment.say:
            self.view.say(moment.say)
        pulse, jumped = moment.pulse, moment.jumped
        self.player.time(pulse, jumped=jumped)
        if jumped or pulse is None:
            self._act(self.player.turn(time.perf_counter()) if pulse is None else ())
            self._send(StopClock())
            self._send(AllNotesOff())
        self._send(SetPulse(pulse))
        if pulse is not None and (jumped or not self._rolling):
            self._send(Raw(self._programs()))
            self._send(StartClock(max(0.0, pulse.tick_at(time.perf_counter()))))
            if pulse.tick <= -BAR_TICKS:
                self._count_in(pulse.tick)
        self._rolling = pulse is not None

    def _count_in(self, first: float) -> None:
        notes = []
        for beat in range(BEATS):
            self._ids -= 1
            start = first + beat * TICKS_PER_BEAT
            velocity = _CLICK_VELOCITY[min(beat, 1)]
            notes.append(Booking(self._ids, start, start + 120, CHANNELS["drum"], _CLICK, velocity))
        self._send(Book(tuple(notes)))

    def _work(self, now_s: float) -> None:
        while (said := self._maker.poll()) is not None:
            if isinstance(said, AccompanistReady):
                self.view.say(f"{said.name} is ready after {said.seconds:.2f} s")
                if not self._ready:
                    self._move(self._time.begin(now_s))
                self._ready = True
            elif isinstance(said, AccompanistFailed):
                if not self._ready:
                    raise SettingsError(said.why)
                self.player.failed(said.number, said.why)
            else:
                self.player.made(said, time.perf_counter())
        if self._next is not None:
            self._change(*self._next)

    def _change(self, maker: AccompanistProcess, wish: _Wish) -> None:
        """Let another maker take over once it is ready and none of the old one's bars is on its way."""
        if not maker.ready:
            said = maker.poll()
            if isinstance(said, AccompanistFailed):
                self._next = None
                maker.stop()
                self._answer(wish, said.why)
            return
        if self.player.waiting:
            return
        old, self._maker, self._next, self._ready = self._maker, maker, None, True
        old.stop()
        self.view.say(f"{maker.name} takes over")
        self._answer(wish, "")

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case RequestBar(request):
                    if not self._ready or not self._maker.ask(request):
                        self.player.failed(request.number, "no maker")
                case PlayNotes(notes):
                    self._send(Book(notes))
                case CancelNotes(tick):
                    channels = tuple(CHANNELS[role] for role in self.player.settings.targets)
                    self._send(Withdraw(tick, channels))
                case ReleaseNotes():
                    self._send(AllNotesOff())
                case _:
                    self.view.plan(action)

    # orders

    def _mind_wishes(self, now_s: float) -> None:
        pulse, later = self.player.pulse, []
        while self._wishes:
            wish = self._wishes.popleft()
            if wish.tick is not None and (pulse is None or pulse.tick_at(now_s) < wish.tick):
                later.append(wish)
                continue
            try:
                waits = self._obey(wish, now_s)
            except (EngineError, TypeError, ValueError) as error:
                self._answer(wish, str(error))
            else:
                if not waits:
                    self._answer(wish, "")
        self._wishes.extend(later)

    def _answer(self, wish: _Wish, why: str) -> None:
        if wish.told is not None:
            wish.told(why)
        elif why:
            self.view.say(f"refused {dict(wish.words)}: {why}")

    def _obey(self, wish: _Wish, now_s: float) -> bool:
        """Do as told; True if that takes its time.

        ``panic``, ``start``, ``stop``, ``tempo`` bpm, ``locate`` bar, ``load`` a band's name, ``set`` a control (such
        as ``density/bass``) to ``value``: for programs that steer us.
        """
        words = wish.words
        if "panic" in words:
            self._send(AllSoundOff())
            self._struck.clear()
        if "set" in words:
            self._set_control(tuple(str(words["set"]).split("/")), words.get("value"))
        if "load" in words:
            if self._next is not None:
                self._next[0].stop()
                self._answer(self._next[1], "another band was asked for")
            self._next = AccompanistProcess(str(words["load"]), maker_controls(self.controls)), wish
            return True
        if not words.keys().isdisjoint(("start", "stop", "tempo", "locate")):
            self._move(self._time.steer(words, now_s))
        return False

    def _set_control(self, path: tuple[str, ...], value: object) -> None:
        controls = with_value(self.controls, path, value)
        settings, before = working(controls, self.player.settings), self._roles()
        self.controls = controls
        for maker in (self._maker, *([self._next[0]] if self._next is not None else [])):
            maker.steer(maker_controls(controls))
        self.player.adopt(settings)
        pulse, gone = self.player.pulse, set(before) - set(settings.targets)
        if pulse is not None and gone:
            channels = tuple(sorted(CHANNELS[role] for role in gone))
            self._send(Withdraw(pulse.tick_at(time.perf_counter()), channels))
        if set(self._roles()) - set(before):
            self._send(Raw(self._programs()))

    # the player

    def _pass(self, message: Sequence[int]) -> None:
        """A key of the player, sent on."""
        if len(message) < 3 or not all(0 <= byte < 128 for byte in message[1:3]):
            return
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        channel = CHANNELS[self.player.settings.player]
        if kind == _NOTE_ON and message[2] > 0:
            self._ids -= 1
            self._struck[key] = Strike(self._ids, channel, message[1], message[2])
            self._send(self._struck[key])
        elif kind in (_NOTE_OFF, _NOTE_ON) and key in self._struck:
            self._release(self._struck.pop(key))

    def _let_go(self) -> None:
        for strike in self._struck.values():
            self._release(strike)
        self._struck.clear()

    def _release(self, strike: Strike) -> None:
        """On the channel of its own time: roles may have changed since."""
        self._send(Release(strike.id, strike.channel, strike.pitch))

    # what is told

    def _roles(self) -> tuple[str, ...]:
        """Every role that may sound."""
        settings = self.player.settings
        return (*settings.targets, *((settings.player,) if self.options.thru else ()))

    def _programs(self) -> tuple[bytes, ...]:
        return tuple(bytes((0xC0 | CHANNELS[role], PROGRAMS[role])) for role in self._roles())

    def _tell(self) -> None:
        for port in (self._out, self._in, self._audio):
            for line in port.poll() if port is not None else ():
                self.view.say(line)
        self.view.stand(self._standing(time.perf_counter()))

    def _standing(self, now_s: float) -> Standing:
        pulse, stats = self.player.pulse, self._out.stats
        tick = -math.inf if pulse is None else pulse.tick_at(now_s)
        now, coming = (None, None) if self.player.bar is None else (
            self.player.planned(self.player.bar), self.player.planned(self.player.bar + 1)
        )  # fmt: skip
        late = self._out.lateness()
        return Standing(
            now_s, tick, 0.0 if pulse is None else pulse.tempo_bpm, now, coming, dict(self.player.counts), stats, late
        )
