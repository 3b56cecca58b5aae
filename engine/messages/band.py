"""What bridge and the band say to each other in a performance, part of `engine.messages.session`."""

from dataclasses import dataclass
from typing import Annotated

from engine.controls import Live

__all__ = ["BandCounts", "BandLoad", "BandNote", "BandPlan", "BandStart", "BandStop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStart:
    """Let the band play, after a stop or a panic; it is there from the next bar line it can reach."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStop:
    """The band falls silent and forgets what it had planned; everything else goes on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandLoad:
    """Another band: it loads beside the one that plays, and takes over between two bars."""

    name: Annotated[str, Live(0, 256, "name of the bundle, or house for the band that needs none")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandPlan:
    """What the band will do in a bar, told before it begins; its notes follow.

    Args:
        source: ``made``, or the fallback that it is: reserve, repeat, pad, silence.
        chords: one a beat, each named where it begins; ``-`` where nobody knows.
        notes: how many. ahead_ms: left until the bar line.
    """

    bar: int
    source: str
    chords: str
    notes: int
    ahead_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BandNote:
    """A note of a planned bar: `start` is ticks (480 a beat) from the bar's line, `length` ticks."""

    bar: int
    role: str
    start: int
    pitch: int
    length: int
    velocity: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BandCounts:
    """How the band has fared so far, told once a bar.

    Args:
        made, fallbacks: bars made in time, and bars that were not. late, failed: answers that came to nothing.
        ons, offs, stale, sounding: notes begun, ended, dropped as too late, and sounding now, at the MIDI output.
    """

    made: int
    fallbacks: int
    late: int
    failed: int
    ons: int
    offs: int
    stale: int
    sounding: int
