"""A piece for a band, as it is kept between reading and gridding: notes by role, chords by sixteenth, its origin."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.music.arrays import U8
from engine.music.harmony import NO_CHORD, QUALITIES, Chord
from engine.music.score import ROLES, Note, Score, TempoChange, Track

__all__ = ["PROGRAMS", "NotePiece", "chord_rows", "read_pieces", "rows_chords", "side_of", "tune_of", "write_pieces"]

PROGRAMS: Final = {"lead": 80, "bass": 32, "drum": 0, "guitar": 25, "piano": 0, "string": 48}
"""General MIDI programs by role, GETMusic's."""
_QUALITIES: Final = tuple(QUALITIES)


@dataclass(frozen=True, slots=True)
class NotePiece:
    """One piece of 4/4 music for up to six roles.

    Args:
        name: pack, file and version.
        uid: pieces with one uid are the same tune.
        licence: of the file it was made from.
        style: of the arrangement, or of the pack's index.
        score: six tracks in the order of `ROLES`, bar 1 at tick 0; a role that is not played has no notes.
        chords: the chord of every sixteenth where it is known, else nothing.
    """

    name: str
    uid: str
    licence: str
    style: str
    score: Score
    chords: tuple[Chord, ...] = ()


def tune_of(uid: str) -> str:
    """The tune behind a uid: versions of one tune in several packs have uids that differ in what is put before them."""
    return uid.removeprefix("band_")


def side_of(uid: str, valid: float) -> bool:
    """Whether a tune is held out, by its name alone: adding music moves none.

    Args:
        valid: share held out, 0..1.
    """
    digest = hashlib.sha256(tune_of(uid).encode()).digest()
    return int.from_bytes(digest[:4], "big") < valid * 2.0**32


def chord_rows(chords: Sequence[Chord]) -> U8:
    """[3, T]: root, number of the quality in `QUALITIES`, bass."""
    rows = [(chord.root, _QUALITIES.index(chord.quality), chord.bass) for chord in chords]
    return np.array(rows, np.uint8).reshape(-1, 3).T


def rows_chords(rows: U8) -> tuple[Chord, ...]:
    """The inverse of `chord_rows`."""
    return tuple(Chord(int(root), _QUALITIES[int(quality)], int(bass)) for root, quality, bass in rows.T)


def write_pieces(path: Path, pieces: Sequence[NotePiece], more: Any = None) -> None:
    """Write a shard, beside and moved into place.

    Args:
        more: JSON values kept with it.
    """
    notes, chords, about = [], [chord_rows([NO_CHORD])[:, :0]], []
    for index, piece in enumerate(pieces):
        for role, track in enumerate(piece.score.tracks):
            notes += [(index, role, n.start, n.length, n.pitch, n.velocity) for n in track.notes]
        rows = chord_rows(piece.chords)
        chords.append(rows)
        about.append([piece.name, piece.uid, piece.licence, piece.style, piece.score.tempos[0].bpm, rows.shape[1]])
    text = json.dumps({"pieces": about, "more": more})
    draft = path.with_name(f".{path.name}")
    with draft.open("wb") as file:
        np.savez_compressed(
            file,
            notes=np.array(notes, np.int32).reshape(-1, 6),
            chords=np.concatenate(chords, axis=1),
            about=np.frombuffer(text.encode(), np.uint8),
        )
    draft.replace(path)


def read_pieces(path: Path) -> tuple[list[NotePiece], Any]:
    """What `write_pieces` wrote: pieces, and what was kept with them."""
    with np.load(path) as shard:
        notes, chords, text = shard["notes"], shard["chords"], shard["about"].tobytes().decode()
    about = json.loads(text)
    pieces, place = [], 0
    borders = np.searchsorted(notes[:, 0], np.arange(len(about["pieces"]) + 1))
    for index, (name, uid, licence, style, bpm, steps) in enumerate(about["pieces"]):
        own = notes[borders[index] : borders[index + 1]]
        tracks = tuple(
            Track(
                tuple(sorted(Note(int(s), int(p), int(n), int(v)) for s, n, p, v in own[own[:, 1] == number, 2:])),
                PROGRAMS[role],
                role == "drum",
                role,
            )
            for number, role in enumerate(ROLES)
        )
        score = Score(tracks, (TempoChange(0, bpm),))
        pieces.append(NotePiece(name, uid, licence, style, score, rows_chords(chords[:, place : place + steps])))
        place += steps
    return pieces, about["more"]
