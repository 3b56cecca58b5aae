"""Commands and events of infilling; `engine.messages.session` exports them with all others."""

from dataclasses import dataclass
from typing import Annotated

from engine.controls import Live
from engine.music.score import ROLES

__all__ = ["CancelInfill", "FillNote", "FilledNote", "ForgetNotes", "Infill", "InfillDone", "InfillProgress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Infill:
    """Write new parts for tracks of a MIDI file in the session folder, fitting the other tracks; makes a new file."""

    file: Annotated[str, Live(0, 128, "MIDI file in the session folder; empty: the notes sent with /getmusic/note")] = (
        ""
    )
    targets: Annotated[str, Live(0, 64, "tracks to write, such as bass,drum")] = ""
    bars: Annotated[str, Live(0, 32, "bars to write, counted from 1, such as 9-16; empty: all with music")] = ""
    variations: Annotated[int, Live(1, 16, "number of versions; each is a file of its own")] = 1
    seed: Annotated[int, Live(0, 2**31 - 1, "same seed, same notes")] = 0
    steps: Annotated[int, Live(1, 100, "network passes: more is slower and more coherent")] = 16
    chords: Annotated[str, Live(0, 1024, "chords, one per bar; empty: detect them in the file")] = ""
    bundle: Annotated[str, Live(0, 256, "bundle name; empty: the first that makes notes")] = ""
    options: Annotated[
        str, Live(0, 1024, "infill options NAME=VALUE, such as temperature=0.9 drum.density=0.5 bass.range=28-52")
    ] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FillNote:
    """Store a note for an infill that names no file; 480 ticks per quarter note, bars are 4/4."""

    track: Annotated[str, Live(0, 16, "role that plays the note", choices=ROLES)] = "lead"
    start: Annotated[int, Live(0, 2_000_000, "start of the note", "ticks")] = 0
    pitch: Annotated[int, Live(0, 127, "MIDI pitch")] = 60
    length: Annotated[int, Live(1, 100_000, "length of the note", "ticks")] = 480
    velocity: Annotated[int, Live(1, 127, "MIDI velocity")] = 96


@dataclass(frozen=True, kw_only=True, slots=True)
class ForgetNotes:
    """Delete all notes stored for an infill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CancelInfill:
    """Cancel the infill that is running; no file is written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillProgress:
    """Progress of the infill of command `number`, in network passes."""

    number: int
    done: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillDone:
    """Variation `variation` (from 1) of the infill of command `number` is written to `path`; its new notes follow."""

    number: int
    variation: int
    path: str
    notes: int


@dataclass(frozen=True, slots=True)
class FilledNote:
    """A new note of an infill; `start` and `length` in ticks of the file (480 per quarter note)."""

    number: int
    variation: int
    track: str
    start: int
    pitch: int
    length: int
    velocity: int
