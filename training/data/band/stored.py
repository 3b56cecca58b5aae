"""A rendered corpus for training: sound, rhythm and records of its pieces, and cuts read from FLAC by seeking."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.music.arrays import F64, I16
from engine.music.audio import Audio
from training.data.audio import read_stereo
from training.data.band.fluid import SAMPLE_RATE
from training.data.band.folder import CorpusFolder
from training.data.band.timeline import Timeline
from training.data.corpus import Corpus, CorpusEntry, DataError, split
from training.data.store import Samples

__all__ = ["BandCorpus", "BandCuts"]


class BandCorpus(Corpus):
    """Pieces that `ripieno corpus` rendered.

    Args:
        folder: where.
    Raises:
        DataError: there is none, or no piece is finished.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = CorpusFolder(folder)
        index = self._folder.index()
        if not index:
            raise DataError(f"{folder}: no piece is finished yet; run ripieno corpus {folder} first")
        self.lines = {line["checksum"]: line for line in index}
        self.entries = tuple(
            CorpusEntry(f"{line['number']:06d}", line["checksum"], line["duration_s"], line["held_out"])
            for line in index
        )

    def number(self, entry: CorpusEntry) -> int:
        """The number of a piece."""
        return int(self.lines[entry.checksum]["number"])

    def path(self, entry: CorpusEntry) -> Path:
        """The FLAC file of a piece."""
        return self._folder.sound(self.number(entry))

    def record(self, entry: CorpusEntry) -> dict[str, Any]:
        """All that is known of a piece, see docs/corpus.md."""
        return self._folder.record(self.number(entry))

    @lru_cache(maxsize=256)  # noqa: B019  (a corpus lives as long as the process)
    def timeline(self, entry: CorpusEntry) -> Timeline:
        """What is known of each moment of a piece."""
        return Timeline.read(self.record(entry)["timeline"])

    def audio(self, entry: CorpusEntry, sample_rate: int) -> Audio:
        return read_stereo(self.path(entry), sample_rate)

    def rhythm(self, entry: CorpusEntry) -> tuple[float, F64]:
        return float(self.lines[entry.checksum]["tempo_bpm"]), self.timeline(entry).onsets_s


class BandCuts(Samples):
    """Random stretches of a rendered corpus at its own rate, each read from its FLAC file: nothing is kept on disk.

    Args:
        corpus: the pieces.
        valid: 0 trains on all pieces; otherwise pieces are held out as the corpus says.
        shortest: length below which a piece is repeated.
    """

    def __init__(self, corpus: BandCorpus, valid: float, shortest: int) -> None:
        super().__init__(corpus, Path(), SAMPLE_RATE, valid, shortest)
        self._band = corpus

    def prepare(self) -> None:
        entries = self._band.entries
        self._lengths = {entry.checksum: round(entry.duration_s * SAMPLE_RATE) for entry in entries}
        self.train, self.held_out = split(entries, self._valid)
        for training, side in ((True, self.train), (False, self.held_out)):
            self._ends[training] = np.cumsum([self._lengths[entry.checksum] for entry in side])

    def whole(self, entry: CorpusEntry) -> I16:
        return self._read(entry, 0, self._lengths[entry.checksum])

    def cut(self, length: int, rng: np.random.Generator, *, training: bool = True) -> I16:
        return self.placed_cut(length, rng, training=training)[0]

    def placed_cut(
        self, length: int, rng: np.random.Generator, *, training: bool = True
    ) -> tuple[I16, CorpusEntry, int]:
        """A random stretch [2, length] with its piece and its first sample, so that its timeline can be asked.

        Raises:
            DataError: no pieces are held out.
        """
        side, ends = (self.train if training else self.held_out), self._ends[training]
        if not side:
            raise DataError("no pieces are held out: set data.valid above 0")
        entry = side[int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]
        room = self._lengths[entry.checksum] - length
        if room < 0:
            start = int(rng.integers(self._lengths[entry.checksum]))
            return np.take(self.whole(entry), start + np.arange(length), axis=1, mode="wrap"), entry, start
        start = int(rng.integers(room + 1))
        return self._read(entry, start, length), entry, start

    def _read(self, entry: CorpusEntry, start: int, length: int) -> I16:
        import soundfile  # only here: other corpora train on machines without it

        sound, _ = soundfile.read(self._band.path(entry), length, start, dtype="int16", always_2d=True)
        found = np.zeros((2, length), np.int16)
        found[:, : len(sound)] = sound.T
        return found
