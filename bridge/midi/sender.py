"""The process that owns the MIDI output and sends each booked note at its time.

A process of its own, because threads of one Python delay each other (a busy one by 5 ms and more), and because it
outlives its parent long enough to end every note.
"""

import gc
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, Final

from bridge.audio.port import PortError
from bridge.midi.clock import ClockSender
from bridge.midi.driver import MidiOpened, MidiRefusal
from bridge.midi.output_commands import OutputCommand, SetPulse, StartClock, StopClock, apply_to_ledger
from bridge.midi.sinks import choose_sink, jack_wait_s, open_sink, sink_names
from bridge.midi.sources import MidiSource, NoMidiError, api_of, still_there
from engine.band.ledger import DueMessage, Ledger
from engine.music.pulse import Pulse
from engine.processes import MIDI_PRIORITY, catch_signals, freeze_garbage, set_priority, until_parent_exits

__all__ = ["Sender", "SenderSetup", "Sent", "sender_main", "watch_main"]

_SPIN_S: Final = 0.0015  # before a deadline: sleep in short steps instead of waiting for commands
_STEP_S: Final = 0.0001
_REPORT_S: Final = 0.5
_RETRY_S: Final = 1.0
_WATCH_S: Final = 2.0
_AGAIN_S: Final = 0.3
_MISSES: Final = 3
_NOTE_ON: Final = 0x90


@dataclass(frozen=True, slots=True)
class SenderSetup:
    """The start of a sender.

    Args:
        clock: send a MIDI clock while musical time runs.
        lead_s: seconds by which messages are sent early, for an instrument with a known latency.
        channels: to be silenced at the end.
        owed: (channel, pitch) that an earlier sender may have left sounding.
        raw: messages to send first.
    """

    clock: bool = False
    lead_s: float = 0.0
    channels: tuple[int, ...] = ()
    owed: tuple[tuple[int, int], ...] = ()
    raw: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """A report, twice a second: counts as `LedgerCounts`, notes sounding and booked, lateness of each note-on since."""

    ons: int
    offs: int
    stale: int
    merged: int
    refused: int
    sounding: int
    booked: int
    late_s: tuple[float, ...]


class Sender:
    """Commands in, messages out at their time. It owns no process and no port.

    Args:
        send: sends one message.
        now: perf_counter seconds.
    """

    def __init__(self, send: Callable[[bytes], object], setup: SenderSetup, now: Callable[[], float]) -> None:
        self._send, self._now, self._lead_s = send, now, setup.lead_s
        self._ledger = Ledger()
        self._ledger.use_channels(setup.channels)
        self._ledger.owe(setup.owed)
        self._clock = ClockSender() if setup.clock else None
        self._pulse: Pulse | None = None
        self._late: list[float] = []
        for message in setup.raw:
            send(message)
        self._pass(self._ledger.port_back(now()))

    def apply(self, command: OutputCommand) -> None:
        """Carry out a command at once."""
        now_s = self._now() + self._lead_s
        match command:
            case SetPulse(pulse):
                self._pulse = pulse
            case StartClock(tick) if self._clock is not None:
                for message in (*self._clock.stop(), *self._clock.roll(tick)):
                    self._send(message)
            case StopClock() if self._clock is not None:
                for message in self._clock.stop():
                    self._send(message)
            case _:
                self._pass(apply_to_ledger(command, self._ledger, now_s))

    def wait_s(self) -> float:
        """Seconds until the next message is due; infinite for never."""
        due_s = self._ledger.next_s(self._pulse)
        if self._clock is not None:
            due_s = min(due_s, self._clock.next_s(self._pulse))
        return due_s - self._lead_s - self._now()

    def send_due(self) -> None:
        """Send what is due, clocks first: others follow them."""
        now_s = self._now() + self._lead_s
        if self._clock is not None:
            for _, message in self._clock.due(now_s, self._pulse):
                self._send(message)
        self._pass(self._ledger.due(now_s, self._pulse))

    def finish(self) -> None:
        """Stop the clock and end all notes."""
        self.apply(StopClock())
        self._pass(self._ledger.finish(self._now()))

    def report(self) -> Sent:
        """Counts so far, and lateness since the last report."""
        counts, late = self._ledger.counts, tuple(self._late)
        self._late.clear()
        return Sent(
            counts.ons, counts.offs, counts.stale, counts.merged, counts.refused,
            len(self._ledger.sounding), self._ledger.booked, late,
        )  # fmt: skip

    def _pass(self, dues: Sequence[DueMessage]) -> None:
        for due in dues:
            self._send(due.message)
            if due.message[0] & 0xF0 == _NOTE_ON:
                self._late.append(self._now() + self._lead_s - due.at_s)


def sender_main(name: str | None, patient: bool, setup: SenderSetup, line: Connection) -> None:
    """Open the output, answer, then carry out commands until the parent hangs up; at the end all notes end.

    Args:
        patient: try again until the port is there, instead of refusing.
    """
    asked = catch_signals(signal.SIGTERM)
    opened: Any = None
    with until_parent_exits():
        opened, sink = _opened(name, patient, line)
        if opened is None:
            return
        freeze_garbage()
        gc.disable()  # this process makes none
        set_priority(MIDI_PRIORITY)
        setup = replace(setup, lead_s=setup.lead_s + jack_wait_s(sink))
        sender = Sender(lambda message: opened.send_message(message), setup, time.perf_counter)
        try:
            _serve(sender, line, asked)
        finally:
            sender.finish()
            time.sleep(0.05)  # some systems only pass on what is queued while the port is open
            opened.delete()


def _opened(name: str | None, patient: bool, line: Connection) -> tuple[Any, MidiSource | None]:
    while True:
        try:
            sink = choose_sink(name)
            opened = open_sink(sink)
        except PortError as error:
            if not patient:
                line.send(MidiRefusal(str(error), isinstance(error, NoMidiError)))
                return None, None
            time.sleep(_RETRY_S)
            if line.poll(0) and _hung_up(line):
                return None, None
            continue
        line.send(MidiOpened(sink))
        return opened, sink


def _hung_up(line: Connection) -> bool:
    """Drop commands for a port that is not there; True if the parent has hung up."""
    try:
        while line.poll(0):
            line.recv()
    except (EOFError, OSError):
        return True
    return False


def _serve(sender: Sender, line: Connection, asked: threading.Event) -> None:
    report_s = time.perf_counter() + _REPORT_S
    while not asked.is_set():
        wait_s = sender.wait_s()
        if wait_s > _SPIN_S:
            if line.poll(min(wait_s - _SPIN_S, 0.05)):
                sender.apply(line.recv())
        else:
            end_s = time.perf_counter() + wait_s
            while (left_s := end_s - time.perf_counter()) > 0.0:
                if left_s > 2.0 * _STEP_S:
                    time.sleep(_STEP_S)
            sender.send_due()
        now_s = time.perf_counter()
        if now_s >= report_s:
            report_s = now_s + _REPORT_S
            line.send(sender.report())


def watch_main(sink: MidiSource | None, line: Connection) -> None:
    """End when the output (or, for a virtual port, its MIDI system) is no longer there.

    A process of its own: the check opens a client of the MIDI system, which is not safe where another one is open.
    """
    missed, api = 0, None
    before: list[str] = []
    with until_parent_exits():
        # A busy system may fail to answer once; a false alarm would lose the user's connections.
        while missed < _MISSES and not line.poll(_WATCH_S if not missed else _AGAIN_S):
            try:
                api = api_of(sink) if api is None else api
                there = sink_names(api)
                gone = sink is not None and not still_there(sink, there, before or there)
                missed = missed + 1 if gone else 0
                before = before if gone else there
            except PortError:
                missed += 1
