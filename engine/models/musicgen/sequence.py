"""One sequence of a language model as sound on its way out: drawn step by step, decoded, cut to any length.

A sequence's sound is counted in samples from its beginning: 0 is the first sample after the prompt, or after the
silence in which a sequence from nothing gathers the first frames. What is drawn now sounds `SequenceRunner.lag`
samples later.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.audio.level import limited
from engine.conductor import Span
from engine.models.musicgen.conditioning import Harmony, step_features
from engine.models.musicgen.model import Musicgen, MusicgenControls, apart
from engine.models.musicgen.prompt import longest_prompt
from engine.models.musicgen.state import Conditions, MusicgenState
from engine.music.arrays import F32, I32, I64
from engine.music.audio import Audio
from engine.protocols.codec import CodecState

__all__ = ["Sequence", "SequenceRunner", "When"]


When = Callable[[int], Span | None]
"""The musical time of one frame, by the samples from the next one that sounds to the frame's first."""

_REMEMBERED_S: Final = 120.0  # of what was emitted: how far one can go back
_WARM: Final = 50  # frames of a prompt that the decoder hears: what is older no longer changes its sound audibly


@dataclass(slots=True)
class Sequence:
    """All that changes while a sequence sounds. Its size does not grow.

    Args:
        lm: the sequence. sound: its decoder.
        ready: [C, n] made and not given out. at: the sequence's sample that is the first of them.
        emitted: [K, H] codes of prompt and sequence, of which the last `kept` are filled; `frames` were decoded in all.
        base: frame of the sequence at which `lm` continues after its own prompt.
        skip: samples of the prompt that the decoder still keeps back.
        text: its text prompt. harmony: chords that it plays over where the conductor has none.
    """

    lm: MusicgenState
    sound: CodecState
    ready: Audio
    emitted: I32
    at: int = 0
    kept: int = 0
    frames: int = 0
    base: int = 0
    skip: int = 0
    text: str = ""
    harmony: Harmony | None = None

    def fork(self) -> "Sequence":
        """An independent copy: two futures of one past."""
        return replace(
            self, lm=self.lm.fork(), sound=self.sound.fork(), ready=self.ready.copy(), emitted=self.emitted.copy()
        )

    def take(self, samples: int) -> Audio:
        """The next samples [C, samples] of those that are ready; they are gone then."""
        given, self.ready = self.ready[:, :samples].copy(), self.ready[:, samples:].copy()
        self.at += samples
        return given


class SequenceRunner:
    """Starts and steps sequences of one model. Holds no state; threads, each with its own sequence, may share it."""

    def __init__(self, model: Musicgen) -> None:
        self.model = model
        codec, facts = model.codec, model.facts
        self.hop, self.sample_rate = codec.hop, codec.sample_rate
        self.channels = facts.streams * codec.channels
        self.lag = (facts.latest + codec.look_ahead) * codec.hop
        self.worded = model.words is not None
        self._remembered = round(_REMEMBERED_S * codec.sample_rate / codec.hop)

    def conditions(self, text: str, melody: Audio | Conditions | None = None) -> Conditions:
        """Conditions whose text may be replaced while the sequence plays; a model without a text encoder ignores it."""
        return self.model.conditions(text if self.worded else "", melody, changing=self.worded)

    def begin(self, text: str, seed: int) -> Sequence:
        """A sequence from nothing."""
        lm = self.model.begin(self.conditions(text), seed=seed, seamless=True)
        silence = np.zeros((self.channels, self.lag), np.float32)
        return Sequence(lm, self._decoder(), silence, self._memory(), at=-self.lag, text=text)

    def follow(
        self, prompt: I64, seed: int, conditions: Conditions, text: str = "", span: Span | None = None,
        harmony: Harmony | None = None,
    ) -> Sequence:  # fmt: skip
        """A sequence that continues codes [K, T].

        Args:
            span: musical time of their frames. harmony: chords where that tells of none, there and from there on.
        """
        lm = self.model.begin(conditions, prompt, seed=seed, features=self._features(span, harmony), seamless=True)
        ready = np.zeros((self.channels, 0), np.float32)
        sequence = Sequence(lm, self._decoder(), ready, self._memory(), text=text, harmony=harmony)
        self._remember(sequence, prompt)
        sequence.frames = 0
        warm = prompt[:, -_WARM:]
        out = self.model.codec.decode_step(sequence.sound, apart(warm, self.model.facts.streams))
        sequence.skip = warm.shape[1] * self.hop - out.shape[2]
        self.model.prefill(lm)
        return sequence

    def make(self, sequence: Sequence, samples: int, controls: MusicgenControls, when: When) -> None:
        """Have at least so many samples ready."""
        while sequence.ready.shape[1] < samples:
            frames = []
            for _ in range(-(-(samples - sequence.ready.shape[1]) // self.hop)):
                lm = sequence.lm
                drawn = (lm.origin + lm.steps - 1 - lm.given + sequence.base) * self.hop
                span = when(drawn - sequence.at) if self.model.facts.features else None
                conditions = self._features(span, sequence.harmony)
                frame = self.model.step(lm, controls, None if conditions is None else conditions[0])
                if frame is not None:
                    frames.append(frame)
            if frames:
                self._decode(sequence, np.stack(frames, axis=1))

    def set_conditions(self, sequence: Sequence, text: str) -> None:
        """Tell other words from the next step on; a melody stays."""
        lm = sequence.lm
        conditions = self.conditions(text, lm.conditions)
        sequence.text = text
        if not conditions.before:
            self.model.set_conditions(lm, conditions)
            return
        # What stands before a sequence cannot be changed: it begins anew with what it has emitted.
        prompt = self.emitted(sequence)[:, -longest_prompt(self.model) :]
        sequence.lm = self.model.begin(conditions, prompt, seed=lm.seed, seamless=True)
        sequence.base = sequence.frames

    def emitted(self, sequence: Sequence, before: int = 0) -> I64:
        """[K, T] codes as far as they are remembered, without the last `before` frames."""
        end = sequence.emitted.shape[1] - before
        return np.asarray(
            sequence.emitted[:, max(0, sequence.emitted.shape[1] - sequence.kept) : max(0, end)], np.int64
        )

    def _features(self, span: Span | None, harmony: Harmony | None) -> F32 | None:
        """[T, F] features of a span for a conducted model."""
        width = self.model.facts.features
        if span is None or not width:
            return None
        return step_features(span if harmony is None else harmony.fill(span), width)

    def _decode(self, sequence: Sequence, codes: I64) -> None:
        self._remember(sequence, codes)
        sound = self.model.codec.decode_step(sequence.sound, apart(codes, self.model.facts.streams))
        sound = sound.reshape(self.channels, sound.shape[2])
        cut = min(sequence.skip, sound.shape[1])
        sequence.skip -= cut
        sequence.ready = np.concatenate([sequence.ready, limited(sound[:, cut:])], axis=1)

    def _remember(self, sequence: Sequence, codes: I64) -> None:
        count = min(codes.shape[1], self._remembered)
        if count:
            sequence.emitted[:, :-count] = sequence.emitted[:, count:].copy()
            sequence.emitted[:, -count:] = codes[:, -count:]
        sequence.kept = min(self._remembered, sequence.kept + count)
        sequence.frames += codes.shape[1]

    def _decoder(self) -> CodecState:
        state: CodecState = self.model.codec.begin_decode(self.model.facts.streams)
        return state

    def _memory(self) -> I32:
        return np.zeros((self.model.facts.codebooks, self._remembered), np.int32)
