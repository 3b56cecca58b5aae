"""Codes of a corpus, made once by a codec: windows of them with what is known of each.

Made piece by piece and kept (`training.data.store`), so that interrupted work resumes where it stopped.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.music.arrays import F32, I16, I64
from engine.music.audio import Audio
from training.data.captions import caption
from training.data.corpus import Corpus, CorpusEntry, DataError
from training.data.described import STEP_FEATURES, Described, Played, attributes, step_features
from training.data.store import Store

__all__ = ["CodeStore", "CodeWindow", "described_window"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CodeWindow:
    """A stretch of one piece.

    Args:
        codes: int64 ``[K, frames]``.
        caption: empty where nothing is known.
        features: ``[STEP_FEATURES, frames]``, zeros where nothing is known.
    """

    codes: I64
    caption: str
    features: F32


class CodeStore(Store[I16]):
    """Codes ``[K, frames]`` of every piece.

    Captions and features are those of composed pieces. Captions of a folder's sound files are files of the
    same name that end in ``.txt``; they have no features.

    Args:
        cache: folder for all codecs.
        key: hexadecimal digest of the codec.
        encode: sound [2, N] at `sample_rate` -> codes int64 ``[K, frames]``.
        sample_rate: Hz. hop: samples of a frame.
        folder: the corpus's, empty for composed pieces.
        shortest: frames in one training item; shorter pieces are left out.
    """

    def __init__(
        self,
        corpus: Corpus,
        cache: Path,
        key: str,
        encode: Callable[[Audio], I64],
        *,
        sample_rate: int,
        hop: int,
        folder: str,
        valid: float,
        shortest: int,
    ) -> None:
        super().__init__(corpus, cache / f"codes-{key[:16]}", valid, 1)
        self._least = shortest
        self._sides: dict[tuple[bool, int], tuple[list[CorpusEntry], I64]] = {}
        self._encode, self._rate, self._hop, self._texts = encode, sample_rate, hop, folder
        self._pieces = corpus

    def prepare(self) -> None:
        super().prepare()
        short = sum(self.frames(entry) < self._least for entry in (*self.train, *self.held_out))
        if short:
            log.warning("%d pieces are shorter than %d frames and left out", short, self._least)

    def _make(self, entry: CorpusEntry) -> I16:
        return self._encode(self._pieces.audio(entry, self._rate)).astype(np.int16)

    def window(self, length: int, rng: np.random.Generator, *, training: bool = True) -> CodeWindow:
        """A random stretch: pieces by their length, places evenly.

        Raises:
            DataError: no piece is as long, or none is held out.
        """
        side, ends = self._side(length, training)
        entry = side[int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]
        first = int(rng.integers(self.frames(entry) - length + 1))
        return self.at(entry, first, length, rng)

    def _side(self, length: int, training: bool) -> tuple[list[CorpusEntry], I64]:
        """Pieces that are long enough, and how many places all up to each have; worked out once."""
        known = self._sides.get((training, length))
        if known is None:
            side = [entry for entry in (self.train if training else self.held_out) if self.frames(entry) >= length]
            if not side:
                raise DataError(f"no {'piece' if training else 'held-out piece'} has {length} frames: longer data.bars")
            ends = np.cumsum([self.frames(entry) - length + 1 for entry in side], dtype=np.int64)
            known = self._sides[training, length] = (side, ends)
        return known

    def frames(self, entry: CorpusEntry) -> int:
        """Length of a piece."""
        return self._lengths[entry.checksum]

    def at(self, entry: CorpusEntry, first: int, length: int, rng: np.random.Generator) -> CodeWindow:
        """The stretch of `length` frames from `first` on; `rng` chooses the words."""
        codes = np.array(self.whole(entry)[:, first : first + length], np.int64)
        if isinstance(self._pieces, Described):
            return described_window(self._pieces.played(entry), codes, first, self._hop, self._rate, rng)
        text = (Path(self._texts) / entry.name).with_suffix(".txt")
        said = text.read_text("utf-8") if text.is_file() else ""
        return CodeWindow(codes, " ".join(said.split()), np.zeros((STEP_FEATURES, length), np.float32))


def described_window(
    played: Played, codes: I64, first: int, hop: int, sample_rate: int, rng: np.random.Generator
) -> CodeWindow:
    """Codes ``[K, frames]`` of a composed piece from frame `first` on, with what is known of them."""
    second, length = hop / sample_rate, codes.shape[1]
    known = attributes(played, first * second, length * second)
    return CodeWindow(codes, caption(known, rng), step_features(played, first, length, hop, sample_rate))
