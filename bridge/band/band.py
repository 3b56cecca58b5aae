"""The live band: ports, accompanist and accompanist process put together, under any source of musical time."""

import itertools
import math
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from typing import Final, assert_never

from bridge.band.clock import BandTime, ClockReading
from bridge.band.commands import BandCommand, BandCommandQueue, QueuedCommand, refuse
from bridge.band.handover import AccompanistHandover, StartAccompanist
from bridge.band.keys import KeyThru, MidiInbox
from bridge.band.options import BandOptions
from bridge.band.ports import OpenPorts, open_ports
from bridge.band.roles import channels_of, count_in, programs_of
from bridge.band.tones import Sound
from bridge.band.view import BandStatus, BandView
from bridge.midi.output_commands import AllNotesOff, AllSoundOff, Book, Raw, SetPulse, StartClock, StopClock, Withdraw
from bridge.midi.sender import SenderSetup
from bridge.settings import SettingsError
from engine.band.accompanist import Accompanist
from engine.band.actions import Action, CancelNotes, Dropped, Planned, PlayNotes, ReleaseNotes, RequestBar
from engine.band.controls import band_settings, network_controls
from engine.band.process import AccompanistFailed, AccompanistProcess, AccompanistReady
from engine.controls import with_value
from engine.errors import ControlError, EngineError
from engine.messages.session import BandLoad, BandStart, BandStop, Locate, Panic, Set, Tempo
from engine.protocols.accompanist import BAR_TICKS, CHANNELS

__all__ = ["Band"]

_STEP_S: Final = 0.01  # the longest wait between two steps
_SYSTEM: Final = 0xF0  # status bytes from here on are system messages: clock and transport


class Band:
    """Ports, accompanist and its process, put together.

    Threads and processes: one thread owns everything but `post` and `inbox`, which any thread may use; the input, the
    output and the accompanist have processes of their own.

    Args:
        options: what to set up.
        view: shows what happens; called from the owner's thread.
        clock: where musical time comes from.
        sound: plays the notes beside the MIDI output and is read by its giver; without it `options.sound` names an
            audio output.
        ports, process, now: open the ports, start an accompanist process, give the time (perf_counter seconds).
    Raises:
        EngineError: a port or the soundfont cannot be opened; nothing is left running.
    """

    def __init__(
        self,
        options: BandOptions,
        view: BandView,
        clock: BandTime,
        sound: Sound | None = None,
        *,
        ports: OpenPorts = open_ports,
        process: StartAccompanist = AccompanistProcess,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.options, self.view, self.inbox = options, view, MidiInbox()
        self.controls = options.controls
        self.accompanist = Accompanist(band_settings(options.controls, options.settings))
        self.accompanist.conductor_chords = clock.chords
        self._time, self._now = clock, now
        self._ready = self._rolling = False
        self._commands = BandCommandQueue()
        ids = itertools.count(-1, -1)  # the accompanist's own count up from 1
        self._next_id: Callable[[], int] = ids.__next__
        # The process loads while the ports open.
        self._process = AccompanistHandover(options.band, network_controls(self.controls), process)
        try:
            setup = SenderSetup(
                clock=options.send_clock,
                lead_s=options.output_ms / 1000.0,
                channels=channels_of((*self._roles(), self.accompanist.settings.player)),
                raw=self._programs().messages,
            )
            self._ports = ports(options, setup, self.inbox, sound, view.say)
        except BaseException:
            for close in self._process.closers():
                close()
            raise
        self._thru = KeyThru(self._ports.send, self._next_id)
        view.say(f"band: {options.band}; {self._ports.name}")

    @property
    def name(self) -> str:
        """The band that plays."""
        return self._process.name

    @property
    def state(self) -> str:
        """``loading``, ``playing`` or ``resting``."""
        return "loading" if not self._ready else "playing" if self._rolling else "resting"

    def post(self, command: BandCommand, tick: float | None = None, done: Callable[[str], None] | None = None) -> None:
        """Ask for something; any thread, never waits. Without `done` a refusal is shown in the view.

        Args:
            command: what.
            tick: of musical time, before which it is not applied; None: at the next step.
            done: called from the band's thread when it has been applied with "", with the reason if it cannot be.
        """
        self._commands.put(QueuedCommand(command, tick, done))

    def run(self, until: Callable[[], bool]) -> None:
        """Play until `until` returns True."""
        while not until():
            self.step()
            now_s = self._now()
            left_s = min(_STEP_S, max(0.0, self.accompanist.next_s(now_s) - now_s))
            if self._process.line is not None:
                wait([self._process.line], left_s)
            else:
                time.sleep(left_s)

    def step(self) -> None:
        """Take in what has happened and do what is due now; never waits."""
        now_s = self._now()
        self._set_time(self._time.poll(now_s))
        self._read_inbox()
        self._read_process(now_s)
        self._apply_due(now_s)
        self._act(self.accompanist.advance(self._now()))
        for line in self._ports.poll():
            self.view.say(line)
        self.view.show_status(self._status(self._now()))

    def all_notes_off(self) -> None:
        """End every note and forget what is booked. By the owner's thread."""
        self._ports.send(StopClock())
        self._ports.send(AllNotesOff())

    def close(self) -> None:
        """End every note, then the ports and the accompanist."""
        self.all_notes_off()
        output, *others = self._ports.closers()
        for close in (output, *self._process.closers(), *others):
            try:
                close()
            except Exception as error:  # the others must end, too
                self.view.say(f"while stopping: {type(error).__name__}: {error}")
        self.view.show_status(self._status(self._now()))

    # input, musical time, accompanist

    def _read_inbox(self) -> None:
        delay_s = self.options.input_ms / 1000.0
        for message, at_s in self.inbox.take():
            if message is None:
                self.accompanist.capture.release_all(None)
                self._thru.release_all()
            elif message and message[0] >= _SYSTEM and self._time.feed(message, at_s):
                self._set_time(self._time.poll(at_s))
            else:
                self.accompanist.receive(message, at_s - delay_s)
                if self.options.thru:
                    self._thru.pass_on(message, CHANNELS[self.accompanist.settings.player])

    def _set_time(self, reading: ClockReading | None) -> None:
        """Musical time from now on, for the accompanist and for the output; None: no change."""
        if reading is None:
            return
        if reading.line:
            self.view.say(reading.line)
        pulse, jumped = reading.pulse, reading.jumped
        self._act(self.accompanist.set_pulse(pulse, jumped=jumped))
        if jumped or pulse is None:
            self.all_notes_off()
        self._ports.send(SetPulse(pulse))
        if pulse is not None and (jumped or not self._rolling):
            self._ports.send(self._programs())
            self._ports.send(StartClock(max(0.0, pulse.tick_at(self._now()))))
            if pulse.tick <= -BAR_TICKS:
                self._ports.send(count_in(pulse.tick, self._next_id))
        self._rolling = pulse is not None

    def _read_process(self, now_s: float) -> None:
        while (message := self._process.poll()) is not None:
            match message:
                case AccompanistReady(name, seconds):
                    self.view.say(f"{name} is ready after {seconds:.2f} s")
                    self._begin(now_s)
                case AccompanistFailed(number, why):
                    if not self._ready:
                        raise SettingsError(why)
                    self.accompanist.bar_failed(number, why)
                case _:
                    self.accompanist.bar_made(message, self._now())
        name = self._process.swap(busy=self.accompanist.awaiting_bar)
        if name:
            self.view.say(f"{name} takes over")
            self._begin(now_s)

    def _begin(self, now_s: float) -> None:
        """An accompanist can play: musical time begins with the first."""
        if not self._ready:
            self._set_time(self._time.begin(now_s))
        self._ready = True

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case RequestBar(request):
                    if not self._ready or not self._process.ask(request):
                        self.accompanist.bar_failed(request.number, "no accompanist process")
                case PlayNotes(notes):
                    self._ports.send(Book(notes))
                case CancelNotes(tick):
                    self._ports.send(Withdraw(tick, channels_of(self.accompanist.settings.targets)))
                case ReleaseNotes():
                    self._ports.send(AllNotesOff())
                case Planned() | Dropped():
                    self.view.show_plan(action)
                case _:
                    assert_never(action)

    # commands

    def _apply_due(self, now_s: float) -> None:
        pulse = self.accompanist.pulse
        for queued in self._commands.due(None if pulse is None else pulse.tick_at(now_s)):
            try:
                self._apply(queued, now_s)
            except (EngineError, TypeError, ValueError) as error:
                self._answer(queued, str(error))

    def _answer(self, queued: QueuedCommand, why: str = "") -> None:
        if queued.done is not None:
            queued.done(why)
        elif why:
            self.view.say(f"{type(queued.command).__name__} refused: {why}")

    def _apply(self, queued: QueuedCommand, now_s: float) -> None:
        """Apply a command and answer it; a band that is loading is answered for later.

        Raises:
            ControlError: it cannot be applied.
        """
        match queued.command:
            case BandLoad(name=name):
                self._process.load(name, lambda why: self._answer(queued, why))
                return
            case Panic():
                self._ports.send(AllSoundOff())
                self._thru.clear()
            case Set(path=path, value=value):
                self._set_control(path, value)
            case BandStart() | BandStop() | Tempo() | Locate() as command:
                self._set_time(self._time.apply(command, now_s))
            case unknown:
                refuse(unknown)
        self._answer(queued)

    def _set_control(self, path: tuple[str, ...], value: object) -> None:
        """Change a control; notes already booked for roles that go are withdrawn."""
        if path[:1] != ("band",):
            raise ControlError(f"got the control {'/'.join(path)}, wanted one of the band, such as band/density/bass")
        controls = with_value(self.controls, path[1:], value)
        settings, before = band_settings(controls, self.accompanist.settings), self._roles()
        self.controls = controls
        self._process.set_controls(network_controls(controls))
        self.accompanist.set_settings(settings)
        pulse, gone = self.accompanist.pulse, set(before) - set(settings.targets)
        if pulse is not None and gone:
            self._ports.send(Withdraw(pulse.tick_at(self._now()), channels_of(gone)))
        if set(self._roles()) - set(before):
            self._ports.send(self._programs())

    # roles and status

    def _roles(self) -> tuple[str, ...]:
        """Every role that may sound."""
        settings = self.accompanist.settings
        return (*settings.targets, *((settings.player,) if self.options.thru else ()))

    def _programs(self) -> Raw:
        """Program changes for every role, if they are wanted."""
        return programs_of(self._roles()) if self.options.programs else Raw(())

    def _status(self, now_s: float) -> BandStatus:
        pulse, bar, output = self.accompanist.pulse, self.accompanist.bar, self._ports.output
        now, coming = (None, None) if bar is None else map(self.accompanist.planned, (bar, bar + 1))
        return BandStatus(
            at_s=now_s,
            tick=-math.inf if pulse is None else pulse.tick_at(now_s),
            tempo_bpm=0.0 if pulse is None else pulse.tempo_bpm,
            now=now,
            coming=coming,
            counts=dict(self.accompanist.counts),
            out=output.stats,
            late_s=output.lateness(),
        )
