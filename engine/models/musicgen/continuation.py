"""Continuations of a live language model, made beside its sound: from a prompt, or from an earlier bar.

New sound keeps its place in time: what follows the last sample of the prompt belongs to the moment after it, so what
has passed when it lands is made and left out. Up to the moment at which it is expected to land everything is made here,
with the controls and the musical time of the asking; so a plan gives the same, whoever carries it out and when.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from engine.conductor import Conductor, Span
from engine.controls import with_value
from engine.errors import ControlError
from engine.messages.continuation import Continue, Rewind, changed_controls
from engine.models.musicgen.conditioning import Harmony, detected_harmony, led_by_ear
from engine.models.musicgen.model import MusicgenControls
from engine.models.musicgen.prompt import codes_of, longest_prompt, melody_of
from engine.models.musicgen.sequence import Sequence, SequenceRunner
from engine.models.musicgen.state import Conditions
from engine.models.musicgen.timing import time_from
from engine.music.arrays import I64
from engine.music.audio import Audio
from engine.protocols.streamer import Moment, PromptAudio, SourceAudio

__all__ = ["Continuation", "planned_continuation", "planned_rewind", "rehearsed"]


_REHEARSED_HZ: Final = 48000  # seldom a model's own rate, so that changing it is rehearsed, too
_REHEARSED_CHORD_HZ: Final = (220.0, 261.6, 329.6)
_AHEAD_S: Final = 30.0  # the most that is made before a future lands


@dataclass(frozen=True, slots=True)
class Continuation:
    """A sequence that is ready to sound.

    Args:
        origin: the session's sample at which its first sample belongs; None: where it lands.
        left: samples until it ends, -1 for no end. prompt_s: seconds of the prompt.
    """

    sequence: Sequence
    origin: float | None
    left: int
    prompt_s: float


@dataclass(frozen=True, slots=True)
class _Preparation:
    """How far a future is made before it lands: `samples` of the model, from the session's sample `origin` on."""

    conductor: Conductor
    origin: float
    samples: int


def planned_continuation(
    runner: SequenceRunner, controls: MusicgenControls, command: Continue, moment: Moment, ready: int
) -> Callable[[PromptAudio], Continuation]:
    """What makes the continuation of a prompt, `ready` samples of it beyond the moment it is expected to sound.

    Raises:
        ControlError: the model cannot do what is asked.
    """
    if command.text and not runner.worded:
        raise ControlError("this bundle takes no words: leave them out, or load a bundle with a text encoder")
    if command.melody and not runner.model.takes_melody:
        raise ControlError("this bundle takes no melody: leave it out, or load a melody bundle")
    for name, value in changed_controls(command):
        controls = with_value(controls, (name,), value)
    aim = command.aim
    origin = float(aim if command.heard_until < 0 else command.heard_until)
    ahead = _ahead(runner, moment, origin, aim, ready)
    text = command.text or str(getattr(controls, "text", ""))
    left = _length(runner, command, moment, aim)
    return partial(_continued, runner, controls, command, text, ahead, left)


def rehearsed(runner: SequenceRunner, controls: MusicgenControls, seconds: float, ready: int) -> None:
    """Continue so many seconds of a chord, all the way: what a first time costs is paid then."""
    end = round(seconds * _REHEARSED_HZ)
    times = np.arange(end) / _REHEARSED_HZ
    rows = [0.1 * np.sin(2 * np.pi * hz * times) for hz in _REHEARSED_CHORD_HZ]
    sound = np.sum(rows, axis=0, keepdims=True).astype(np.float32)
    command = Continue(seconds=seconds, seed=0, heard_until=end, aim=end)
    moment = Moment(sample=end, sample_rate=_REHEARSED_HZ, conductor=Conductor(_REHEARSED_HZ))
    given = PromptAudio(SourceAudio(sound, _REHEARSED_HZ))
    planned_continuation(runner, controls, command, moment, ready)(given)


def _continued(
    runner: SequenceRunner,
    controls: MusicgenControls,
    command: Continue,
    text: str,
    ahead: _Preparation,
    left: int,
    given: PromptAudio,
) -> Continuation:
    if given.prompt is None:
        raise ControlError("got no audio to continue: name a sound file")
    sound, rate, melody = given.prompt.audio, given.prompt.sample_rate, given.melody
    tune = None if melody is None else melody_of(runner.model, melody.audio, melody.sample_rate)
    prompt = codes_of(runner.model, sound, rate, command.seconds)
    timed = command.heard_until >= 0
    span = _before(runner, ahead.conductor, ahead.origin, prompt.shape[1]) if timed else None
    harmony = None if command.free or not runner.model.facts.features else _harmony(sound, rate, ahead, timed)
    sequence = runner.follow(prompt, max(0, command.seed), runner.conditions(text, tune), text, span, harmony)
    prompt_s = prompt.shape[1] * runner.hop / runner.sample_rate
    return Continuation(_made(runner, sequence, controls, ahead), ahead.origin if timed else None, left, prompt_s)


def planned_rewind(
    runner: SequenceRunner, sequence: Sequence, controls: MusicgenControls, command: Rewind, moment: Moment, ready: int
) -> Callable[[PromptAudio], Continuation]:
    """What makes another way on from some bars before the moment at which it is expected to land.

    Raises:
        ControlError: so much has not been played, or is no longer remembered.
    """
    conductor, ratio, aim = moment.conductor, runner.sample_rate / moment.sample_rate, float(command.aim)
    bar, tick = conductor.bar_ticks_at(aim), conductor.tick_at(aim)
    # The place in the bar at which it lands, in the last bar that has sounded there; and the bars before that.
    bars = max(1, math.ceil((tick - conductor.tick_at(moment.sample)) / bar - 1e-9)) + command.bars - 1
    back = conductor.sample_of(tick - bars * bar, 0.0)
    # Frames of the sequence that have sounded by then; the part of one that is over is made again and left out.
    exact = (sequence.at - (moment.sample - back) * ratio) / runner.hop
    whole = math.floor(exact + 1e-6)
    prompt = runner.emitted(sequence, max(0, sequence.frames - whole))[:, -longest_prompt(runner.model) :]
    if tick - bars * bar < conductor.tick_at(0.0) or prompt.shape[1] < 1:
        raise ControlError(f"so much has not been played, or is no longer remembered: got {command.bars} bars back")
    origin = aim - (exact - whole) * runner.hop / ratio
    ahead = _ahead(runner, moment, origin, command.aim, ready)
    return partial(_rewound, runner, prompt, sequence.lm.conditions, sequence.harmony, controls, command, ahead, back)


def _rewound(
    runner: SequenceRunner, prompt: I64, was_told: Conditions, harmony: Harmony | None, controls: MusicgenControls,
    command: Rewind, ahead: _Preparation, back: float, _: PromptAudio,
) -> Continuation:  # fmt: skip
    text = str(getattr(controls, "text", ""))
    span = _before(runner, ahead.conductor, back, prompt.shape[1])
    sequence = runner.follow(prompt, max(0, command.seed), runner.conditions(text, was_told), text, span, harmony)
    prompt_s = prompt.shape[1] * runner.hop / runner.sample_rate
    return Continuation(_made(runner, sequence, controls, ahead), ahead.origin, -1, prompt_s)


def _ahead(runner: SequenceRunner, moment: Moment, origin: float, aim: int, ready: int) -> _Preparation:
    passed = (aim - origin) * runner.sample_rate / moment.sample_rate
    samples = min(max(0, round(passed)) + ready, round(_AHEAD_S * runner.sample_rate))
    return _Preparation(moment.conductor, origin, samples)


def _made(runner: SequenceRunner, sequence: Sequence, controls: MusicgenControls, ahead: _Preparation) -> Sequence:
    """The sequence, with all that is ahead of its landing."""
    conditions = time_from(ahead.conductor, ahead.origin, runner.hop, runner.sample_rate)
    runner.make(sequence, ahead.samples, controls, lambda sample: conditions(sequence.at + sample))
    return sequence


def _harmony(sound: Audio, rate: int, ahead: _Preparation, timed: bool) -> Harmony | None:
    """The chords of a sound: of the session's bars, or of its own, beginning again where it lands."""
    conductor, end = ahead.conductor, ahead.origin
    if timed:
        return detected_harmony(sound, rate, conductor, end)
    lead = led_by_ear(sound, rate)
    if lead is None or lead.harmony is None:
        return None
    return replace(lead.harmony, first_bar=round(conductor.tick_at(end) / conductor.bar_ticks_at(end)))


def _before(runner: SequenceRunner, conductor: Conductor, origin: float, frames: int) -> Span:
    """The musical time of the frames that end at the session's sample `origin`."""
    begin = origin - frames * runner.hop * conductor.sample_rate / runner.sample_rate
    return conductor.span(0, frames, runner.hop, runner.sample_rate, begin)


def _length(runner: SequenceRunner, command: Continue, moment: Moment, aim: int) -> int:
    """Samples of new sound; -1 for no end."""
    seconds = command.length
    if command.length_bars:
        conductor = moment.conductor
        tick = conductor.tick_at(aim) + command.length_bars * conductor.bar_ticks_at(aim)
        seconds = (conductor.sample_of(tick, float(aim)) - aim) / moment.sample_rate
    return max(1, round(seconds * runner.sample_rate)) if seconds else -1
