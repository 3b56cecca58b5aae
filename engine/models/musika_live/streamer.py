"""musika-live: endless music in 46 ms steps that follows the conductor's beat and chords.

Each step places the music (a coordinate that wanders between random anchors, a style vector, density, brightness and
genre), asks the generator for one latent frame under the present musical time and chord, and the decoder for 2048
samples. Every random number is keyed by (seed, purpose, index), so a state and its controls say all that will sound.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Final

import numpy as np

from engine.conductor import Span
from engine.controls import Live
from engine.graphs.graph import Array, Graph, State
from engine.models.musika_live.facts import MusikaLiveFacts
from engine.music.arrays import F32, F64
from engine.music.audio import Audio, soft_limit
from engine.music.conducting import chord_gates, clock_features, frame_features
from engine.music.harmony import Chord, Key
from engine.music.noise import keyed_normal, keyed_truncated_normal, keyed_uniform
from engine.music.units import TICKS_PER_BEAT
from engine.protocols.streamer import StreamSpec

__all__ = ["Follow", "LiveStyle", "MusikaLive", "MusikaLiveControls", "MusikaLiveState"]


# Purposes of keyed random numbers.
_STYLE: Final = 1
_ANCHOR: Final = 2
_LAYER_NOISE: Final = 3
_HISS: Final = 4
_CHORDS: Final = 5

_HALF: Final = np.float32(0.5)
_SPREAD: Final = np.float32(12.0**0.5)
_JUMP_FRAMES: Final = 4  # latent frames in which a jump reaches its new place (186 ms)
_LOOPS: Final = ((1, 6, 4, 5), (1, 5, 6, 4), (6, 4, 1, 5), (2, 5, 1, 6), (1, 3, 4, 5))


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveStyle:
    """What the music is like, apart from when: instruments and patterns."""

    seed: Annotated[int, Live(0, 2**31 - 1, "same seed, same style")] = 1
    other: Annotated[int, Live(0, 2**31 - 1, "seed of a second style, for blend")] = 2
    blend: Annotated[float, Live(0.0, 1.0, "mix of the two styles; 0: seed, 1: other")] = 0.0
    glide: Annotated[float, Live(0.0, 60.0, "time to change to a new style", "s")] = 0.5
    wander: Annotated[float, Live(0.0, 1.0, "how fast the music varies by itself; 0: not at all")] = 0.5
    genre: Annotated[float, Live(0.0, 1.0, "0: techno, 1: ambient")] = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Follow:
    """Whom the voice follows."""

    beat: Annotated[bool, Live(0, 1, "1: follow the transport's tempo and beat; 0: keep the tempo it has")] = True
    chords: Annotated[bool, Live(0, 1, "1: follow the conductor's chords, where there are any; 0: play its own")] = True


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaLiveControls:
    """All that can be turned while musika-live plays."""

    style: LiveStyle = LiveStyle()
    follow: Follow = Follow()
    density: Annotated[float, Live(0.0, 1.0, "how many notes and drum hits; 0: fewest")] = 0.6
    brightness: Annotated[float, Live(0.0, 1.0, "timbre; 0: dark, 1: bright")] = 0.6
    truncation: Annotated[float, Live(0.1, 3.0, "distance from the average style; low: typical, high: unusual")] = 1.5
    hold: Annotated[bool, Live(0, 1, "1: freeze the music's variation; the beat keeps running")] = False
    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "1: silent; the music keeps running")] = False


@dataclass(slots=True)
class MusikaLiveState:
    """All that changes between steps.

    Args:
        seed: of noise. place_seed: of the path through latent space and of the voice's own chords.
        index: steps made. travelled: anchors passed on the path, a fraction.
        style, goal, start: [style] now, where it glides to, where from; glided: 0..1 of the way.
        wanted: (seed, other, blend, truncation) that `goal` was made from.
        coordinate: [coordinate] now. pull: steps left of a jump.
        tick, tempo_bpm: of the voice's own beat, for when the transport is not followed.
        generator, decoder: the graphs' states.
    """

    seed: int
    place_seed: int
    style: F32
    goal: F32
    start: F32
    coordinate: F32
    generator: State
    decoder: State
    index: int = 0
    travelled: float = 0.0
    glided: float = 1.0
    pull: int = 0
    wanted: tuple[int, int, float, float] | None = None
    tick: float = 0.0
    tempo_bpm: float = 0.0


class MusikaLive:
    """Streamer of a musika-live bundle.

    Args:
        generator, decoder: its graphs.
    Raises:
        ManifestError: the graphs were made for other features than this version computes.
    """

    def __init__(self, generator: Graph, decoder: Graph) -> None:
        facts = MusikaLiveFacts.from_mapping(generator.manifest.facts)
        self._generator, self._decoder = generator, decoder
        self._hop, self._subframes = facts.hop, facts.subframes
        self._style, self._coordinate = facts.style, facts.coordinate
        self._layers, self._row = facts.generator_noise, facts.decoder_noise
        self._spacing, rate = facts.anchor_spacing, facts.sample_rate
        self._turns = np.array(facts.oscillator_hz, np.float64) / rate
        self._spec = StreamSpec(sample_rate=rate, channels=2, chunk=self._hop, frames=self._subframes)

    @property
    def spec(self) -> StreamSpec:
        """46 ms chunks of stereo at 44.1 kHz; no latency beyond the chunk."""
        return self._spec

    def controls(self) -> MusikaLiveControls:
        """The default controls."""
        return MusikaLiveControls()

    def begin(self, seed: int) -> MusikaLiveState:
        """The state before the first step; `seed` moves everything that controls do not."""
        zeros = np.zeros(self._style, np.float32)
        return MusikaLiveState(
            seed=seed,
            place_seed=seed,
            style=zeros,
            goal=zeros,
            start=zeros,
            coordinate=self._path(seed, 0.0, 1.5),
            generator=self._generator.empty_state(),
            decoder=self._decoder.empty_state(),
        )

    def fork(self, state: MusikaLiveState) -> MusikaLiveState:
        """An independent equal state."""
        return replace(
            state,
            generator={name: value.copy() for name, value in state.generator.items()},
            decoder={name: value.copy() for name, value in state.decoder.items()},
        )

    def jump(self, state: MusikaLiveState, seed: int) -> None:
        """Go to another path through latent space, within a fifth of a second."""
        state.place_seed, state.travelled, state.pull = seed, 0.0, _JUMP_FRAMES

    def step(self, state: MusikaLiveState, controls: MusikaLiveControls, span: Span) -> Audio:
        """[2, 2048]."""
        return self._sound(self._told(state, controls, span), state.decoder)

    def steps(self, state: MusikaLiveState, controls: MusikaLiveControls, spans: Sequence[Span], workers: int) -> Audio:
        """The bits of as many calls of `step`: with two workers, a chunk is decoded while the next is thought out."""
        if workers < 2:
            return np.concatenate([self.step(state, controls, span) for span in spans], axis=1)
        with ThreadPoolExecutor(1, "decoder") as pool:  # one thread: the decoder's state moves on in order
            made = [pool.submit(self._sound, self._told(state, controls, span), state.decoder) for span in spans]
            return np.concatenate([each.result() for each in made], axis=1)

    def _told(self, state: MusikaLiveState, controls: MusikaLiveControls, span: Span) -> dict[str, Array]:
        """All that the decoder is told of the next chunk; moves everything on but the decoder's state."""
        place = self._place(state, controls)
        ticks, tempo = self._time(state, controls, span)
        chroma, bass = self._harmony(state, controls, span, float(ticks[0]))
        frame = frame_features(ticks[:1], tempo[:1], span.bar_ticks, chroma, bass)
        layers = keyed_normal(self._layers, state.seed, _LAYER_NOISE, state.index)
        latents = self._generator.run(
            {"place": place[None, :, None], "frame": frame[None], "noise": layers[None, :, None]}, state.generator
        )["latents"]
        # Even numbers of unit variance: over the many bins of a frame their sum is as normal as normal ones', at a
        # third of the cost.
        hiss = (keyed_uniform(2 * self._subframes * self._row, state.seed, _HISS, state.index) - _HALF) * _SPREAD
        told = {
            "latents": latents,
            "clock": clock_features(ticks[1:], tempo, span.bar_ticks)[None],
            "gates": np.repeat(chord_gates(chroma, bass), self._subframes, axis=2)[None],
            "phase": self._phase(state.index),
            "noise": hiss.reshape(1, 2, self._subframes, self._row),
        }
        state.index += 1
        return told

    def _sound(self, told: dict[str, Array], decoder: State) -> Audio:
        """[2, 2048]; moves the decoder's state on."""
        audio: Audio = self._decoder.run(told, decoder)["audio"][0]
        return soft_limit(audio)

    def _place(self, state: MusikaLiveState, controls: MusikaLiveControls) -> F32:
        """[coordinate + style + 3]: where in the model's space this step is; moves style and coordinate on."""
        if not controls.hold:
            self._glide(state, controls)
            self._wander(state, controls)
        told = np.array([controls.density, controls.brightness, controls.style.genre], np.float32)
        return np.concatenate([state.coordinate, state.style, told])

    def _glide(self, state: MusikaLiveState, controls: MusikaLiveControls) -> None:
        style = controls.style
        wanted = (style.seed, style.other, style.blend, controls.truncation)
        if wanted != state.wanted:
            first = state.wanted is None
            state.wanted, state.start = wanted, state.style
            state.goal = self._blended(style, controls.truncation)
            state.glided = 1.0 if first else 0.0
        if state.glided < 1.0:
            step = self._hop / (self._spec.sample_rate * max(style.glide, 1e-6))
            state.glided = min(1.0, state.glided + step)
        share = np.float32(state.glided)
        state.style = state.start + share * (state.goal - state.start)

    def _blended(self, style: LiveStyle, truncation: float) -> F32:
        """The style between two seeds, brought back to the spread that either has."""
        one = _drawn(self._style, truncation, style.seed, _STYLE)
        two = _drawn(self._style, truncation, style.other, _STYLE)
        share = np.float32(style.blend)
        mixed = ((1 - share) * one + share * two) / np.sqrt((1 - share) ** 2 + share**2)
        return np.asarray(mixed, np.float32)

    def _wander(self, state: MusikaLiveState, controls: MusikaLiveControls) -> None:
        # At half way the path is followed at the speed of training: one anchor every `spacing` frames.
        state.travelled += 2.0 * controls.style.wander / self._spacing
        goal = self._path(state.place_seed, state.travelled, controls.truncation)
        if state.pull > 0:
            state.coordinate = state.coordinate + (goal - state.coordinate) / np.float32(state.pull)
            state.pull -= 1
        else:
            state.coordinate = goal

    def _path(self, seed: int, travelled: float, truncation: float) -> F32:
        """[coordinate] at a point of the broken line through anchors."""
        index = int(travelled)
        share = np.float32(travelled - index)
        one = _drawn(self._coordinate, truncation, seed, _ANCHOR, index)
        two = _drawn(self._coordinate, truncation, seed, _ANCHOR, index + 1)
        return np.asarray(one + share * (two - one), np.float32)

    def _time(self, state: MusikaLiveState, controls: MusikaLiveControls, span: Span) -> tuple[F64, F32]:
        """Ticks [subframes + 1] and tempo [subframes] of this step: the transport's, or the voice's own."""
        if controls.follow.beat or state.tempo_bpm == 0.0:
            state.tick, state.tempo_bpm = float(span.ticks[-1]), float(span.tempo_bpm[-1])
            return span.ticks, span.tempo_bpm
        per_sample = state.tempo_bpm * TICKS_PER_BEAT / (60.0 * self._spec.sample_rate)
        samples = (self._hop // self._subframes) * np.arange(self._subframes + 1, dtype=np.float64)
        ticks = state.tick + per_sample * samples
        state.tick = float(ticks[-1])
        return ticks, np.full(self._subframes, state.tempo_bpm, np.float32)

    def _harmony(
        self, state: MusikaLiveState, controls: MusikaLiveControls, span: Span, tick: float
    ) -> tuple[F32, F32]:
        """Chroma and bass [12, 1] at the step's middle: the conductor's chord, or the voice's own progression."""
        middle = slice(self._subframes // 2, self._subframes // 2 + 1)
        if controls.follow.chords and span.chroma[:, middle].any():
            return span.chroma[:, middle], span.bass[:, middle]
        chord = self._own_chord(state, int(tick // span.bar_ticks))
        return chord.chroma()[:, None], chord.bass_vector()[:, None]

    def _own_chord(self, state: MusikaLiveState, bar: int) -> Chord:
        """A diatonic loop of four bars; key and loop change with the anchors that the path passes."""
        draws = keyed_uniform(3, state.place_seed, _CHORDS, int(state.travelled))
        key = Key(int(draws[0] * 12), "major" if draws[1] < 0.5 else "minor")
        loop = _LOOPS[int(draws[2] * len(_LOOPS))]
        return key.diatonic(loop[bar % len(loop)])

    def _phase(self, index: int) -> F32:
        """[1, 2, subframes, oscillators] cosine and sine of oscillators that have run since sample 0."""
        samples = index * self._hop + (self._hop // self._subframes) * np.arange(self._subframes, dtype=np.float64)
        turns = np.mod(samples[:, None] * self._turns, 1.0).astype(np.float32) * np.float32(2.0 * np.pi)
        return np.stack([np.cos(turns), np.sin(turns)])[None]


@lru_cache(maxsize=256)
def _drawn(count: int, limit: float, seed: int, *place: int) -> F32:
    """`keyed_truncated_normal`, remembered: a path passes the same two anchors for many steps."""
    values = keyed_truncated_normal(count, limit, seed, *place)
    values.flags.writeable = False
    return values
