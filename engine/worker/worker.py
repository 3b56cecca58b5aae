"""One voice's turn: obey, step, fill the ring; the same in a child process, in a test, and in a replay.

A worker's sound is a function of its seed, its controls, and the list of (chunk, order) and (chunk, position) that it
reports. When it makes a chunk depends on time; what the chunk holds does not.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.audio.level import glide
from engine.audio.resample import Resampler
from engine.audio.ring import Ring
from engine.conductor import Conductor
from engine.controls import with_value
from engine.errors import ControlError, EngineError
from engine.messages.continuation import changed_controls
from engine.messages.session import Branch, Choose, Commit, Continue, Jump, Play, Rewind, Set, Stop
from engine.music.audio import Audio, to_stereo
from engine.music.units import db_to_amplitude, rescale
from engine.protocols.streamer import CanContinue, CanJump, Moment, PromptAudio, Streamer, snapshot
from engine.worker.background import BackgroundTask
from engine.worker.orders import (
    Began,
    Made,
    Order,
    OrderRefused,
    Report,
    Took,
    applies_within_chunk,
    conduct,
    conducts,
    needs_preparation,
)
from engine.worker.sources import OpenedSources, lacks_hashes, open_sources, rehearse_sources

__all__ = ["Pacing", "StepError", "Worker"]

_GLIDE_S: Final = 0.010  # a change of level takes this long, so it does not click
_SNAPSHOT_S: Final = 0.5
_PEAK_DECAY: Final = 0.97  # per chunk: a single slow step is forgotten after about a hundred


class StepError(EngineError):
    """A streamer made what is not sound: restart it from an older state."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How far ahead of the mixer a worker keeps its ring.

    Args:
        fill: samples to have ready at least; a step begins when there are fewer (and its own time is added to them).
        lead: samples ahead of the reader at which a run of sound that is asked for at once begins.
        tail: samples still to be made after the one at which a stop is asked for, so that it can fade.
        clock: seconds of work; None where time does not pass (tests, replay).
    """

    fill: int
    lead: int = 0
    tail: int = 0
    clock: Callable[[], float] | None = None


class Worker:
    """Owner of one voice's state, controls and conductor, and writer of its ring.

    Threads: one.

    Args:
        streamer: the weights.
        ring: where sound goes.
        session_rate: Hz of the ring.
        conductor: an own copy.
        seed: for the first state, unless `state` is given.
        controls: the present controls; the streamer's defaults if None.
        state, chunk: where to go on; chunk 0 is the first.
        folder: the session's.
    """

    def __init__(
        self,
        streamer: Streamer[Any, Any],
        ring: Ring,
        *,
        session_rate: int,
        conductor: Conductor,
        pacing: Pacing,
        seed: int = 0,
        controls: object | None = None,
        state: object | None = None,
        chunk: int = 0,
        folder: Path | None = None,
    ) -> None:
        self.streamer, self.ring, self.conductor, self.pacing = streamer, ring, conductor, pacing
        self.spec, self._rate = streamer.spec, session_rate
        self.controls: Any = streamer.controls() if controls is None else controls
        self.state: Any = streamer.begin(seed) if state is None else state
        self.chunk = chunk
        self.playing = False
        self._folder = folder
        self._ahead: dict[int, BackgroundTask] = {}
        self._opening: dict[int, BackgroundTask] = {}
        self._opened_s = 0.0  # of the preparation in `_ahead`, what opening its files took before
        self._turning: list[tuple[Order, Any]] = []
        self._inbox: list[Order] = []
        self._reports: list[Report] = []
        self._stop_at: int | None = None
        self._begin_chunk, self._begin_at = chunk, 0
        self._level = self._wanted_level()
        self._resampler = Resampler(self.spec.sample_rate, session_rate, 2)
        self._every = max(1, round(_SNAPSHOT_S * self.spec.sample_rate / self.spec.chunk))
        self._step_s, self._step_peak_s, self._late = 0.0, 0.0, 0
        self._work_s, self._since_s = 0.0, 0.0

    # one turn

    def receive(self, order: Order) -> None:
        """Take an order; it is obeyed at the first chunk edge at or after its sample, once its files are open."""
        if needs_preparation(order.command):
            # Only the latest can be heard: an earlier one whose file is slow must not take its place.
            self._inbox = [each for each in self._inbox if not needs_preparation(each.command)]
            self._opening = self._open(order.number, order.command)
        self._inbox.append(order)

    def advance(self) -> bool:
        """One turn: obey what is due, then make a chunk if the ring wants one. True if a chunk was made.

        Raises:
            StepError: the streamer made something that is not sound; nothing of it was written.
        """
        self._obey_due()
        ring = self.ring
        if self.playing and self._stop_at is not None and ring.written >= self._stop_at:
            self.playing, self._stop_at = False, None
        if not self.playing:
            ring.commit(max(ring.written, ring.read_position))
            return False
        ahead = ring.written - ring.read_position
        if ahead < 0:
            # The reader has passed what would come next: do not make what nobody will hear.
            self.begin_at(ring.read_position + self._lead())
        elif ahead >= self._low_water():
            return False
        self.make_chunk()
        return True

    def wait_s(self) -> float:
        """How long nothing needs to be done unless an order comes, 1..20 ms."""
        if not self.playing:
            return 0.02
        ahead = self.ring.written - self.ring.read_position
        return min(0.02, max(0.001, (ahead - self._low_water()) / self._rate))

    def take_reports(self) -> list[Report]:
        """What has happened since the last call."""
        reports, self._reports = self._reports, []
        return reports

    # what a replay calls directly

    def edge(self, chunk: int) -> int:
        """The session's sample at which a chunk of the present run begins."""
        made = (chunk - self._begin_chunk) * self.spec.chunk
        return self._begin_at + rescale(made, self.spec.sample_rate, self._rate)

    def begin_at(self, position: int) -> None:
        """Leave a gap (or none): the next chunk sounds at `position` or, if that is made already, right after it."""
        ring = self.ring
        position = max(position, ring.written)
        self._begin_chunk, self._begin_at = self.chunk, position
        self._resampler = Resampler(self.spec.sample_rate, self._rate, 2)
        self._level = self._wanted_level()
        ring.jump(position)
        self.playing, self._stop_at = True, None
        self._reports.append(Began(self.chunk, position))

    def obey(self, order: Order) -> None:
        """Carry out one order now, before the next chunk, and report it."""
        command = order.command
        try:
            if conducts(command):
                conduct(self.conductor, command, order.sample)
            elif isinstance(command, Set):
                self.controls = with_value(self.controls, command.path[1:], command.value)
            elif isinstance(command, Jump):
                self._jump(command.seed)
            elif needs_preparation(command):
                order = self._prepare(order, command)
            elif applies_within_chunk(command):
                self._turn(order, command)
        except EngineError as error:
            self._reports.append(OrderRefused(order.number, str(error)))
            return
        heard = self._heard(self.chunk) if self.playing else self.ring.read_position
        if conducts(command):
            heard = max(heard, round(order.sample))
        elif applies_within_chunk(command):
            heard = max(self.edge(self.chunk), round(order.sample))
        self._reports.append(Took(order.number, self.chunk, heard, order))

    def make_chunk(self) -> None:
        """Step once and write what comes of it."""
        spec, clock = self.spec, self.pacing.clock
        ratio = self._rate / spec.sample_rate
        # A sound that lags its span by the streamer's latency is told of a later time, so that it comes out in time.
        origin = self._begin_at - (self._begin_chunk * spec.chunk - spec.latency) * ratio
        span = self.conductor.span(self.chunk * spec.chunk, spec.frames, spec.hop, spec.sample_rate, origin)
        self.ring.commit(self._heard(self.chunk + 1))
        self._turn_all()
        begun = clock() if clock else 0.0
        sound = self._checked(self.streamer.step(self.state, self.controls, span))
        level = self._wanted_level()
        sound = glide(sound, self._level, level, round(_GLIDE_S * spec.sample_rate))
        self._level = level
        out = self._resampler.process(to_stereo(sound))
        if self.ring.written + out.shape[1] < self.ring.read_position:
            self._late += 1
        self.ring.write(out)
        self.chunk += 1
        if clock:
            self._time(clock() - begun)
        if self.chunk % self._every == 0:
            self.ring.save(self.chunk, self.pickled())

    def pickled(self) -> bytes:
        """The state, as `Ring.save` keeps it."""
        return snapshot(self.streamer, self.state)

    def warm(self) -> None:
        """Step twice with a throw-away state: first runs allocate and choose algorithms, and may take long."""
        spec = self.spec
        if isinstance(self.streamer, CanContinue):
            with contextlib.suppress(OSError):  # no room for a file: then the first one takes longer
                rehearse_sources()
            self.streamer.rehearse()
        scratch = self.streamer.begin(0)
        for chunk in range(2):
            span = self.conductor.span(chunk * spec.chunk, spec.frames, spec.hop, spec.sample_rate)
            begun = time.perf_counter()
            self._checked(self.streamer.step(scratch, self.controls, span))
            self._step_s = self._step_peak_s = time.perf_counter() - begun
        self._publish()

    # inside

    def _obey_due(self) -> None:
        for number, ahead in self._ahead.items():
            if ahead.done and not ahead.reported:
                self._tell_of(number, ahead)
        waiting: list[Order] = []
        for order in self._inbox:
            command = order.command
            if isinstance(command, Play):
                self._play(order)
            elif isinstance(command, Stop):
                stop_at = self.ring.read_position if order.sample < 0 else round(order.sample)
                self._stop_at = stop_at + self.pacing.tail
            elif self._is_due(order):
                self.obey(order)
            else:
                waiting.append(order)
        self._inbox = waiting

    def _is_due(self, order: Order) -> bool:
        command = order.command
        if needs_preparation(command):
            return order.number not in self._opening or self._opening[order.number].done
        if conducts(command) or not self.playing:
            return True
        # What is carried out at its very sample belongs to the chunk that holds it, others to the next one's beginning.
        return (
            order.sample < self.edge(self.chunk + 1)
            if applies_within_chunk(command)
            else order.sample <= self.edge(self.chunk)
        )

    def _open(self, number: int, command: Continue | Rewind) -> dict[int, BackgroundTask]:
        """Open a command's files, if it is not known yet what they hold; by the order's number."""
        if not (isinstance(command, Continue) and lacks_hashes(command)):
            return {}
        return {number: BackgroundTask(partial(open_sources, self._folder, command), threaded=self._threaded)}

    def _prepare(self, order: Order, command: Continue | Rewind) -> Order:
        """Make a continuation, beside the sound where time passes; gives the order with the hashes of its files."""
        streamer = self.streamer
        if not isinstance(streamer, CanContinue):
            raise ControlError("this bundle cannot continue: load one of MusicGen")
        self._opened_s, opened = 0.0, None
        if isinstance(command, Continue) and lacks_hashes(command):
            opening = self._opening.pop(order.number, None) or self._open(order.number, command)[order.number]
            opened, self._opened_s = _result_of(opening), opening.seconds
            command = opened.named_in(command)
            order = replace(order, command=command)
        make = streamer.prepare(self.state, self.controls, command, self._moment())
        work = partial(_made, make, opened, self._folder, command)
        self._ahead = {order.number: BackgroundTask(work, threaded=self._threaded)}
        return order

    @property
    def _threaded(self) -> bool:
        return self.pacing.clock is not None

    def _tell_of(self, number: int, ahead: BackgroundTask) -> None:
        ahead.reported = True
        try:
            heard = 0.0 if self.pacing.clock is None else float(ahead.result().prompt_s)
        except Exception as error:  # whatever a file or a network brings about, the sound goes on
            told = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
            self._reports.append(OrderRefused(number, told))
        else:
            self._reports.append(Made(number, self._opened_s + ahead.seconds, heard))

    def _turn(self, order: Order, command: Commit | Branch | Choose) -> None:
        """Take in what is carried out within the next chunk, wherever that will begin."""
        streamer = self.streamer
        if not isinstance(streamer, CanContinue):
            raise ControlError("this bundle has no futures to choose from: load one of MusicGen")
        future, controls = None, self.controls
        if isinstance(command, Commit):
            if command.number not in self._ahead:
                raise ControlError("what is to land is not there: ask for it again")
            future = self._ahead.pop(command.number).result()
        for name, value in changed_controls(command):
            controls = with_value(controls, (name,), value)
        streamer.check(self.state, command)
        self.controls = controls
        self._turning.append((order, future))

    def _moment(self) -> Moment:
        return Moment(sample=self.edge(self.chunk), sample_rate=self._rate, conductor=self.conductor.copy())

    def _turn_all(self) -> None:
        """Tell the streamer what happens in the next chunk."""
        moment, most = self._moment(), self.spec.chunk - 1
        for order, future in self._turning:
            at = rescale(max(0, round(order.sample) - moment.sample), self._rate, self.spec.sample_rate)
            if isinstance(self.streamer, CanContinue):
                self.streamer.apply_at(self.state, order.command, future, min(at, most), moment)
        self._turning = []

    def _play(self, order: Order) -> None:
        self.begin_at(max(round(order.sample), self.ring.read_position + self._lead()))

    def _jump(self, seed: int) -> None:
        if isinstance(self.streamer, CanJump):
            self.streamer.jump(self.state, seed)
        else:
            self.state = self.streamer.begin(seed)

    def _heard(self, chunk: int) -> int:
        """The session's sample at which a chunk's controls are heard."""
        return self.edge(chunk) + rescale(self.spec.latency, self.spec.sample_rate, self._rate)

    def _wanted_level(self) -> float:
        muted = bool(getattr(self.controls, "mute", False))
        return 0.0 if muted else db_to_amplitude(float(getattr(self.controls, "gain", 0.0)))

    def _checked(self, sound: Audio) -> Audio:
        spec = self.spec
        if sound.shape != (spec.channels, spec.chunk):
            raise StepError(f"the streamer made {sound.shape} samples, its spec says {(spec.channels, spec.chunk)}")
        if not np.isfinite(sound).all():
            bad = np.count_nonzero(~np.isfinite(sound))
            raise StepError(f"chunk {self.chunk} has {bad} samples that are no number")
        return sound

    def _low_water(self) -> int:
        # A step that begins now is done only after its own time, and the filter holds some of its sound back.
        return self.pacing.fill + round(self._step_peak_s * self._rate)

    def _lead(self) -> int:
        lead = self.pacing.lead
        return lead + round(1.5 * self._step_peak_s * self._rate) if lead else 0

    def _time(self, took_s: float) -> None:
        self._step_s += 0.1 * (took_s - self._step_s)
        self._step_peak_s = max(took_s, self._step_peak_s * _PEAK_DECAY)
        self._publish()

    def _publish(self) -> None:
        now_s, work_s = time.monotonic(), time.process_time()
        if now_s - self._since_s < 0.25:
            return
        cpu = (work_s - self._work_s) / (now_s - self._since_s) if self._since_s else 0.0
        self._since_s, self._work_s = now_s, work_s
        length_s = self.spec.chunk / self.spec.sample_rate
        self.ring.publish(
            realtime=length_s / self._step_s if self._step_s > 0 else 0.0,
            cpu=cpu,
            step_peak_s=self._step_peak_s,
            late=self._late,
        )


def _result_of(opening: BackgroundTask) -> OpenedSources:
    """Raises ControlError, whatever a file brings about: the sound goes on."""
    try:
        opened: OpenedSources = opening.result()
    except EngineError:
        raise
    except Exception as error:
        raise ControlError(f"{type(error).__name__}: {error}") from None
    return opened


def _made(
    make: Callable[[PromptAudio], Any], opened: OpenedSources | None, folder: Path | None, command: Continue | Rewind
) -> Any:
    """A continuation, from files that were opened before or are opened now."""
    if opened is None and isinstance(command, Continue):
        opened = open_sources(folder, command)
    return make(PromptAudio() if opened is None else opened.audio)
