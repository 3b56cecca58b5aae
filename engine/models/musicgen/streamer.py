"""MusicGen as a live voice: an endless sequence of sound that changes to other continuations at a given sample.

A continuation is a sequence of its own: it starts from sound just played, from an earlier bar, or from a point that was
kept. What takes long is prepared beside the sound and faded in; everything else happens within a chunk. Frozen,
the last bar repeats in time, and the sequence continues where it stopped when the bar ends.
"""

import contextlib
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Annotated, Final

import numpy as np

from engine.audio.overlap import fade_in, fade_out
from engine.conductor import Span
from engine.controls import Live
from engine.errors import ControlError
from engine.messages.continuation import Branch, Choose, Commit, Continue, Rewind
from engine.models.musicgen.continuation import Continuation, planned_continuation, planned_rewind, rehearsed
from engine.models.musicgen.model import Musicgen, MusicgenControls
from engine.models.musicgen.sequence import Sequence, SequenceRunner
from engine.models.musicgen.timing import ChunkTime
from engine.music.audio import Audio
from engine.music.units import TICKS_PER_BEAT, samples_per_tick
from engine.protocols.streamer import Moment, PromptAudio, StreamSpec

__all__ = ["MusicgenLive", "MusicgenLiveControls", "MusicgenLiveState", "WordedControls", "live_controls"]

_FADE_S: Final = 0.04  # from one future to another: long enough for no click, short against a beat
_REHEARSED_S: Final = (1.0, 6.0)  # the second time as much as a continuation hears by default: memory is then there
_QUICK_S: Final = 0.2
_REMEMBERED_S: Final = 8.5  # of sound, for a bar to be frozen
_FRAMES: Final = {False: 2, True: 5}  # in a chunk, by whether the codec hears the future: such ones are heavy to begin
_BURST_S: Final = 0.1  # of sound that may be made at once when a future lands late
_CLOSE: Final = 2  # samples by which a bar may come round too early or late without being set right


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicgenLiveControls(MusicgenControls):
    """All that can be turned while it plays."""

    freeze: Annotated[bool, Live(0, 1, "1: repeat the last bar; 0: continue when that bar ends")] = False
    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "1: silent; the music keeps running")] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class WordedControls(MusicgenLiveControls):
    """The same of a model that takes words."""

    text: Annotated[str, Live(0, 256, "text prompt for the music to come; empty: none")] = ""


def live_controls(drawing: MusicgenControls, *, worded: bool) -> MusicgenLiveControls:
    """The default controls of a voice whose codes are drawn by default like this."""
    kind = WordedControls if worded else MusicgenLiveControls
    return kind(temperature=drawing.temperature, top_k=drawing.top_k, top_p=drawing.top_p, guidance=drawing.guidance)


@dataclass(slots=True)
class Loop:
    """A bar that goes round: [C, n], what is played next, and where in it a bar begins."""

    sound: Audio
    line: int
    at: int = 0
    early: bool = False  # a bar begins here, but the loop is elsewhere


@dataclass(frozen=True, slots=True)
class PendingChange:
    """What happens `at` samples into the next chunk: a sequence lands, a point is kept, or a future of it is chosen."""

    at: int
    sequence: Sequence | None = None
    drop: int = 0  # samples of the sequence that have passed by then
    left: int = -1
    futures: int = 0
    chosen: int = 0


@dataclass(slots=True)
class MusicgenLiveState:
    """All that changes between steps.

    Args:
        sequence: what plays. left: samples until it ends, -1 for no end.
        past: [C, n] what was given out, a circular buffer of which `given` % n is the next place.
        tail: [C, n] what faded out before, still to be added. risen: samples since the last turn.
        turns: of the next chunk.
        mark: a point that is kept, and how many futures it has.
    """

    sequence: Sequence
    past: Audio
    tail: Audio
    risen: int
    given: int = 0
    left: int = -1
    loop: Loop | None = None
    turns: tuple[PendingChange, ...] = ()
    mark: Sequence | None = None
    mark_left: int = -1
    futures: int = field(default=0)


class MusicgenLive:
    """Streamer of a bundle that continues sound.

    Threads: as `Streamer`; what `plan` returns may be called in a thread of its own beside anything else.
    """

    def __init__(self, model: Musicgen) -> None:
        self._strands, codec = SequenceRunner(model), model.codec
        frames = _FRAMES[codec.look_ahead > 0]
        self._spec = StreamSpec(
            sample_rate=codec.sample_rate, channels=self._strands.channels, chunk=frames * codec.hop, frames=frames,
            latency=self._strands.lag,
        )  # fmt: skip
        self._fade = round(_FADE_S * codec.sample_rate)
        self._defaults = live_controls(model.controls, worded=self._strands.worded)

    @property
    def spec(self) -> StreamSpec:
        return self._spec

    def controls(self) -> MusicgenLiveControls:
        """The default controls."""
        return self._defaults

    def begin(self, seed: int) -> MusicgenLiveState:
        """From nothing; the text prompt is set with the first step."""
        channels = self._strands.channels
        past = np.zeros((channels, round(_REMEMBERED_S * self._spec.sample_rate)), np.float32)
        return MusicgenLiveState(self._strands.begin("", seed), past, past[:, :0].copy(), self._fade)

    def fork(self, state: MusicgenLiveState) -> MusicgenLiveState:
        """An independent equal state."""
        return replace(
            state,
            sequence=state.sequence.fork(),
            past=state.past.copy(),
            tail=state.tail.copy(),
            loop=None if state.loop is None else replace(state.loop, sound=state.loop.sound.copy()),
            turns=tuple(replace(t, sequence=None if t.sequence is None else t.sequence.fork()) for t in state.turns),
            mark=None if state.mark is None else state.mark.fork(),
        )

    def snapshot(self, state: MusicgenLiveState) -> bytes:
        """Codes and sound, without the keys and values that they give."""
        marked = None if state.mark is None else self._without_cache(state.mark)
        turns = tuple(
            replace(t, sequence=None if t.sequence is None else self._without_cache(t.sequence)) for t in state.turns
        )
        bare = replace(state, sequence=self._without_cache(state.sequence), mark=marked, turns=turns)
        return pickle.dumps(bare, protocol=pickle.HIGHEST_PROTOCOL)

    def restore(self, kept: bytes) -> MusicgenLiveState:
        """All codes are prefilled again, at once instead of step by step: equal but for rounding."""
        state: MusicgenLiveState = pickle.loads(kept)
        for sequence in (state.sequence, state.mark, *(turn.sequence for turn in state.turns)):
            if sequence is not None:
                self._strands.model.rebuild(sequence.lm)
        return state

    def jump(self, state: MusicgenLiveState, seed: int) -> None:
        """Begin anew, with another seed."""
        sequence = self._strands.begin(state.sequence.text, seed)
        state.turns = (*state.turns, PendingChange(0, sequence, drop=self._strands.lag))

    def rehearse(self) -> None:
        """Go on with a second of sound; where that is quickly done, with as much as people ask for."""
        if not self._strands.model.codec.listens:
            return
        for seconds in _REHEARSED_S:
            began_s = perf_counter()
            with contextlib.suppress(ControlError):  # nothing to rehearse: then the first one takes longer
                rehearsed(self._strands, self._defaults, seconds, self._spec.chunk)
            if perf_counter() - began_s > _QUICK_S:
                break

    def prepare(
        self, state: MusicgenLiveState, controls: MusicgenLiveControls, command: Continue | Rewind, moment: Moment
    ) -> Callable[[PromptAudio], Continuation]:
        """What makes the continuation that a command asks for."""
        ready = self._spec.chunk
        if isinstance(command, Continue):
            return planned_continuation(self._strands, controls, command, moment, ready)
        return planned_rewind(self._strands, state.sequence, controls, command, moment, ready)

    def check(self, state: MusicgenLiveState, command: Commit | Branch | Choose) -> None:
        """Whether there is what a command chooses from."""
        if isinstance(command, Choose):
            if not state.futures:
                raise ControlError("no point is kept to choose a future of: send branch first")
            if command.future > state.futures:
                raise ControlError(f"there are {state.futures} futures, got {command.future}: branch into more")

    def apply_at(
        self,
        state: MusicgenLiveState,
        command: Commit | Branch | Choose,
        future: Continuation | None,
        at: int,
        moment: Moment,
    ) -> None:
        """Commit a future, keep a point, or choose a future of it, at a sample of the next chunk."""
        made = PendingChange(at)
        if isinstance(command, Branch):
            made = PendingChange(at, futures=command.futures)
        elif isinstance(command, Choose):
            made = PendingChange(at, chosen=command.future)
        elif future is not None:
            made = PendingChange(at, future.sequence, self._passed(future, at, moment), future.left)
        state.turns = (*state.turns, made)

    def _passed(self, future: Continuation, at: int, moment: Moment) -> int:
        """Samples of a future that have passed when it lands.

        Where more have passed than are made, by much, it lands by as many bars, or beats, earlier: as well in time.
        """
        if future.origin is None:
            return 0
        rate = self._spec.sample_rate
        sample = moment.sample + at * moment.sample_rate / rate
        passed = round((sample - future.origin) * rate / moment.sample_rate)
        there = future.sequence.ready.shape[1]
        if passed > there + _BURST_S * rate:
            tempo, bar = moment.conductor.tempo_at(sample), moment.conductor.bar_ticks_at(sample)
            for ticks in (bar, TICKS_PER_BEAT):
                length = ticks * samples_per_tick(tempo, rate)
                earlier: int = round(passed - math.ceil((passed - there) / length) * length)
                if earlier >= 0:
                    return earlier
            return 0
        return max(0, passed)

    def step(self, state: MusicgenLiveState, controls: MusicgenLiveControls, span: Span) -> Audio:
        """[C, chunk]."""
        text = str(getattr(controls, "text", ""))
        if text != state.sequence.text and not state.turns:
            self._strands.set_conditions(state.sequence, text)
        time = ChunkTime(span, self._spec)
        out = np.zeros((self._spec.channels, self._spec.chunk), np.float32)
        turns, state.turns, at = state.turns, (), 0
        for turn in sorted(turns, key=lambda turn: turn.at):
            out[:, at : turn.at] = self._sound(state, controls, time, at, turn.at - at)
            at = turn.at
            self._take(state, turn, controls, time)
        out[:, at:] = self._sound(state, controls, time, at, self._spec.chunk - at)
        self._remember(state, out)
        return out

    # turns

    def _take(
        self, state: MusicgenLiveState, turn: PendingChange, controls: MusicgenLiveControls, time: ChunkTime
    ) -> None:
        if turn.futures:
            state.mark, state.futures, state.mark_left = state.sequence.fork(), turn.futures, state.left
            return
        sequence, drop, left = turn.sequence, turn.drop, turn.left
        if turn.chosen and state.mark is not None:
            sequence, drop, left = state.mark.fork(), 0, state.mark_left
            sequence.lm.seed = (sequence.lm.seed + turn.chosen - 1) % 2**31
        if sequence is None:
            return
        state.tail = self._sound(state, controls, time, turn.at, self._fade) * fade_out(self._fade)
        state.sequence, state.left, state.loop, state.risen = sequence, left, None, 0
        if drop:
            self._strands.make(sequence, drop, controls, time.beyond(turn.at - drop))
            sequence.take(drop)

    def _freeze(self, state: MusicgenLiveState, controls: MusicgenLiveControls, time: ChunkTime, at: int) -> None:
        """Let the last bar go round, or the last beat while there is no more; nothing while there is less."""
        per_tick = samples_per_tick(time.tempo_bpm, self._spec.sample_rate)
        lengths = [round(ticks * per_tick) for ticks in (time.bar_ticks, TICKS_PER_BEAT)]
        known = min(state.given, state.past.shape[1])
        length = next((each for each in lengths if each <= known), 0)
        if not length:
            return
        fade = min(self._fade, length // 4)
        sound = np.take(state.past, (state.given - length + np.arange(length)) % state.past.shape[1], axis=1)
        self._strands.make(state.sequence, fade, controls, time.beyond(at))
        # Its head is what would have followed, fading: so neither its start nor its seams click.
        sound[:, :fade] = sound[:, :fade] * fade_in(fade) + state.sequence.ready[:, :fade] * fade_out(fade)
        since = round(time.tick(at) % time.bar_ticks * per_tick)
        state.loop = Loop(sound, (length - since) % length)

    # sound

    def _sound(
        self, state: MusicgenLiveState, controls: MusicgenLiveControls, time: ChunkTime, at: int, samples: int
    ) -> Audio:
        """[C, samples] of what sounds from a sample of the chunk on."""
        out = np.zeros((self._spec.channels, samples), np.float32)
        if controls.freeze and state.loop is None and samples:
            self._freeze(state, controls, time, at)
        done = 0
        while done < samples:
            left = samples - done
            if state.loop is not None and state.loop.early:
                self._set_right(state, state.loop, controls)
            if state.loop is None:
                piece = self._played(state, controls, time, at + done, left)
            else:
                piece = self._looped(state, state.loop, controls, time.line(at + done, at + samples), at + done, left)
            out[:, done : done + piece.shape[1]] = self._blended(state, piece)
            done += piece.shape[1]
        return out

    def _played(
        self, state: MusicgenLiveState, controls: MusicgenLiveControls, time: ChunkTime, at: int, samples: int
    ) -> Audio:
        """[C, samples] of the sequence, and silence behind its end."""
        count = samples if state.left < 0 else min(samples, state.left)
        if count:
            self._strands.make(state.sequence, count, controls, time.beyond(at))
        sound = state.sequence.take(count)
        if state.left < 0:
            return sound
        gains = np.minimum(1.0, (state.left - np.arange(count)) / self._fade).astype(np.float32)
        state.left -= count
        return np.pad(sound * gains, ((0, 0), (0, samples - count)))

    def _looped(
        self,
        state: MusicgenLiveState,
        loop: Loop,
        controls: MusicgenLiveControls,
        line: int | None,
        at: int,
        samples: int,
    ) -> Audio:
        """[C, n] of the loop, n up to its end or the next bar line."""
        length = loop.sound.shape[1]
        until = min(samples, length - loop.at)
        if line is not None:
            until = min(until, line - at)
        piece = loop.sound[:, loop.at : loop.at + until].copy()
        loop.at = (loop.at + until) % length
        reached = line is not None and line - at == until
        away = abs(loop.at - loop.line)
        loop.early = reached and min(away, length - away) > _CLOSE
        if loop.at == 0 and not controls.freeze:
            state.loop = None  # here the sequence goes on where it stopped
        return piece

    def _set_right(self, state: MusicgenLiveState, loop: Loop, controls: MusicgenLiveControls) -> None:
        """A bar begins before the loop has come to one: the tempo has changed."""
        fade, length = self._fade, loop.sound.shape[1]
        rest = np.take(loop.sound, (loop.at + np.arange(fade)) % length, axis=1) * fade_out(fade)
        rest[:, : state.tail.shape[1]] += state.tail
        state.tail, state.risen, loop.at, loop.early = rest, 0, loop.line, False
        if not controls.freeze:
            state.loop = None

    def _blended(self, state: MusicgenLiveState, piece: Audio) -> Audio:
        """A piece as it comes out of the last turn's fade."""
        count = min(piece.shape[1], self._fade - state.risen)
        if count <= 0:
            return piece
        piece[:, :count] *= fade_in(self._fade)[state.risen : state.risen + count]
        behind = min(count, state.tail.shape[1])
        piece[:, :behind] += state.tail[:, :behind]
        state.tail = state.tail[:, behind:].copy()
        state.risen += count
        return piece

    def _remember(self, state: MusicgenLiveState, sound: Audio) -> None:
        size = state.past.shape[1]
        places = (state.given + np.arange(sound.shape[1])) % size
        state.past[:, places] = sound
        state.given += sound.shape[1]

    def _without_cache(self, sequence: Sequence) -> Sequence:
        return replace(sequence, lm=self._strands.model.without_cache(sequence.lm))
