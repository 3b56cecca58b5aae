"""Chords, progressions and keys: names to pitch classes and back, and the chord of the keys a hand holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import F32

__all__ = [
    "MODES",
    "NO_CHORD",
    "QUALITIES",
    "Chord",
    "HarmonyError",
    "Key",
    "format_progression",
    "parse_chord",
    "parse_key",
    "parse_progression",
    "recognise",
]

Vector = F32

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

# quality -> semitones above the root. Simplest first: `recognise` prefers the earlier of two equal matches.
QUALITIES = MappingProxyType(
    {
        "maj": (0, 4, 7),
        "min": (0, 3, 7),
        "7": (0, 4, 7, 10),
        "min7": (0, 3, 7, 10),
        "maj7": (0, 4, 7, 11),
        "dim": (0, 3, 6),
        "aug": (0, 4, 8),
        "sus4": (0, 5, 7),
        "sus2": (0, 2, 7),
        "5": (0, 7),
        "min7b5": (0, 3, 6, 10),
        "dim7": (0, 3, 6, 9),
        "6": (0, 4, 7, 9),
        "min6": (0, 3, 7, 9),
        "minmaj7": (0, 3, 7, 11),
        "7sus4": (0, 5, 7, 10),
        "add9": (0, 2, 4, 7),
        "minadd9": (0, 2, 3, 7),
        "9": (0, 2, 4, 7, 10),
        "maj9": (0, 2, 4, 7, 11),
        "min9": (0, 2, 3, 7, 10),
        "69": (0, 2, 4, 7, 9),
        "none": (),
    }
)

# quality -> accepted spellings; the first is how we write it.
SPELLINGS = MappingProxyType(
    {
        "maj": ("", "maj", "M", "major", "ma"),
        "min": ("m", "min", "-", "mi", "minor"),
        "7": ("7", "dom7", "dom"),
        "min7": ("m7", "min7", "-7", "mi7", "minor7"),
        "maj7": ("maj7", "M7", "ma7", "Maj7", "major7", "j7", "Δ", "Δ7"),
        "dim": ("dim", "o", "°", "mb5"),
        "aug": ("aug", "+", "#5"),
        "sus4": ("sus4", "sus"),
        "sus2": ("sus2",),
        "5": ("5", "power"),
        "min7b5": ("m7b5", "min7b5", "-7b5", "mi7b5", "ø", "ø7", "hdim", "hdim7"),
        "dim7": ("dim7", "o7", "°7"),
        "6": ("6", "maj6", "M6"),
        "min6": ("m6", "min6", "-6", "mi6"),
        "minmaj7": ("mMaj7", "minmaj7", "mM7", "-M7", "mmaj7"),
        "7sus4": ("7sus4", "7sus"),
        "add9": ("add9", "add2", "majadd9"),
        "minadd9": ("madd9", "minadd9", "-add9", "madd2"),
        "9": ("9", "dom9"),
        "maj9": ("maj9", "M9", "ma9", "Maj9"),
        "min9": ("m9", "min9", "-9", "mi9"),
        "69": ("6/9", "69"),
    }
)

# Semitones of each scale, and the modes' usual names.
MODES = MappingProxyType(
    {
        "major": (0, 2, 4, 5, 7, 9, 11),
        "minor": (0, 2, 3, 5, 7, 8, 10),
        "dorian": (0, 2, 3, 5, 7, 9, 10),
        "phrygian": (0, 1, 3, 5, 7, 8, 10),
        "lydian": (0, 2, 4, 6, 7, 9, 11),
        "mixolydian": (0, 2, 4, 5, 7, 9, 10),
        "locrian": (0, 1, 3, 5, 6, 8, 10),
    }
)

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_BY_SPELLING = {spelling: quality for quality, spellings in SPELLINGS.items() for spelling in spellings}
_BY_INTERVALS = {intervals: quality for quality, intervals in QUALITIES.items()}
_NOTE = r"[A-G](?:#{1,2}|b{1,2})?"
_CHORD = re.compile(rf"({_NOTE}):?(.*?)(?:/({_NOTE}))?")


class HarmonyError(EngineError, ValueError):
    """A chord, progression or key that cannot be understood: write it another way."""


def _pitch_class(name: str) -> int:
    return (_LETTERS[name[0]] + name.count("#", 1) - name.count("b", 1)) % 12


@dataclass(frozen=True, slots=True)
class Chord:
    """A chord as pitch classes: which notes sound, and which of them (or another) is lowest.

    Args:
        root: pitch class 0..11, 0 is C.
        quality: a key of `QUALITIES`; "none" is silence of harmony (root and bass are then 0).
        bass: pitch class 0..11 of the lowest note, in the chord or not.
    Raises:
        HarmonyError: a value outside these ranges.
    """

    root: int
    quality: str
    bass: int

    def __post_init__(self) -> None:
        if self.quality not in QUALITIES:
            raise HarmonyError(f"got chord quality {self.quality!r}, wanted one of {', '.join(QUALITIES)}")
        if not (0 <= self.root < 12 and 0 <= self.bass < 12):
            raise HarmonyError(f"got root {self.root} and bass {self.bass}, wanted pitch classes 0..11: use pitch % 12")

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes from the root upwards; a foreign bass note comes last."""
        tones = tuple((self.root + step) % 12 for step in QUALITIES[self.quality])
        return tones if not tones or self.bass in tones else (*tones, self.bass)

    def chroma(self) -> Vector:
        """Float32 [12]: 1 where a pitch class sounds (the bass included), else 0."""
        vector = np.zeros(12, np.float32)
        vector[list(self.pitch_classes)] = 1.0
        return vector

    def bass_vector(self) -> Vector:
        """Float32 [12]: 1 at the bass note, else 0; all zero without a chord."""
        vector = np.zeros(12, np.float32)
        if self.quality != "none":
            vector[self.bass] = 1.0
        return vector

    def voiced(self, lowest: int) -> tuple[int, ...]:
        """Chord tones without a foreign bass, ascending, each once within the octave from `lowest`.

        Args:
            lowest: MIDI pitch; a fixed window keeps successive chords close together.
        """
        tones = ((self.root + step) % 12 for step in QUALITIES[self.quality])
        return tuple(sorted(lowest + (tone - lowest) % 12 for tone in tones))

    def transposed(self, semitones: int) -> "Chord":
        """The same chord moved by `semitones`; no chord stays no chord."""
        if self.quality == "none":
            return self
        return Chord((self.root + semitones) % 12, self.quality, (self.bass + semitones) % 12)

    def __str__(self) -> str:
        if self.quality == "none":
            return "N"
        name = NAMES[self.root] + SPELLINGS[self.quality][0]
        return name if self.bass == self.root else f"{name}/{NAMES[self.bass]}"


NO_CHORD = Chord(0, "none", 0)


def parse_chord(text: str) -> Chord:
    """Read a chord name in lead-sheet (`F#m7b5/C`, `C-7`, `Bb`) or Harte style (`A:min7`); `N` is none.

    Raises:
        HarmonyError: the name is not one of these.
    """
    plain = text.strip().replace("♯", "#").replace("♭", "b").replace("(", "").replace(")", "")
    if plain in ("N", "N.C.", "NC", "-"):
        return NO_CHORD
    match = _CHORD.fullmatch(plain)
    quality = _BY_SPELLING.get(match[2]) if match else None
    if match is None or quality is None:
        raise HarmonyError(
            f"got chord {text!r}, wanted a root A..G with # or b, a quality and maybe a bass, "
            "such as C, F#m7b5/C, Bbmaj7, A:min7, or N for none: check the spelling and capitals"
        )
    root = _pitch_class(match[1])
    return Chord(root, quality, _pitch_class(match[3]) if match[3] else root)


def parse_progression(text: str) -> tuple[tuple[Chord, ...], ...]:
    """Read a progression as bars of chords.

    Args:
        text: chords apart by spaces. Without bar lines each chord is a bar (`Am F C G`); with `|` all chords
            between two lines share one bar (`Am F | C | G7 G7/F`). Lines at the two ends are optional.
    Returns:
        One tuple of 1 or more chords for each bar.
    Raises:
        HarmonyError: a chord is misspelt, a bar is empty, or there are no chords.
    """
    if "|" in text:
        bars = tuple(tuple(map(parse_chord, bar.split())) for bar in text.strip().strip("|").split("|"))
    else:
        bars = tuple((parse_chord(name),) for name in text.split())
    if not bars or not all(bars):
        raise HarmonyError(f"got progression {text!r}, wanted chords in every bar: write N for a bar without one")
    return bars


def format_progression(bars: Iterable[Iterable[Chord]]) -> str:
    """A progression as text that `parse_progression` reads back; empty for no bars."""
    texts = [" ".join(map(str, bar)) for bar in bars]
    if all(" " not in text for text in texts):
        return " ".join(texts)
    return " | ".join(texts) if len(texts) > 1 else f"{texts[0]} |"


def recognise(pitches: Iterable[int]) -> Chord | None:
    """Name the chord of keys held together; the lowest is its bass.

    Args:
        pitches: MIDI pitches in any order, doublings allowed.
    Returns:
        The chord, or None for fewer than two pitch classes or a cluster that fits no chord.
    Source:
        Template match. An exact match wins, with its root in the bass if there is a choice (C6 and Am7 are the
        same keys); then an exact match of all but the bass (F/G); else hits - extra - 0.6 missing is greatest,
        so two keys a third apart make a triad.
    """
    held = sorted(set(pitches))
    classes = frozenset(pitch % 12 for pitch in held)
    if len(classes) < 2:
        return None
    bass = held[0] % 12
    best: tuple[float, Chord] | None = None
    for quality, intervals in QUALITIES.items():
        if not intervals:
            continue
        for root in range(12):
            tones = frozenset((root + step) % 12 for step in intervals)
            hits, extra, missing = len(tones & classes), len(classes - tones), len(tones - classes)
            score = hits - extra - 0.6 * missing
            if not extra and not missing:
                score += 100.0
            elif len(tones) > 2 and not missing and classes - tones == {bass}:
                score += 50.0
            score += 0.5 * (root == bass) - 0.4 * (root not in classes)
            if best is None or score > best[0]:
                best = score, Chord(root, quality, bass)
    return best[1] if best is not None and best[0] >= 1.0 else None


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic and the scale built on it.

    Args:
        tonic: pitch class 0..11.
        mode: a key of `MODES`.
    Raises:
        HarmonyError: a value outside these.
    """

    tonic: int
    mode: str

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise HarmonyError(f"got mode {self.mode!r}, wanted one of {', '.join(MODES)}")
        if not 0 <= self.tonic < 12:
            raise HarmonyError(f"got tonic {self.tonic}, wanted a pitch class 0..11: use pitch % 12")

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """The seven pitch classes of the scale, tonic first."""
        return tuple((self.tonic + step) % 12 for step in MODES[self.mode])

    def diatonic(self, degree: int, *, seventh: bool = False) -> Chord:
        """The chord of stacked thirds on a degree of the scale, root in the bass.

        Args:
            degree: 1..7, 1 is the tonic.
            seventh: four notes instead of three.
        Raises:
            HarmonyError: `degree` is outside 1..7.
        """
        if not 1 <= degree <= 7:
            raise HarmonyError(f"got degree {degree}, wanted 1..7: count from the tonic")
        scale = self.pitch_classes
        root = scale[degree - 1]
        tones = (scale[(degree - 1 + 2 * third) % 7] for third in range(4 if seventh else 3))
        return Chord(root, _BY_INTERVALS[tuple((tone - root) % 12 for tone in tones)], root)

    def diatonic_chords(self, *, seventh: bool = False) -> tuple[Chord, ...]:
        """The seven chords of the key, from the tonic's up."""
        return tuple(self.diatonic(degree, seventh=seventh) for degree in range(1, 8))

    def __str__(self) -> str:
        return f"{NAMES[self.tonic]} {self.mode}"


def parse_key(text: str) -> Key:
    """Read a key such as `F# minor`, `Bb`, `Am` or `D dorian`.

    Raises:
        HarmonyError: the tonic or the mode is not known.
    """
    match = re.fullmatch(rf"({_NOTE})\s*(.*)", text.strip().replace("♯", "#").replace("♭", "b"))
    mode = {"": "major", "m": "minor", "maj": "major", "min": "minor"}.get(match[2], match[2]) if match else ""
    if match is None or mode not in MODES:
        raise HarmonyError(
            f"got key {text!r}, wanted a tonic A..G with # or b and one of {', '.join(MODES)}: "
            "write for example F# minor"
        )
    return Key(_pitch_class(match[1]), mode)
