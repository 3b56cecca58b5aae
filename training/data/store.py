"""What is made once from a corpus and read at every step: samples at the model's rate, latents with their conditions.

One file for each piece, written beside and moved into place: interrupted work resumes where it stopped, and
several processes share it. Files are named by checksum, so a changed piece or encoder never meets old ones.
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from engine.models.musika.facts import CONDITIONS
from engine.music.arrays import F32, I16, I64
from engine.music.audio import Audio
from engine.music.conducting import tempo_value
from training.data.corpus import Corpus, CorpusEntry, DataError, density_curve, split

__all__ = ["Item", "Latents", "Samples", "Store"]

Item = TypeVar("Item", I16, F32)
log = logging.getLogger(__name__)


class Store(ABC, Generic[Item]):
    """One array [rows, length] for each piece, mapped from disk, cut at random.

    Threads: after `prepare`, all methods may be called from several threads at once.

    Args:
        corpus: where pieces come from.
        folder: for the files.
        valid: share of pieces held out.
        shortest: length below which a piece is repeated.
    """

    def __init__(self, corpus: Corpus, folder: Path, valid: float, shortest: int) -> None:
        self._corpus, self._folder, self._valid, self._shortest = corpus, folder, valid, shortest
        self._lengths: dict[str, int] = {}
        self.train: tuple[CorpusEntry, ...] = ()
        self.held_out: tuple[CorpusEntry, ...] = ()
        self._ends: dict[bool, I64] = {}

    @abstractmethod
    def _make(self, entry: CorpusEntry) -> Item: ...

    def prepare(self) -> None:
        """Make what is missing; pieces that fail are reported and left out.

        Under torchrun each process begins at another place, so that they share the work.

        Raises:
            DataError: nothing is left.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        everything: tuple[CorpusEntry, ...] = self._corpus.entries
        first: int = int(os.environ.get("RANK", "0")) * len(everything) // int(os.environ.get("WORLD_SIZE", "1"))
        missing = [entry for entry in everything[first:] + everything[:first] if not self._path(entry).exists()]
        problems: dict[str, str] = {}
        for number, entry in enumerate(missing):
            if number % max(1, len(missing) // 20) == 0:
                log.info("preparing %s: %d of %d pieces", self._folder.name, number, len(missing))
            if self._path(entry).exists():
                continue  # another process was here
            try:
                self._write(entry, self._make(entry))
            except (OSError, RuntimeError, MemoryError) as error:
                problems[entry.checksum] = str(error)
                log.warning("%s: %s; left out", entry.name, error)
        kept = [entry for entry in everything if entry.checksum not in problems]
        self._lengths = {entry.checksum: int(self.whole(entry).shape[1]) for entry in kept}
        kept = [entry for entry in kept if self._lengths[entry.checksum] > 0]
        if not kept:
            raise DataError(f"no piece can be used; the first: {next(iter(problems.values()), 'holds no sound')}")
        for entry in kept:
            if self._lengths[entry.checksum] < self._shortest:
                log.warning("%s: %.2f s is shorter than one item and is repeated", entry.name, entry.duration_s)
        self.train, self.held_out = split(kept, self._valid)
        for training, side in ((True, self.train), (False, self.held_out)):
            self._ends[training] = np.cumsum([self._lengths[entry.checksum] for entry in side])

    def _path(self, entry: CorpusEntry) -> Path:
        return self._folder / f"{entry.checksum}.npy"

    def _write(self, entry: CorpusEntry, made: Item) -> None:
        draft = self._folder / f".{entry.checksum}.{os.getpid()}.npy"
        np.save(draft, made)
        draft.replace(self._path(entry))

    def whole(self, entry: CorpusEntry) -> Item:
        """All of one piece, read-only; opened anew each time, since ten thousand open files are too many."""
        mapped: Item = np.load(self._path(entry), mmap_mode="r")
        return mapped

    def cut(self, length: int, rng: np.random.Generator, *, training: bool = True) -> Item:
        """A random stretch [rows, length]: pieces by their length, places evenly; short pieces are repeated."""
        side, ends = (self.train if training else self.held_out), self._ends[training]
        if not side:
            raise DataError("no pieces are held out: set data.valid above 0")
        entry = side[int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]
        whole = self.whole(entry)
        room = whole.shape[1] - length
        if room >= 0:
            first = int(rng.integers(room + 1))
            return np.array(whole[:, first : first + length])
        return np.take(whole, int(rng.integers(whole.shape[1])) + np.arange(length), axis=1, mode="wrap")


class Samples(Store[I16]):
    """Stereo sound at one rate, 16 bits.

    Args:
        sample_rate: Hz.
        cache: folder for all rates.
    """

    def __init__(self, corpus: Corpus, cache: Path, sample_rate: int, valid: float, shortest: int) -> None:
        super().__init__(corpus, cache / f"samples-{sample_rate}", valid, shortest)
        self._rate = sample_rate

    def _make(self, entry: CorpusEntry) -> I16:
        audio = self._corpus.audio(entry, self._rate)
        return np.asarray(np.clip(np.round(audio * 32767.0), -32768, 32767), np.int16)

    def crops(self, count: int, length: int, rng: np.random.Generator, *, training: bool = True) -> F32:
        """[count, length] of one channel each, left or right by chance, in -1..1."""
        cuts = [self.cut(length, rng, training=training)[int(rng.integers(2))] for _ in range(count)]
        return np.stack(cuts).astype(np.float32) / np.float32(32767.0)


class Latents(Store[F32]):
    """Latents of both channels, [2 * latent + 2, T]: below the latents, the rows of `CONDITIONS`.

    Density is 0..1, tempo log2(bpm / 120).

    Args:
        cache: folder for all encoders.
        key: hexadecimal digest of the encoder and all that latents depend on.
        encode: [2, N] at `sample_rate` -> [2 * latent, T].
        sample_rate: Hz.
        centre, spacing: samples from the start to the middle of the first latent, and from one to the next.
        shortest: latents in one training item.
    """

    def __init__(
        self,
        corpus: Corpus,
        cache: Path,
        key: str,
        encode: Callable[[Audio], F32],
        *,
        sample_rate: int,
        centre: float,
        spacing: int,
        valid: float,
        shortest: int,
    ) -> None:
        super().__init__(corpus, cache / f"latents-{key[:16]}", valid, shortest)
        self._encode, self._rate, self._centre, self._spacing = encode, sample_rate, centre, spacing

    def _make(self, entry: CorpusEntry) -> F32:
        audio = self._corpus.audio(entry, self._rate)
        least = self._shortest * self._spacing + 2 * round(self._centre)
        if 0 < audio.shape[1] < least:
            audio = np.tile(audio, (1, -(-least // audio.shape[1])))
        latents = self._encode(audio)
        times = (self._centre + self._spacing * np.arange(latents.shape[1])) / self._rate
        tempo_bpm, onsets = self._corpus.rhythm(entry)
        # Where a short piece was repeated, its onsets are too.
        turns = np.arange(int(times[-1] // entry.duration_s) + 1) if len(times) else np.arange(1)
        onsets = (onsets[None, :] + turns[:, None] * entry.duration_s).reshape(-1)
        rows = [density_curve(onsets, times), np.full(len(times), tempo_value(tempo_bpm), np.float32)]
        return np.concatenate([latents, np.stack(rows)]).astype(np.float32)

    def windows(
        self, count: int, length: int, rng: np.random.Generator, names: Sequence[str] = (), *, training: bool = True
    ) -> tuple[F32, F32]:
        """Random stretches.

        Returns:
            Latents [count, 2 * latent, length], and the conditions of these names [count, len(names), length].
        """
        cuts = np.stack([self.cut(length, rng, training=training) for _ in range(count)])
        rows = [cuts.shape[1] - len(CONDITIONS) + CONDITIONS.index(name) for name in names]
        return cuts[:, : -len(CONDITIONS)], cuts[:, rows]
