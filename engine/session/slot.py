"""Who plays what: what a voice is asked to be, the player in a role, and the stage that all voices share."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

from engine.audio.mixer import Fades
from engine.audio.ring import Ring
from engine.conductor import Conductor
from engine.controls import Value, with_value
from engine.messages.continuation import changed_controls
from engine.messages.session import Applied, Branch, Changed, Choose, Commit, Continue, Event, Failed
from engine.session.schedule import Scheduled
from engine.session.take import TakeWriter
from engine.worker.background import BackgroundTask
from engine.worker.process import Opener, Setup, WorkerHandle
from engine.worker.worker import Pacing

__all__ = ["Retired", "SessionContext", "Slot", "VoiceSpec", "VoiceStatus"]

_HANG_S: Final = 1.0  # without a sign of life while its ring runs empty
_SLOW_S: Final = 5.0
_LOAD_S: Final = 180.0  # the longest that opening a bundle may take
_RETIRE_S: Final = 0.5  # a ring is unmapped only this long after the mixer let go of it


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceSpec:
    """A voice to begin a session with.

    Args:
        name: how it is addressed; unique.
        bundle: name or path of what it plays; ``tone`` needs no files.
        seed: of its first state.
        playing: whether it starts by itself.
        controls: values by path that differ from the defaults.
        options: passed on to the function that opens bundles.
    """

    name: str
    bundle: str = "tone"
    seed: int = 0
    playing: bool = True
    controls: Mapping[tuple[str, ...], Value] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class VoiceStatus:
    """One voice, for people and ports: `loaded` it can sound, `loading` a bundle is on its way."""

    name: str
    bundle: str
    seed: int
    playing: bool
    loaded: bool
    loading: bool
    controls: Any

    @classmethod
    def of(cls, voice: Any) -> Self:
        """What a `engine.session.voice.Voice` is now."""
        return cls(**{each.name: getattr(voice, each.name) for each in fields(cls)})


@dataclass(kw_only=True, slots=True)
class SessionContext:
    """What all voices of a session share. Threads: the session's housekeeping."""

    sample_rate: int
    fades: Fades
    pacing: Pacing
    conductor: Conductor
    opener: Opener
    start: Callable[[Setup], WorkerHandle]
    clock: Callable[[], float]
    position: Callable[[], int]
    take: TakeWriter
    folder: Path | None = None
    find: Callable[[Continue], BackgroundTask] = lambda command: BackgroundTask(lambda: command, threaded=False)
    """Finds what is to be continued: see `engine.session.sources`."""
    events: deque[Event] = field(default_factory=deque)
    due_to_sound: list[Applied] = field(default_factory=list)
    """Commands that were obeyed and are to be announced once their sample has been read; latency_ms holds the clock
    at their posting until then."""
    players: int = 0

    def applied(self, due: Scheduled, voice: str, sample: int) -> None:
        posted_ms = 1000.0 * due.posted_s
        self.due_to_sound.append(
            Applied(number=due.number, command=due.command, voice=voice, sample=sample, latency_ms=posted_ms)
        )

    def failed(self, due: Scheduled, reason: str) -> None:
        self.events.append(Failed(number=due.number, command=due.command, reason=reason))

    def fail_all(self, dues: list[Scheduled], reason: str) -> None:
        """None of these can be obeyed; the list is empty afterwards."""
        for due in dues:
            self.failed(due, reason)
        dues.clear()

    def give_up(self, dues: dict[int, Scheduled], reason: str) -> None:
        """The same of those that a player had been sent, by their numbers."""
        for due in dues.values():
            self.failed(due, reason)
        dues.clear()


@dataclass(slots=True)
class Slot:
    """A player in a role: the one that feeds the lane, or one that is to take over."""

    number: int
    player: WorkerHandle
    bundle: str
    seed: int
    begun_s: float
    options: Mapping[str, Any]
    resumed: bool = False
    again: bool = False  # started because the one before failed
    controls: Any = None  # None until it is ready
    continues: bool = False
    unanswered: dict[int, Scheduled] = field(default_factory=dict)
    beats: int = -1
    beaten_s: float = 0.0

    @property
    def ready(self) -> bool:
        return self.controls is not None

    def turn(self, voice: str, command: Commit | Branch | Choose) -> Iterator[Changed]:
        """Controls change with what sounds."""
        for name, value in changed_controls(command):
            if getattr(self.controls, name) != value:
                self.controls = with_value(self.controls, (name,), value)
                yield Changed(path=(voice, name), value=getattr(self.controls, name))

    def watch(self, stage: SessionContext, playing: bool) -> None:
        """Kill a player that hangs; its end is then reported like any other."""
        starving = playing and self.player.ring.written < stage.position() + stage.fades.cover
        if self.hangs(stage.clock(), starving):
            self.player.kill()

    def hangs(self, now_s: float, starving: bool) -> bool:
        """Whether its player gives no sign of life while its ring runs empty, or takes too long to open; said once."""
        ring = self.player.ring
        if ring.beats != self.beats:
            self.beats, self.beaten_s = ring.beats, now_s
        # What is made beside a voice's sound may slow it down for a while, to no sound at all on a poor machine.
        patience_s = max(_SLOW_S if self.continues else _HANG_S, 4.0 * ring.step_peak_s)
        hung = starving and now_s - self.beaten_s > patience_s if self.ready else now_s - self.begun_s > _LOAD_S
        if not (hung and self.player.pid):
            return False
        self.beaten_s = self.begun_s = now_s
        return True


class Retired:
    """Players that have ended, until the mixer has let go of their rings.

    Args:
        uses: whether the mixer may still read a ring.
    """

    def __init__(self, uses: Callable[[Ring], bool]) -> None:
        self._uses = uses
        self._rows: list[tuple[Slot, float | None]] = []  # and the time at which its ring was first seen unused

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, cast: Slot) -> None:
        """End a player at once; its ring stays."""
        cast.player.kill()
        self._rows.append((cast, None))

    def bury(self, now_s: float) -> None:
        """Give back the memory of rings that nobody has used for a while."""
        kept: list[tuple[Slot, float | None]] = []
        for cast, free_s in self._rows:
            if self._uses(cast.player.ring):
                kept.append((cast, None))
            elif free_s is None or now_s - free_s < _RETIRE_S:
                kept.append((cast, now_s if free_s is None else free_s))
            else:
                cast.player.close()
        self._rows = kept

    def close(self) -> None:
        """Give everything back; the mixer must not read any more."""
        for cast, _ in self._rows:
            cast.player.close()
        self._rows = []
