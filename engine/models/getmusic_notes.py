"""Notes of one track to columns of a grid and back, for players who are heard while they play and bars that are made.

A column is a sixteenth; only where something begins it holds more than a rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.music.harmony import QUALITIES, Chord
from engine.music.score import Note
from engine.music.units import TICKS_PER_BEAT
from engine.music.vocabulary import KINDS, PAD, UNITS, Dictionary

__all__ = ["COLUMN_TICKS", "chord_tokens", "columns_of", "key_shift", "notes_of", "token_near"]

Ids = npt.NDArray[np.int64]

COLUMN_TICKS: Final = TICKS_PER_BEAT // 4

_WORD: Final = (1 << 64) - 1

_INTERVALS: Final = dict(
    zip(
        KINDS,
        ((0, 4, 7), (0, 3, 7), (0, 4, 8), (0, 3, 6), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6, 10)),
        strict=True,
    )
)


def columns_of(notes: Iterable[Note], role: str, columns: int, dictionary: Dictionary, shift: int = 0) -> Ids:
    """[2, columns] pitch and duration tokens, rests where nothing begins.

    Args:
        notes: starts in ticks from column 0; those outside are left out.
        shift: semitones from what is heard to the grid; drums are not moved.
    """
    rows = np.full((2, columns), PAD, np.int64)
    struck: dict[int, list[Note]] = {}
    for note in notes:
        column = (2 * note.start + COLUMN_TICKS) // (2 * COLUMN_TICKS)
        if 0 <= column < columns:
            struck.setdefault(column, []).append(note)
    moved = 0 if role == "drum" else shift
    for column, group in struck.items():
        token = token_near(dictionary, role, [note.pitch + moved for note in group])
        lowest = min(group, key=lambda note: (note.pitch, note.length))
        rows[:, column] = token, _duration(lowest.length)
    return rows


def token_near(dictionary: Dictionary, role: str, pitches: Sequence[int]) -> int:
    """The token of pitches struck together, or else the token that sounds most of them and nothing beside.

    Of several such tokens one with the highest pitch is taken, of a bass one with the lowest; then the more frequent.
    Pitches outside 0..127 are folded by octaves; of a lead only the highest counts.
    """
    folded = sorted({pitch if 0 <= pitch <= 127 else pitch % 12 + (0 if pitch < 0 else 108) for pitch in pitches})
    wanted = folded[-1:] if role == "lead" else folded
    token = dictionary.token(role, wanted)
    if token is not None:
        return token
    masks = dictionary.masks[role]
    bits = sum(1 << pitch for pitch in wanted)
    others = ~np.array([bits & _WORD, bits >> 64], np.uint64)
    parts = [dictionary.ranges[role][row] for row in np.flatnonzero(((masks & others) == 0).all(axis=1))]
    edge = wanted[0] if role == "bass" else wanted[-1]
    return max(parts, key=lambda part: (len(dictionary.pitches(part)), edge in dictionary.pitches(part), -part))


def notes_of(rows: Ids, role: str, dictionary: Dictionary, *, shift: int = 0, velocity: int = 90) -> Iterator[Note]:
    """Notes of [2, columns] tokens, in order; starts in ticks from column 0. Pitches outside 0..127 are left out."""
    moved = 0 if role == "drum" else shift
    for column in np.flatnonzero((rows[0] != PAD) & (rows[1] < PAD)):
        length = UNITS[int(rows[1, column]) + 1] * COLUMN_TICKS
        for pitch in dictionary.pitches(int(rows[0, column])):
            if 0 <= pitch - moved <= 127:
                yield Note(int(column) * COLUMN_TICKS, pitch - moved, length, velocity)


def chord_tokens(chord: Chord, dictionary: Dictionary, shift: int = 0) -> tuple[int, int]:
    """Root and kind of a chord in the key of the grid; of richer chords the kind that shares most with it."""
    steps = set(QUALITIES[chord.quality])

    def unlike(kind: str) -> int:
        return len(steps ^ set(_INTERVALS[kind]))

    kind = min(KINDS, key=unlike)
    return dictionary.roots[(chord.root + shift) % 12], dictionary.kinds[KINDS.index(kind)]


def _duration(ticks: int) -> int:
    """The token of the longest duration that is not longer than `ticks` (at its nearest sixteenth), at least one."""
    units = (2 * ticks + COLUMN_TICKS) // (2 * COLUMN_TICKS)
    return max(0, int(np.searchsorted(UNITS, units, side="right")) - 2)


def key_shift(weights: npt.NDArray[np.float64], how: str) -> int:
    """Semitones by which music is moved before the network sees it: to C major or A minor.

    Args:
        weights: [12] how much of each pitch class sounds.
        how: ``down`` as the original release (major keys 0..11 down), ``near`` the same key but -6..5, ``none``.
    Source:
        A scale's score is +1 for what is in it, -1 for what is not; of a major key and its relative minor, which have
        the same notes, the one whose tonic sounds more.
    """
    if how == "none" or not weights.any():
        return 0
    major = np.array([1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, 1])
    tonic = int(np.argmax([np.roll(major, key) @ weights for key in range(12)]))
    relative = (tonic + 9) % 12
    shift = 9 - relative if weights[tonic] < weights[relative] else -tonic
    return shift if how == "down" else (shift + 6) % 12 - 6
