"""Composed pieces for which words are known: who plays in them, and what holds at each of their frames.

A piece is played by all of its stems or by some, so that words such as "no drums" have something to mean.
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from engine.music import conducting
from engine.music.arrays import F32, F64
from engine.music.audio import Audio, soft_limit
from engine.music.conducting import STEP_FEATURES
from engine.music.harmony import Key
from engine.music.units import samples_per_tick
from training.config import Data
from training.data.compose import compose
from training.data.composed import index_of
from training.data.corpus import Corpus, CorpusEntry
from training.data.piece import TICKS_PER_BAR, Genre, Piece
from training.data.synth import conditions, stems
from training.data.voices import STEMS

__all__ = ["PARTS", "STEP_FEATURES", "Attributes", "Described", "Played", "attributes", "step_features"]


PARTS: Final = ("drums", "bass", "chords", "arp")

_EVERYBODY: Final = 0.4  # share of pieces that all parts play
_PRESENT: Final = 0.55  # how likely each part is in the others


@dataclass(frozen=True, slots=True)
class Played:
    """A piece and the parts that play it, some of `PARTS`."""

    piece: Piece
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is known of a stretch of music.

    Args:
        key: None where chords follow none.
        density, brightness: means, 0..1.
        parts: the parts that play in it.
    """

    genre: Genre
    tempo_bpm: float
    key: Key | None
    density: float
    brightness: float
    parts: tuple[str, ...]


class Described(Corpus):
    """Composed pieces, each played by some of its parts; `data` as for `Composed`."""

    def __init__(self, data: Data) -> None:
        self._bars = data.bars
        self.entries, self._made = index_of(data, self._content)

    def _content(self, seed: int, genre: Genre) -> tuple[object, float]:
        played = _play(seed, genre, self._bars)
        return (asdict(played.piece), played.parts), played.piece.duration_s

    def played(self, entry: CorpusEntry) -> Played:
        """What is behind an entry."""
        seed, genre = self._made[entry.checksum]
        return _kept(seed, genre, self._bars)

    def audio(self, entry: CorpusEntry, sample_rate: int) -> Audio:
        played = self.played(entry)
        layers = stems(played.piece, sample_rate)
        total = np.zeros_like(layers["bass"])
        for part in played.parts:
            total += layers[part]
        return soft_limit(total)

    def rhythm(self, entry: CorpusEntry) -> tuple[float, F64]:
        played = self.played(entry)
        ticks = np.unique([hit.start_tick for hit in played.piece.hits if STEMS[hit.instrument] in played.parts])
        return played.piece.tempo_bpm, ticks.astype(np.float64) * samples_per_tick(played.piece.tempo_bpm, 1)


def _play(seed: int, genre: Genre, bars: int) -> Played:
    piece = compose(seed, genre, bars=bars)
    rng = np.random.default_rng([seed, 7])  # a stream of its own: the composer's draws stay what they are
    if rng.random() < _EVERYBODY:
        return Played(piece, PARTS)
    parts = tuple(part for part in PARTS if rng.random() < _PRESENT)
    return Played(piece, parts or (PARTS[int(rng.integers(len(PARTS)))],))


@lru_cache(maxsize=4096)
def _kept(seed: int, genre: Genre, bars: int) -> Played:
    return _play(seed, genre, bars)


def attributes(played: Played, first_s: float, length_s: float) -> Attributes:
    """What is known of the stretch that begins at `first_s` seconds."""
    piece = played.piece
    per_bar = 240.0 / piece.tempo_bpm
    bars = slice(min(int(first_s / per_bar), piece.bars - 1), max(1, int(np.ceil((first_s + length_s) / per_bar))))
    ticks = TICKS_PER_BAR / per_bar
    playing = {
        STEMS[hit.instrument] for hit in piece.hits if first_s * ticks <= hit.start_tick < (first_s + length_s) * ticks
    }
    chords = [chord for bar in piece.chords[bars] for chord in bar]
    follows = all(set(chord.pitch_classes) <= set(piece.key.pitch_classes) for chord in chords)
    return Attributes(
        piece.genre,
        piece.tempo_bpm,
        piece.key if follows else None,
        float(np.mean(piece.density[bars])),
        float(np.mean(piece.brightness[bars])),
        tuple(part for part in played.parts if part in playing),
    )


def step_features(played: Played, first: int, frames: int, hop: int, sample_rate: int) -> F32:
    """The conditions of each frame for a language model, ``[STEP_FEATURES, frames]``.

    `engine.music.conducting.step_features` of the tick at which a frame begins, and of the chord and the character at
    its middle.

    Args:
        first: frame to begin with. hop: samples in one.
    """
    piece = played.piece
    rate = samples_per_tick(piece.tempo_bpm, sample_rate)
    starts = hop * np.arange(first, first + frames, dtype=np.float64) / rate
    middle = conditions(piece, starts + 0.5 * hop / rate)
    tempo = np.full(frames, piece.tempo_bpm, np.float32)
    character = np.stack(
        [
            *(np.full(frames, 1.0 if part in played.parts else -1.0) for part in PARTS),
            1.0 - 2.0 * middle["genre"],
            2.0 * middle["density"] - 1.0,
            2.0 * middle["brightness"] - 1.0,
        ]
    ).astype(np.float32)
    return conducting.step_features(starts, tempo, TICKS_PER_BAR, middle["chroma"], middle["bass"], character)
