"""A performance: post commands, read audio, poll events; and let it hear."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from engine.audio.input import INPUT, INPUT_HISTORY_S, InputHistory
from engine.audio.limiter import CEILING_DB
from engine.audio.mixer import Fades, Lane, Mixer
from engine.bundles.opening import open_voice
from engine.conductor import Conductor
from engine.errors import ControlError, EngineError, ShapeError
from engine.messages.session import (
    NOW,
    ClearWaiting,
    Command,
    Event,
    Failed,
    Jump,
    Load,
    Panic,
    Play,
    Record,
    Set,
    Stop,
    Unload,
    When,
)
from engine.music.audio import Audio
from engine.music.units import TICKS_PER_BEAT
from engine.session.guest import GuestSound
from engine.session.infills import Infills
from engine.session.recordings import Recordings
from engine.session.schedule import Scheduled, Scheduler, target_of
from engine.session.slot import SessionContext, VoiceSpec, VoiceStatus
from engine.session.sources import Sources
from engine.session.take import TakeWriter, machine, new_take
from engine.session.telemetry import TelemetryReporter
from engine.session.voice import Voice
from engine.worker.orders import AT_ONCE, Order, applies_within_chunk, conduct, conducts, needs_preparation
from engine.worker.process import LocalWorker, Opener, ProcessWorker, WorkerHandle
from engine.worker.worker import Pacing

__all__ = ["Session", "VoiceSpec", "VoiceStatus"]

_PIECE: Final = 512  # an in-process session mixes this many samples at a time, however many are read
_TEND_S: Final = 0.005
_LEAD_S: Final = 0.005  # a conductor's change is put this far beyond what is made, so that no worker overtakes it
_HORIZON_S: Final = 0.1  # a command's sample is fixed when it is this near to what is made
_DROPPED: Final = "dropped by /waiting/clear; send it again if it is still wanted"
_EVENTS_KEPT: Final = 10_000  # for a host that does not poll


class Session:
    """Voices, conductor and mix of one performance.

    Threads and processes:
        post, poll, voices, controls   any thread; never wait
        read, read_into                the audio pump only: copies from the voices' rings, mixes, covers what is
                                       missing; never waits, locks or logs (in-process, it also gives the workers
                                       their turns)
        hear                           one thread, an input port's; never waits
        start, close                   one thread, before and after all others
        a thread of its own            housekeeping: passes orders on, watches the voices, keeps the take
        a child process a voice        see `engine.worker.worker`

    Args:
        sample_rate: Hz of the mix, the sound card's.
        voices: what to begin with.
        opener: opens bundles, in the voice's process; picklable.
        folder: where takes and recordings go; None to keep neither.
        in_process: no processes, no threads, no time: workers get their turns from `read`. For tests and offline use.
        fill_ms: sound each voice keeps ready: less is quicker to answer, more is safer.
        block: the most samples that one `read` will ask for.
        tempo_bpm, beats: of the transport, at first.
        output_latency_ms: from `read` to the ear, set by the port that knows; part of what `Applied` tells.
        keep_s: how much of the past `Keep` can reach. input_history_s: how much of the live input `hearing` holds.
        header: more facts for the head of the take.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        voices: Sequence[VoiceSpec] = (VoiceSpec(name="tone"),),
        opener: Opener = open_voice,
        folder: Path | None = None,
        in_process: bool = False,
        fill_ms: float = 60.0,
        block: int = 1024,
        tempo_bpm: float = 120.0,
        beats: int = 4,
        output_latency_ms: float = 0.0,
        keep_s: float = 64.0,
        input_history_s: float = INPUT_HISTORY_S,
        header: Mapping[str, Any] | None = None,
    ) -> None:
        if len({spec.name for spec in voices}) != len(voices):
            raise ControlError(f"voices need different names, got {', '.join(spec.name for spec in voices)}")
        self.sample_rate = sample_rate
        self.hearing = InputHistory(sample_rate, input_history_s)
        self._block, self._in_process = block, in_process
        self._mixer = Mixer(sample_rate, keep_s if folder is not None else 0.0)
        self._numbers = itertools.count(1)
        self._inbox: deque[tuple[int, Command, When, float]] = deque()
        self._agenda = Scheduler()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._keeper: threading.Thread | None = None
        self._mark = (0, 0.0)  # first sample and clock of the latest read
        self._status: tuple[VoiceStatus, ...] = ()
        fades = Fades.at(sample_rate)
        fill = max(round(fill_ms * sample_rate / 1000), (_PIECE if in_process else block) + fades.begin + fades.cover)
        conductor = Conductor(sample_rate, beats_per_bar=beats)
        conductor.set_tempo(tempo_bpm, 0.0)
        facts = {"sample_rate": sample_rate, "ceiling_db": CEILING_DB, "voices": [spec.name for spec in voices]}
        self._stage = SessionContext(
            sample_rate=sample_rate,
            fades=fades,
            pacing=Pacing(fill=fill, lead=0 if in_process else fill, tail=fades.end + 2 * fades.cover + block),
            conductor=conductor,
            opener=opener,
            start=LocalWorker if in_process else ProcessWorker,
            clock=self._fake_clock if in_process else time.perf_counter,
            position=lambda: self._mixer.position,
            take=TakeWriter(None if folder is None else new_take(folder), {**facts, **machine(), **(header or {})}),
            folder=folder,
            find=Sources(folder, conductor, self._mixer, self.hearing, keep_s, threaded=not in_process).find,
        )
        self._take_missed = False
        self._teller = TelemetryReporter(self._stage, self._mixer, self.hearing, output_latency_ms)
        self._studio = Recordings(folder, self._stage, self._mixer, self.hearing, keep_s)
        self._guest = GuestSound(self._stage)
        self._jobs = Infills(folder, self._stage, in_process=in_process)
        self._voices: dict[str, Voice] = {}
        self._places: dict[str, int] = {}
        for spec in voices:
            self._add(spec)

    # life

    def start(self) -> Self:
        """Begin to load all voices; the mix is silence until the first is ready."""
        with self._lock:
            for voice in self._voices.values():
                voice.begin()
        if not self._in_process:
            self._keeper = threading.Thread(target=self._keep, name="session", daemon=True)
            self._keeper.start()
        self._tend()
        return self

    def close(self) -> None:
        """End all voices, processes and files. Nothing may read any more."""
        if self._ended.is_set():
            return
        self._ended.set()
        if self._keeper is not None:
            self._keeper.join()
        self._tend()
        with self._lock:
            self._mixer.lanes = ()
            for voice in self._voices.values():
                voice.close()
            self._studio.close()
            self._guest.close()
            self._jobs.close()
            self._stage.take.close(self._mixer.position)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    # the three doors

    def post(self, command: Command, when: When = NOW) -> int:
        """Ask for something; the number given comes back in `Applied` or `Failed`. Any thread; never waits."""
        number = next(self._numbers)
        self._inbox.append((number, command, when, self._stage.clock()))
        self._tend()
        return number

    def read(self, frames: int, guest: Audio | None = None) -> Audio:
        """[2, frames], the next samples of the mix, within -1..1. The audio pump only.

        Args:
            guest: [2, frames] of a sound of the caller's, mixed in, recorded, metered and limited with the voices.
        """
        if not self._in_process:
            return self._mix(frames, guest)
        guests = [None if guest is None else guest[:, at : at + _PIECE] for at in range(0, frames, _PIECE)]
        pieces = [self._read_piece(min(_PIECE, frames - _PIECE * n), part) for n, part in enumerate(guests)]
        return np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), np.float32)

    def read_into(self, out: Audio) -> None:
        """Like `read`, into an array [2, frames] of the caller."""
        if out.ndim != 2 or out.shape[0] != 2:
            raise ShapeError(f"the mix is [2, frames], got {out.shape}")
        out[:] = self.read(out.shape[1])

    def hear(self, audio: Audio, sample: int) -> None:
        """Take [2, N] or [1, N] that came in while the mix sounded from `sample` on; see `InputHistory.write`."""
        self.hearing.write(audio, sample)

    def poll(self) -> list[Event]:
        """What has happened since the last call, oldest first; ten times a second a `Telemetry`. Any thread."""
        self._tend()
        events, queue = [], self._stage.events
        while queue:
            try:
                events.append(queue.popleft())
            except IndexError:  # another thread took the last one
                break
        return events

    # what there is

    @property
    def output_latency_ms(self) -> float:
        """From `read` to the ear; the port that knows sets it."""
        return self._teller.output_latency_ms

    @output_latency_ms.setter
    def output_latency_ms(self, latency_ms: float) -> None:
        self._teller.output_latency_ms = latency_ms

    @property
    def position(self) -> int:
        """The sample that is read next."""
        return self._mixer.position

    @property
    def moment(self) -> tuple[int, float]:
        """The first sample of the latest read, and the clock when it was asked for; (0, 0.0) before the first."""
        return self._mark

    @property
    def take(self) -> Path | None:
        """The take being written."""
        return self._stage.take.path

    def voices(self) -> tuple[VoiceStatus, ...]:
        """Every voice as it is now, in the order of the mix."""
        return self._status

    def controls(self) -> dict[str, Any]:
        """The present controls of every loaded voice, by name."""
        return {status.name: status.controls for status in self._status if status.controls is not None}

    def conductor(self) -> Conductor:
        """A copy of the conductor as the voices have it, changes that are about to hold included."""
        return self._stage.conductor.copy()

    def players(self) -> dict[str, WorkerHandle]:
        """The worker that feeds each loaded voice, by name: for tests and for tools that watch processes."""
        return {name: voice.player for name, voice in self._voices.items() if voice.player is not None}

    # housekeeping

    def _keep(self) -> None:
        while not self._ended.wait(_TEND_S):
            self._tend()

    def _tend(self) -> None:
        """Housekeeping, by whoever comes by; nobody waits for another who is at it."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            while self._inbox:
                self._enter(*self._inbox.popleft())
            for voice in list(self._voices.values()):
                voice.tend()
            self._dispatch()
            self._studio.tend()
            self._guest.tend()
            self._jobs.tend()
            self._mind_take()
            self._teller.tell(self._voices.values(), *self._mark)
            self._status = tuple(VoiceStatus.of(voice) for voice in self._voices.values())
            while len(self._stage.events) > _EVENTS_KEPT:
                self._stage.events.popleft()
        finally:
            self._lock.release()

    def _enter(self, number: int, command: Command, when: When, posted_s: float) -> None:
        """Check a posted command and put it on the agenda."""
        stage = self._stage
        try:
            voice = self._voice_of(command)
            if voice is not None:
                voice.check(command)
            if conducts(command):
                conduct(stage.conductor.copy(), command, float(self.position))
            target = target_of(when, stage.conductor, float(self._open_sample(command)))
        except EngineError as error:
            stage.events.append(Failed(number=number, command=command, reason=str(error)))
            return
        due = Scheduled(number, command, target, posted_s, when)
        if isinstance(command, Load) or needs_preparation(command):
            put = partial(self._obey, due, 0.0)  # it is made ready from now on; only the change waits
        else:
            put = partial(self._agenda.add, due)
        try:
            put()
        except ControlError as error:
            stage.failed(due, str(error))

    def _voice_of(self, command: Command) -> Voice | None:
        if isinstance(command, Set):
            name = command.path[0] if command.path else ""
            if name == INPUT:
                return None
        elif (
            isinstance(command, Play | Stop | Jump | Load | Unload)
            or needs_preparation(command)
            or applies_within_chunk(command)
        ):
            name = command.voice
        else:
            return None
        if name not in self._voices and isinstance(command, Load) and name:
            self._forget_unloaded()
            self._add(VoiceSpec(name=name, bundle=command.bundle, seed=command.seed))
        if name not in self._voices:
            raise ControlError(f"no voice '{name}'; there are: {', '.join(self._voices) or 'none'}")
        return self._voices[name]

    def _open_sample(self, command: Command) -> int:
        """The earliest sample that a command can still change."""
        voice = None if isinstance(command, Panic) or conducts(command) else self._voice_of(command)
        if isinstance(command, Stop | Panic):
            return self.position
        if voice is not None and (isinstance(command, Play | Load) or needs_preparation(command)):
            return self.position + voice.lead()
        voices = [voice] if voice is not None else list(self._voices.values())
        return max([self.position, *(each.open_sample() for each in voices)])

    def _dispatch(self) -> None:
        """Carry out what is near."""
        horizon = self._open_sample(Panic()) + _HORIZON_S * self.sample_rate
        horizon += max([0, *(max(v.lead(), v.open_sample() - self.position) for v in self._voices.values())])
        for due, sample in self._agenda.take_near(self._stage.conductor, float(self.position), horizon):
            try:
                self._obey(due, sample)
            except Exception as error:  # a mistake of ours costs one command, never the housekeeping
                self._stage.failed(due, f"{type(error).__name__}: {error}; report this")

    def _obey(self, due: Scheduled, sample: float) -> None:
        stage, command = self._stage, due.command
        if conducts(command):
            self._conduct(due, sample)
            return
        if isinstance(command, ClearWaiting):
            stage.fail_all(self._agenda.clear(), _DROPPED)
            for each in self._voices.values():
                each.drop_waiting(_DROPPED)
            stage.applied(due, "", self.position)
            return
        if isinstance(command, Panic):
            for each in self._voices.values():
                each.stop(None, AT_ONCE if due.target.at_once else sample, stage.fades.panic)
            stage.applied(due, "", self.position if due.target.at_once else round(sample))
            return
        try:
            voice = self._voice_of(command)
        except ControlError as error:
            stage.failed(due, str(error))
            return
        if voice is None:
            at = self.position if due.target.at_once else sample
            if not self._jobs.obey(due, round(at)):
                self._studio.obey(due, at)
        else:
            voice.obey(due, AT_ONCE if due.target.at_once else sample)

    def _conduct(self, due: Scheduled, sample: float) -> None:
        """Change every conductor at one sample that is still open to all."""
        stage = self._stage
        sample = max(sample, self._open_sample(due.command) + _LEAD_S * self.sample_rate, stage.conductor.last_change)
        try:
            conduct(stage.conductor, due.command, sample)
        except EngineError as error:
            stage.failed(due, str(error))
            return
        for voice in self._voices.values():
            voice.conduct(Order(due.number, sample, due.command))
        stage.applied(due, "", round(sample))

    def _mind_take(self) -> None:
        take = self._stage.take
        if take.failed and not self._take_missed:
            self._take_missed = True
            self._stage.events.append(Failed(number=0, command=Record(), reason=f"no take is kept: {take.failed}"))

    # inside

    def _add(self, spec: VoiceSpec) -> None:
        lane = Lane(self.sample_rate, self._stage.fades, self._bar_at)
        self._voices[spec.name] = Voice(self._stage, spec, lane)
        self._places.setdefault(spec.name, len(self._places))
        self._set_lanes()

    def _forget_unloaded(self) -> None:
        """Give up the places of voices that were unloaded: names are used up at one time, not for good."""
        for name in [voice.name for voice in self._voices.values() if voice.unloaded]:
            del self._voices[name]
        self._set_lanes()

    def _set_lanes(self) -> None:
        """Mix voices in the order in which their names first came, as a replay does: sums differ by order."""
        rows = sorted(self._voices.items(), key=lambda row: self._places[row[0]])
        self._mixer.lanes = tuple(voice.lane for _, voice in rows)

    def _bar_at(self, sample: int) -> int:
        """Samples in a bar at a sample, for a lane that covers."""
        conductor = self._stage.conductor
        beats = conductor.bar_ticks_at(sample) / TICKS_PER_BEAT
        return round(beats * 60.0 * self.sample_rate / conductor.tempo_at(sample))

    def _fake_clock(self) -> float:
        return self._mixer.position / self.sample_rate

    def _mix(self, frames: int, guest: Audio | None) -> Audio:
        position, now_s = self._mixer.position, self._stage.clock()
        if guest is not None:
            self._guest.tap(position, guest)
        out = self._mixer.read(frames, guest)
        self._studio.tap(position, out)
        self._mark = (position, now_s)
        return out

    def _read_piece(self, frames: int, guest: Audio | None) -> Audio:
        self._tend()
        for voice in self._voices.values():
            for player in voice.players:
                while isinstance(player, LocalWorker) and player.advance():
                    pass
        self._tend()
        return self._mix(frames, guest)
