"""Notes that start together as one token, with a way back for what a dictionary does not have."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.music.arrays import F64, I64
from engine.music.vocabulary import UNITS, Dictionary

__all__ = ["FOLDED", "THINNED", "UNKNOWN", "Spelling", "floor_code", "length_token", "nearest_codes", "split_of"]

FOLDED: Final = "moved by octaves into MIDI's range"
THINNED: Final = "inner or doubled notes of a chord the dictionary has not"
UNKNOWN: Final = "chord the dictionary has not"

_UNITS: Final = np.array(UNITS)
_BETWEEN: Final = (_UNITS[1:-1] + _UNITS[2:]) / 2  # halfway between the lengths of tokens 0 and 1, 1 and 2, ...
_REMEMBERED: Final = 100_000


def nearest_codes(lengths: F64 | I64) -> I64:
    """Tokens 0..14 of the lengths nearest to those given, in sixteenths. Nothing is shorter than one sixteenth."""
    return np.searchsorted(_BETWEEN, lengths, "right").astype(np.int64)


def floor_code(units: I64) -> I64:
    """Codes 0..15 of the longest table entries that fit, as published; 0 has no token, code k is token k - 1."""
    return np.searchsorted(_UNITS, units, "right").astype(np.int64) - 1


def split_of(codes: Sequence[int]) -> tuple[int, int]:
    """Length tokens of the lowest note and of the others that say most of those given, lowest first.

    One length for all is taken where it says as much.
    """
    one, alike = Counter(codes).most_common(1)[0]
    if alike == len(codes):
        return one, one
    rest, same = Counter(codes[1:]).most_common(1)[0]
    return (codes[0], rest) if 1 + same > alike else (one, one)


def length_token(codes: Sequence[int], dictionary: Dictionary) -> int:
    """The duration token that says most of the lengths (tokens 0..14, lowest note first) of notes struck together."""
    token = dictionary.length(*split_of(codes))
    return Counter(codes).most_common(1)[0][0] if token is None else token


class Spelling:
    """Finds the token of pitches that start together. Remembers what it found; not for several threads at once.

    Args:
        dictionary: the tokens there are.
        strict: as published: what is not in the dictionary is dropped whole.
    """

    def __init__(self, dictionary: Dictionary, *, strict: bool = False) -> None:
        self.dictionary, self.strict = dictionary, strict
        self._known: dict[tuple[str, tuple[int, ...]], tuple[int | None, dict[str, int]]] = {}

    def token(self, role: str, pitches: Sequence[int]) -> tuple[int | None, dict[str, int]]:
        """The token, and how many notes were changed or lost, by cause.

        Args:
            pitches: 1 or more, ascending, in the key of the grid; may lie outside 0..127.
        Returns:
            The token is None where nothing can be said: only if `strict`.
        Source:
            The order of the way back: all of it, with notes out of range moved by octaves; else the largest part that
            the dictionary has, one that keeps the highest note (of the bass, the lowest) and then the other outer
            note and then doubles least; at the very least one note.
        """
        key = role, tuple(pitches)
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = self._find(*key)
        return self._known[key]

    def _find(self, role: str, pitches: tuple[int, ...]) -> tuple[int | None, dict[str, int]]:
        token = self.dictionary.token(role, pitches)
        if token is not None:
            return token, {}
        if self.strict:
            return None, {UNKNOWN: len(pitches)}
        inside = tuple(sorted({_folded(pitch) for pitch in pitches}))
        folded = sum(not 0 <= pitch <= 127 for pitch in pitches)
        lost = Counter({FOLDED: folded} if folded else {})
        token = self.dictionary.token(role, inside)
        if token is None:
            token = self._part(role, inside)
            lost[THINNED] = len(inside) - len(self.dictionary.pitches(token))
        return token, dict(lost)

    def _part(self, role: str, pitches: tuple[int, ...]) -> int:
        """The best token that sounds some of `pitches` (0..127, ascending) and nothing else."""
        bits = sum(1 << pitch for pitch in pitches)
        words = np.array((bits & (1 << 64) - 1, bits >> 64), np.uint64)
        fits = np.flatnonzero(~(self.dictionary.masks[role] & ~words).any(axis=1))
        first, last = (pitches[0], pitches[-1]) if role == "bass" else (pitches[-1], pitches[0])

        def worth(row: int) -> tuple[int, bool, bool, int, int]:
            notes = self.dictionary.pitches(self.dictionary.ranges[role][row])
            classes = len({pitch % 12 for pitch in notes})
            return len(notes), first in notes, last in notes, classes, -row

        return self.dictionary.ranges[role][max(map(int, fits), key=worth)]


def _folded(pitch: int) -> int:
    """The pitch, or the nearest one of its name within MIDI's range."""
    if 0 <= pitch <= 127:
        return pitch
    return pitch % 12 if pitch < 0 else 127 - (127 - pitch) % 12
