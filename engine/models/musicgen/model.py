"""MusicGen: a language model that says the codes of sound, step by step, onto a cache that never moves.

A state begins with a prompt and moves on in place; `Musicgen.step` draws one step, and a frame of codes is whole when
its last codebook has been emitted. A fork is an independent copy of a state, `rewind` takes steps back, and a fork that
is kept is a place to return to. Past the model's context length, a new window begins with the newest frames; a model of
rotary positions evicts the oldest instead.

Source: Copet et al., "Simple and Controllable Music Generation", 2023, and its release; what a next window keeps is the
release's ``extend_stride``.
"""

import contextlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Annotated, Final

import numpy as np

from engine.controls import Live, with_value
from engine.errors import ControlError, ShapeError
from engine.graphs.graph import Array, BoundGraph, Graph
from engine.models.musicgen.codecs import codec_of
from engine.models.musicgen.facts import MusicgenFacts
from engine.models.musicgen.melody import melody_classes, no_melody
from engine.models.musicgen.sizes import facts_of
from engine.models.musicgen.state import HEAD, UNKNOWN, Conditions, KVCache, MusicgenState
from engine.models.t5 import TextEncoder
from engine.music.arrays import F32, I64
from engine.music.audio import Audio
from engine.sampling import draw, uniforms

__all__ = ["Musicgen", "MusicgenControls", "apart", "controls_for", "together"]


_OF_ALL: Final = frozenset({"position", "total"})  # inputs that are the same for every row
_AHEAD: Final = 2  # steps of the next window that are heard beside each step of this one, until it has caught up


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicgenControls:
    """How codes are drawn."""

    temperature: Annotated[
        float, Live(0.0, 4.0, "randomness; 0: always the likeliest, 1: as trained, higher: less predictable")
    ] = 1.0
    top_k: Annotated[int, Live(0, 65535, "sample only from this many of the likeliest codes; 0: from all")] = 250
    top_p: Annotated[
        float, Live(0.01, 1.0, "sample only from the likeliest codes that together have this probability")
    ] = 1.0
    guidance: Annotated[float, Live(0.0, 20.0, "how strictly to follow text, melody and chords; 1: as trained")] = 3.0


class Musicgen:
    """The model of a bundle.

    Threads: methods may be called from several threads, each with its own state.

    Args:
        graphs: by role, those of the family's row at least.
        text: None if the model takes no words.
    Raises:
        ManifestError: what the graphs say of themselves is missing or makes no sense.
    """

    def __init__(self, graphs: Mapping[str, Graph], text: TextEncoder | None = None) -> None:
        self._lm, self._condition = graphs["lm"], graphs.get("condition")
        self.words = text
        self.facts = facts_of(graphs["lm"])
        self.controls = controls_for(self.facts)
        """How codes are drawn by default."""
        self.codec = codec_of(graphs)

    @property
    def takes_melody(self) -> bool:
        return self.facts.chroma > 0 and self._condition is not None

    def conditions(
        self, text: str = "", melody: Audio | Conditions | None = None, *, guided: bool = True, changing: bool = False
    ) -> Conditions:
        """Words and a melody, worked out once.

        Args:
            melody: [1, N] at the codec's rate, or conditions from before, for the melody in them, if any.
            guided: also ask without them, so that guidance can go away from that; without effect without conditions.
            changing: other conditions may be set later, so a second row without them is kept even where there are none.
        Raises:
            ControlError: the model takes no words, or no melody.
        """
        if text and self.words is None:
            raise ControlError("this bundle takes no words: leave them out, or choose a bundle with a text encoder")
        tune = melody.melody if isinstance(melody, Conditions) else self._classes(melody)
        guided = guided and (changing or bool(text) or tune is not None)
        if self._condition is None:
            return Conditions(self._nothing(), False)
        feeds = self._feeds(text, tune)
        silent = self._silent(feeds)
        rows = [feeds if text or tune is not None else silent, *([silent] if guided else [])]
        whole = {name: np.concatenate([row[name] for row in rows]) for name in feeds}
        made = self._condition.run(whole)
        character = made.pop("character", None)
        before = int(made["prefix"].shape[1]) if self.facts.prefix else 0
        alike = guided and not text and tune is None
        arrays = {name: np.ascontiguousarray(value) for name, value in made.items()}
        return Conditions(arrays, guided, before, alike, tune, None if character is None else character[0])

    def _classes(self, melody: Audio | None) -> Array | None:
        """[1, T, 12] of a melody [1, N]."""
        if melody is None:
            return None
        if not self.takes_melody:
            raise ControlError("this bundle takes no melody: leave it out, or choose a melody bundle")
        return melody_classes(melody[0], self.codec.sample_rate, self.facts.chroma_frames)[None]

    def _feeds(self, text: str, tune: Array | None) -> dict[str, Array]:
        feeds: dict[str, Array] = {}
        assert self._condition is not None
        if self.words is not None:
            feeds["text"], feeds["mask"] = self.words.vectors(text)
        elif "text" in self._condition.inputs:
            width = self._condition.inputs["text"].shape[2]
            feeds["text"] = np.zeros((1, 1, width if isinstance(width, int) else 1), np.float32)
            feeds["mask"] = np.zeros((1, 1), np.float32)
        if "melody" in self._condition.inputs:
            feeds["melody"] = no_melody(self.facts.chroma_frames)[None] if tune is None else tune
        return feeds

    def _silent(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The same without text and melody."""
        silent = dict(feeds)
        if "mask" in silent:
            silent["mask"] = np.zeros_like(silent["mask"])
        if "melody" in silent:
            silent["melody"] = no_melody(silent["melody"].shape[1])[None]
        return silent

    def _nothing(self) -> dict[str, Array]:
        """What stands for a condition in a model that has none."""
        facts, arrays = self.facts, {}
        if facts.prefix:
            width = facts.heads * HEAD
            arrays["prefix"] = np.zeros((1, 0, width), np.float32)
        for name in self._lm.inputs:
            if name.startswith(("ck.", "cv.")):
                arrays[name] = np.zeros((1, facts.heads, 1, HEAD), np.float32)
        return arrays

    def begin(
        self,
        conditions: Conditions,
        prompt: I64 | None = None,
        *,
        seed: int = 0,
        frames: int | None = None,
        features: F32 | None = None,
        seamless: bool = False,
    ) -> MusicgenState:
        """A sequence that continues a prompt. Nothing is worked out before the first step.

        Args:
            prompt: [K, T] codes; of what is longer than a window its end.
            frames: that will be drawn; None for no end.
            features: [T or more, F] of the prompt's frames, of a conducted model; zeros if None.
            seamless: hear the next window beside this one, so that no step takes longer than two, nor less memory.
        Raises:
            ShapeError: the prompt has other codebooks, or codes that there are not.
        """
        facts = self.facts
        prompt = np.zeros((facts.codebooks, 0), np.int64) if prompt is None else prompt
        if prompt.ndim != 2 or len(prompt) != facts.codebooks:
            raise ShapeError(f"a prompt is codes [{facts.codebooks}, T], got {list(prompt.shape)}")
        if prompt.size and not 0 <= prompt.min() <= prompt.max() < facts.entries:
            raise ShapeError(f"codes of a prompt are 0..{facts.entries - 1}, got {prompt.min()}..{prompt.max()}")
        given = prompt.shape[1]
        origin = given - facts.keep if given >= facts.window else 0
        most = facts.window + facts.latest + 1
        end = None if frames is None else given + frames
        steps = most if end is None else min(most, end - origin + facts.latest + 1)
        margin = facts.latest + 1
        codes = np.full((facts.codebooks, margin + steps), UNKNOWN, np.int64)
        codes[:, :margin] = facts.entries
        codes[:, margin : margin + given - origin] = prompt[:, origin:]
        told_features = np.zeros((steps + 1, facts.features), np.float32)
        if features is not None and facts.features:
            part = features[origin : origin + steps]
            told_features[: len(part)] = part
        decided = given - origin + 1
        state = MusicgenState(
            conditions=conditions, cache=self._cache(conditions, steps), codes=codes, features=told_features,
            delays=np.array(facts.delays, np.int64), seed=seed, origin=origin, steps=decided, floor=decided,
            given=given, end=end,
        )  # fmt: skip
        self._part(state, told_features)
        if seamless and steps == most and not facts.rotary:
            state.next_cache = self._cache(conditions, steps)
        return state

    def _cache(self, conditions: Conditions, steps: int) -> KVCache:
        facts = self.facts
        shape = (conditions.batch, facts.heads, conditions.before + steps, HEAD)
        return KVCache.empty(facts.layers, shape, facts.codebooks, facts.entries)

    def set_conditions(self, state: MusicgenState, conditions: Conditions) -> None:
        """Use other conditions from the next step on; what was prefilled keeps those that it was prefilled with.

        Raises:
            ShapeError: guidance was or is now off, or the conditions stand before the sequence: begin it anew.
        """
        if (conditions.guided, conditions.before) != (
            state.conditions.guided,
            state.conditions.before,
        ) or conditions.before:
            raise ShapeError("a running sequence takes only conditions of the same kind: begin it anew with its codes")
        caches = [cache for cache in (state.cache, state.next_cache) if cache is not None]
        if state.conditions.alike and not conditions.alike:
            for cache in caches:
                cache.copy_unconditional(conditions.before)
        # What has heard words is never again as if it had not.
        state.conditions = replace(conditions, alike=conditions.alike and state.conditions.alike)
        for cache in caches:
            cache.bound = None

    def _part(self, state: MusicgenState, features: F32) -> None:
        """From the first chord on, the row that is not told is another one."""
        if not (state.conditions.alike and self.facts.guided and features[..., -self.facts.guided :].any()):
            return
        for cache in (state.cache, state.next_cache):
            if cache is not None:
                cache.copy_unconditional(state.conditions.before)
        state.conditions = replace(state.conditions, alike=False)

    def without_cache(self, state: MusicgenState) -> MusicgenState:
        """The same sequence without what `rebuild` works out again: a few codes. Shares memory with `state`."""
        gone = KVCache({}, state.cache.logits, 0)
        return replace(state, cache=gone, next_cache=None if state.next_cache is None else gone)

    def rebuild(self, state: MusicgenState) -> None:
        """Hear again all that a bare sequence has emitted, as far as it is kept."""
        steps = len(state.features) - 1
        state.cache = self._cache(state.conditions, steps)
        if state.next_cache is not None:
            state.next_cache = self._cache(state.conditions, steps)
            ready = state.steps - self._shift(state)
            if ready > 0:
                self._feed(state, state.next_cache, self._shift(state), ready)
        self.prefill(state)

    def prefill(self, state: MusicgenState) -> None:
        """Run the steps that are decided and not yet in the cache: the long first part of what `step` would do."""
        if state.steps > len(state.features) - 1:
            self._next_window(state)
        if state.cache.fed >= state.steps:
            state.cache.fed = state.steps - 1  # what follows the newest step is asked again
        self._feed(state, state.cache, 0, state.steps)

    def step(
        self, state: MusicgenState, controls: MusicgenControls | None = None, features: F32 | None = None
    ) -> I64 | None:
        """Draw one step.

        Args:
            features: [F] of the frame whose first code is drawn now, of a conducted model; as they are if None.
        Returns:
            [K] codes of the frame that is whole now; None while the prompt is still being said to its end.
        Raises:
            ShapeError: the sequence has ended.
        """
        if state.ended:
            raise ShapeError("the sequence has ended: begin another, or rewind")
        controls = controls or MusicgenControls()
        if features is not None and self.facts.features:
            state.features[state.steps - 1] = features
            self._part(state, features)
        self.prefill(state)
        step = state.steps
        books, columns = np.arange(len(state.codes)), state.margin + step - 1 - state.delays
        there = state.codes[books, columns]
        drawn = self._drawn(state, controls) if (there == UNKNOWN).any() else there
        if state.end is not None:
            drawn = np.where(state.origin + step - 1 - state.delays >= state.end, self.facts.entries, drawn)
        state.codes[books, columns] = np.where(there == UNKNOWN, drawn, there)
        state.steps += 1
        if state.next_cache is not None:
            self._catch_up(state, state.next_cache)
        whole = state.frames - 1
        return state.codes[:, state.margin + whole - state.origin].copy() if whole >= state.given else None

    def _drawn(self, state: MusicgenState, controls: MusicgenControls) -> I64:
        logits = state.cache.logits
        if state.conditions.rows == 2:
            row = logits[1] + np.float32(controls.guidance) * (logits[0] - logits[1])
        else:
            row = logits[0]
        if 0 < controls.top_k < row.shape[1]:
            least = np.partition(row, -controls.top_k, axis=1)[:, -controls.top_k, None]
            row = np.where(row < least, np.float32(-np.inf), row)
        u = uniforms(len(row), state.seed, state.origin + state.steps)
        return draw(row, u, temperature=controls.temperature, top_p=controls.top_p).ids

    def rewind(self, state: MusicgenState, frames: int) -> None:
        """Take back all that came after the first code of frame number `frames`; the same draws follow.

        Raises:
            ShapeError: that lies ahead, or before this window's beginning: keep a fork for places further back.
        """
        step = frames + 1 - state.origin
        if not state.floor <= step <= state.steps:
            raise ShapeError(
                f"frames {state.origin + state.floor - 1}..{state.origin + state.steps - 1} can be gone back to, "
                f"got {frames}: keep a fork for others"
            )
        for book, delay in enumerate(state.delays):
            state.codes[book, state.margin + max(step - 1 - int(delay), self._known(state)) :] = UNKNOWN
        state.steps = step
        state.cache.fed = min(state.cache.fed, step - 1)
        if state.next_cache is not None:
            state.next_cache.fed = max(0, min(state.next_cache.fed, step - 1 - self._shift(state)))

    def _known(self, state: MusicgenState) -> int:
        """Frames of this window that the prompt gave, and so are never drawn."""
        return max(0, state.given - state.origin)

    def _shift(self, state: MusicgenState) -> int:
        """Frames by which the next window begins later than this one."""
        return len(state.features) - 1 - self.facts.keep

    def _next_window(self, state: MusicgenState) -> None:
        shift = state.steps - 1 - self.facts.keep
        state.codes[:, :-shift] = state.codes[:, shift:].copy()
        state.codes[:, -shift:] = UNKNOWN
        state.features[:-shift] = state.features[shift:].copy()
        state.features[-shift:] = 0.0
        state.origin += shift
        state.steps -= shift
        if self.facts.rotary:
            # Codes before the window's first frame stay: they were emitted, and are still heard.
            state.cache.evict(shift)
            state.floor = max(1, state.floor - shift)
            return
        state.codes[:, : state.margin] = self.facts.entries
        state.floor = state.steps
        if state.next_cache is None:
            state.cache.fed = 0
        else:
            state.cache, state.next_cache = state.next_cache, state.cache
            state.next_cache.fed = 0

    def _catch_up(self, state: MusicgenState, next_cache: KVCache) -> None:
        """Let the next_cache cache hear the next window, as far as it is decided and some steps at most."""
        shift = self._shift(state)
        ready = state.steps - shift
        if ready > 0:
            self._feed(state, next_cache, shift, min(ready, next_cache.fed + _AHEAD))

    def _feed(self, state: MusicgenState, cache: KVCache, shift: int, upto: int) -> None:
        """Let a cache hear the steps before `upto`, of the window that begins `shift` frames later."""
        if cache.fed == 0 and upto > 2:
            # The last is heard by itself, so that hearing it again gives the same to the last bit.
            self._run(state, cache, shift, upto - 1)
        while cache.fed < upto:
            self._run(state, cache, shift, 1)

    def _run(self, state: MusicgenState, cache: KVCache, shift: int, count: int) -> None:
        first, before, facts = cache.fed, state.conditions.before, self.facts
        one = count == 1 and (first > 0 or not before)
        if one and cache.bound is not None:
            bounds, feeds = [cache.bound], cache.feeds
        elif one:
            feeds = self._small(state, count, first)
            bounds = [self._bound(cache, feeds, 0, state.conditions.rows)]
            cache.bound, cache.feeds = bounds[0], feeds
        else:
            # Many steps are much work for each row, which one thread can do beside the other's.
            feeds = self._small(state, count, first)
            bounds = [self._bound(cache, feeds, row, row + 1) for row in range(state.conditions.rows)]
        steps = np.arange(first, first + count)
        frames = steps[None] - 1 - state.delays[:, None]
        codes = state.codes[np.arange(len(state.codes))[:, None], state.margin + shift + frames]
        feeds["codes"][:] = codes if facts.rotary else np.where(frames < 0, facts.entries, codes)
        at = before + first
        if "position" in feeds:
            feeds["position"][:] = np.arange(at + count - len(feeds["position"]), at + count)
        if "features" in feeds:
            feeds["features"][:] = state.features[shift + first : shift + first + count]
            if facts.character and state.conditions.character is not None:
                feeds["features"][:, :, -facts.character :] = state.conditions.character
            if facts.guided:
                feeds["features"][1:, :, -facts.guided :] = 0.0
        feeds["last"][:] = at + count - 1
        feeds["total"][...] = at + count
        if len(bounds) == 1:
            bounds[0].run()
        else:
            with ThreadPoolExecutor(len(bounds), "hear") as pool:
                list(pool.map(BoundGraph.run, bounds))
        cache.fed += count

    def _bound(self, cache: KVCache, feeds: Mapping[str, Array], first: int, last: int) -> BoundGraph:
        """The graph on some rows of a cache and of its small inputs."""
        mine = {name: value if name in _OF_ALL else value[first:last] for name, value in feeds.items()}
        arrays = {name: value[first:last] for name, value in cache.arrays.items()}
        return self._lm.bind(mine, {"logits": cache.logits[first:last]}, arrays)

    def _small(self, state: MusicgenState, count: int, first: int) -> dict[str, Array]:
        """Inputs of `count` steps, to be filled in, and the condition."""
        conditions, facts = state.conditions, self.facts
        batch, whole = conditions.rows, count if first else conditions.before + count
        feeds: dict[str, Array] = {
            "codes": np.zeros((batch, facts.codebooks, count), np.int64),
            "last": np.zeros(batch, np.int32),
            "total": np.zeros((), np.int32),
            **{name: value[:batch] for name, value in conditions.arrays.items()},
        }
        if "position" in self._lm.inputs:
            feeds["position"] = np.zeros(whole, np.int64)
        if facts.features:
            feeds["features"] = np.zeros((batch, count, facts.features), np.float32)
        if facts.prefix and first:
            feeds["prefix"] = np.zeros((batch, 0, facts.heads * HEAD), np.float32)
        return feeds


def together(codes: I64) -> I64:
    """[K, T], the first codebook of all streams, then the second, of [streams, K / streams, T]."""
    return np.ascontiguousarray(codes.transpose(1, 0, 2).reshape(codes.shape[0] * codes.shape[1], codes.shape[2]))


def apart(codes: I64, streams: int) -> I64:
    """[streams, K / streams, T] of what `together` gave."""
    return np.ascontiguousarray(codes.reshape(len(codes) // streams, streams, codes.shape[1]).transpose(1, 0, 2))


def controls_for(facts: MusicgenFacts) -> MusicgenControls:
    """The default controls of a model with these facts; defaults out of range are left as ours are."""
    controls = MusicgenControls()
    for name in ("guidance", "temperature", "top_k"):
        with contextlib.suppress(ControlError):
            controls = with_value(controls, (name,), getattr(facts, name))
    return controls
