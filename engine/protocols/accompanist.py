"""The accompanist protocol: a request for the next bar and its answer, in notes and chords.

A model may work with tokens, grids or patterns; its interface has only notes and chords. Bars are 4/4, a column is a
sixteenth note.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Protocol

from engine.music.harmony import Chord
from engine.music.score import Note
from engine.music.units import TICKS_PER_BEAT

__all__ = [
    "BAR_TICKS",
    "BEATS",
    "CHANNELS",
    "COLUMNS",
    "COLUMN_TICKS",
    "PROGRAMS",
    "AccompanistModel",
    "BarMade",
    "BarRequest",
    "in_register",
]  # fmt: skip

BEATS: Final = 4
BAR_TICKS: Final = BEATS * TICKS_PER_BEAT
COLUMN_TICKS: Final = TICKS_PER_BEAT // 4
COLUMNS: Final = BAR_TICKS // COLUMN_TICKS

PROGRAMS: Final[Mapping[str, int]] = MappingProxyType(
    {"lead": 80, "bass": 32, "drum": 0, "guitar": 25, "piano": 0, "string": 48}
)
"""General MIDI program of each role, counted from 0, as in GETMusic; of the drums, the standard kit."""

CHANNELS: Final[Mapping[str, int]] = MappingProxyType(
    {"lead": 0, "bass": 1, "guitar": 2, "piano": 3, "string": 4, "drum": 9}
)
"""MIDI channel of each role, counted from 0; drums on channel 9 as in General MIDI."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BarRequest:
    """Everything known when a bar is requested; picklable, since the model runs in a process of its own.

    Args:
        number: counts requests; the answer repeats it.
        bar: the bar to make, counted from 0 at the start.
        bars: how many to make: `bar`, then those after it as a reserve in case the next request fails.
        first: the bar at whose line the ticks of `tracks` and `known` are 0; never after `bar`.
        tracks: by role, the notes of the player and of the band up to the line of `bar`, sorted; a role without notes
            is absent. A key still held has its length so far.
        known: tick up to which the player's notes are known; after it they are unknown, not silent.
        player: the role of the player, which is not made.
        targets: roles to make.
        chords: one row a bar from `first` to `bar + bars - 1`, one chord a beat; None where unknown.
        tempo_bpm: quarter notes a minute.
        seed: same request and same seed give the same notes.
        deadline_s: perf_counter seconds at which an answer is too late.
        density: by role, share of columns with an onset, 0..1; absent: the model's choice.
    """

    number: int
    bar: int
    first: int
    tracks: Mapping[str, tuple[Note, ...]]
    known: int
    targets: tuple[str, ...]
    chords: tuple[tuple[Chord | None, ...], ...]
    tempo_bpm: float
    deadline_s: float
    bars: int = 2
    player: str = "lead"
    seed: int = 0
    density: Mapping[str, float] = field(default_factory=dict)

    def chord(self, bar: int, beat: int = 0) -> Chord | None:
        """The chord at a beat of a bar (counted from 0 at the start); None where unknown."""
        return self.chords[bar - self.first][beat]


@dataclass(frozen=True, kw_only=True, slots=True)
class BarMade:
    """The answer to a `BarRequest`.

    Args:
        number, bar: of the request.
        bars: for each bar made, from `bar` on, notes by role; starts are ticks from that bar's line, 0..1919, lengths
            may reach beyond it. At least one bar; a role without notes may be absent.
        seconds: time it took.
        steps: network passes, 0 for none.
    """

    number: int
    bar: int
    bars: tuple[Mapping[str, tuple[Note, ...]], ...]
    seconds: float = 0.0
    steps: int = 0


class AccompanistModel(Protocol):
    """Makes bars: same request, same answer; one request at a time."""

    def make(self, request: BarRequest) -> BarMade:
        """The bars requested. It should meet the deadline; a late answer is not played."""
        ...


def in_register(notes: tuple[Note, ...], pitch: int | None) -> tuple[Note, ...]:
    """Notes moved together by whole octaves so that their median is nearest to a MIDI pitch; None: unchanged."""
    if pitch is None or not notes:
        return notes
    pitches = sorted(note.pitch for note in notes)
    octaves = round((pitch - pitches[len(pitches) // 2]) / 12)
    while octaves and not 0 <= pitches[0] + 12 * octaves <= pitches[-1] + 12 * octaves <= 127:
        octaves -= 1 if octaves > 0 else -1
    return tuple(replace(note, pitch=note.pitch + 12 * octaves) for note in notes) if octaves else notes
