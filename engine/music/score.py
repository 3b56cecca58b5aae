"""Music as notes: notes, tracks, and a score with its tempo and meter maps. Frozen; edits make copies."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from engine.errors import EngineError
from engine.music.units import TICKS_PER_BEAT

__all__ = ["ROLES", "Meter", "Note", "Score", "ScoreError", "TempoChange", "Track"]

ROLES: Final = ("lead", "bass", "drum", "guitar", "piano", "string")
"""What a track can be in a band, in GETMusic's order (reference order of rows, programs and ports)."""


class ScoreError(EngineError, ValueError):
    """A note, track or map that no music could have: the message names the value, the range and the remedy."""


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """One note; notes sort by when they start, then pitch.

    Args:
        start: tick, 480 a quarter note, 0 or later.
        pitch: MIDI pitch 0..127.
        length: ticks, 0 or more; 0 is a stroke that is only struck (many drum files).
        velocity: 1..127.
    Raises:
        ScoreError: a value is outside its range.
    """

    start: int
    pitch: int
    length: int
    velocity: int = 90

    def __post_init__(self) -> None:
        if not (0 <= self.pitch <= 127 and 1 <= self.velocity <= 127 and self.start >= 0 and self.length >= 0):
            raise ScoreError(f"got {self!r}, wanted pitch 0..127, velocity 1..127, start and length 0 or more: mend it")

    @property
    def end(self) -> int:
        """The tick at which it is let go."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Track:
    """Notes of one instrument, in order.

    Args:
        notes: sorted by start, then pitch.
        program: General MIDI program 0..127; of a drum track, the kit.
        drums: whether pitches name drums (MIDI channel 10).
        name: as the file has it; may be empty.
    Raises:
        ScoreError: notes out of order, or a program outside 0..127.
    """

    notes: tuple[Note, ...]
    program: int = 0
    drums: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.program <= 127:
            raise ScoreError(f"got program {self.program}, wanted 0..127: General MIDI counts from 0 here")
        if any(a > b for a, b in pairwise(self.notes)):
            raise ScoreError(f"got notes out of order in track '{self.name}', wanted them by start: sort them first")

    @property
    def end(self) -> int:
        """The tick at which the last note ends; 0 without notes."""
        return max((note.end for note in self.notes), default=0)

    def where(self, keep: Callable[[Note], bool]) -> "Track":
        """The same track with only the notes for which `keep` is true."""
        return replace(self, notes=tuple(note for note in self.notes if keep(note)))


@dataclass(frozen=True, slots=True)
class TempoChange:
    """From `tick` on, `bpm` quarter notes a minute (above 0; 60,000,000 is the most that a MIDI file can say)."""

    tick: int
    bpm: float

    def __post_init__(self) -> None:
        if self.tick < 0 or not 0.0 < self.bpm <= 60e6:
            raise ScoreError(f"got {self!r}, wanted a tick of 0 or more and up to 60e6 quarter notes a minute")


@dataclass(frozen=True, slots=True)
class Meter:
    """From `tick` on, bars of `beats` notes of one `unit`-th each (7 and 8 for 7/8); a bar starts at `tick`."""

    tick: int
    beats: int
    unit: int

    def __post_init__(self) -> None:
        if self.tick < 0 or not 1 <= self.beats <= 64 or self.unit not in (1, 2, 4, 8, 16, 32, 64):
            raise ScoreError(f"got {self!r}, wanted 1..64 beats of a unit 1, 2, 4, 8, 16, 32 or 64")

    @property
    def bar_ticks(self) -> int:
        """Ticks in a bar."""
        return self.beats * 4 * TICKS_PER_BEAT // self.unit


@dataclass(frozen=True, slots=True)
class Score:
    """Tracks in one musical time.

    Args:
        tracks: in the order of the file.
        tempos: by tick, the first at tick 0.
        meters: by tick, the first at tick 0.
    Raises:
        ScoreError: a map is empty, does not start at 0, or is not in order.
    """

    tracks: tuple[Track, ...]
    tempos: tuple[TempoChange, ...] = (TempoChange(0, 120.0),)
    meters: tuple[Meter, ...] = (Meter(0, 4, 4),)

    def __post_init__(self) -> None:
        for name, rows in (("tempos", self.tempos), ("meters", self.meters)):
            ticks = [row.tick for row in rows]
            if not ticks or ticks[0] != 0 or any(a >= b for a, b in pairwise(ticks)):
                raise ScoreError(f"got {name} at ticks {ticks[:8]}, wanted the first at 0 and each later than the last")

    @property
    def end(self) -> int:
        """The tick at which the last note ends."""
        return max((track.end for track in self.tracks), default=0)

    def seconds_at(self, tick: float) -> float:
        """Seconds from tick 0 to `tick` by the tempo map."""
        seconds, last = 0.0, self.tempos[0]
        for change in self.tempos[1:]:
            if change.tick >= tick:
                break
            seconds += (change.tick - last.tick) * 60.0 / (last.bpm * TICKS_PER_BEAT)
            last = change
        return seconds + (tick - last.tick) * 60.0 / (last.bpm * TICKS_PER_BEAT)

    def meter_at(self, tick: float) -> Meter:
        """The meter that holds at `tick`."""
        return self.meters[max(0, bisect_right(self.meters, tick, key=lambda m: m.tick) - 1)]

    def bar_at(self, tick: float) -> tuple[int, float]:
        """(bar counted from 0, ticks into it) at `tick`; where a meter begins inside a bar, that bar is cut short."""
        bars = 0
        for meter, following in zip(self.meters, [*self.meters[1:], None], strict=True):
            if following is None or following.tick > tick:
                bar, inside = divmod(tick - meter.tick, meter.bar_ticks)
                return bars + int(bar), inside
            bars += -(-(following.tick - meter.tick) // meter.bar_ticks)
        raise AssertionError("the last meter has no follower")

    def tick_of_bar(self, bar: int) -> int:
        """Tick at which bar `bar` (from 0) starts."""
        left = bar
        for meter, following in zip(self.meters, [*self.meters[1:], None], strict=True):
            if following is None:
                return meter.tick + left * meter.bar_ticks
            whole = -(-(following.tick - meter.tick) // meter.bar_ticks)
            if left < whole:
                return meter.tick + left * meter.bar_ticks
            left -= whole
        raise AssertionError("the last meter has no follower")
