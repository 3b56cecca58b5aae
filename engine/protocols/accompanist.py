"""What an accompanist is asked for and what it answers: one bar ahead, in notes, whatever makes them.

A maker may think in tokens, grids or patterns; between it and the stage there are only notes and chords. Bars are 4/4,
a column is a sixteenth note.
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
"""General MIDI program of each role, from 0, as GETMusic has them; of the drums, the standard kit."""

CHANNELS: Final[Mapping[str, int]] = MappingProxyType(
    {"lead": 0, "bass": 1, "guitar": 2, "piano": 3, "string": 4, "drum": 9}
)
"""MIDI channel of each role, from 0; drums where General MIDI has them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BarRequest:
    """Everything that is known when a bar is asked for; picklable, since makers live in processes of their own.

    Args:
        number: counts requests; the answer carries it.
        bar: the bar to make, counted from 0 at the start.
        bars: how many are wanted: `bar`, then those after it as a reserve should the next request come to nothing.
        first: bar at whose line ticks 0 of `tracks` and `known` are; never after `bar`.
        tracks: by role, what was played (the player) and what the band has played or is playing, sorted, up to the line
            of `bar`; a role of which nothing is heard is absent. A key still held has its length so far.
        known: tick up to which the player's role is known; from here on it is unknown, not silent.
        player: the role that is played, not made.
        targets: roles to make.
        chords: one row a bar from `first` to `bar + bars - 1`, one chord a beat; None where nobody knows.
        tempo_bpm: quarter notes a minute.
        seed: same request, same seed: same notes.
        deadline_s: perf_counter seconds at which an answer is too late.
        density: by role, wanted share of columns with an onset, 0..1; absent: as the maker likes.
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
        """The chord at a beat of a bar (counted from 0 at the start); None where nobody knows."""
        return self.chords[bar - self.first][beat]


@dataclass(frozen=True, kw_only=True, slots=True)
class BarMade:
    """The answer.

    Args:
        number, bar: of the request.
        bars: for each bar made, from `bar` on, notes by role; starts are ticks from that bar's line, 0..1919, lengths
            may reach beyond it. At least one bar; a role without notes may be absent.
        seconds: that it took.
        steps: network passes, 0 for none.
    """

    number: int
    bar: int
    bars: tuple[Mapping[str, tuple[Note, ...]], ...]
    seconds: float = 0.0
    steps: int = 0


class AccompanistModel(Protocol):
    """Makes bars. Same request, same answer; one request at a time."""

    def make(self, request: BarRequest) -> BarMade:
        """The bars asked for, if it can by the deadline; late is allowed, the answer is then not played."""
        ...


def in_register(notes: tuple[Note, ...], pitch: int | None) -> tuple[Note, ...]:
    """Notes moved together by the whole octaves that bring their middle nearest to a MIDI pitch; None leaves them."""
    if pitch is None or not notes:
        return notes
    pitches = sorted(note.pitch for note in notes)
    octaves = round((pitch - pitches[len(pitches) // 2]) / 12)
    while octaves and not 0 <= pitches[0] + 12 * octaves <= pitches[-1] + 12 * octaves <= 127:
        octaves -= 1 if octaves > 0 else -1
    return tuple(replace(note, pitch=note.pitch + 12 * octaves) for note in notes) if octaves else notes
