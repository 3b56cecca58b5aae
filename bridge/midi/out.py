"""A MIDI output: passes commands to its process, and starts another when the port or the process is lost."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Final

from bridge.audio.port import PortError
from bridge.midi.driver import MidiOpened, first_answer
from bridge.midi.memory import OutputMemory
from bridge.midi.output_commands import OutputCommand, SetPulse
from bridge.midi.sender import SenderSetup, Sent, sender_main, watch_main
from bridge.midi.sinks import OUT_CLIENT, PORT
from bridge.midi.sources import VIRTUAL, MidiSource
from bridge.notices import Notices
from engine.processes import ChildProcess, ProcessEnded

__all__ = ["MidiOutput", "NoOutput", "OutStats"]

_ANSWER_S: Final = 20.0
_SILENT_LOOKS: Final = 16  # waits in a row without a report: the sender hangs in its driver
_STOP_S: Final = 2.0
_LOOK_S: Final = 0.25
_AGAIN_S: Final = 1.0
_KEPT_LATE: Final = 100_000


@dataclass(frozen=True, slots=True)
class OutStats:
    """Note-ons and note-offs sent, notes dropped as stale, merged, refused; sounding and booked now; port losses."""

    ons: int = 0
    offs: int = 0
    stale: int = 0
    merged: int = 0
    refused: int = 0
    sounding: int = 0
    booked: int = 0
    losses: int = 0


class NoOutput:
    """An output that drops every command: none is wanted, or none is available."""

    name = "none"
    stats = OutStats()

    def send(self, command: OutputCommand) -> bool:
        """Drop the command."""
        return False

    def lateness(self) -> list[float]:
        """No note-on is sent."""
        return []

    def poll(self) -> list[str]:
        """There is nothing to report."""
        return []

    def stop(self) -> None:
        """There is nothing to close."""


class MidiOutput:
    """An open output. Commands are dropped while the port is away; notes it left sounding end when it is back.

    Threads and processes:
        send           any thread; never waits longer than a pipe takes
        the keeper     a thread: takes reports, notices a loss, starts another sender
        the sender     a child process that owns the port, see `bridge.midi.sender`
        the watcher    a child process that checks that the port is still there

    Args:
        name: None or ``virtual`` for a port of our own (not on Windows); otherwise part of an output's name.
        setup: of the first sender.
    Raises:
        NoMidiError: no MIDI system, or no output.
        PortError: no such output, or it cannot be opened.
    """

    def __init__(self, name: str | None, setup: SenderSetup | None = None) -> None:
        self._memory = OutputMemory(setup or SenderSetup())
        self._notices = Notices()
        self._late: deque[float] = deque(maxlen=_KEPT_LATE)
        self._stats, self._losses = Sent(0, 0, 0, 0, 0, 0, 0, ()), 0
        self._before: tuple[int, ...] = (0, 0, 0, 0, 0)  # counts of senders that have ended
        self._guard = threading.Lock()
        self._silent = 0  # looks since the last report; not seconds, which pass while a whole machine is suspended
        self._sender: ChildProcess | None = self._start(name, patient=False)
        try:
            sink = first_answer(self._sender, _ANSWER_S, "output").source
        except PortError:
            self._sender.kill()
            self._sender.close(wait_s=_STOP_S)
            raise
        self._sink: MidiSource | None = sink
        self.name = sink.title if sink is not None else f"{VIRTUAL}: {OUT_CLIENT}:{PORT}"
        self._again = sink.stem if sink is not None else VIRTUAL
        self._present = True
        self._watcher: ChildProcess | None = self._watch()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="midi-out", daemon=True)
        self._keeper.start()

    @property
    def stats(self) -> OutStats:
        """Counts so far, of all senders."""
        now, before = self._stats, self._before
        mine = (now.ons, now.offs, now.stale, now.merged, now.refused)
        ons, offs, stale, merged, refused = (a + b for a, b in zip(mine, before, strict=True))
        return OutStats(ons, offs, stale, merged, refused, now.sounding, now.booked, self._losses)

    def lateness(self) -> list[float]:
        """Seconds by which each note-on left after its tick; since the last call, at most the latest 100 000."""
        late: list[float] = []
        while self._late:
            late.append(self._late.popleft())
        return late

    def poll(self) -> list[str]:
        """Lines for people since the last call: the port lost or back."""
        return self._notices.poll()

    def send(self, command: OutputCommand) -> bool:
        """Pass a command on; False if the port is away and the command is dropped."""
        with self._guard:
            sender = self._sender if self._present else None
            delivered = sender is not None and sender.send(command)
            self._memory.remember(command, delivered=delivered)
            return delivered

    def stop(self) -> None:
        """End all notes and close the port."""
        self._stopping.set()
        self._keeper.join()
        with self._guard:
            self._end_both()

    def _start(self, name: str | None, *, patient: bool) -> ChildProcess:
        setup = self._memory.setup(time.perf_counter())
        self._silent = 0
        return ChildProcess(sender_main, name, patient, setup, name="ripieno-midi-out", quiet=True)

    def _watch(self) -> ChildProcess:
        return ChildProcess(watch_main, self._sink, name="ripieno-midi-watch", quiet=True)

    def _end_both(self, *, kill: bool = False) -> None:
        for child in (self._sender, self._watcher):
            if child is not None:
                if kill:
                    child.kill()
                child.close(wait_s=_STOP_S)
        self._sender = self._watcher = None

    def _keep(self) -> None:
        while not self._stopping.is_set():
            if self._sender is None:
                if not self._stopping.wait(_AGAIN_S):
                    with self._guard:
                        self._sender = self._start(self._again, patient=True)
                continue
            for line in wait([self._sender.line, *([self._watcher.line] if self._watcher else [])], _LOOK_S):
                if self._sender is None or line is not self._sender.line:
                    self._lose("its port has gone")  # the watcher has ended
                    break
                try:
                    self._hear(self._sender, self._sender.receive())
                except (ProcessEnded, OSError):
                    self._lose("its process has ended")
                    break
            if self._sender is not None and self._present:
                self._silent += 1
                if self._silent > _SILENT_LOOKS:
                    self._lose("it hangs")

    def _hear(self, sender: ChildProcess, said: object) -> None:
        self._silent = 0
        if isinstance(said, Sent):
            self._stats = said
            self._late.extend(said.late_s)
        elif isinstance(said, MidiOpened):
            self._sink = said.source
            with self._guard:
                sender.line.send(SetPulse(self._memory.pulse))
                self._present = True
            self._watcher = self._watch()
            self._notices.say(f"{self.name} is back")

    def _lose(self, why: str) -> None:
        if self._present:
            self._losses += 1
            self._notices.say(f"MIDI output {self.name}: {why}; waiting for it")
        with self._guard:
            self._present = False
            now, before = self._stats, self._before
            mine = (now.ons, now.offs, now.stale, now.merged, now.refused)
            self._before = tuple(a + b for a, b in zip(mine, before, strict=True))
            self._stats = Sent(0, 0, 0, 0, 0, 0, 0, ())
            self._end_both(kill=True)  # what a dead server left is not touched again
