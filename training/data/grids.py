"""The prepared store of grids: written in shards, read as one, cut into windows, moved to other keys.

A shard holds the grids of some pieces side by side, as uint16; every piece is whole bars of sixteen columns.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.music.arrays import I64, U8, U16
from engine.music.harmony import QUALITIES
from engine.music.score import ROLES
from engine.music.tokens import Spelling
from engine.music.vocabulary import Dictionary
from training.data.corpus import DataError

__all__ = ["BAR", "DICTIONARY_FILE", "PAD", "Grids", "StoreEntry", "Transposer", "Window", "read_shard", "write_shard"]


BAR: Final = 16
PAD: Final = 15
DICTIONARY_FILE: Final = "dictionary.txt"
_NONE: Final = tuple(QUALITIES).index("none")


@dataclass(frozen=True, slots=True)
class StoreEntry:
    """One piece in the store.

    Args:
        name, uid, licence, style: as of `Piece`.
        tempo_bpm: quarter notes a minute.
        shift: semitones by which it was moved to its key's place.
        columns: length, whole bars.
        held_out: kept for measuring.
    """

    name: str
    uid: str
    licence: str
    style: str
    tempo_bpm: float
    shift: int
    columns: int
    held_out: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of one piece.

    Args:
        grid: [14, L] tokens.
        chords: [3, L] root, quality, bass of every column in the grid's key; quality "none" where unknown.
        entry: the piece.
        first: its first column there.
    """

    grid: I64
    chords: U8
    entry: StoreEntry
    first: int


def write_shard(
    path: Path, entries: Sequence[StoreEntry], grids: Sequence[I64], chords: Sequence[U8], more: Any
) -> None:
    """Write a shard, beside and moved into place.

    Args:
        grids: [14, columns] each.
        chords: [3, columns] each.
        more: JSON values kept with it.
    """
    text = json.dumps({"entries": [asdict(entry) for entry in entries], "more": more})
    draft = path.with_name(f".{path.name}")
    with draft.open("wb") as file:
        np.savez_compressed(
            file,
            cells=np.concatenate([np.zeros((14, 0), np.uint16), *(grid.astype(np.uint16) for grid in grids)], axis=1),
            chords=np.concatenate([np.zeros((3, 0), np.uint8), *chords], axis=1),
            about=np.frombuffer(text.encode(), np.uint8),
        )
    draft.replace(path)


def read_shard(path: Path) -> tuple[list[StoreEntry], U16, U8, Any]:
    """What `write_shard` wrote: entries, cells [14, T], chords [3, T], and what was kept with it."""
    with np.load(path) as shard:
        cells, chords, text = shard["cells"], shard["chords"], shard["about"].tobytes().decode()
    about = json.loads(text)
    return [StoreEntry(**entry) for entry in about["entries"]], cells, chords, about["more"]


class Grids:
    """All pieces of a store, in memory.

    Threads: all methods may be called from several threads at once.

    Args:
        folder: of the store.
    Attributes:
        dictionary: that its tokens are from.
        entries: the pieces.
    Raises:
        DataError: there is no store, or nothing in it.
    """

    def __init__(self, folder: Path) -> None:
        paths = sorted(folder.glob("grids-*.npz"))
        if not paths or not (folder / DICTIONARY_FILE).exists():
            raise DataError(f"{folder} holds no grids: make them with python -m training.data.midi")
        self.dictionary = Dictionary.load(folder / DICTIONARY_FILE)
        shards = [read_shard(path) for path in paths]
        self.entries: tuple[StoreEntry, ...] = tuple(entry for shard in shards for entry in shard[0])
        self._cells = np.concatenate([shard[1] for shard in shards], axis=1)
        self._chords = np.concatenate([shard[2] for shard in shards], axis=1)
        self._starts = np.concatenate([[0], np.cumsum([entry.columns for entry in self.entries])])
        if not self.entries:
            raise DataError(f"{folder} holds no pieces")
        self._sides = {
            held: np.array([i for i, entry in enumerate(self.entries) if entry.held_out is held], np.int64)
            for held in (False, True)
        }
        lengths = np.array([entry.columns for entry in self.entries], np.int64)
        self._ends = {held: np.cumsum(lengths[side]) for held, side in self._sides.items()}

    def pieces(self, *, held_out: bool) -> tuple[int, ...]:
        """Numbers of the pieces of one side."""
        return tuple(int(index) for index in self._sides[held_out])

    def whole(self, index: int) -> Window:
        """All of one piece."""
        return self.window(index, 0, self.entries[index].columns)

    def window(self, index: int, first: int, columns: int) -> Window:
        """A stretch of a piece; past its end all tracks rest and the last chord stays."""
        entry, start = self.entries[index], int(self._starts[index])
        there = min(columns, entry.columns - first)
        cells = self._cells[:, start + first : start + first + there].astype(np.int64)
        chords = self._chords[:, start + first : start + first + there]
        if there < columns:
            more = columns - there
            tail = np.repeat(cells[:, -1:], more, axis=1)
            there_at_all = (cells[:12] != self.dictionary.empty).any(axis=1)
            tail[:12][there_at_all] = PAD
            cells = np.concatenate([cells, tail], axis=1)
            chords = np.concatenate([chords, np.repeat(chords[:, -1:], more, axis=1)], axis=1)
        return Window(cells, chords, entry, first)

    def draw(self, columns: int, rng: np.random.Generator, *, held_out: bool = False) -> Window:
        """A random stretch that begins with a bar: pieces by their length, places evenly.

        Raises:
            DataError: the side is empty.
        """
        side = self._sides[held_out]
        if not len(side):
            raise DataError("no pieces are on this side: prepare the store with another share held out")
        ends = self._ends[held_out]
        index = int(side[np.searchsorted(ends, rng.integers(ends[-1]), side="right")])
        bars = max(1, (self.entries[index].columns - columns) // BAR + 1)
        return self.window(index, BAR * int(rng.integers(bars)), columns)


class Transposer:
    """Moves grids to other keys without leaving the dictionary: what it has not is thinned as `Spelling` does.

    Args:
        dictionary: that of the grids.
    """

    LOW, HIGH = -6, 5

    def __init__(self, dictionary: Dictionary) -> None:
        spelling = Spelling(dictionary)
        self._table = np.tile(np.arange(dictionary.size + 2), (self.HIGH - self.LOW + 1, 1))
        for role in ROLES:
            if role == "drum":
                continue
            for token in dictionary.ranges[role]:
                for row, shift in enumerate(range(self.LOW, self.HIGH + 1)):
                    found, _ = spelling.token(role, [pitch + shift for pitch in dictionary.pitches(token)])
                    self._table[row, token] = token if found is None else found
        roots = dictionary.roots.start
        for row, shift in enumerate(range(self.LOW, self.HIGH + 1)):
            self._table[row, roots : roots + 12] = roots + (np.arange(12) + shift) % 12

    def moved(self, window: Window, shift: int) -> Window:
        """The window `shift` semitones higher, -6..5; drums stay."""
        grid: I64 = self._table[shift - self.LOW][window.grid]
        chords = window.chords.copy()
        sounding = chords[1] != _NONE
        for row in (0, 2):
            chords[row, sounding] = (chords[row, sounding].astype(np.int64) + shift) % 12
        return Window(grid, chords, window.entry, window.first)
