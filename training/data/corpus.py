"""Pieces of music by name: an index with checksums, a split that never moves, and what is known of each piece.

A corpus is a folder of sound files or a number of composed pieces; everything after it cannot tell which.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import F32, F64
from engine.music.audio import Audio

__all__ = [
    "Corpus",
    "CorpusEntry",
    "DataError",
    "checksum",
    "density_curve",
    "split",
]


class DataError(EngineError):
    """There is nothing to train on: the message says where it was looked for and what was found."""


@dataclass(frozen=True, slots=True)
class CorpusEntry:
    """One piece.

    Args:
        name: for people.
        checksum: SHA-256 of the sound file, or of what a composed piece is made from.
        duration_s: length in seconds.
        held_out: its side of the split where that is decided already, else None.
    """

    name: str
    checksum: str
    duration_s: float
    held_out: bool | None = None


def checksum(parts: Iterable[bytes]) -> str:
    """SHA-256 of all parts, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def split(entries: Iterable[CorpusEntry], valid: float) -> tuple[tuple[CorpusEntry, ...], tuple[CorpusEntry, ...]]:
    """Pieces to train on and pieces held out.

    A piece's side depends on its own checksum, so adding files moves none, and one recording under two names
    cannot be on both sides. Where chance leaves a side empty (few pieces), the piece nearest to it changes over;
    a single piece is on both. Where every piece says its own side, it stays there.

    Args:
        valid: share held out, 0..1; 0 holds out nothing.
    """
    ordered = sorted(entries, key=lambda entry: entry.checksum)
    if valid <= 0.0:
        return tuple(ordered), ()
    if {entry.held_out for entry in ordered} == {True, False}:
        return tuple(e for e in ordered if not e.held_out), tuple(e for e in ordered if e.held_out)
    if len(ordered) == 1:
        return tuple(ordered), tuple(ordered)
    count = sum(int(entry.checksum[:8], 16) < valid * 2.0**32 for entry in ordered)
    count = min(max(count, 1), len(ordered) - 1)
    return tuple(ordered[count:]), tuple(ordered[:count])


def density_curve(onsets: F64, times: F64, bandwidth_s: float = 0.5, full_rate: float = 16.0) -> F32:
    """Note density by kernel estimation: a Gaussian on every onset.

    Args:
        onsets: seconds, any order.
        times: [T] seconds at which the curve is wanted.
        bandwidth_s: of the Gaussian. The original's is not known; half a second is a beat at 120 bpm.
        full_rate: onsets per second that count as 1, which is also the most.
    Returns:
        [T] in 0..1.
    """
    if not len(onsets) or not len(times):
        return np.zeros(len(times), np.float32)
    step = bandwidth_s / 20.0
    first, last = min(onsets.min(), times.min()) - 4 * bandwidth_s, max(onsets.max(), times.max()) + 4 * bandwidth_s
    edges = np.arange(first, last + 2 * step, step)
    counts, _ = np.histogram(onsets, edges)
    bell = np.exp(-0.5 * (np.arange(-80, 81) / 20.0) ** 2)
    rate = np.convolve(counts, bell / bell.sum(), mode="same") / step
    centres = edges[:-1] + step / 2.0
    return np.asarray(np.clip(np.interp(times, centres, rate) / full_rate, 0.0, 1.0), np.float32)


class Corpus(ABC):
    """Pieces, and their sound on demand.

    Threads: all methods may be called from several threads at once.

    Args:
        entries: the readable pieces.
        problems: a line for every piece that was left out, and why.
    """

    entries: tuple[CorpusEntry, ...]
    problems: tuple[str, ...] = ()

    @abstractmethod
    def audio(self, entry: CorpusEntry, sample_rate: int) -> Audio:
        """The whole piece, [2, N].

        Raises:
            OSError: it cannot be read any more.
        """

    @abstractmethod
    def rhythm(self, entry: CorpusEntry) -> tuple[float, F64]:
        """Tempo in bpm and onset times in seconds."""
