"""Commands and events of the band in a session; `engine.messages.session` exports them with all others."""

from dataclasses import dataclass
from typing import Annotated

from engine.controls import Live

__all__ = ["BandCounts", "BandLoad", "BandNote", "BandPlan", "BandStart", "BandStop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStart:
    """Start the band after a stop or a panic; it plays from the first bar line for which it has a bar ready."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStop:
    """Stop the band and discard the bars it had prepared; voices and transport keep running."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandLoad:
    """Load another band while the present one plays; it takes over at a bar line."""

    name: Annotated[str, Live(0, 256, "bundle name, pattern (the pattern band, needs no bundle) or auto")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class BandPlan:
    """The band's plan for a bar, sent before the bar begins; its notes follow as `BandNote` events.

    Args:
        source: ``made`` by the model, or the fallback used instead: reserve, repeat, pad, silence.
        chords: one per beat, named at the beat where it starts; ``-`` where the chord is unknown.
        notes: number of notes. ahead_ms: time left until the bar line.
    """

    bar: int
    source: str
    chords: str
    notes: int
    ahead_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BandNote:
    """A note of a planned bar. `start`: ticks from the bar line (480 per beat); `length`: ticks."""

    bar: int
    role: str
    start: int
    pitch: int
    length: int
    velocity: int


@dataclass(frozen=True, kw_only=True, slots=True)
class BandCounts:
    """Counts of the band since it started, sent once per bar.

    Args:
        made, fallbacks: bars made in time, and bars replaced by a fallback.
        late, failed: bars that arrived too late, and bars the model failed to make.
        ons, offs, stale, sounding: at the MIDI output: note-ons sent, note-offs sent, notes dropped because they were
            too late, notes sounding now.
    """

    made: int
    fallbacks: int
    late: int
    failed: int
    ons: int
    offs: int
    stale: int
    sounding: int
