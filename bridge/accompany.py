"""``ripieno accompany``: play a melody, and the band plays the next bar with you, over MIDI."""

import contextlib
import json
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from bridge.band_options import BandOptions, options_from, parser, within
from bridge.band_view import BandView, JsonView, LinesView, PictureView, Standing
from bridge.midi.clock import ClockFollower
from bridge.midi.out import MidiOutput, NoOutput
from bridge.midi.ports import MidiInput
from bridge.midi.sender import Book, Halt, Hush, Order, Panic, Raw, Release, Roll, SenderSetup, Strike, Tempo, Withdraw
from bridge.midi.sources import NoMidiError
from bridge.settings import SettingsError
from engine.accompany import Accompanist, Action, Ask, Play, Silence, Unplay
from engine.band import BAR_TICKS, BEATS, CHANNELS, PROGRAMS
from engine.ledger import Booking
from engine.maker import MakerFailed, MakerProcess, MakerReady, usual_band
from engine.music.pulse import Pulse
from engine.music.units import TICKS_PER_BEAT

if TYPE_CHECKING:
    from bridge.audio.port import AudioPort
    from bridge.band_sound import BandSound

__all__ = ["Band", "accompany_main"]

_NICE: Final = -5  # before what the machine does beside a performance, where the system lets us
_TURN_S: Final = 0.01  # the longest between two looks at what has happened
_HOLD_S: Final = 4.0  # a lost clock's tempo is held so long
_READY_S: Final = 0.3  # between the first message to a new port and the first note
_CLICK, _CLICK_VELOCITY = 37, (110, 80)  # side stick; the bar's first beat, the others
_NOTE_OFF, _NOTE_ON, _CLOCKS = 0x80, 0x90, 0xF0


class _Ears:
    """What arrives at the input, kept until the main loop has time."""

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


class Band:
    """Ports, maker and accompanist, put together.

    Threads and processes: the main thread owns everything; the input, the output and the maker have processes.

    Args:
        options: what to set up.
        view: where news go.
    """

    def __init__(self, options: BandOptions, view: BandView) -> None:
        self.options, self.view = options, view
        self.player = Accompanist(options.working)
        self._ears = _Ears()
        self._clock = ClockFollower(latency_s=options.input_ms / 1000.0) if options.follow else None
        self._ready = False
        self._rolling = False
        self._struck: dict[tuple[int, int], int] = {}
        self._ids = -1
        self._orders: deque[Mapping[str, Any]] = deque(maxlen=1000)
        self._maker = MakerProcess(options.band)  # loads while the ports open
        self._in: MidiInput | None = None
        self._audio: AudioPort | None = None
        self._sound: BandSound | None = None
        try:
            roles = (*options.working.targets, options.working.player)
            setup = SenderSetup(
                clock=options.send_clock,
                lead_s=options.output_ms / 1000.0,
                channels=tuple(sorted({CHANNELS[role] for role in roles})),
                raw=self._programs(),
            )
            self._out = self._open_out(setup)
            try:
                self._open_in()
                if options.sound:
                    self._open_sound()
                there = self._in.name if self._in is not None else "none"
                view.say(f"band: {options.band}; MIDI out: {self._out.name}; MIDI in: {there}")
            except BaseException:
                for port in (self._audio, self._in, self._out):
                    if port is not None:
                        port.stop()
                raise
        except BaseException:
            self._maker.stop()
            raise

    def order(self, words: Mapping[str, Any]) -> None:
        """Something from outside, such as ``{"tempo": 90}``; see `_obey`. From any thread."""
        self._orders.append(words)

    def run(self, until: Callable[[], bool]) -> None:
        """Play until `until` says so."""
        while not until():
            now_s = time.perf_counter()
            self._listen(now_s)
            self._work(now_s)
            while self._orders:
                self._obey(self._orders.popleft(), now_s)
            self._act(self.player.turn(time.perf_counter()))
            self._tell()
            now_s = time.perf_counter()
            left_s = min(_TURN_S, max(0.0, self.player.next_s(now_s) - now_s))
            lines: list[Connection] = [self._maker.line] if self._maker.line is not None else []
            if lines:
                wait(lines, left_s)
            else:
                time.sleep(left_s)

    def close(self) -> None:
        """End every note, then the ports and the maker."""
        self._send(Halt())
        self._send(Hush())
        others = [port.stop for port in (self._in, self._audio) if port is not None]
        for end in (self._out.stop, self._maker.stop, *others):
            try:
                end()
            except Exception as error:  # the others must end, too
                self.view.say(f"while stopping: {type(error).__name__}: {error}")
        self.view.stand(self._standing(time.perf_counter()))

    # inside

    def _send(self, order: Order) -> None:
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
            if not self.options.sound:
                raise
            self.view.say(f"no MIDI out: {error}")
            return NoOutput()

    def _open_in(self) -> None:
        if self.options.source == "none":
            return
        try:
            self._in = MidiInput(self.options.source, self._ears, timing=self.options.follow)
        except NoMidiError as error:
            if not self.options.sound or self.options.follow:
                raise
            self.view.say(f"no MIDI in: {error}")

    def _open_sound(self) -> None:
        from bridge.audio.port import open_port
        from bridge.band_sound import BandSound

        name = self.options.sound
        port = open_port(None if name == "default" else name)
        self._audio, self._sound = port, BandSound(port.sample_rate, lambda: port.latency_s)
        port.start(self._sound.read)
        self.view.say(f"sound: {port.name}")

    def _listen(self, now_s: float) -> None:
        delay_s = self.options.input_ms / 1000.0
        while self._ears.heard:
            message, at_s = self._ears.heard.popleft()
            if message is None:
                self.player.capture.let_go(None)
                self._let_go()
            elif self._clock is not None and message and message[0] >= _CLOCKS and self._clock.feed(message, at_s):
                self._follow(self._clock)
            else:
                self.player.hear(message, at_s - delay_s)
                if self.options.thru:
                    self._pass(message)
        if self._clock is not None and self.player.pulse is not None and self._clock.silence_s(now_s) > _HOLD_S:
            self.view.say("the clock has been lost for too long: stopped until it is back")
            self._set(None)

    def _follow(self, clock: ClockFollower) -> None:
        jumped, pulse = clock.jumped(), clock.pulse()
        if pulse is None and self.player.pulse is None:
            return
        self._set(pulse, jumped=jumped or self.player.pulse is None)

    def _set(self, pulse: Pulse | None, *, jumped: bool = False) -> None:
        """Musical time from now on, for the accompanist and for the output."""
        self.player.time(pulse, jumped=jumped)
        if jumped or pulse is None:
            self._act(self.player.turn(time.perf_counter()) if pulse is None else ())
            self._send(Halt())
            self._send(Hush())
        self._send(Tempo(pulse))
        if pulse is not None and (jumped or not self._rolling):
            self._send(Raw(self._programs()))
            self._send(Roll(max(0.0, pulse.tick_at(time.perf_counter()))))
        self._rolling = pulse is not None

    def _start(self, now_s: float) -> None:
        """Our own clock begins."""
        first = -BAR_TICKS if self.options.count_in else 0
        self._set(Pulse(now_s + _READY_S, first, self.options.tempo), jumped=True)
        if self.options.count_in:
            notes = []
            for beat in range(BEATS):
                self._ids -= 1
                start = first + beat * TICKS_PER_BEAT
                velocity = _CLICK_VELOCITY[min(beat, 1)]
                notes.append(Booking(self._ids, start, start + 120, CHANNELS["drum"], _CLICK, velocity))
            self._send(Book(tuple(notes)))

    def _work(self, now_s: float) -> None:
        while (said := self._maker.poll()) is not None:
            if isinstance(said, MakerReady):
                self.view.say(f"{said.name} is ready after {said.seconds:.2f} s")
                if not self._ready and self._clock is None:
                    self._start(now_s)
                self._ready = True
            elif isinstance(said, MakerFailed):
                if not self._ready:
                    raise SettingsError(said.why)
                self.player.failed(said.number, said.why)
            else:
                self.player.made(said, time.perf_counter())

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Ask(request):
                    if not self._ready or not self._maker.ask(request):
                        self.player.failed(request.number, "no maker")
                case Play(notes):
                    self._send(Book(notes))
                case Unplay(tick):
                    channels = tuple(CHANNELS[role] for role in self.options.working.targets)
                    self._send(Withdraw(tick, channels))
                case Silence():
                    self._send(Hush())
                case _:
                    self.view.plan(action)

    def _obey(self, words: Mapping[str, Any], now_s: float) -> None:
        """``tempo`` bpm, ``locate`` bar, ``stop``, ``start``, ``panic``: for programs that steer us."""
        pulse = self.player.pulse
        try:
            if "panic" in words:
                self._send(Panic())
                self._struck.clear()
            if self._clock is None and "stop" in words:
                self._set(None)
            if self._clock is None and "start" in words and pulse is None:
                self._start(now_s)
            if self._clock is None and "tempo" in words and pulse is not None:
                self._set(pulse.at_tempo(within("tempo", float(words["tempo"]), 20.0, 400.0), now_s))
            if self._clock is None and "locate" in words and pulse is not None:
                bar = within("locate", float(words["locate"]), 0.0, 1e6)
                self._set(Pulse(now_s, bar * BAR_TICKS, pulse.tempo_bpm), jumped=True)
        except (TypeError, ValueError) as error:
            self.view.say(f"refused {dict(words)}: {error}")

    def _pass(self, message: Sequence[int]) -> None:
        """A key of the player, sent on."""
        if len(message) < 3 or not all(0 <= byte < 128 for byte in message[1:3]):
            return
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        channel = CHANNELS[self.options.working.player]
        if kind == _NOTE_ON and message[2] > 0:
            self._ids -= 1
            self._struck[key] = self._ids
            self._send(Strike(self._ids, channel, message[1], message[2]))
        elif kind in (_NOTE_OFF, _NOTE_ON) and key in self._struck:
            self._send(Release(self._struck.pop(key), channel, message[1]))

    def _let_go(self) -> None:
        for (_, pitch), number in self._struck.items():
            self._send(Release(number, CHANNELS[self.options.working.player], pitch))
        self._struck.clear()

    def _programs(self) -> tuple[bytes, ...]:
        roles = [*self.options.working.targets, *([self.options.working.player] if self.options.thru else [])]
        return tuple(bytes((0xC0 | CHANNELS[role], PROGRAMS[role])) for role in roles)

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


def accompany_main(argv: Sequence[str]) -> int:
    """Play until Ctrl-C or SIGTERM."""
    args = parser().parse_args(argv)
    args.bundle = args.bundle or usual_band()
    options = options_from(args)
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    picture = not args.plain and sys.stdout.isatty()
    view: BandView = JsonView() if args.json else PictureView(options.working) if picture else LinesView()
    with contextlib.suppress(AttributeError, OSError):
        os.nice(_NICE)
    with view:
        band = Band(options, view)
        try:
            if args.json:
                threading.Thread(target=_read_orders, args=(band,), name="orders", daemon=True).start()
            end_s = time.perf_counter() + args.seconds
            band.run(lambda: asked.is_set() or time.perf_counter() > end_s)
        finally:
            band.close()
    return 0


def _read_orders(band: Band) -> None:
    for line in sys.stdin:
        try:
            words = json.loads(line)
        except ValueError:
            words = None
        if isinstance(words, dict):
            band.order(words)
        elif line.strip():
            band.view.say(f"not an order: {line.strip()[:80]}")
