"""What bridge and engine say to each other of fills: see `engine.messages.session`, which offers all of it."""

from dataclasses import dataclass
from typing import Annotated

from engine.controls import Live
from engine.music.score import ROLES

__all__ = ["CancelInfill", "FillNote", "FilledNote", "ForgetNotes", "Infill", "InfillDone", "InfillProgress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Infill:
    """Make tracks of a MIDI file of the session folder anew, from the rest of it; the result is another file."""

    file: Annotated[str, Live(0, 128, "MIDI file of the session folder; empty: notes sent before")] = ""
    targets: Annotated[str, Live(0, 64, "tracks to make, such as bass,drum")] = ""
    bars: Annotated[str, Live(0, 32, "bars to make, the first is 1, such as 9-16; empty: all")] = ""
    variations: Annotated[int, Live(1, 16, "how many to make, each a file")] = 1
    seed: Annotated[int, Live(0, 2**31 - 1, "same seed, same notes")] = 0
    steps: Annotated[int, Live(1, 100, "passes of the network")] = 16
    chords: Annotated[str, Live(0, 1024, "chords, one a bar; empty: as heard")] = ""
    bundle: Annotated[str, Live(0, 256, "name of the bundle; empty: the first there is")] = ""
    wishes: Annotated[str, Live(0, 1024, "more, such as temperature=0.9 drum.density=0.5 bass.range=28-52")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FillNote:
    """Keep a note for a fill that names no file; 480 ticks are a quarter note, bars are 4/4."""

    track: Annotated[str, Live(0, 16, "role that plays it", choices=ROLES)] = "lead"
    start: Annotated[int, Live(0, 2_000_000, "of the note", "ticks")] = 0
    pitch: Annotated[int, Live(0, 127, "as of MIDI")] = 60
    length: Annotated[int, Live(1, 100_000, "of the note", "ticks")] = 480
    velocity: Annotated[int, Live(1, 127, "how hard it is struck")] = 96


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetNotes:
    """Forget all notes kept for a fill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelInfill:
    """End the fill that is under way; nothing is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillProgress:
    """How far the fill asked for as `number` has come, in passes of the network."""

    number: int
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillDone:
    """A variation (from 1) of the fill asked for as `number` is written to `path`; its new notes follow."""

    number: int
    variation: int
    path: str
    notes: int


@dataclass(frozen=True, slots=True)
class FilledNote:
    """A note that a fill has made: start and length in ticks (480 a quarter note) of the file."""

    number: int
    variation: int
    track: str
    start: int
    pitch: int
    length: int
    velocity: int
