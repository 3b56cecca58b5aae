"""The pattern band, without weights: bass, drums, guitar, piano and strings from the chord, by pattern.

The band where no bundle is installed, the test double for everything around a band, and the baseline of a trained one.
It has a few patterns a role, chosen by the seed for eight bars at a time, and a drum fill in every fourth bar; it plays
less while the player plays much, or where a lower density is set.
"""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from engine.music.harmony import NO_CHORD, Chord
from engine.music.score import Note
from engine.protocols.accompanist import BAR_TICKS, BEATS, COLUMN_TICKS, COLUMNS, BarMade, BarRequest

__all__ = ["PatternBand"]

T = TypeVar("T")

_KICK, _STICK, _SNARE, _CLOSED, _TOM_LOW, _OPEN, _TOM_MID, _CRASH, _TOM_HIGH, _RIDE = (
    36, 37, 38, 42, 45, 46, 47, 49, 50, 51,
)  # fmt: skip

# A pattern is 16 columns; a figure 1..9 is a velocity in tenths of 127, "." is nothing, "-" holds the note before it.
_DRUMS: Final[tuple[Mapping[int, str], ...]] = (
    {_KICK: "9.......8.......", _SNARE: "....8.......8...", _CLOSED: "7.5.6.5.7.5.6.5."},
    {_KICK: "9.....7.8.......", _SNARE: "....8.......8..3", _CLOSED: "7.5.6.5.7.5.6.5."},
    {_KICK: "9...8...9...8...", _SNARE: "....7.......7...", _OPEN: "..6...6...6...6."},
    {_KICK: "9.....8...8.....", _STICK: "....7.......7...", _RIDE: "7.4.6.4.7.4.6.4."},
    {_KICK: "9.....6..8......", _SNARE: "....8..2.2..8...", _CLOSED: "7565656575656565"},
)
_FILLS: Final[tuple[Mapping[int, str], ...]] = (
    {_SNARE: "........6.6.7788", _KICK: "9.......8......."},
    {_TOM_HIGH: "........77......", _TOM_MID: "..........77....", _TOM_LOW: "............7789", _KICK: "9.......8..."},
)
# Bass and broken chords: a letter stands for a tone (a root, b third, c fifth, d octave, e seventh or octave).
_BASS: Final = (
    "a-------a-----c-", "a---a---a---a---", "a-.a--c-a-.a--c-",
    "a---c---d---c---", "a-a-a-a-a-a-c-d-", "a-------c-------",
)  # fmt: skip
_GUITAR: Final = ("a.b.c.b.d.b.c.b.", "a...c.b.d...c.b.", "abcdcbabcdcbabcb", "..7...7...7...7-")
_PIANO: Final = ("7-------........", "7-----6---------", "7--6--.6--..6---", "....7-......7-..", "6-..6-..6-..6-..")
_LOWEST: Final = {"guitar": 52, "piano": 57, "string": 60}


class PatternBand:
    """Makes bars from the chord alone; see `engine.protocols.accompanist.AccompanistModel`.

    Args:
        seconds: delay of each answer, to test lateness.
    """

    def __init__(self, *, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def make(self, request: BarRequest) -> BarMade:
        """The bars requested. Without a chord only the drums play."""
        began_s = time.perf_counter()
        bars = []
        busy = _busyness(request)
        for bar in range(request.bar, request.bar + request.bars):
            chords = request.chords[bar - request.first]
            made = _bar(bar, chords, request.targets, request.seed - request.bar, busy)
            bars.append({role: _thinned(notes, request.density.get(role)) for role, notes in made.items()})
        if self._seconds:
            time.sleep(self._seconds)
        return BarMade(
            number=request.number, bar=request.bar, bars=tuple(bars), seconds=time.perf_counter() - began_s
        )  # fmt: skip


def _bar(
    bar: int, chords: Sequence[Chord | None], targets: Sequence[str], seed: int, busy: float
) -> Mapping[str, tuple[Note, ...]]:
    chance = random.Random(seed * 1_000_003 + bar // 8)
    choice = {name: chance.random() for name in ("drum", "bass", "guitar", "piano", "string", "fill")}
    row: dict[str, tuple[Note, ...]] = {}
    if "drum" in targets:
        fill = bar % 4 == 3 and choice["fill"] < 0.8
        notes = _struck(_pick(_FILLS, choice["fill"]) if fill else _pick(_DRUMS, choice["drum"]))
        if bar % 8 == 0:
            notes.append(Note(0, _CRASH, COLUMN_TICKS * 4, 90))
        row["drum"] = tuple(sorted(notes))
    if any(chord is not None and chord != NO_CHORD for chord in chords):
        if "bass" in targets:
            row["bass"] = _line(_pick(_BASS, choice["bass"]), chords, 36, 90)
        if "guitar" in targets:
            pattern = _GUITAR[1] if busy > 0.6 else _pick(_GUITAR, choice["guitar"])
            broken = "a" in pattern
            low = _LOWEST["guitar"]
            row["guitar"] = _line(pattern, chords, low, 68) if broken else _block(pattern, chords, low)
        if "piano" in targets:
            pattern = _PIANO[0] if busy > 0.6 else _pick(_PIANO, choice["piano"])
            row["piano"] = _block(pattern, chords, _LOWEST["piano"])
        if "string" in targets:
            row["string"] = _block("5---------------", chords, _LOWEST["string"])
    return {role: notes for role, notes in row.items() if notes}


def _thinned(notes: tuple[Note, ...], share: float | None) -> tuple[Note, ...]:
    """The notes of the metrically strongest columns, as many columns as `share` of a bar.

    A pattern with fewer stays as it is: this band can leave notes out, but not add any.
    """
    columns = sorted({note.start // COLUMN_TICKS for note in notes}, key=lambda column: (-_weight(column), column))
    if share is None or round(share * COLUMNS) >= len(columns):
        return notes
    kept = frozenset(columns[: round(share * COLUMNS)])
    return tuple(note for note in notes if note.start // COLUMN_TICKS in kept)


def _weight(column: int) -> int:
    """Metrical weight of a column: 4 for the bar line, 3 for its half, 2 for a beat, 1 for an eighth, else 0."""
    return next(weight for weight, unit in ((4, 16), (3, 8), (2, 4), (1, 2), (0, 1)) if column % unit == 0)


def _busyness(request: BarRequest) -> float:
    """Share of the last bar's eighths on which the player begins a note, 0..1."""
    first = request.known - BAR_TICKS
    onsets = {
        note.start // (2 * COLUMN_TICKS) for note in request.tracks.get(request.player, ()) if note.start >= first
    }
    return min(1.0, len(onsets) / 8.0)


def _pick(rows: Sequence[T], share: float) -> T:
    return rows[int(share * len(rows))]


def _struck(patterns: Mapping[int, str]) -> list[Note]:
    return [
        Note(column * COLUMN_TICKS, pitch, COLUMN_TICKS, int(figure) * 127 // 10)
        for pitch, pattern in patterns.items() for column, figure in enumerate(pattern) if figure.isdigit()
    ]  # fmt: skip


def _spans(pattern: str) -> list[tuple[int, int, str]]:
    """(column, columns, figure) of every note of a pattern."""
    spans: list[tuple[int, int, str]] = []
    for column, figure in enumerate(pattern[:COLUMNS]):
        if figure == "-" and spans and spans[-1][0] + spans[-1][1] == column:
            spans[-1] = spans[-1][0], spans[-1][1] + 1, spans[-1][2]
        elif figure not in "-.":
            spans.append((column, 1, figure))
    return spans


def _chord(chords: Sequence[Chord | None], column: int) -> Chord | None:
    chord = chords[min(column * BEATS // COLUMNS, len(chords) - 1)]
    return None if chord == NO_CHORD else chord


def _line(pattern: str, chords: Sequence[Chord | None], lowest: int, velocity: int) -> tuple[Note, ...]:
    """A pattern of single notes; the lowest of a chord is its bass."""
    notes = []
    for column, columns, figure in _spans(pattern):
        chord = _chord(chords, column)
        if chord is None:
            continue
        bass = lowest + (chord.bass - lowest) % 12
        third, fifth = (bass + (tone - bass) % 12 for tone in _third_and_fifth(chord))
        pitch = {"a": bass, "b": third, "c": fifth, "d": bass + 12}[figure]
        accent = 8 if column % 4 == 0 else 0
        notes.append(Note(column * COLUMN_TICKS, pitch, columns * COLUMN_TICKS, velocity + accent))
    return tuple(notes)


def _third_and_fifth(chord: Chord) -> tuple[int, int]:
    tones = chord.pitch_classes
    return tones[1 % len(tones)], tones[2 % len(tones)]


def _block(pattern: str, chords: Sequence[Chord | None], lowest: int) -> tuple[Note, ...]:
    """A pattern of whole chords; where the chord changes under a held one, it is struck again."""
    notes: list[Note] = []
    for column, columns, figure in _spans(pattern):
        starts = [
            c for c in range(column, column + columns) if c == column or _chord(chords, c) != _chord(chords, c - 1)
        ]
        for start, end in zip(starts, [*starts[1:], column + columns], strict=True):
            chord = _chord(chords, start)
            if chord is not None:
                length, velocity = (end - start) * COLUMN_TICKS, int(figure) * 127 // 10
                notes += [Note(start * COLUMN_TICKS, p, length, velocity) for p in chord.voiced(lowest)]
    return tuple(sorted(notes))
