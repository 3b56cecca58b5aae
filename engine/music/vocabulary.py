"""The words of a GETMusic grid: durations, single pitches, pitches struck together, chords; as a file and as numbers.

A dictionary is a text of one token a line, `token TAB count`; the number of a token is its line. The order is fixed:
fifteen durations, the pad, six tracks (all 128 single pitches, then compounds by falling count), roots, chord kinds.
Our own dictionaries end with durations of two parts, ``T9/3``: the lowest note is long and all others are short, as
a bass below chords of one hand.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import I64, U64, Mask
from engine.music.score import ROLES

__all__ = ["DURATIONS", "KINDS", "PAD", "ROOTS", "UNITS", "Dictionary", "VocabularyError"]

PAD: Final = 15
"""The token of a cell where nothing starts."""

DURATIONS: Final = 15
"""Tokens 0..14 are lengths; token k is code k + 1 of the sixteen entries of `UNITS`."""

UNITS: Final = (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 36, 44, 52)
"""Duration code to sixteenths. Code 0 (nothing) has no token."""

ROOTS: Final = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KINDS: Final = ("null", "m", "+", "dim", "seven", "maj7", "m7", "m7b5")

_PREFIXES: Final = MappingProxyType(dict(zip(ROLES, "MBDGPS", strict=True)))
_HEAD: Final = (*(f"T{number}" for number in range(1, DURATIONS + 1)), "<pad>")
_DRUM_OFFSET: Final = 128  # a drum's token carries its pitch plus 128
_SPLIT: Final = re.compile(r"T([1-9]\d?)/([1-9]\d?)")
_LARGEST: Final = 1 << 20  # lines; no vocabulary for a network comes near


class VocabularyError(EngineError, ValueError):
    """A text is no dictionary: build it again, or fetch it again."""


class Dictionary:
    """Tokens and their numbers. Immutable; may be shared by any number of threads.

    Args:
        words: tokens in order. counts: how often each was seen, 0 where nobody counted.
    Raises:
        VocabularyError: the order is not that of a dictionary, or a token is there twice.
    """

    def __init__(self, words: Iterable[str], counts: Iterable[int]) -> None:
        self._words, self._counts = tuple(words), tuple(counts)
        if len(self._words) != len(self._counts):
            raise VocabularyError(f"got {len(self._words)} tokens and {len(self._counts)} counts: they go in pairs")
        if self._words[: len(_HEAD)] != _HEAD:
            raise VocabularyError(f"got {self._words[:3]} at the start, wanted T1..T15 and <pad>: is it a dictionary?")
        self._pitches: list[tuple[int, ...]] = [()] * len(self._words)
        self._ids: dict[tuple[str, tuple[int, ...]], int] = {}
        self._ranges, at = {}, len(_HEAD)
        for role, prefix in _PREFIXES.items():
            first = at
            while at < len(self._words) and self._words[at].startswith(prefix) and self._words[at] not in ROOTS:
                self._pitches[at] = pitches = _parse(self._words[at], role)
                if self._ids.setdefault((role, pitches), at) != at:
                    raise VocabularyError(f"got token '{self._words[at]}' twice: build the dictionary again")
                at += 1
            if [self._pitches[number] for number in range(first, min(at, first + 128))] != [(p,) for p in range(128)]:
                raise VocabularyError(
                    f"got {role} tokens that do not start with 128 single pitches: is it a dictionary?"
                )
            self._ranges[role] = range(first, at)
        self._roots, self._kinds = range(at, at + len(ROOTS)), range(at + len(ROOTS), at + len(ROOTS) + len(KINDS))
        if self._words[at : self._kinds.stop] != (*ROOTS, *KINDS):
            raise VocabularyError(f"got {self._words[at : at + 2]} after the tracks, wanted 12 roots and 8 chord kinds")
        self._splits = {word: _split(word) for word in self._words[self._kinds.stop :]}
        if len(self._splits) < len(self._words) - self._kinds.stop:
            raise VocabularyError("got a duration of two parts twice: build the dictionary again")

    @classmethod
    def read(cls, text: str) -> "Dictionary":
        """The dictionary that `text` is.

        Raises:
            VocabularyError: it is none.
        """
        lines = text.removesuffix("\n").split("\n")
        if len(lines) > _LARGEST:
            raise VocabularyError(f"got {len(lines)} lines, wanted at most {_LARGEST}: is it a dictionary?")
        rows = [line.rstrip("\r").partition("\t") for line in lines]
        wrong = next((number for number, row in enumerate(rows) if not row[2].isdecimal() or len(row[2]) > 18), None)
        if wrong is not None:
            raise VocabularyError(f"line {wrong + 1} is not a token, a tab and a count: is it a dictionary?")
        return cls((row[0] for row in rows), (int(row[2]) for row in rows))

    @classmethod
    def load(cls, path: str | Path) -> "Dictionary":
        """The dictionary in a file.

        Raises:
            VocabularyError: it is none. OSError: it cannot be read.
        """
        return cls.read(Path(path).read_bytes().decode("utf-8", "replace"))

    @classmethod
    def build(
        cls,
        counts: Mapping[str, Mapping[tuple[int, ...], int]],
        *,
        share: float = 1.0,
        least: int = 1,
        most: int | Mapping[str, int] | None = None,
        splits: Mapping[tuple[int, int], int] | None = None,
    ) -> "Dictionary":
        """A dictionary of what was seen, the most frequent first.

        Args:
            counts: by role, how often pitches (ascending; drums as General MIDI numbers) were struck together.
                Single pitches are always in and need not be counted.
            share: of all that was seen of a track, add compounds until this is reached.
            least: seen at least so often.
            most: compounds of a track, or of each.
            splits: how often the lowest note had one length token (0..14) and all others another; kept as they are.
        Source:
            The published rule is share 0.9 and a least count; ours may keep everything, and may limit by size.
        """
        words, numbers = list(_HEAD), [0] * len(_HEAD)
        for role, prefix in _PREFIXES.items():
            moved = _DRUM_OFFSET if role == "drum" else 0
            seen = Counter({key: n for key, n in counts.get(role, {}).items() if len(key) > 1})
            limit = most.get(role, 0) if isinstance(most, Mapping) else most
            words += [f"{prefix}{pitch + moved}" for pitch in range(128)]
            numbers += [counts.get(role, {}).get((pitch,), 0) for pitch in range(128)]
            total, running = sum(seen.values()), 0
            for index, (key, n) in enumerate(sorted(seen.items(), key=lambda item: (-item[1], item[0]))):
                if n < least or running >= share * total or (limit is not None and index >= limit):
                    break
                running += n
                words.append(prefix + " ".join(str(pitch + moved) for pitch in key))
                numbers.append(n)
        pairs = sorted((splits or {}).items(), key=lambda item: (-item[1], item[0]))
        words += [*ROOTS, *KINDS, *(f"T{low + 1}/{rest + 1}" for (low, rest), _ in pairs)]
        return cls(words, [*numbers, *([0] * (len(ROOTS) + len(KINDS))), *(n for _, n in pairs)])

    @cached_property
    def text(self) -> str:
        """The file: `read(text)` is this dictionary again."""
        return "".join(f"{word}\t{count}\n" for word, count in zip(self._words, self._counts, strict=True))

    @property
    def size(self) -> int:
        """Tokens."""
        return len(self._words)

    @property
    def empty(self) -> int:
        """The token of a track, or time, that is not there."""
        return len(self._words)

    @property
    def mask(self) -> int:
        """The token of a cell that is to be decided."""
        return len(self._words) + 1

    @property
    def ranges(self) -> Mapping[str, range]:
        """Of each role, the tokens of its pitches."""
        return MappingProxyType(self._ranges)

    @property
    def roots(self) -> range:
        """Tokens of the twelve roots, C first."""
        return self._roots

    @property
    def kinds(self) -> range:
        """Tokens of the chord kinds, in the order of `KINDS`."""
        return self._kinds

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """What a duration row may hold, in the order of a network's logits: 0..14, the pad, durations of two parts."""
        return (*range(PAD + 1), *range(self._kinds.stop, len(self._words)))

    @cached_property
    def parts(self) -> I64:
        """int64 [tokens + 2, 2]: of a duration its length tokens, of the lowest note and of all others; else -1."""
        table = np.full((len(self._words) + 2, 2), -1, np.int64)
        table[:DURATIONS] = np.arange(DURATIONS)[:, None]
        for row, pair in enumerate(self._splits.values(), self._kinds.stop):
            table[row] = pair
        return table

    @cached_property
    def length_classes(self) -> I64:
        """int64 [tokens + 2]: place of a token in `lengths`, -1 of all that stand in no duration row."""
        table = np.full(len(self._words) + 2, -1, np.int64)
        table[list(self.lengths)] = np.arange(len(self.lengths))
        return table

    def length(self, low: int, rest: int) -> int | None:
        """The token of a lowest note of length `low` (0..14) below others of length `rest`; None if there is none."""
        if low == rest:
            return low
        return self._pairs.get((low, rest))

    @cached_property
    def _pairs(self) -> dict[tuple[int, int], int]:
        return {pair: token for token, pair in enumerate(self._splits.values(), self._kinds.stop)}

    def word(self, token: int) -> str:
        """How a token is written."""
        return self._words[token]

    def count(self, token: int) -> int:
        """How often a token was seen when the dictionary was built; 0 where nobody counted."""
        return self._counts[token]

    def token(self, role: str, pitches: Iterable[int]) -> int | None:
        """The token of pitches struck together, in any order; None if the dictionary has none.

        Args:
            pitches: of drums as General MIDI has them (36 is the kick), in the key of the grid for all others.
        """
        return self._ids.get((role, tuple(sorted(set(pitches)))))

    def pitches(self, token: int) -> tuple[int, ...]:
        """What a token sounds, ascending; nothing for tokens without pitch. Official tokens may go below 0."""
        return self._pitches[token] if 0 <= token < len(self._pitches) else ()

    @cached_property
    def masks(self) -> Mapping[str, U64]:
        """By role uint64 [tokens of the role, 2]: bit p of the two words says that pitch p (0..127) sounds.

        A token that sounds a pitch outside 0..127 has all bits set, so that it is part of nothing.
        """
        made = {}
        for role, tokens in self._ranges.items():
            table = np.zeros((len(tokens), 2), np.uint64)
            for row, token in enumerate(tokens):
                bits = -1 if min(self._pitches[token]) < 0 else sum(1 << pitch for pitch in self._pitches[token])
                table[row] = bits & (1 << 64) - 1, bits >> 64 & (1 << 64) - 1
            made[role] = table
        return MappingProxyType(made)

    @cached_property
    def classes(self) -> Mapping[str, Mask]:
        """By role bool [tokens of the role, 12]: which pitch classes a token sounds."""
        made = {}
        for role, tokens in self._ranges.items():
            made[role] = table = np.zeros((len(tokens), 12), np.bool_)
            for row, token in enumerate(tokens):
                table[row, [pitch % 12 for pitch in self._pitches[token]]] = True
        return MappingProxyType(made)


def _split(word: str) -> tuple[int, int]:
    found = _SPLIT.fullmatch(word)
    low, rest = (int(found[1]), int(found[2])) if found else (0, 0)
    if low == rest or not (1 <= low <= DURATIONS and 1 <= rest <= DURATIONS):
        raise VocabularyError(f"got '{word}' after the chord kinds, wanted two durations such as T9/3: build it again")
    return low - 1, rest - 1


def _parse(word: str, role: str) -> tuple[int, ...]:
    try:
        pitches = tuple(int(text) for text in word[1:].split(" "))
    except ValueError:
        pitches = ()
    moved = tuple(pitch - _DRUM_OFFSET for pitch in pitches) if role == "drum" else pitches
    if not moved or any(a >= b for a, b in pairwise(moved)) or not -128 <= moved[0] <= moved[-1] < 128:
        raise VocabularyError(f"got token '{word}', wanted a letter and rising pitches up to 127: build it again")
    return moved
