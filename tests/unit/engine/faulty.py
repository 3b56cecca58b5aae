"""Streamers that go wrong on purpose; each is opened by name like a bundle."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from engine.conductor import Span
from engine.controls import Live
from engine.errors import BundleError
from engine.models.tone import ToneStreamer
from engine.music.audio import Audio
from engine.protocols.streamer import Moment, PromptAudio, StreamSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class CountControls:
    gain: Annotated[float, Live(-60.0, 6.0, "level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "silence")] = False
    level: Annotated[float, Live(0.0, 1.0, "what it plays")] = 0.5


@dataclass(slots=True)
class Counting:
    steps: int = 0
    spans: list[tuple[int, float]] = field(default_factory=list)


class Constant:
    """Plays its `level` control as a constant, so that what is heard shows which controls made it."""

    def __init__(self, sample_rate: int = 48000, chunk: int = 960, channels: int = 2, latency: int = 0) -> None:
        self.spec = StreamSpec(sample_rate, channels, chunk, 4, latency)

    def controls(self) -> CountControls:
        return CountControls()

    def begin(self, seed: int) -> Counting:
        return Counting()

    def step(self, state: Counting, controls: CountControls, span: Span) -> Audio:
        state.steps += 1
        state.spans.append((span.sample, float(span.ticks[0])))
        return np.full((self.spec.channels, self.spec.chunk), controls.level, np.float32)

    def fork(self, state: Counting) -> Counting:
        return Counting(state.steps, list(state.spans))


class FailsAt(ToneStreamer):
    """A tone that does `how` at each step number in `at`, counted over all players of this process."""

    steps = 0

    def __init__(self, at: Collection[int], how: str) -> None:
        super().__init__()
        self.at, self.how = at, how

    def step(self, state: Any, controls: Any, span: Span) -> Audio:
        FailsAt.steps += 1
        sound = super().step(state, controls, span)
        if FailsAt.steps in self.at:
            if self.how == "raise":
                raise RuntimeError("on purpose")
            if self.how == "shape":
                return sound[:, :-1]
            sound[0, 5] = np.nan if self.how == "nan" else np.inf
        return sound


@dataclass(frozen=True)
class Heard:
    """A continuation that changes nothing: the seconds of its prompt, and its first sample."""

    prompt_s: float
    first: float


class Continuing(ToneStreamer):
    """A tone that can continue, and keeps what it was given."""

    def __init__(self, sample_rate: int = 48000) -> None:
        super().__init__(sample_rate)
        self.given: list[PromptAudio] = []
        self.applied: list[tuple[object, int, Moment]] = []
        """Commands, the sample of the chunk at which each was carried out, and the chunk's moment."""

    def rehearse(self) -> None:
        pass

    def prepare(self, state: Any, controls: Any, command: Any, moment: Moment) -> Callable[[PromptAudio], Heard]:
        def make(given: PromptAudio) -> Heard:
            self.given.append(given)
            prompt = given.prompt
            return (
                Heard(0.0, 0.0)
                if prompt is None
                else Heard(prompt.audio.shape[1] / prompt.sample_rate, float(prompt.audio[0, 0]))
            )

        return make

    def check(self, state: Any, command: Any) -> None:
        pass

    def apply_at(self, state: Any, command: Any, future: Any, at: int, moment: Moment) -> None:
        self.applied.append((command, at, moment))


def open_faulty(bundle: str, **options: Any) -> Any:
    """``tone``, ``constant``, ``continuing``, ``HOW:STEP`` or ``HOW:FIRST-LAST``; anything else is missing."""
    if bundle == "tone":
        return ToneStreamer()
    if bundle == "continuing":
        return Continuing()
    if bundle.startswith("constant"):
        return Constant()
    how, _, steps = bundle.partition(":")
    if how in ("raise", "nan", "inf", "shape"):
        first, _, last = steps.partition("-")
        return FailsAt(range(int(first), int(last or first) + 1), how)
    raise BundleError(f"no bundle '{bundle}'")
