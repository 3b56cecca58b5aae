"""A melody over any chords in any meter: motifs that return, chord tones on strong beats, phrases that breathe."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from engine.music.harmony import NO_CHORD, Chord, Key
from engine.music.score import Note
from training.data.arrange.meters import STEP_TICKS, BarGrid

__all__ = ["MelodyOptions", "write_melody"]

# Rhythms of a beat and how often they come: calm (busyness 0), lively (1). Sixteenths are left out where eighths swing.
_BEATS: Final = {
    4: {"x...": (6, 2), "x.x.": (4, 6), "..x.": (1, 3), "....": (3, 1), "x..x": (0.3, 2), "x.xx": (0, 1.5),
        "xx..": (0, 0.7), "xxxx": (0, 0.8), "...x": (0.2, 0.8)},
    6: {"x.....": (5, 1), "x...x.": (4, 4), "x.x.x.": (1, 5), "......": (2, 0.5), "x.x...": (1, 2),
        "..x.x.": (0.3, 1.5)},
}  # fmt: skip
_EIGHTHS: Final = {"x...", "x.x.", "..x.", "...."}
_PHRASES: Final = ("aaba", "abac", "aabc", "abab", "abcb", "aaab")
_MOST: Final = 9  # semitones of a leap


@dataclass(frozen=True, slots=True)
class MelodyOptions:
    """How a melody moves.

    Args:
        low, high: its range, an octave or more.
        busyness: 0 long notes .. 1 many short ones.
        eighths: no sixteenths, as where eighths swing.
        rests: share of phrases in which it is silent, the first of a piece aside.
    """

    low: int
    high: int
    busyness: float = 0.5
    eighths: bool = False
    rests: float = 0.15


@dataclass(frozen=True, slots=True)
class _Motif:
    """A bar's onsets and how many steps of the scale each lies above or below the bar's middle."""

    onsets: tuple[int, ...]
    contour: tuple[int, ...]


def _motif(grid: BarGrid, options: MelodyOptions, rng: np.random.Generator) -> _Motif:
    table = _BEATS[grid.pulse]
    names = [name for name in table if grid.pulse == 6 or not options.eighths or name in _EIGHTHS]
    weights = np.array([(1 - options.busyness) * table[name][0] + options.busyness * table[name][1] for name in names])
    beats = rng.choice(names, size=grid.steps // grid.pulse, p=weights / weights.sum())
    onsets = tuple(step for step, mark in enumerate("".join(beats)) if mark == "x")
    if not onsets or (onsets[0] > 0 and rng.random() < 0.6):  # most bars begin on their first beat
        onsets = (0, *(step for step in onsets if step >= grid.pulse))
    contour, place, direction = [], 0, int(rng.choice([-1, 1]))
    for _ in onsets:
        contour.append(place)
        if rng.random() < 0.25 or abs(place) > 3:
            direction = -direction if abs(place) <= 3 else -int(np.sign(place))
        place += direction * int(rng.choice([0, 1, 2, 3], p=[0.12, 0.68, 0.14, 0.06]))
    return _Motif(onsets, tuple(contour))


def _cadence(grid: BarGrid, motif: _Motif) -> _Motif:
    """A phrase's last bar: the motif's beginning, then one note that is held into a rest."""
    count = sum(step < grid.half for step in motif.onsets)
    last = grid.half if count else 0
    kept = min(count, 3)
    return _Motif((*motif.onsets[:kept], last), (*motif.contour[:kept], 0))


class _Line:
    """A voice that moves through chords, one note after another."""

    def __init__(self, key: Key, options: MelodyOptions) -> None:
        self.key, self.options = key, options
        self.last = round(0.5 * (options.low + options.high))

    def _scale(self, chord: Chord) -> set[int]:
        """The key's scale, bent by the chord: a tone a semitone beside a chord tone that is foreign gives way."""
        tones = set(chord.pitch_classes)
        foreign = tones - set(self.key.pitch_classes)
        beside = {(tone + step) % 12 for tone in foreign for step in (-1, 1)}
        return (set(self.key.pitch_classes) - beside) | tones

    def _nearest(self, wanted: float, classes: set[int]) -> int:
        reach = range(max(self.options.low, self.last - _MOST), min(self.options.high, self.last + _MOST) + 1)
        inside = [pitch for pitch in reach if pitch % 12 in classes]
        if not inside:
            inside = [pitch for pitch in range(self.options.low, self.options.high + 1) if pitch % 12 in classes]
        return min(inside, key=lambda pitch: (abs(pitch - wanted), pitch))

    def note(self, wanted: float, chord: Chord, strong: bool) -> int:
        """The next pitch: a chord tone on a strong step, else a tone of the scale, not the one just played."""
        if strong:
            self.last = self._nearest(wanted, set(chord.pitch_classes))
            return self.last
        scale = self._scale(chord)
        pitch = self._nearest(wanted, scale)
        if pitch == self.last:
            pitch = self._nearest(wanted + (1.5 if wanted >= self.last else -1.5), scale)
        self.last = pitch
        return pitch

    def close(self, chord: Chord, final: bool) -> int:
        """The note a phrase ends on: a chord tone nearby, at the very end the tonic if the chord has it."""
        tones = set(chord.pitch_classes[:3])
        if final:
            tones = {self.key.tonic} if self.key.tonic in chord.pitch_classes else {chord.root}
        self.last = self._nearest(self.last - 1, tones)
        return self.last


def _bar(
    line: _Line, grid: BarGrid, motif: _Motif, chords: Sequence[Chord], middle: float, ends: int
) -> list[tuple[int, int, int]]:
    """(step, pitch, steps to what follows) of one bar; `ends` is 1 where a phrase ends, 2 where the piece does."""
    made = []
    follows = (*motif.onsets[1:], grid.steps)
    for index, (step, shift, after) in enumerate(zip(motif.onsets, motif.contour, follows, strict=True)):
        chord = chords[step]
        if chord == NO_CHORD:
            continue
        if ends and index + 1 == len(motif.onsets):
            made.append((step, line.close(chord, ends == 2), max(2, (after - step) * 3 // 4)))
            continue
        strong = grid.on_beat(step) or after - step >= grid.pulse
        made.append((step, line.note(middle + 1.8 * shift, chord, strong), after - step))
    return made


def _spans(bars: int, starts: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first bar, bars, number in its section) of phrases of four bars, none across the start of a section."""
    edges = [*starts, bars]
    return [
        (bar, min(4, end - bar), (bar - start) // 4)
        for start, end in pairwise(edges)
        for bar in range(start, min(end, bars), 4)
    ]


def _varied(motif: _Motif, rng: np.random.Generator) -> _Motif:
    """The same rhythm, one note of it moved."""
    contour = list(motif.contour)
    contour[int(rng.integers(len(contour)))] += int(rng.choice([-2, -1, 1, 2]))
    return _Motif(motif.onsets, tuple(contour))


def write_melody(
    chords: Sequence[Chord],
    key: Key,
    grid: BarGrid,
    sections: Sequence[str],
    starts: Sequence[int],
    options: MelodyOptions,
    rng: np.random.Generator,
) -> tuple[Note, ...]:
    """Write a melody of one voice, silent where there is no chord.

    Args:
        chords: one for each sixteenth, whole bars of `grid`.
        key: whose scale it moves in.
        sections: for each bar, a letter: phrases at the same place of sections of one letter share their motifs.
        starts: bars at which sections begin, the first 0.
        options: range and manner.
        rng: what is drawn from.
    Returns:
        Notes by start; none overlap.
    """
    bars, line = len(chords) // grid.steps, _Line(key, options)
    span = 0.5 * (options.high - options.low)
    motifs: dict[tuple[str, int], tuple[dict[str, _Motif], str, float, float]] = {}
    notes: list[Note] = []
    for first, count, number in _spans(bars, starts):
        place = (sections[first], number)
        known = place in motifs
        if not known:
            drawn = {letter: _motif(grid, options, rng) for letter in "abc"}
            order = _PHRASES[int(rng.integers(len(_PHRASES)))]
            motifs[place] = drawn, order, float(rng.uniform(-0.3, 0.15)), float(rng.uniform(0.15, 0.5))
        drawn, order, base, rise = motifs[place]
        if notes and rng.random() < options.rests:
            continue
        for bar in range(first, first + count):
            motif = drawn[order[bar - first]]
            last = bar + 1 == first + count
            if last:
                motif = _cadence(grid, motif)
            elif known and rng.random() < 0.25:
                motif = _varied(motif, rng)
            arc = base + rise * float(np.sin(np.pi * (bar - first + 0.5) / count))
            middle = 0.5 * (options.low + options.high) + span * arc
            within = chords[bar * grid.steps : (bar + 1) * grid.steps]
            for step, pitch, length in _bar(line, grid, motif, within, middle, last + (bar + 1 == bars)):
                loud = 98 if grid.accented(step) else 90 if grid.on_beat(step) else 80
                notes.append(Note((bar * grid.steps + step) * STEP_TICKS, pitch, length * STEP_TICKS, loud))
    return tuple(notes)
