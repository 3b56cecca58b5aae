"""Which part of a band each track of any MIDI file plays: by channel, name, General MIDI program, and what it plays."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from engine.music.score import ROLES, Note, Score, Track

__all__ = ["PROGRAMS", "RANGES", "assign_roles", "melody_score", "role_named", "roles_of"]

PROGRAMS: Final = (80, 32, 0, 25, 0, 48)
"""The General MIDI program that stands for each role, in the order of `ROLES`; of the drums, the kit."""

RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {"lead": (48, 96), "bass": (28, 60), "drum": (35, 81), "guitar": (40, 84), "piano": (21, 108), "string": (28, 96)}
)
"""The usual sounding pitches of each role, lowest and highest; of the drums, those that General MIDI names."""

_NAMES: Final = {
    "leads": "lead", "melody": "lead", "melodies": "lead", "vocal": "lead", "vocals": "lead", "voice": "lead",
    "solo": "lead", "basses": "bass", "bassline": "bass", "drums": "drum", "drumkit": "drum", "kit": "drum",
    "percussion": "drum", "guitars": "guitar", "pianos": "piano", "keys": "piano", "keyboard": "piano",
    "keyboards": "piano", "strings": "string", "violins": "string",
}  # fmt: skip

# First program of a run of them -> role. "voice" may be the melody and else joins the strings; None is no part of a
# band.
_FAMILIES: Final = (
    (0, "piano"), (22, "voice"), (23, "piano"), (24, "guitar"), (32, "bass"), (40, "string"), (43, "bass"),
    (44, "string"), (52, "voice"), (55, "string"), (56, "voice"), (80, "lead"), (88, "string"), (104, "guitar"),
    (108, "piano"), (109, "voice"), (112, None),
)  # fmt: skip

_LEAD: Final = re.compile(r"melod|lead|vocal|voice|voix|voce|solo|sing(stimme|er)|gesang|canto|sopran|cantus", re.I)
_SAYS_NOTHING: Final = (0, 44, 45)  # piano is what files without a program have; any strings play tremolo or pizzicato
_NAMED: Final = (  # asked only where the program says nothing
    (re.compile(r"drum|perc|batter|schlag", re.I), None),
    (re.compile(r"contrab|kontrab|double ?bass|\bbass?\b|basso?\b|bassi", re.I), "bass"),
    (re.compile(r"guit|gitar|chitarr|banjo|mandol|lute|laute", re.I), "guitar"),
    (re.compile(r"string|violin|viol[ae]\b|geige|bratsche|cello|archi|violonc|streich", re.I), "string"),
    (re.compile(r"fl[uö]t|flauto|oboe|[ck]larin|trump|tromb?|horn|cor[no]|fag|basso+n|sax", re.I), "voice"),
)
_LOW: Final = 56.0  # mean MIDI pitch; cellos, bassoons and bass voices are below
_POLYPHONIC: Final = 0.25  # share of notes that begin together with another one, above which a track is no melody


def role_named(word: str) -> str | None:
    """The role that a word names: one of `ROLES`, its plural, or another common name for it; None for any other word.

    Args:
        word: capitals and spaces around it do not matter.
    """
    name = word.strip().lower()
    return name if name in ROLES else _NAMES.get(name)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a track plays, in numbers."""

    notes: int
    chords: float  # share of notes that start together with another
    pitch: float  # mean


def _shape(track: Track) -> _Shape:
    starts = Counter(note.start for note in track.notes)
    together = sum(count for count in starts.values() if count > 1)
    pitch = sum(note.pitch for note in track.notes) / len(track.notes)
    return _Shape(len(track.notes), together / len(track.notes), pitch)


def melody_score(track: Track) -> float:
    """How much a track is like a melody: one note at a time, sung rather high, there for most of the piece.

    Higher is more; only the order means anything. Tracks without notes are below all others.
    """
    if not track.notes:
        return -1.0
    shape = _shape(track)
    height = min(1.0, max(0.0, (shape.pitch - 48.0) / 30.0))
    return (1.0 - shape.chords) * (0.5 + height) * min(1.0, shape.notes / 32.0)


def _family(track: Track) -> str | None:
    if track.drums:
        return "drum"
    if track.program in _SAYS_NOTHING:
        for pattern, role in _NAMED:
            if pattern.search(track.name):
                return role
    return next(role for first, role in reversed(_FAMILIES) if track.program >= first)


def roles_of(score: Score) -> tuple[str | None, ...]:
    """The role of each track; None for tracks that are no part of a band (effects, or percussion with pitches).

    Of several tracks that could be the melody one is it: one named so, else one with a lead sound, else a voice or
    wind part, else one of several tracks of strings, guitars or pianos, the most melodious first. The others join the
    piano (lead sounds) or the strings (voices and winds). Where nothing else is the bass, the lowest of several
    strings, voices and winds is. If no track could be the melody, there is no lead: see `assign_roles` for drawing one
    from chords.
    """
    found = [_family(track) if track.notes else None for track in score.tracks]
    count = Counter(found)
    several = {role for role in ("string", "guitar", "piano") if count[role] > 1}
    chosen, best = -1, (-1, -1.0)
    for index, (role, track) in enumerate(zip(found, score.tracks, strict=True)):
        rank = {"lead": 2, "voice": 1}.get(role or "", 0 if role in several else -1)
        if _LEAD.search(track.name) and role not in ("drum", "bass", None):
            rank = 3
        if rank >= 0 and track.notes and (rank, melody_score(track)) > best:
            chosen, best = index, (rank, melody_score(track))
    if chosen >= 0 and best[0] < 2 and _shape(score.tracks[chosen]).chords > _POLYPHONIC:
        chosen = -1
    lowest = -1 if count["bass"] else _lowest(score, found, chosen)
    rest = {"lead": "piano", "voice": "string"}
    fixed = {chosen: "lead", lowest: "bass"}
    return tuple(fixed.get(index, rest.get(role or "", role)) for index, role in enumerate(found))


def _lowest(score: Score, found: Sequence[str | None], lead: int) -> int:
    """Of several strings, voices and winds the lowest, if it goes low and plays one note at a time; else -1."""
    rows = [index for index, role in enumerate(found) if role in ("string", "voice") and index != lead]
    shapes = {index: _shape(score.tracks[index]) for index in rows}
    low = [index for index in rows if shapes[index].chords <= _POLYPHONIC and shapes[index].pitch < _LOW]
    return min(low, key=lambda index: shapes[index].pitch) if low and len(rows) > 1 else -1


def _skyline(notes: Sequence[Note]) -> tuple[Note, ...]:
    """The highest note of each moment that nothing higher covers."""
    made: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.start, -note.pitch)):
        last = made[-1] if made else None
        if last is None or note.start >= last.end or (note.start > last.start and note.pitch > last.pitch):
            made.append(note)
    return tuple(sorted(made))


def assign_roles(score: Score, *, draw_lead: bool = False) -> Score:
    """The same music as six tracks, in the order of `ROLES`; tracks of one role are merged, and may be empty.

    Args:
        draw_lead: where no track is a melody, take the highest notes of the busiest of piano, guitar and strings as
            the lead (they stay in their own track too).
    """
    parts: dict[str, list[Note]] = {role: [] for role in ROLES}
    for role, track in zip(roles_of(score), score.tracks, strict=True):
        if role is not None:
            parts[role] += track.notes
    if draw_lead and not parts["lead"]:
        source = max(("piano", "guitar", "string"), key=lambda role: len(parts[role]))
        parts["lead"] = list(_skyline(parts[source]))
    made = tuple(
        Track(tuple(sorted(parts[role])), program, role == "drum", role)
        for role, program in zip(ROLES, PROGRAMS, strict=True)
    )
    return Score(made, score.tempos, score.meters)
