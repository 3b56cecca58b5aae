"""A composed piece: notes, chords, density, brightness and style, all known exactly. Seeded, so nothing is stored."""

from dataclasses import dataclass, fields
from typing import Final, Literal, cast

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import F32
from engine.music.harmony import Chord, Key
from engine.music.units import TICKS_PER_BEAT

__all__ = [
    "CHOICES",
    "GENRES",
    "TICKS_PER_BAR",
    "TICKS_PER_STEP",
    "Genre",
    "Hit",
    "Piece",
    "PieceError",
    "Style",
]

Genre = Literal["techno", "ambient"]
GENRES: Final[tuple[Genre, ...]] = ("techno", "ambient")
TICKS_PER_BAR: Final = 4 * TICKS_PER_BEAT
TICKS_PER_STEP: Final = TICKS_PER_BEAT // 4

# How many variants each pattern field of Style has; every other field is a number 0..1.
CHOICES: Final = {"fill": 3, "bass_pattern": 4, "stab_pattern": 4, "arp_pattern": 4}


class PieceError(EngineError, ValueError):
    """A piece cannot be composed as asked: change the argument that the message names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """Timbre and pattern choices of one piece. Numbers are 0..1; what they do is in `voices` and `patterns`.

    Args:
        kick_length: short to long.                    kick_tone: how loud its click is.
        hat_length: short to long.                     hat_tone: dark to thin.
        bass_tone: round to buzzing.                   bass_length: staccato to tied.
        chord_tone: hollow (odd harmonics) to full.    chord_length: plucked to held.
        register: where chords lie, over an octave.    arp_tone: hollow to full.
        arp_length: short to ringing.                  width: mono to wide.
        fill: which offbeats and sixteenths come first as density grows.
        bass_pattern, stab_pattern, arp_pattern: variant numbers, see `CHOICES`.
    Raises:
        PieceError: a value is outside its range.
    """

    kick_length: float
    kick_tone: float
    hat_length: float
    hat_tone: float
    bass_tone: float
    bass_length: float
    chord_tone: float
    chord_length: float
    register: float
    arp_tone: float
    arp_length: float
    width: float
    fill: int
    bass_pattern: int
    stab_pattern: int
    arp_pattern: int

    def __post_init__(self) -> None:
        for field in fields(self):
            value, top = getattr(self, field.name), CHOICES.get(field.name, 2) - 1
            if not 0 <= value <= top:
                raise PieceError(f"got style {field.name} {value}, wanted 0..{top}: draw it with Style.draw")

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Style":
        """A style with every field uniform over its range."""
        values = {
            field.name: int(rng.integers(CHOICES[field.name])) if field.name in CHOICES else float(rng.random())
            for field in fields(cls)
        }
        return cls(**cast("dict[str, int]", values))

    def vector(self) -> F32:
        """Float32 [27]: the twelve numbers as they are, then each pattern choice one-hot. All in 0..1."""
        parts: list[float] = []
        for field in fields(self):
            value = getattr(self, field.name)
            count = CHOICES.get(field.name)
            parts.extend([value] if count is None else [float(value == choice) for choice in range(count)])
        return np.array(parts, np.float32)


@dataclass(frozen=True, slots=True)
class Hit:
    """One sound of one instrument.

    Args:
        instrument: a key of `voices.STEMS`.
        start_tick, length_ticks: musical time, 480 ticks a quarter note.
        pitch: MIDI pitch; 0 for drums.
        velocity: loudness 0..1.
    """

    instrument: str
    start_tick: int
    length_ticks: int
    pitch: int
    velocity: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Music in 4/4 at one tempo, with what it is made of.

    Args:
        tempo_bpm: quarter notes a minute.
        key: the key its chords were drawn from; meaningless where `chords` were drawn freely.
        chords: for each bar, the chords that share it equally.
        density, brightness: for each bar, 0..1.
        hits: in order of time.
    """

    genre: Genre
    seed: int
    tempo_bpm: float
    key: Key
    chords: tuple[tuple[Chord, ...], ...]
    density: tuple[float, ...]
    brightness: tuple[float, ...]
    style: Style
    hits: tuple[Hit, ...]

    @property
    def bars(self) -> int:
        """Length in bars of four beats."""
        return len(self.chords)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.bars * 240.0 / self.tempo_bpm

    def chord_at(self, tick: float) -> Chord:
        """The chord that sounds at `tick`; ticks wrap at the end of the piece."""
        position = (tick / TICKS_PER_BAR) % self.bars
        chords = self.chords[int(position)]
        return chords[int((position % 1.0) * len(chords))]
