"""Settings of an accompanist, the actions that it returns, and the simplest bar: a held chord."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.band.ledger import Booking
from engine.music.harmony import NO_CHORD, Chord
from engine.music.score import ROLES, Note
from engine.protocols.accompanist import BAR_TICKS, BEATS, BarRequest

__all__ = [
    "SOURCES",
    "Action",
    "BandSettings",
    "Bar",
    "CancelNotes",
    "Dropped",
    "Planned",
    "PlayNotes",
    "ReleaseNotes",
    "RequestBar",
    "pad",
]  # fmt: skip

SOURCES: Final = ("made", "reserve", "repeat", "pad", "silence")
"""Sources of a bar, the best first; all but the first are fallbacks."""

Bar = Mapping[str, tuple[Note, ...]]
"""Notes by role; starts are ticks from the bar line."""

_PAD_VELOCITY: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class BandSettings:
    """How an accompanist works.

    Args:
        player: role that the player plays. targets: roles that the band plays.
        progression: chords, one row a bar, repeated from bar 0 on; empty: chords are held or detected.
        split: keys below this pitch hold a chord, which takes precedence over the progression; None: no split.
        warmup: bars at the start in which the band is silent.
        context: bars of the past in a request.
        earliest, latest: share of a bar after which the next is requested; later where answers come quickly.
        safety_s: seconds before the bar line at which a bar must be complete.
        dynamics: 0..1, how far the band's loudness follows the player's.
        seed: of the requests; same seed, same bars.
        density: as in `BarRequest`.
        register: by role, MIDI pitch around which it plays; absent: as made.
    """

    player: str = "lead"
    targets: tuple[str, ...] = ROLES[1:]
    progression: tuple[tuple[Chord, ...], ...] = ()
    split: int | None = None
    warmup: int = 1
    context: int = 8
    earliest: float = 0.5
    latest: float = 0.75
    safety_s: float = 0.03
    dynamics: float = 0.5
    seed: int = 0
    density: Mapping[str, float] = field(default_factory=dict)
    register: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestBar:
    """Request this bar from the accompanist process."""

    request: BarRequest


@dataclass(frozen=True, slots=True)
class PlayNotes:
    """Play these notes at their ticks."""

    notes: tuple[Booking, ...]


@dataclass(frozen=True, slots=True)
class CancelNotes:
    """Cancel notes of the band that start at `tick` or later."""

    tick: float


@dataclass(frozen=True, slots=True)
class ReleaseNotes:
    """End all notes and cancel those to come."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The notes of the band in a bar, before it begins.

    Args:
        source: one of `SOURCES`.
        tracks: notes by role, ticks from the bar line.
        chords: one a beat.
        ahead_s: seconds left until the bar line.
        seconds, steps: as `BarMade`; 0 for a fallback.
    """

    bar: int
    source: str
    tracks: Bar
    chords: tuple[Chord | None, ...]
    ahead_s: float
    seconds: float = 0.0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Dropped:
    """An answer that was not used, and why; or a bar that began without a plan."""

    bar: int
    why: str


Action = RequestBar | PlayNotes | CancelNotes | ReleaseNotes | Planned | Dropped


def pad(chords: Sequence[Chord | None], targets: Sequence[str]) -> Bar:
    """The chord held by strings if they are a target, else piano, else guitar; and its bass note."""
    row: dict[str, tuple[Note, ...]] = {}
    spans: list[tuple[int, int, Chord]] = []
    for beat, chord in enumerate(chords):
        if chord is None or chord == NO_CHORD:
            continue
        if spans and spans[-1][2] == chord and spans[-1][1] == beat:
            spans[-1] = spans[-1][0], beat + 1, chord
        else:
            spans.append((beat, beat + 1, chord))
    beat_ticks = BAR_TICKS // BEATS
    for role in ("string", "piano", "guitar"):
        if role in targets:
            row[role] = tuple(
                Note(a * beat_ticks, pitch, (b - a) * beat_ticks, _PAD_VELOCITY)
                for a, b, chord in spans for pitch in chord.voiced(55)
            )  # fmt: skip
            break
    if "bass" in targets:
        row["bass"] = tuple(
            Note(a * beat_ticks, 36 + chord.bass, (b - a) * beat_ticks, _PAD_VELOCITY + 20) for a, b, chord in spans
        )
    return {role: notes for role, notes in row.items() if notes}
