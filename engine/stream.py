"""What a voice's model must offer: the Streamer protocol, and the timing it declares."""

from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from engine.conductor import Span
from engine.music.audio import Audio

__all__ = ["CanJump", "StreamSpec", "Streamer"]

C = TypeVar("C")
S = TypeVar("S")


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
