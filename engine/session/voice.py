"""One named voice of a session: its lane in the mix, the player that feeds it, and what happens when that one fails.

A voice that dies is started again from its last snapshot while the mixer covers for it; a new bundle is loaded beside
the one that plays, and takes over at a sample.
"""

from collections.abc import Mapping
from typing import Any

from engine.audio.mixer import Lane, LaneChange, LaneRequest
from engine.controls import walk, with_value
from engine.errors import ControlError, EngineError
from engine.messages.session import (
    Changed,
    Command,
    Commit,
    Cover,
    Failed,
    Load,
    Play,
    Set,
    Stop,
    Swapped,
    Thawed,
    Unload,
    VoiceDown,
    VoiceUp,
)
from engine.session.continuations import Continuations
from engine.session.restarts import Restarts
from engine.session.schedule import Scheduled, target_of
from engine.session.slot import Retired, SessionContext, Slot, VoiceSpec
from engine.worker.orders import (
    AT_ONCE,
    Began,
    Broken,
    Made,
    Order,
    OrderRefused,
    Ready,
    Took,
    applies_within_chunk,
    needs_preparation,
)
from engine.worker.process import Setup, WorkerHandle

__all__ = ["Voice"]


class Voice:
    """Threads: the session's housekeeping only, but for `lane`, which the mixer reads."""

    def __init__(self, stage: SessionContext, spec: VoiceSpec, lane: Lane) -> None:
        self.name, self.bundle, self.seed, self.lane = spec.name, spec.bundle, spec.seed, lane
        self.playing = spec.playing
        self.covers = 0
        self.controls: Any = None
        self._stage, self._options = stage, spec.options
        self._values = dict(spec.controls)
        self._cast: Slot | None = None
        self._next: tuple[Slot, Scheduled] | None = None
        self._swap_at: int | None = None
        self._starting: list[Scheduled] = []
        self._stopping: list[Scheduled] = []
        self._covered = 0
        self._left = False
        self._restarts = Restarts()
        self._unsent: dict[int, Scheduled] = {}
        self._retired = Retired(lane.uses)
        self._futures = Continuations(spec.name, stage)

    # what the session asks

    @property
    def player(self) -> WorkerHandle | None:
        """The player that feeds the lane now."""
        return None if self._cast is None else self._cast.player

    @property
    def players(self) -> list[WorkerHandle]:
        """All players that are at work."""
        return [cast.player for cast in (self._cast, self._next[0] if self._next else None) if cast is not None]

    @property
    def loaded(self) -> bool:
        return self._cast is not None and self._cast.ready

    @property
    def loading(self) -> bool:
        return self._next is not None or (self._cast is not None and not self._cast.ready)

    @property
    def prepared_s(self) -> float:
        """See `Continuations.prepared_s`."""
        return self._futures.prepared_s

    @property
    def gone(self) -> bool:
        """Whether it has no bundle: it is unloaded, or was given up."""
        return self._cast is None and self._restarts.due_s is None and self._next is None

    @property
    def unloaded(self) -> bool:
        """Whether it was unloaded or given up, and nothing of it is left."""
        return self._left and self.gone and self.lane.silent and not len(self._retired)

    def open_sample(self) -> int:
        """The earliest sample that a command to this voice can still change."""
        here = self._stage.position()
        return here if self._cast is None else max(here, self._cast.player.ring.committed)

    def lead(self) -> int:
        """Samples from now in which a new run of sound can be made ready."""
        pacing, steps_s = self._stage.pacing, [player.ring.step_peak_s for player in self.players]
        return pacing.lead + round(3.0 * max(steps_s, default=0.0) * self._stage.sample_rate)

    def begin(self) -> None:
        """Start the first player."""
        self._cast = self._start(self.bundle, self.seed, None, self._options)

    def conduct(self, order: Order) -> None:
        """Pass a conductor's change to every player, also to those still loading."""
        for player in self.players:
            player.send(order)

    def obey(self, due: Scheduled, sample: float) -> None:
        """Carry out a command to this voice, whose time is `sample` (or `AT_ONCE`)."""
        match due.command:
            case Load(bundle=bundle, seed=seed):
                self._load(due, bundle, seed)
            case Play():
                self._play(due, sample)
            case Stop():
                self.stop(due, sample, self._stage.fades.end)
            case Unload():
                self._unload(due)
            case command if needs_preparation(command):
                self._futures.ask(due)
            case command:
                self._pass_on(due, command, sample)

    def stop(self, due: Scheduled | None, sample: float, fade: int) -> None:
        """Fade out at `sample`; the state stays. `due` is notified, if there is one."""
        self._futures.drop("stopped before it began")
        if not self.playing:
            if due is not None:
                self._stage.applied(due, self.name, self._stage.position())
            return
        self.playing = False
        if due is not None:
            self._stopping.append(due)
        self._stage.fail_all(self._starting, "stopped before it began")
        self.lane.ask(LaneRequest("stop", sample=max(0, round(sample)), fade=fade))
        if self._cast is not None:
            self._cast.player.send(Order(0, sample, Stop(voice=self.name)))

    def check(self, command: Command) -> None:
        """Whether a command can be obeyed at all.

        Raises:
            ControlError: its path or value is not one of this voice's.
        """
        if isinstance(command, Set) and self.controls is not None:
            with_value(self.controls, command.path[1:], command.value)
        cast, continuing = self._cast, needs_preparation(command) or applies_within_chunk(command)
        if continuing and cast is not None and cast.ready and not cast.continues:
            raise ControlError(f"{self.bundle} cannot continue sound; load a bundle of MusicGen, such as musicgen-live")

    def tend(self) -> None:
        """Housekeeping: reports, turns, restarts, changes of bundle. Called often."""
        if self._cast is not None:
            self._hear(self._cast)
        if self._next is not None:
            self._hear(self._next[0])
        for turn in self.lane.take_turns():
            self._note(turn)
        if self._cast is not None:
            self._cast.watch(self._stage, self.playing)
        if self._restarts.due(self._stage.clock()):
            self._restart()
        if self._next is not None and self._next[0].ready:
            self._take_over(*self._next)
        if self._cast is not None:
            self._futures.tend(self._cast, self.lead(), self.playing)
        elif self.gone:
            self._futures.drop(f"{self.name} has no bundle; load one")
        self._retired.bury(self._stage.clock())

    def close(self) -> None:
        """End all players; the mixer must not read any more."""
        for player in self.players:
            player.close()
        self._cast = self._next = None
        self._retired.close()

    def drop_waiting(self, reason: str) -> None:
        """Drop a continuation, and a bundle, that wait for their time."""
        self._futures.drop(reason)
        if self._next is not None and self._swap_at is None:
            self._cancel_load(reason)

    def _pass_on(self, due: Scheduled, command: Command, sample: float) -> None:
        if self.gone:
            self._stage.failed(due, f"{self.name} has no bundle; load one")
            return
        if self._cast is None:
            self._unsent[due.number] = due
        else:
            self._cast.unanswered[due.number] = due
            self._cast.player.send(Order(due.number, sample, command))
        if self._next is not None and isinstance(command, Set):
            self._next[0].player.send(Order(0, sample, command))

    def _play(self, due: Scheduled, sample: float) -> None:
        if self.gone:
            self._stage.failed(due, f"{self.name} has no bundle; load one")
            return
        if self.playing:
            self._stage.applied(due, self.name, self._stage.position())
            return
        self.playing = True
        self._starting.append(due)
        if self.loaded and self._cast is not None:
            self._cast.player.send(Order(0, sample, Play(voice=self.name)))

    def _load(self, due: Scheduled, bundle: str, seed: int) -> None:
        self._cancel_load("another load came after it")
        self._swap_at, self._left = None, False
        if self.controls is not None:
            self._values = {control.path: control.value for control in walk(self.controls)}
        options = {**self._options, "paths": False}  # a name from outside may not point to just any folder
        self._next = self._start(bundle, seed, None, options), due

    def _unload(self, due: Scheduled) -> None:
        self.stop(due, AT_ONCE, self._stage.fades.end)
        self._cancel_load("unloaded; load a bundle first")
        if self._cast is not None:
            self._stage.give_up(self._cast.unanswered, "unloaded; load a bundle first")
            self._retired.add(self._cast)
            self._cast = None
        self._restarts.cancel()
        self._left = True
        self.lane.ask(LaneRequest("drop"))

    def _cancel_load(self, reason: str) -> None:
        if self._next is not None:
            self._stage.failed(self._next[1], reason)
            self._retired.add(self._next[0])
            self._next = None

    def _start(self, bundle: str, seed: int, resume: tuple[int, int, bytes] | None, options: Mapping[str, Any]) -> Slot:
        stage = self._stage
        stage.players += 1
        setup = Setup(
            opener=stage.opener,
            bundle=bundle,
            seed=seed,
            session_rate=stage.sample_rate,
            conductor=stage.conductor.copy(),
            pacing=stage.pacing,
            controls=tuple(self._values.items()),
            resume=None if resume is None else (resume[1], resume[2]),
            options=options,
            folder=stage.folder,
        )
        stage.take.player(stage.players, self.name, setup, None if resume is None else resume[0])
        return Slot(stage.players, stage.start(setup), bundle, seed, stage.clock(), options, resume is not None)

    def _hear(self, cast: Slot) -> None:
        stage, take = self._stage, self._stage.take
        for report in cast.player.reports():
            match report:
                case Ready(controls=controls, identity=identity, continues=continues):
                    take.ready(cast.number, identity)
                    cast.continues = continues
                    self._ready(cast, controls)
                case Took(number=number, sample=sample, order=order):
                    take.took(cast.number, report)
                    if isinstance(order.command, Set):
                        cast.controls = with_value(cast.controls, order.command.path[1:], order.command.value)
                    elif applies_within_chunk(order.command):
                        stage.events.extend(cast.turn(self.name, order.command))
                    if number in cast.unanswered:
                        self._took(cast, cast.unanswered.pop(number), sample)
                    elif isinstance(order.command, Commit) and (landed := self._futures.landed(number)) is not None:
                        self._landed(cast, *landed, sample)
                case Made():
                    self._futures.made(report)
                case OrderRefused(number=number, reason=reason):
                    if not self._futures.refused(number, reason) and number in cast.unanswered:
                        stage.failed(cast.unanswered.pop(number), reason)
                case Began():
                    take.began(cast.number, report)
                    if cast is self._cast and self.playing:
                        self.lane.ask(LaneRequest("play"))  # not before: what is left in the ring is of another time
                case Broken(reason=reason):
                    self._broken(cast, reason)

    def _landed(self, cast: Slot, due: Scheduled, meant: float, sample: int) -> None:
        """A future is heard from a sample on, or where it was meant to be once the voice has begun."""
        if self.playing:
            self._took(cast, due, sample)
        else:
            self.controls = cast.controls
            self._play(due, meant)

    def _ready(self, cast: Slot, controls: Any) -> None:
        cast.controls, cast.beaten_s = controls, self._stage.clock()
        seconds = self._stage.clock() - cast.begun_s
        self._stage.events.append(VoiceUp(voice=self.name, bundle=cast.bundle, seconds=seconds, restarted=cast.again))
        if cast is not self._cast:
            return
        self.controls, self.bundle, self.seed = controls, cast.bundle, cast.seed
        self.lane.ask(LaneRequest("feed", player=cast.number, ring=cast.player.ring))
        if self.playing:
            cast.player.send(Order(0, AT_ONCE, Play(voice=self.name)))

    def _took(self, cast: Slot, due: Scheduled, sample: int) -> None:
        if cast is not self._cast:
            return
        self.controls = cast.controls
        self._stage.applied(due, self.name, sample)
        if isinstance(due.command, Set):
            value = due.command.value
            for control in walk(self.controls):
                if control.path == due.command.path[1:]:
                    value = control.value
            self._stage.events.append(Changed(path=due.command.path, value=value))

    def _broken(self, cast: Slot, reason: str) -> None:
        stage = self._stage
        if self._next is not None and cast is self._next[0]:
            stage.failed(self._next[1], f"{reason}; {self.name} plays on as before")
            self._retired.add(cast)
            self._next, self._swap_at = None, None
            self.lane.ask(LaneRequest("swap"))
            return
        if cast is not self._cast:
            return
        self._cast = None
        self._futures.again()
        self._unsent |= cast.unanswered
        self._restarts.ended(cast, stage.clock())
        if cast.controls is not None:
            self._values = {control.path: control.value for control in walk(cast.controls)}
        self._retired.add(cast)
        if self._restarts.due_s is not None:
            stage.events.append(VoiceDown(voice=self.name, reason=reason))
        elif self._restarts.failures == 1:
            self._stage.events.append(
                Failed(number=0, command=Load(voice=self.name, bundle=cast.bundle, seed=cast.seed), reason=reason)
            )
            self._abandon()
        else:
            reason = f"{reason}; given up after {self._restarts.failures} failures, load a bundle"
            stage.events.append(VoiceDown(voice=self.name, reason=reason))
            self._abandon()

    def _abandon(self) -> None:
        self._stage.give_up(self._unsent, "the voice has failed; load a bundle")
        self._stage.fail_all(self._starting, "the voice has failed; load a bundle")
        self._left = True
        self.lane.ask(LaneRequest("stop", fade=self._stage.fades.end))
        self.lane.ask(LaneRequest("drop"))

    def _restart(self) -> None:
        self._restarts.due_s = None
        try:
            self._cast = self._start(self.bundle, self.seed, self._restarts.snapshot, self._options)
        except EngineError as error:  # no room for it
            self._stage.events.append(VoiceDown(voice=self.name, reason=f"{error}; then load a bundle"))
            self._abandon()
            return
        self._cast.again = True
        for due in self._unsent.values():
            self._cast.player.send(Order(due.number, AT_ONCE, due.command))
        self._cast.unanswered, self._unsent = self._unsent, {}

    def _take_over(self, cast: Slot, due: Scheduled) -> None:
        """Fix the sample of a change of bundle once it is near, or change at once where nothing sounds."""
        if not self.playing:
            if self.lane.silent:
                if self._swap_at is not None:  # stopped between the fixing of a change and the change: take it back
                    self.lane.ask(LaneRequest("swap"))
                    cast.player.send(Order(0, AT_ONCE, Stop(voice=self.name)))
                self._cast_anew()
            return
        if self._swap_at is not None:
            return
        stage = self._stage
        here, lead = stage.position(), self.lead()
        if due.target.tick is not None and stage.conductor.tick_at(here + lead) > due.target.tick:
            # Loading took longer than to the line that was meant: the next one like it.
            due.target = target_of(due.when, stage.conductor, here + lead)
        sample = due.target.near(stage.conductor, here + lead)
        if sample > here + lead + 0.2 * stage.sample_rate:
            return
        self._swap_at = round(sample)
        cast.player.send(Order(0, self._swap_at, Play(voice=self.name)))
        self.lane.ask(LaneRequest("play"))
        self.lane.ask(LaneRequest("swap", sample=self._swap_at, player=cast.number, ring=cast.player.ring))

    def _cast_anew(self) -> None:
        """The loaded player becomes the one that plays; the old one ends."""
        if self._next is None:
            return
        (cast, due), self._next, self._swap_at = self._next, None, None
        orders, self._unsent = self._unsent, {}
        if self._cast is not None:
            orders |= self._cast.unanswered
            self._retired.add(self._cast)
        for order in orders.values():
            cast.player.send(Order(order.number, AT_ONCE, order.command))
        cast.unanswered = orders
        self._cast = cast
        self._restarts.reset()
        self._futures.again()
        self.bundle, self.seed, self.controls = cast.bundle, cast.seed, cast.controls
        self._options = cast.options
        here = self._stage.position()
        if not self.playing:
            self.lane.ask(LaneRequest("feed", player=cast.number, ring=cast.player.ring))
            self._stage.applied(due, self.name, here)
            self._stage.events.append(Swapped(voice=self.name, bundle=cast.bundle, sample=here))

    def _note(self, turn: LaneChange) -> None:
        """A lane's turn: log it, tell of it, and answer the commands that asked for it."""
        stage = self._stage
        stage.take.turn(self.name, turn)
        if turn.kind == "cover":
            self.covers += 1
            self._covered = turn.sample
            stage.events.append(Cover(voice=self.name, sample=turn.sample))
        elif turn.kind == "thaw" or (turn.kind == "start" and self._covered):
            covered, self._covered = turn.sample - self._covered, 0
            stage.events.append(Thawed(voice=self.name, sample=turn.sample, samples=covered))
        if turn.kind == "start":
            for due in self._starting:
                stage.applied(due, self.name, turn.sample)
            self._starting = []
        elif turn.kind == "stop":
            for due in self._stopping:
                stage.applied(due, self.name, turn.sample)
            self._stopping, self._covered = [], 0
        elif turn.kind == "swap" and self._next is not None and turn.player == self._next[0].number:
            cast, due = self._next
            stage.applied(due, self.name, turn.sample)
            stage.events.append(Swapped(voice=self.name, bundle=cast.bundle, sample=turn.sample))
            self._cast_anew()
