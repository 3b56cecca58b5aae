"""Composed pieces as a corpus: composed from seeds and rendered on demand."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from engine.music.arrays import F64
from engine.music.audio import Audio
from engine.music.units import samples_per_tick
from training.config import Data
from training.data.compose import Genre, Piece, compose
from training.data.corpus import Corpus, CorpusEntry, checksum
from training.data.synth import render

__all__ = ["Composed", "index_of", "to_compose"]


def to_compose(data: Data) -> Iterator[tuple[str, int, Genre]]:
    """Name, seed and genre of every piece that a recipe has composed."""
    for index in range(data.pieces):
        genre: Genre = data.genres[index % len(data.genres)]
        seed = data.seed * 1_000_003 + index
        yield f"{genre}-{seed:06d}", seed, genre


def index_of(
    data: Data, content: Callable[[int, Genre], tuple[object, float]]
) -> tuple[tuple[CorpusEntry, ...], dict[str, tuple[int, Genre]]]:
    """An entry for every piece that a recipe has composed; and by its checksum, the seed and genre it is made from.

    Args:
        content: from seed and genre, all that a piece consists of, and its length in seconds.
    """
    made: dict[str, tuple[int, Genre]] = {}
    entries = []
    for name, seed, genre in to_compose(data):
        consists_of, duration_s = content(seed, genre)
        # By its notes, not by its seed: when the composer learns something new, cached sound is made anew.
        digest = checksum([repr(consists_of).encode()])
        made[digest] = (seed, genre)
        entries.append(CorpusEntry(name, digest, duration_s))
    return tuple(entries), made


class Composed(Corpus):
    """Pieces that are composed and rendered when they are asked for; the same numbers give the same corpus.

    Args:
        data: its `pieces`, `bars`, `genres` and `seed`.
    """

    def __init__(self, data: Data) -> None:
        self._bars = data.bars
        self.entries, self._made = index_of(data, self._content)

    def _content(self, seed: int, genre: Genre) -> tuple[object, float]:
        piece = compose(seed, genre, bars=self._bars)
        return asdict(piece), piece.duration_s

    def piece(self, entry: CorpusEntry) -> Piece:
        """The piece behind an entry."""
        seed, genre = self._made[entry.checksum]
        return _composed(seed, genre, self._bars)

    def audio(self, entry: CorpusEntry, sample_rate: int) -> Audio:
        return render(self.piece(entry), sample_rate)

    def rhythm(self, entry: CorpusEntry) -> tuple[float, F64]:
        piece = self.piece(entry)
        ticks = np.unique([hit.start_tick for hit in piece.hits])  # hits at one time are one onset
        return piece.tempo_bpm, ticks.astype(np.float64) * samples_per_tick(piece.tempo_bpm, 1)


@lru_cache(maxsize=64)
def _composed(seed: int, genre: Genre, bars: int) -> Piece:
    return compose(seed, genre, bars=bars)
