"""What a model must offer: the Streamer protocol with the timing it declares, and the Job with its progress."""

import pickle
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

from engine.conductor import Conductor, Span
from engine.music.audio import Audio

__all__ = [
    "CanContinue",
    "CanJump",
    "CanSnapshot",
    "Job",
    "Moment",
    "Progress",
    "PromptAudio",
    "SourceAudio",
    "StreamSpec",
    "Streamer",
    "finish",
    "restore",
    "snapshot",
    "work",
]

C = TypeVar("C")
S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Timing of a streamer, all integers.

    Args:
        sample_rate: Hz.
        channels: of the audio that `step` returns.
        chunk: samples that one `step` makes.
        frames: model frames in a chunk, the columns of its Span; hop is chunk // frames.
        latency: samples by which sound in a chunk may lag the controls and the Span given to its step (0 if none).
    """

    sample_rate: int
    channels: int
    chunk: int
    frames: int
    latency: int = 0

    @property
    def hop(self) -> int:
        return self.chunk // self.frames


class Streamer(Protocol[C, S]):
    """Endless audio, one chunk at a time. The streamer holds weights; the caller holds the state.

    A state is picklable and moves on in place; `fork` is the only copy. Same seed, same controls, same spans: same
    samples, whoever calls and whenever.
    """

    @property
    def spec(self) -> StreamSpec: ...

    def controls(self) -> C:
        """The default controls, a frozen dataclass of annotated fields (see `engine.controls`)."""
        ...

    def begin(self, seed: int) -> S: ...

    def step(self, state: S, controls: C, span: Span) -> Audio:
        """[channels, chunk], finite, not yet clipped; moves `state` on."""
        ...

    def fork(self, state: S) -> S: ...


@runtime_checkable
class CanJump(Protocol):
    """What a streamer offers beside, if it can go to another place and keep playing; without it, a jump begins anew."""

    def jump(self, state: object, seed: int) -> None:
        """Move `state` to the place of `seed`, gliding or at once as the model sees fit."""
        ...


@runtime_checkable
class CanSnapshot(Protocol):
    """What a streamer offers beside, if its state is far larger than what is needed to go on from it."""

    def snapshot(self, state: Any) -> bytes:
        """What is needed, taken in no time."""
        ...

    def restore(self, snapshot: bytes) -> Any:
        """A state that continues from there, the same each time; may take as long as opening a bundle."""
        ...


def snapshot(streamer: Streamer[Any, Any], state: object) -> bytes:
    """A state as bytes, in the streamer's own way if it has one."""
    return (
        streamer.snapshot(state) if isinstance(streamer, CanSnapshot) else pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
    )


def restore(streamer: Streamer[Any, Any], data: bytes) -> Any:
    """The state that `snapshot` gave."""
    return streamer.restore(data) if isinstance(streamer, CanSnapshot) else pickle.loads(data)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """Where in a session a streamer is asked to do something.

    Args:
        sample: the session's, at which the state's next chunk begins.
        sample_rate: Hz of the session.
        conductor: an own copy of what is known now.
    """

    sample: int
    sample_rate: int
    conductor: Conductor


@dataclass(frozen=True, slots=True)
class SourceAudio:
    """A whole sound [C, N] and its sample rate in Hz, as it was read from a file."""

    audio: Audio
    sample_rate: int


@dataclass(frozen=True, slots=True)
class PromptAudio:
    """What a continuation is made from: the prompt, and a melody to follow; None where a command names none."""

    prompt: SourceAudio | None = None
    melody: SourceAudio | None = None


@runtime_checkable
class CanContinue(Protocol):
    """What a streamer offers beside, if it can go over to other futures that are made ready beside its sound."""

    def rehearse(self) -> None:
        """Do for once what a plan does, so that the first that counts takes no longer than others."""
        ...

    def prepare(self, state: Any, controls: Any, command: Any, moment: Moment) -> Callable[[PromptAudio], Any]:
        """Take down what a command asks for, in no time: nothing that happens afterwards changes it.

        Returns:
            Makes the continuation from the audio of the files that the command names; for another thread to call
            while `state` moves on. Its result has ``prompt_s``, the seconds of the prompt.
        Raises:
            EngineError: it cannot be done.
        """
        ...

    def check(self, state: Any, command: Any) -> None:
        """Whether a command could be carried out now.

        Raises:
            EngineError: it cannot.
        """
        ...

    def apply_at(self, state: Any, command: Any, future: Any, at: int, moment: Moment) -> None:
        """Carry out a command `at` samples (the model's) into the next chunk, which begins at the moment's sample.

        Args:
            future: what a plan has made, for a command that lands one; None for others.
        """
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come: `done` of `total` equal parts of its work, 0 <= done <= total."""

    done: int
    total: int


Job = Generator[Progress, bool | None, R]
"""A finite piece of work: a generator that yields its Progress and returns its result.

`done` never falls. Sending True (see `finish`) asks it to end as soon as it can with what it has; `close` at any moment
cancels it and leaves nothing behind.
"""


def work(job: Job[R], tell: Callable[[Progress], None] = lambda _: None, late: Callable[[], bool] = lambda: False) -> R:
    """Do a job to its end and give its result.

    Args:
        tell: called with each progress.
        late: asked after each; once it is true the job is asked to end with what it has.
    """
    try:
        progress = next(job)
        while True:
            tell(progress)
            progress = job.send(late())
    except StopIteration as end:
        result: R = end.value
        return result
    finally:
        job.close()


def finish(job: Job[R]) -> R:
    """End a job, begun or not, as soon as it can end with what it has, and give its result."""
    return work(job, late=lambda: True)
