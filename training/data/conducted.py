"""Composed pieces as a conducted model sees them: sound by stem, and clock, chord, controls and style of each frame.

Pieces are rendered once into memory (16-bit) and cut at random; which piece and where is a function of (seed, step), so
training resumes exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from engine.music.arrays import F32, I16, I64
from engine.music.audio import Audio
from engine.music.conducting import chord_gates, clock_features, frame_features
from engine.music.units import samples_per_tick
from training.data.compose import Piece, Style, compose
from training.data.piece import CHOICES, GENRES, TICKS_PER_BAR
from training.data.synth import conditions, stems

__all__ = [
    "Crop",
    "RenderedPiece",
    "crop",
    "draw_batch",
    "render_piece",
    "render_pieces",
    "style_normals",
    "timed_conditions",
]

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class RenderedPiece:
    """A piece and its sound, [2, N] int16 each: pitched stems and drums."""

    piece: Piece
    tones: I16
    beats: I16


@dataclass(frozen=True, slots=True)
class Crop:
    """One or (stacked) many stretches of T latent frames of `hop` samples.

    Args:
        tones, beats: [2, N] sound. clock: [CLOCK_FEATURES, F]. gates: [GATES, 12, F].
        frame: [FRAME_FEATURES, T]. controls: [3, T] density, brightness, genre. style: [16].
        start: samples from the piece's start, for the oscillators' phase.
    """

    tones: Audio
    beats: Audio
    clock: F32
    gates: F32
    frame: F32
    controls: F32
    style: F32
    start: I64


def style_normals(style: Style, rng: np.random.Generator) -> F32:
    """The style as 16 standard normal numbers, so that a random style vector is a random style.

    Numbers go through the inverse normal distribution; the k-th of n choices becomes a random point of the k-th of n
    equally likely stretches of the normal line.
    """
    values = []
    for name in Style.__dataclass_fields__:
        value, count = getattr(style, name), CHOICES.get(name)
        share = float(value) if count is None else (float(value) + float(rng.random())) / count
        values.append(_NORMAL.inv_cdf(min(max(share, 0.002), 0.998)))
    return np.array(values, np.float32)


def render_piece(seed: int, *, bars: int, sample_rate: int) -> RenderedPiece:
    """Piece number `seed`; genres alternate."""
    piece = compose(seed, GENRES[seed % len(GENRES)], bars=bars)
    layers = stems(piece, sample_rate, loop=True)
    tones = layers["bass"] + layers["chords"] + layers["arp"]
    scale = np.float32(32767.0 / 1.5)  # stems may pass 1 before the mix is limited

    def packed(audio: Audio) -> I16:
        return np.clip(np.round(audio * scale), -32768, 32767).astype(np.int16)

    return RenderedPiece(piece, packed(tones), packed(layers["drums"]))


def render_pieces(
    seeds: range, *, bars: int, sample_rate: int = 44100, report: Callable[[int, int], None] | None = None
) -> list[RenderedPiece]:
    """All pieces of `seeds`; `report(done, total)` is called after each."""
    pieces = []
    for done, seed in enumerate(seeds):
        pieces.append(render_piece(seed, bars=bars, sample_rate=sample_rate))
        if report is not None:
            report(done + 1, len(seeds))
    return pieces


def timed_conditions(
    piece: Piece, start: int, frames: int, hop: int, subhop: int, sample_rate: int
) -> tuple[F32, F32, F32, F32]:
    """(clock, gates, frame, controls) of `frames` latent frames from sample `start` on; shapes as in `Crop`.

    A latent frame has the tick of its start and the chord at its middle. A decoder frame has the tick of its end,
    which is the moment its values are for.
    """
    rate = samples_per_tick(piece.tempo_bpm, sample_rate)
    per = hop // subhop
    edges = (start + subhop * np.arange(1, per * frames + 1)) / rate
    starts = (start + hop * np.arange(frames)) / rate
    middle = conditions(piece, starts + 0.5 * hop / rate)
    tempo = np.full(frames, piece.tempo_bpm, np.float32)
    clock = clock_features(edges, np.repeat(tempo, per), TICKS_PER_BAR)
    gates = np.repeat(chord_gates(middle["chroma"], middle["bass"]), per, axis=2)
    frame = frame_features(starts, tempo, TICKS_PER_BAR, middle["chroma"], middle["bass"])
    controls = np.stack([middle["density"], middle["brightness"], middle["genre"]])
    return clock, gates, frame, controls


def crop(
    source: RenderedPiece,
    start: int,
    frames: int,
    rng: np.random.Generator,
    *,
    hop: int = 2048,
    subhop: int = 256,
    sample_rate: int = 44100,
) -> Crop:
    """`frames` latent frames of a piece from sample `start`, wrapping at its end (pieces loop)."""
    count = source.tones.shape[1]
    index = np.arange(start, start + frames * hop) % count
    clock, gates, frame, controls = timed_conditions(source.piece, start, frames, hop, subhop, sample_rate)
    scale = np.float32(1.5 / 32767.0)
    return Crop(
        source.tones[:, index] * scale,
        source.beats[:, index] * scale,
        clock,
        gates,
        frame,
        controls,
        style_normals(source.piece.style, rng),
        np.array(start, np.int64),
    )


def draw_batch(pieces: list[RenderedPiece], step: int, *, seed: int, batch: int, frames: int, hop: int = 2048) -> Crop:
    """`batch` crops stacked along a new first axis: the same for the same (seed, step)."""
    rng = np.random.default_rng([seed, step])
    crops = []
    for _ in range(batch):
        source = pieces[int(rng.integers(len(pieces)))]
        crops.append(crop(source, int(rng.integers(source.tones.shape[1])), frames, rng, hop=hop))
    return Crop(*(np.stack([getattr(c, name) for c in crops]) for name in Crop.__dataclass_fields__))
