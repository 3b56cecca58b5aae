"""Chord progressions for whole pieces: loops of a family of styles, coloured, in any key, meter and harmonic rhythm."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.errors import EngineError
from engine.music.harmony import NO_CHORD, QUALITIES, Chord, Key, parse_progression
from training.data.arrange.meters import BarGrid
from training.data.arrange.progressions import COLOURS, TEXT

__all__ = ["FAMILIES", "HarmonyPlan", "HarmonyPlanError", "write_harmony"]

Bars = tuple[tuple[Chord, ...], ...]

_FORMS: Final = ("AABA", "ABAB", "AABB", "ABAC", "AAAA", "AABC")
_FREE: Final = 0.15  # share of pieces whose chords follow no key: all qualities equally often
_INVERTED: Final = 0.06  # share of chords with their third or fifth in the bass
_ROOT_MOVES: Final = ((5, 0.4), (7, 0.15), (2, 0.12), (10, 0.1), (3, 0.06), (9, 0.06), (1, 0.05), (11, 0.06))
_COUNTED: Final = tuple(quality for quality in QUALITIES if quality != "none")


class HarmonyPlanError(EngineError, ValueError):
    """No progression can be written as asked: change the argument that the message names."""


@dataclass(frozen=True, slots=True)
class HarmonyPlan:
    """The chords of a piece.

    Args:
        key: its key; of a piece that follows none, the first chord's.
        chords: for each bar, the chords that share it.
        sections: for each bar, the letter of its section: sections of one letter have the same chords.
        starts: bars at which a section begins.
    """

    key: Key
    chords: Bars
    sections: tuple[str, ...]
    starts: tuple[int, ...]


def _read(text: str) -> dict[str, dict[str, tuple[Bars, ...]]]:
    families = {}
    for block in text.strip().split("\n\n"):
        name, *lines = block.splitlines()
        modes: dict[str, list[Bars]] = {}
        for line in lines:
            mode, _, chords = line.partition(":")
            modes.setdefault(mode, []).append(parse_progression(f"|{chords}|"))
        families[name] = {mode: tuple(rows) for mode, rows in modes.items()}
    return families


FAMILIES: Final[Mapping[str, Mapping[str, tuple[Bars, ...]]]] = MappingProxyType(_read(TEXT))
"""Progressions in C by family and mode."""


def _coloured(chord: Chord, family: str, rng: np.random.Generator) -> Chord:
    """A chord with what its family likes to add, sometimes turned over."""
    options = COLOURS.get(family, COLOURS[""]).get(chord.quality, {})
    quality, draw = chord.quality, float(rng.random())
    for other, share in options.items():
        draw -= share
        if draw < 0.0:
            quality = other
            break
    made = Chord(chord.root, quality, chord.bass)
    tones = made.pitch_classes
    if made.bass == made.root and quality != "5" and rng.random() < _INVERTED:
        return Chord(made.root, quality, tones[int(rng.integers(1, 3))])
    return made


def _free(bars: int, rng: np.random.Generator) -> Bars:
    """A chord a bar of any quality; roots move by fourths most, then by steps and thirds."""
    moves, weights = zip(*_ROOT_MOVES, strict=True)
    root, made = int(rng.integers(12)), []
    for _ in range(bars):
        quality = str(rng.choice(_COUNTED))
        tones = Chord(root, quality, root).pitch_classes
        bass = tones[int(rng.integers(1, len(tones)))] if rng.random() < 0.12 else root
        made.append((Chord(root, quality, bass),))
        root = (root + int(rng.choice(moves, p=weights))) % 12
    return tuple(made)


def _paced(bars: Bars, grid: BarGrid, pace: int) -> Bars:
    """Bars of one chord joined `pace` and `pace`; bars of several chords stay, cut to what the meter takes."""
    made: list[tuple[Chord, ...]] = []
    index = 0
    while index < len(bars):
        group = bars[index : index + pace]
        if len(group) == pace and all(len(bar) == 1 for bar in group):
            made.append(tuple(bar[0] for bar in group))
            index += pace
        else:
            made.append(bars[index] if len(bars[index]) in grid.splits else bars[index][:2])
            index += 1
    return tuple(made)


def _pace(grid: BarGrid, rng: np.random.Generator) -> int:
    """Chords a bar: 1 most, 2, or one a beat; 0 for two bars a chord."""
    return int(rng.choice([1, 2, max(grid.splits), 0], p=[0.62, 0.2, 0.06, 0.12]))


def _section(family: str, mode: str | None, tonic: int, grid: BarGrid, rng: np.random.Generator) -> Bars:
    """One section's bars: a loop, filled up to 8 bars or more; without a mode, of free chords."""
    pace = _pace(grid, rng)
    if mode is None:
        loop = _free(int(rng.choice([4, 8])) * max(1, pace), rng)
    else:
        loops = FAMILIES[family][mode]
        loop = loops[int(rng.integers(len(loops)))]
        loop = tuple(tuple(_coloured(chord.transposed(tonic), family, rng) for chord in bar) for bar in loop)
    if len(loop) == 12:
        return _paced(loop, grid, 1)
    loop = tuple(bar for bar in loop for _ in range(2)) if pace == 0 else _paced(loop, grid, max(1, pace))
    return loop * max(1, 8 // len(loop))


def _silences(chords: list[tuple[Chord, ...]], starts: list[int], rng: np.random.Generator) -> None:
    """Bars for the drums alone: at the beginning, or at the end of a section."""
    if len(chords) < 16:
        return
    if rng.random() < 0.25:
        for bar in range(int(rng.choice([1, 2, 4]))):
            chords[bar] = (NO_CHORD,)
    if len(starts) > 2 and rng.random() < 0.2:
        chords[starts[int(rng.integers(2, len(starts)))] - 1] = (NO_CHORD,)


def write_harmony(
    family: str, bars: int, grid: BarGrid, rng: np.random.Generator, *, breaks: bool = True
) -> HarmonyPlan:
    """Write the chords of a piece, each quality of `QUALITIES` in a share of many pieces.

    Args:
        family: a key of `FAMILIES`.
        bars: 1 or more.
        grid: the meter's bar: how many chords can share one.
        rng: what is drawn from; its state is all that differs between pieces.
        breaks: whether some bars may have no chord, for drums alone.
    Raises:
        HarmonyPlanError: no such family, or no bars.
    """
    if family not in FAMILIES or bars < 1:
        raise HarmonyPlanError(f"got family {family!r} and {bars} bars, wanted 1 bar or more of {', '.join(FAMILIES)}")
    modes = FAMILIES[family]
    shares = np.array([len(rows) for rows in modes.values()], float)
    mode = str(rng.choice(list(modes), p=shares / shares.sum()))
    tonic, free = int(rng.integers(12)), bool(rng.random() < _FREE)
    form = _FORMS[int(rng.integers(len(_FORMS)))]
    written = {letter: _section(family, None if free else mode, tonic, grid, rng) for letter in "ABC"}
    chords: list[tuple[Chord, ...]] = []
    sections: list[str] = []
    starts: list[int] = []
    while len(chords) < bars:
        letter = form[len(starts) % 4]
        starts.append(len(chords))
        chords += written[letter]
        sections += letter * len(written[letter])
    chords = chords[:bars]
    first = chords[0][0]
    if breaks:
        _silences(chords, starts, rng)
    key = Key(first.root, "minor" if 3 in QUALITIES[first.quality] else "major") if free else Key(tonic, mode)
    return HarmonyPlan(key, tuple(chords), tuple(sections[:bars]), tuple(starts))
