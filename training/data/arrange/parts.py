"""Bass, guitar, piano and strings of the arranger: patterns of a style made into pitches that follow the chords."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.music.harmony import QUALITIES, Chord
from training.data.arrange.form import BarPlan
from training.data.arrange.meters import BarGrid
from training.data.arrange.styles import ArrangementStyle
from training.data.arrange.voicing import bass_pitch, colour_shape, guitar_shape, lead_voices, place

__all__ = ["Song", "Stroke", "bass", "guitar", "piano", "string"]

Stroke = tuple[int, int, int, int]
"""(step from the start of the song, pitch, length in steps, velocity)"""
_Bar = Callable[[int, str, tuple[tuple[int, str, int], ...]], Iterator[Stroke]]


@dataclass(frozen=True, slots=True)
class Song:
    """What the parts of one arrangement share.

    Args:
        plans: one a bar.
        chords: one a step.
        scale: pitch classes to walk on.
        style: whose patterns are played.
        register: -1 low .. 1 high, by up to half an octave.
        refined: whether chords of four notes and more sound with all that says what they are, and most strums between
            eighths are left out. The first version's notes are not so.
    """

    plans: tuple[BarPlan, ...]
    chords: tuple[Chord, ...]
    scale: frozenset[int]
    style: ArrangementStyle
    register: float
    refined: bool = False

    @property
    def grid(self) -> BarGrid:
        """The bar of the style's meter."""
        return self.style.grid

    @property
    def steps(self) -> int:
        """Sixteenths in a bar."""
        return self.grid.steps

    @property
    def shift(self) -> int:
        """Semitones by which `register` moves the ranges of the upper parts."""
        return round(6 * self.register)

    def voices(self, chord: Chord, count: int) -> int:
        """How many voices a part of `count` voices plays a chord with."""
        return max(count, min(4, len(QUALITIES[chord.quality]))) if self.refined else count

    def next_chord(self, bar: int) -> Chord:
        """The chord of the next bar's first step, or the last chord."""
        return self.chords[min((bar + 1) * self.steps, len(self.chords) - 1)]


def _ideas(options: tuple[str, ...], grid: BarGrid, rng: np.random.Generator) -> tuple[str, str, str]:
    """A section's pattern, its answer (the same beginning, another end) and a contrast."""
    first, other = (options[int(rng.integers(len(options)))] for _ in range(2))
    answer = first[: grid.half] + other[grid.half :]
    if answer == first and rng.random() < 0.6:
        marks = [step for step in range(grid.pulse, grid.steps) if first[step] != "."]
        if marks:
            drop = int(rng.choice(marks))
            answer = first[:drop] + "." + first[drop + 1 :]
    return first, answer, other


def _lightened(pattern: str, rng: np.random.Generator) -> str:
    """A pattern without most of its strums between eighths: few hands strum sixteenths all the time."""
    return "".join(
        "." if step % 2 and mark in "DU" and rng.random() < 0.75 else mark for step, mark in enumerate(pattern)
    )


def _onsets(role: str, pattern: str, chords: tuple[Chord, ...]) -> list[tuple[int, str]]:
    """What is struck when: the pattern's own steps, and every change of chord it would have held over."""
    onsets: list[tuple[int, str]] = []
    for step, mark in enumerate(pattern):
        if mark != ".":
            onsets.append((step, mark))
        elif onsets and step and chords[step] != chords[step - 1]:
            onsets.append((step, "R" if role == "bass" else onsets[-1][1]))
    return onsets


def _play(song: Song, role: str, gate: int, rng: np.random.Generator, play: _Bar) -> Iterator[Stroke]:
    """Go through the bars in which `role` plays, with each bar's onsets and their lengths."""
    levels = getattr(song.style, role)
    ideas: dict[tuple[int, int], tuple[str, ...]] = {}
    for bar, plan in enumerate(song.plans):
        level = plan.levels.get(role)
        if level is None or not levels[level]:
            continue
        key = (plan.section, level)
        if key not in ideas:
            drawn = _ideas(levels[level], song.grid, rng)
            light = song.refined and role == "guitar"
            ideas[key] = tuple(_lightened(each, rng) for each in drawn) if light else drawn
        pattern = ideas[key][plan.idea]
        if bar + 1 == len(song.plans) and rng.random() < 0.7:  # the end: one stroke, held
            first = next((mark for mark in pattern if mark != "."), ".")
            pattern = ("A" if first == "B" else first) + "." * (song.steps - 1)
        start = bar * song.steps
        onsets = _onsets(role, pattern, song.chords[start : start + song.steps])
        ends = [*(step for step, _ in onsets), song.steps][1:]
        marks = tuple((s, mark, min(end - s, gate)) for (s, mark), end in zip(onsets, ends, strict=True))
        yield from play(bar, pattern, marks)


def bass(song: Song, rng: np.random.Generator) -> Iterator[Stroke]:
    """The bass: roots and fifths near each other, and notes that lead to the next bar's chord."""
    low = 28 + min(song.shift, 4) if song.shift > 0 else 28
    high = low + 17
    last = low + 8

    def towards(target: int, near: bool) -> int:
        if near:
            steps = [target - 1, target + 1, target - 2, target + 2]
            weights = np.array([0.45 if (s % 12) in song.scale else 0.2 for s in steps])
            return int(rng.choice(steps, p=weights / weights.sum()))
        direction = 1 if target >= last else -1
        return next((p for p in range(last + direction, last + 4 * direction, direction) if p % 12 in song.scale), last)

    def play(bar: int, pattern: str, marks: tuple[tuple[int, str, int], ...]) -> Iterator[Stroke]:
        nonlocal last
        for step, mark, length in marks:
            chord, coming = song.chords[bar * song.steps + step], song.next_chord(bar)
            if chord.quality == "none":
                continue
            root = bass_pitch(chord, 0.5 * (last + low + 8), low, high)
            fifth = next((s for s in QUALITIES[chord.quality] if s in (6, 7, 8)), 7)
            pitch = root
            if mark in "aw" and coming.quality != "none":
                pitch = towards(bass_pitch(coming, last, low, high), mark == "a")
            elif mark == "5":
                pitch = root - 12 + fifth if root - 12 + fifth >= low else root + fifth
            elif mark == "8":
                pitch = root + 12
            elif mark in "37":
                wanted = (3, 4) if mark == "3" else (9, 10, 11)
                pitch = root + next((s for s in QUALITIES[chord.quality] if s in wanted), 12)
            last = min(max(pitch, low), high)
            yield bar * song.steps + step, pitch, length, 96 if song.grid.accented(step) else 84

    yield from _play(song, "bass", song.style.gates[0], rng, play)


def guitar(song: Song, rng: np.random.Generator) -> Iterator[Stroke]:
    """The guitar: strums of whole shapes, short high chops, power chords, or single strings."""
    shapes = colour_shape if song.refined else guitar_shape
    capo = int(np.clip(song.shift + rng.integers(-1, 2), -5, 7))

    def play(bar: int, pattern: str, marks: tuple[tuple[int, str, int], ...]) -> Iterator[Stroke]:
        for step, mark, length in marks:
            chord = song.chords[bar * song.steps + step]
            if chord.quality == "none":
                continue
            shape = shapes(chord, capo)
            if mark == "p":
                fifth = next((s for s in QUALITIES[chord.quality] if s in (6, 7, 8)), 7)
                pitches: tuple[int, ...] = (shape[0], shape[0] + fifth, shape[0] + 12)
            elif mark in "UM":
                pitches = shape[-3:]
            elif mark == "D":
                pitches = shape
            else:
                pitches = (shape[int(mark) % len(shape)],)
            for pitch in pitches:
                yield (
                    bar * song.steps + step,
                    pitch,
                    1 if mark == "M" else length,
                    88 if song.grid.on_beat(step) else 74,
                )

    yield from _play(song, "guitar", song.style.gates[1], rng, play)


def piano(song: Song, rng: np.random.Generator) -> Iterator[Stroke]:
    """The piano: right-hand chords whose voices move little, a left hand, or broken chords."""
    low, high = 55 + song.shift, 79 + song.shift
    count = 4 if rng.random() < 0.25 + 0.4 * song.style.sevenths else 3
    octaves = rng.random() < 0.35
    voices: tuple[int, ...] = ()

    def play(bar: int, pattern: str, marks: tuple[tuple[int, str, int], ...]) -> Iterator[Stroke]:
        nonlocal voices
        for step, mark, length in marks:
            at = bar * song.steps + step
            chord = song.chords[at]
            if chord.quality == "none":
                continue
            voices = lead_voices(voices, chord, song.voices(chord, count), low, high)
            loud = 84 if song.grid.accented(step) else 72
            if mark in "AB":
                root = place(chord.bass, 42 + song.shift / 2, 34, 52)
                yield at, root, length, loud
                if octaves and song.plans[bar].levels.get("piano") == 2:
                    yield at, root - 12 if root - 12 >= 28 else root + 12, length, loud
            if mark in "AC":
                for pitch in voices:
                    yield at, pitch, length, loud
            if mark.isdigit():
                turn, index = divmod(int(mark), len(voices))
                yield at, voices[index] + 12 * turn, length, loud

    yield from _play(song, "piano", song.style.gates[2], rng, play)


def string(song: Song, rng: np.random.Generator) -> Iterator[Stroke]:
    """The strings: pads of smooth voices, short chords, octaves, or a line that moves by steps."""
    low, high = 50 + song.shift, 77 + song.shift
    count = int(rng.choice([3, 4, 2], p=[0.5, 0.3, 0.2]))
    voices: tuple[int, ...] = ()
    line, direction = 72 + song.shift, 1

    def step_on(chord: Chord, strong: bool) -> int:
        nonlocal direction
        if not low + 10 < line < high + 7:
            direction = 1 if line <= low + 10 else -1
        elif rng.random() < 0.25:
            direction = -direction
        allowed = set(chord.pitch_classes) if strong else set(song.scale)
        reach = range(line + direction, line + 6 * direction, direction)
        return next((pitch for pitch in reach if pitch % 12 in allowed), line)

    def play(bar: int, pattern: str, marks: tuple[tuple[int, str, int], ...]) -> Iterator[Stroke]:
        nonlocal voices, line
        for step, mark, length in marks:
            at = bar * song.steps + step
            chord = song.chords[at]
            if chord.quality == "none":
                continue
            voices = lead_voices(voices, chord, song.voices(chord, count), low, high)
            pitches = voices
            if mark == "H":
                pitches = (voices[-1], voices[-1] + 12)
            elif mark == "L":
                line = step_on(chord, song.grid.accented(step))
                pitches = (line,)
            for pitch in pitches:
                yield at, pitch, min(length, 2) if mark == "x" else length, 70

    yield from _play(song, "string", song.style.gates[3], rng, play)
