"""General MIDI instruments: their usual ranges, and how notes are brought into them by octaves."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from engine.music.score import Note

__all__ = ["KITS", "RANGES", "fit_notes", "fit_pitch", "shift_notes"]

KITS: Final = MappingProxyType(
    {0: "standard", 8: "room", 16: "power", 24: "electronic", 25: "TR-808", 32: "jazz", 40: "brush", 48: "orchestra"}
)
"""Drum kits by the program that chooses them on the drum channel, as General MIDI's extensions have them."""

# Programs (first-last), lowest and highest usual pitch. Where a common sound font ends earlier, its end.
_ROWS: Final = """
0-3 28 100, 4-5 28 96, 6 29 89, 7 36 84, 8 60 103, 9 72 103, 10 60 96, 11 53 89, 12 45 96, 13 65 103, 14 60 84,
15 48 84, 16-20 36 96, 21 41 93, 22 60 93, 23 41 93, 24-25 40 84, 26-27 40 86, 28 40 79, 29-30 40 86, 31 40 90,
32 28 57, 33-37 28 60, 38-39 24 60, 40 55 98, 41 48 86, 42 36 76, 43 28 55, 44-45 40 91, 46 31 96, 47 36 55,
48-51 36 96, 52-54 43 84, 55 48 84, 56 54 82, 57 40 72, 58 28 58, 59 54 82, 60 41 77, 61 40 84, 62-63 36 91,
64 56 87, 65 49 80, 66 44 75, 67 36 68, 68 58 91, 69 52 81, 70 34 72, 71 50 91, 72 74 102, 73 60 96, 74 60 96,
75 60 96, 76 48 96, 77 55 91, 78 60 96, 79 60 91, 80-87 36 96, 88-95 36 96, 96-103 36 96, 104 48 84, 105 48 84,
106 48 84, 107 48 84, 108 48 84, 109 48 84, 110 55 93, 111 58 84, 112 60 96, 113 48 84, 114 52 91, 115-127 36 96
"""


def _ranges() -> dict[int, tuple[int, int]]:
    found = {}
    for row in _ROWS.replace("\n", " ").split(","):
        programs, low, high = row.split()
        first, _, last = programs.partition("-")
        for program in range(int(first), int(last or first) + 1):
            found[program] = (int(low), int(high))
    return found


RANGES: Final = MappingProxyType(_ranges())
"""Lowest and highest pitch of each melodic program 0..127; each spans an octave or more."""


def fit_pitch(pitch: int, low: int, high: int) -> int:
    """The pitch moved by as few octaves as bring it into low..high, which spans an octave at least."""
    if pitch < low:
        return pitch + 12 * -(-(low - pitch) // 12)
    if pitch > high:
        return pitch - 12 * -(-(pitch - high) // 12)
    return pitch


def fit_notes(notes: Iterable[Note], program: int) -> tuple[Note, ...]:
    """Each note within the range of a melodic program, by octaves; two that become one are one, the longer."""
    low, high = RANGES[program]
    made: dict[tuple[int, int], Note] = {}
    for note in notes:
        pitch = fit_pitch(note.pitch, low, high)
        length = max(note.length, made[note.start, pitch].length) if (note.start, pitch) in made else note.length
        made[note.start, pitch] = Note(note.start, pitch, length, note.velocity)
    return tuple(sorted(made.values()))


def shift_notes(notes: tuple[Note, ...], program: int) -> tuple[Note, ...]:
    """A melody moved as a whole by the octaves that leave fewest of its notes outside, the rest one by one."""
    low, high = RANGES[program]
    octaves = (0, -12, 12, -24, 24, -36, 36)
    moves = {move: sum(not low <= note.pitch + move <= high for note in notes) for move in octaves}
    best = min(octaves, key=lambda move: moves[move])
    moved = [(note, fit_pitch(note.pitch + best, low, high)) for note in notes]
    return tuple(sorted(Note(note.start, pitch, note.length, note.velocity) for note, pitch in moved))
