"""Musika: endless stereo music from a latent GAN, one decoded block at a time.

The generator makes a patch of latents of both channels; the decoder turns a block of latents of one channel into
magnitude and phase; an inverse transform with overlap-add makes them sound. Blocks see nothing but their latents and
their noise, so they can be decoded one by one (live) or many at once (offline) with the same bits as the result.

A patch is made as a whole, 12 s of it for the published model. So that a change of style takes effect at once all the
same, the running patch is made again under the new style and the latents glide from one to the other, from the very
next block on.

Source: Pasini & Schlueter, "Musika! Fast Infinite Waveform Music Generation", ISMIR 2022, and its release.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Annotated, Any, Final

import numpy as np

from engine.conductor import Span
from engine.controls import Live
from engine.errors import ManifestError
from engine.graphs.graph import Graph
from engine.models.musika.facts import MusikaFacts
from engine.models.musika.latents import Glide, Place, coordinates, mix, patch_noise, shares, still_sounding
from engine.music.arrays import F32
from engine.music.audio import Audio
from engine.music.conducting import tempo_value
from engine.music.noise import keyed_normal
from engine.music.spectrum import hann
from engine.protocols.streamer import StreamSpec

__all__ = [
    "MusikaControls",
    "MusikaDensityControls",
    "MusikaState",
    "MusikaStreamer",
    "MusikaStyle",
    "musika_controls",
]


_BLOCK_NOISE: Final = 5  # purposes 1..4 are in `engine.models.musika.latents`
_GROUP: Final = 8  # blocks at most in one run of the decoder when many are wanted
_TEMPO_STEP: Final = 2.0  # steps to one bpm: jitter of a followed clock shall not make patches anew
_irfft: Any = np.fft.irfft  # numpy's annotation of `out` knows float64 only

Controls = Any  # MusikaControls or MusikaDensityControls


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaStyle:
    """What the music is like, apart from when."""

    seed: Annotated[int, Live(0, 2**31 - 1, "same seed, same style")] = 1
    other: Annotated[int, Live(0, 2**31 - 1, "seed of a second style, for blend")] = 2
    blend: Annotated[float, Live(0.0, 1.0, "mix of the two styles; 0: seed, 1: other")] = 0.0
    glide: Annotated[float, Live(0.0, 60.0, "time to change to a new style", "s")] = 4.0
    wander: Annotated[float, Live(0.0, 1.0, "how far the style drifts by itself with each patch; 0: not at all")] = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaControls:
    """All that can be turned while musika plays."""

    style: MusikaStyle = MusikaStyle()
    truncation: Annotated[float, Live(0.1, 3.9, "distance from the average style; low: typical, high: unusual")] = 2.0
    hold: Annotated[bool, Live(0, 1, "1: repeat the present patch")] = False
    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "1: silent; the music keeps running")] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaDensityControls:
    """The same for a bundle that was trained with note density."""

    style: MusikaStyle = MusikaStyle()
    density: Annotated[float, Live(0.0, 1.0, "number of notes; 0: fewest")] = 0.5
    truncation: Annotated[float, Live(0.1, 3.9, "distance from the average style; low: typical, high: unusual")] = 2.0
    hold: Annotated[bool, Live(0, 1, "1: repeat the present patch")] = False
    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "1: silent; the music keeps running")] = False


def musika_controls(facts: MusikaFacts) -> MusikaControls | MusikaDensityControls:
    """The default controls of a bundle with these facts: density only where its generator takes it."""
    truncation = min(3.9, max(0.1, facts.truncation))
    if "density" in facts.conditions:
        return MusikaDensityControls(truncation=truncation)
    return MusikaControls(truncation=truncation)


@dataclass(slots=True)
class MusikaState:
    """All that changes between steps.

    Args:
        seed: of noise. path: seed of the anchors.
        block: blocks made. patch: number of the running patch, -1 before the first. position: of it on the path.
        cursor: latents of the running patch that are used up.
        latents: [2 * latent, seq_len] the running patch, glides and all; empty before the first.
        glides: from place to place, in order; the first is the place before them.
        jump: seed of a path to go to with the next step; None for none.
        tail: [2, window - hop] sound that later frames still add to.
    """

    seed: int
    path: int
    tail: F32
    latents: F32
    glides: tuple[Glide, ...] = ()
    block: int = 0
    patch: int = -1
    position: int = -1
    cursor: int = 0
    jump: int | None = None


class MusikaStreamer:
    """Streamer of a musika bundle.

    Threads: any number, each with its own state.

    Args:
        generator, decoder: its graphs.
    Raises:
        ManifestError: the graphs are not of one musika bundle.
    """

    def __init__(self, generator: Graph, decoder: Graph) -> None:
        self.facts = facts = MusikaFacts.from_mapping(generator.manifest.facts)
        for graph, names in ((generator, {"coordinates", "noise"}), (decoder, {"latents", "noise"})):
            if set(graph.inputs) != names:
                raise ManifestError(f"musika {graph.manifest.role} has inputs {sorted(graph.inputs)}; export it again")
        self._generator, self._decoder = generator, decoder
        frames = facts.block
        self._spec = StreamSpec(sample_rate=facts.sample_rate, channels=2, chunk=facts.chunk, frames=frames)
        self._threads = threading.local()
        self._defaults = musika_controls(facts)

    @property
    def spec(self) -> StreamSpec:
        """Chunks of one decode block; no latency beyond the chunk."""
        return self._spec

    def controls(self) -> Controls:
        """The default controls."""
        return self._defaults

    def begin(self, seed: int) -> MusikaState:
        """The state before the first step; `seed` chooses the path and all noise, the style is a control."""
        facts = self.facts
        tail = np.zeros((2, 3 * facts.hop), np.float32)
        return MusikaState(seed=seed, path=seed, tail=tail, latents=np.zeros((2 * facts.latent, 0), np.float32))

    def fork(self, state: MusikaState) -> MusikaState:
        """An independent equal state."""
        return replace(state, tail=state.tail.copy(), latents=state.latents.copy())

    def jump(self, state: MusikaState, seed: int) -> None:
        """Go to the beginning of another path, from the next chunk on, which glides there."""
        state.jump = seed

    def step(self, state: MusikaState, controls: Controls, span: Span) -> Audio:
        """[2, chunk]."""
        latents, noise = self._plan(state, controls, span)
        return self._join(state, self._sound(latents, noise))

    def steps(self, state: MusikaState, controls: Controls, spans: Sequence[Span], workers: int = 2) -> Audio:
        """[2, chunk * len(spans)], to the bit what as many calls of `step` give; `workers` threads decode.

        Each thread runs the decoder by itself, so the graphs should have been opened with one thread each.
        """
        made: list[Audio] = []
        plans = (self._plan(state, controls, span) for span in spans)
        with ThreadPoolExecutor(max(1, workers)) as pool:
            waiting: list[Future[F32]] = []
            for latents, noise in _grouped(plans, _sizes(len(spans), workers)):
                waiting.append(pool.submit(self._sound, latents, noise))
                if len(waiting) > 2 * workers:
                    made.append(self._join(state, waiting.pop(0).result()))
            made.extend(self._join(state, future.result()) for future in waiting)
        return np.concatenate([np.zeros((2, 0), np.float32), *made], axis=1)

    def _plan(self, state: MusikaState, controls: Controls, span: Span) -> tuple[F32, F32]:
        """Latents [2, latent, block] and noise [2, block noise] of the next block; all but the tail moves on."""
        facts = self.facts
        place = self._place(controls, span)
        if state.jump is not None:
            self._restart(state, place, state.jump)
        elif state.cursor >= state.latents.shape[1]:
            if state.position < 0 or not controls.hold:
                state.position += 1
            self._aim(state, place, controls)
            self._next_patch(state)
        elif state.glides[-1].place != place:
            self._aim(state, place, controls)
            self._remake(state, self._patch(state, place))
        piece = state.latents[:, state.cursor : state.cursor + facts.block]
        latents = np.ascontiguousarray(piece.reshape(2, facts.latent, facts.block))
        noise = [keyed_normal(facts.block_noise, state.seed, _BLOCK_NOISE, side, state.block) for side in (0, 1)]
        state.cursor += facts.block
        state.block += 1
        return latents, np.stack(noise)

    def _place(self, controls: Controls, span: Span) -> Place:
        style = controls.style
        values = {"tempo": _tempo(float(span.tempo_bpm[0])), "density": float(getattr(controls, "density", 0.0))}
        condition = tuple(values[name] for name in self.facts.conditions)
        return Place(style.seed, style.other, style.blend, style.wander, controls.truncation, condition)

    def _aim(self, state: MusikaState, place: Place, controls: Controls) -> None:
        """Add a glide to `place` if that is not where the last one goes."""
        latent = state.block * self.facts.block
        if not state.glides:
            state.glides = (Glide(place, latent, 0.0),)
        elif state.glides[-1].place != place:
            length = controls.style.glide * self.facts.latent_rate
            state.glides = (*still_sounding(state.glides, latent), Glide(place, latent, length))

    def _next_patch(self, state: MusikaState) -> None:
        """Make the patch at the state's position, from all places whose glides have not ended before it."""
        begins = state.block * self.facts.block
        state.patch += 1
        state.glides = still_sounding(state.glides, begins)
        latents = self._patch(state, state.glides[0].place)
        times = begins + np.arange(self.facts.seq_len)
        for glide in state.glides[1:]:
            latents = mix(latents, self._patch(state, glide.place), shares(glide, times))
        state.latents, state.cursor = latents, 0

    def _remake(self, state: MusikaState, new: F32) -> None:
        """Let the running patch glide to `new` by the last glide; what has sounded stays as it was."""
        times = state.block * self.facts.block - state.cursor + np.arange(self.facts.seq_len)
        state.latents = mix(state.latents, new, shares(state.glides[-1], times))

    def _restart(self, state: MusikaState, place: Place, seed: int) -> None:
        """Begin the path of `seed` at its first patch, gliding out of what is left of the running one."""
        rest = state.latents[:, state.cursor :]
        begins = state.block * self.facts.block
        state.path, state.position, state.jump = seed, 0, None
        state.glides = (Glide(place, begins, 0.0),)
        self._next_patch(state)
        block = self.facts.block
        if rest.shape[1] >= block:
            share = ((np.arange(block) + 1.0) / block).astype(np.float32)
            state.latents[:, :block] = mix(rest[:, :block], state.latents[:, :block], share)

    def _patch(self, state: MusikaState, place: Place) -> F32:
        """[2 * latent, seq_len] of the running patch, at one place."""
        facts = self.facts
        told = coordinates(facts, state.path, place, state.position)
        noise = patch_noise(facts, state.seed, state.patch)
        latents: F32 = self._generator.run({"coordinates": told, "noise": noise})["latents"]
        if latents.shape != (1, 2 * facts.latent, facts.seq_len):
            raise ManifestError(f"musika generator made {latents.shape} for {facts.seq_len} latents; export it again")
        return np.array(latents[0])

    def _sound(self, latents: F32, noise: F32) -> F32:
        """[blocks, 2, frames + 3, hop]: each block by itself, its frames added up, in parts of one hop.

        Takes latents [2 * blocks, latent, block] and their noise, left and right by turns. Every block is added up in
        the same order, a quarter of all its frames at a time, whatever it is decoded with.
        """
        out = self._decoder.run({"latents": latents, "noise": noise})
        count, hop = self.facts.block_frames, self.facts.hop
        pairs = out["magnitude"].shape[0]
        if out["magnitude"].shape[1:] != (count, 2 * hop + 1):
            raise ManifestError(f"musika decoder made blocks {out['magnitude'].shape[1:]}; export it again")
        sound = np.zeros((pairs, count + 3, hop), np.float32)
        scratch = self._scratch()
        for index, (magnitude, phase) in enumerate(zip(out["magnitude"], out["phase"], strict=True)):
            quarters = scratch.frames(magnitude, phase).reshape(count, 4, hop)
            for quarter in range(4):
                sound[index, quarter : quarter + count] += quarters[:, quarter]
        return sound.reshape(pairs // 2, 2, count + 3, hop)

    def _join(self, state: MusikaState, sound: F32) -> Audio:
        """Finished samples [2, chunk * blocks] of blocks from `_sound`; the state's tail moves on."""
        count, hop = self.facts.block_frames, self.facts.hop
        for block in sound:
            block[:, :3] += state.tail.reshape(2, 3, hop)
            state.tail = block[:, count:].reshape(2, 3 * hop)
        state.tail = state.tail.copy()
        return sound[:, :, :count].swapaxes(0, 1).reshape(2, -1)

    def _scratch(self) -> "_Scratch":
        """This thread's own."""
        scratch: _Scratch | None = getattr(self._threads, "scratch", None)
        if scratch is None:
            scratch = self._threads.scratch = _Scratch(self.facts)
        return scratch


class _Scratch:
    """The inverse transform of one block of one channel, in memory that is used again and again.

    New arrays of this size come from the system and go back to it each time, which takes longer than the sums.
    """

    def __init__(self, facts: MusikaFacts) -> None:
        bins, frames = 2 * facts.hop + 1, facts.block_frames
        # dB to power: 10^(dB / 10) = exp(scale * magnitude + shift).
        per_db = np.log(10.0) / 10.0
        self._scale, self._shift = np.float32(facts.sigma * per_db), np.float32(facts.mu * per_db)
        self._floor = np.float32(facts.floor)
        # 1.5 is the sum of a Hann window's square at 75 % overlap.
        self._window = hann(4 * facts.hop) / np.float32(1.5)
        self._amplitude, self._angle, self._part = (np.empty((frames, bins), np.float32) for _ in range(3))
        self._spectrum = np.empty((frames, bins), np.complex64)
        self._frames = np.empty((frames, 4 * facts.hop), np.float32)

    def frames(self, magnitude: F32, phase: F32) -> F32:
        """Windowed frames [F, window] of magnitude and phase [F, bins]; good until the next call."""
        amplitude, angle, part, spectrum = self._amplitude, self._angle, self._part, self._spectrum
        np.multiply(magnitude, self._scale, out=amplitude)
        amplitude += self._shift
        np.exp(amplitude, out=amplitude)
        amplitude += self._floor
        np.sqrt(amplitude, out=amplitude)
        np.multiply(phase, np.float32(np.pi), out=angle)
        for wave, half in ((np.cos, spectrum.real), (np.sin, spectrum.imag)):
            wave(angle, out=part)
            np.multiply(part, amplitude, out=half)
        _irfft(spectrum, axis=-1, out=self._frames)
        self._frames *= self._window
        return self._frames


def _grouped(plans: Iterator[tuple[F32, F32]], sizes: Iterable[int]) -> Iterator[tuple[F32, F32]]:
    """Plans joined in groups of these sizes, for one run of the decoder each."""
    for size in sizes:
        group = list(islice(plans, size))
        yield np.concatenate([latents for latents, _ in group]), np.concatenate([noise for _, noise in group])


def _sizes(count: int, workers: int) -> Iterator[int]:
    """Sizes of groups that make up `count`: large ones run fastest, but no thread shall wait for another's last."""
    left = count
    while left:
        size = max(1, min(_GROUP, left // max(1, workers)))
        left -= size
        yield size


def _tempo(tempo_bpm: float) -> float:
    """The tempo condition, `tempo_value` in steps of half a bpm."""
    return tempo_value(round(tempo_bpm * _TEMPO_STEP) / _TEMPO_STEP)
