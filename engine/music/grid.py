"""Score <-> GETMusic's track-by-time grid, with everything a grid cannot say kept beside it.

A grid is int64 [14, L]: pitch and duration rows of lead, bass, drum, guitar, piano and string, then root and kind of
the chord; a column is a sixteenth. Notes are written where they start, all other cells hold the pad; the chord stands
in every column. A track that is not there is EMPTY.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import I64, Mask
from engine.music.bars import COLUMN, COLUMNS, Bars
from engine.music.chords import NO_STATE, bar_vectors, detect_chords, lagged, state_of
from engine.music.columns import DRUM, NoteTable, shift_of, table_of
from engine.music.harmony import Chord
from engine.music.published import published_grid
from engine.music.roles import PROGRAMS, roles_of
from engine.music.score import ROLES, Note, Score, Track
from engine.music.tokens import Spelling, length_token, nearest_codes
from engine.music.vocabulary import KINDS, PAD, UNITS, Dictionary

__all__ = ["DOUBLED", "VELOCITIES", "Encoded", "chord_cells", "decode", "encode", "give_back"]


DOUBLED: Final = "same pitch twice in one column"
_LONGEST: Final = 64  # sixteenths of a note that tell of the chord: a pedal for an hour says no more

VELOCITIES: Final[Mapping[str, int]] = MappingProxyType(
    {"lead": 114, "bass": 98, "drum": 98, "guitar": 82, "piano": 98, "string": 50}
)
"""How hard notes are struck of which nothing else is known, as published."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """A grid and what it does not say.

    Args:
        grid: int64 [14, L].
        shift: semitones from the sounding notes to the grid's; drums are not moved.
        bars: where its columns are in the time of the score.
        roles: of each track of the score, None for those that are not in the grid.
        kept: of each role and column the notes that start there, as they were: velocities, exact times, all of them.
        losses: notes changed or lost, by cause; nothing is lost without being counted here.
        states: [bars] numbers of the chords, not late, in the key of the grid (see `engine.music.chords`).
    """

    grid: I64 = field(repr=False)
    shift: int
    bars: Bars
    roles: tuple[str | None, ...]
    kept: Mapping[tuple[int, int], tuple[Note, ...]] = field(repr=False)
    losses: Mapping[str, int]
    states: I64 = field(repr=False)

    def lost(self) -> str:
        """What was lost and which meters were mapped, in words; empty if all could be said."""
        return "; ".join([*(f"{count} notes {cause}" for cause, count in self.losses.items()), *self.bars.remarks])


def encode(
    score: Score,
    dictionary: Dictionary,
    *,
    official: bool = False,
    key: str | int = "near",
    lag: bool = False,
    chords: Sequence[Chord | None] | None = None,
    least_bars: int = 1,
    roles: Sequence[str | None] | None = None,
) -> Encoded:
    """The grid of a score.

    Args:
        dictionary: the tokens there are.
        official: as published, to the cell, for weights trained so (see `engine.music.published`); `lag`, `chords` and
            `least_bars` then say nothing, "near" is "down", and tracks without notes are padded, not EMPTY.
        key: a rule of `engine.music.keys.SHIFTS`, or semitones that hold already.
        lag: write the chord of each bar into the bar after it.
        chords: one per bar, at sounding pitch, None where unknown; the last one is held. Default: estimated.
        least_bars: so many bars at least.
        roles: of each track; found by `engine.music.roles.roles_of` if not given.
    Returns:
        Strokes without length are one sixteenth long; a group has the length that most of its notes have, its lowest
        one another if the dictionary can say so; what it has not is thinned (see `engine.music.tokens.Spelling`).
    Raises:
        ScoreError: it has more bars than a grid may have.
    """
    names = roles_of(score) if roles is None else tuple(roles)
    bars = Bars.of(score, 1 if official else least_bars)
    table, lost = table_of(score, names, bars, even=official)
    shift = key if isinstance(key, int) else shift_of(score, "down" if official and key == "near" else key)
    kept = _kept(table)
    if official:
        grid, states = published_grid(table, dictionary, shift, lost)
    else:
        lost[DOUBLED] += int(table.doubled().sum())
        table = table.where(~table.doubled())
        grid = _tracks(table, dictionary, shift, bars.columns, lost)
        states = _states(table, shift, bars.bars, chords)
        grid[12:] = np.repeat(chord_cells(lagged(states)[: bars.bars] if lag else states, dictionary), COLUMNS, axis=1)
    return Encoded(grid=grid, shift=shift, bars=bars, roles=names, kept=kept, losses=+lost, states=states)


def _kept(table: NoteTable) -> dict[tuple[int, int], tuple[Note, ...]]:
    rows = (table.start, table.pitch, table.length, table.velocity)
    notes = [Note(*row) for row in zip(*(values.tolist() for values in rows), strict=True)]
    return {(int(table.role[g.start]), int(table.column[g.start])): tuple(notes[g]) for g in table.groups()}


def _tracks(table: NoteTable, dictionary: Dictionary, shift: int, columns: int, lost: Counter[str]) -> I64:
    """A grid without chords."""
    grid = np.full((14, columns), PAD, np.int64)
    spelling = Spelling(dictionary)
    pitches, codes = table.moved(shift).tolist(), nearest_codes(table.length / COLUMN).tolist()
    for group in table.groups():
        role, column = int(table.role[group.start]), int(table.column[group.start])
        token, causes = spelling.token(ROLES[role], pitches[group])
        lost.update(causes)
        if token is not None:
            grid[2 * role, column] = token
            grid[2 * role + 1, column] = length_token(codes[group], dictionary)
    for role in range(len(ROLES)):
        if not (table.role == role).any():
            grid[2 * role : 2 * role + 2] = dictionary.empty
    return grid


def _states(table: NoteTable, shift: int, bars: int, chords: Sequence[Chord | None] | None) -> I64:
    """[bars] numbers of the chords in the key of the grid."""
    if chords:
        states = [state_of(None if chord is None else chord.transposed(shift)) for chord in chords[:bars]]
        return np.array(states + states[-1:] * (bars - len(states)), np.int64)
    heard = table.where(table.role != DRUM)
    length = np.clip(heard.length // COLUMN, 1, _LONGEST)
    return detect_chords(bar_vectors(heard.moved(shift), heard.column, length, bars))


def chord_cells(states: I64, dictionary: Dictionary) -> I64:
    """[2, n] tokens of root and kind of chords by number; EMPTY where there is none."""
    root, kind = np.divmod(np.maximum(states, 1) - 1, len(KINDS))
    made = np.stack((root + dictionary.roots.start, kind + dictionary.kinds.start))
    return np.where(states == NO_STATE, dictionary.empty, made).astype(np.int64)


def decode(
    grid: I64,
    dictionary: Dictionary,
    shift: int = 0,
    *,
    bars: Bars | None = None,
    like: Encoded | None = None,
    score: Score | None = None,
) -> Score:
    """The six tracks of a grid, in the order of `ROLES`.

    Args:
        grid: [14, L] or more columns than `bars` has; cells that make no note (a pitch without a length, a length
            without a pitch, a mask, columns that are not in time) are passed over.
        shift: that of the grid, taken back.
        bars: where columns are in time; if not given those of `like`, or 4/4 from tick 0.
        like: what the grid was before: a cell that holds what it held gives back its notes as they were, all of them.
        score: whose tempo and meter maps to take.
    Raises:
        ShapeError: a grid has 14 rows.
    """
    if grid.ndim != 2 or grid.shape[0] != 14:
        raise ShapeError(f"a grid is [14, L], got {grid.shape}")
    bars = bars or (Bars.common(max(1, -(-grid.shape[1] // COLUMNS))) if like is None else like.bars)
    tracks = []
    for role, name in enumerate(ROLES):
        notes = _notes(grid, role, dictionary, shift, bars, like)
        tracks.append(Track(tuple(sorted(notes)), PROGRAMS[role], name == "drum", name))
    whole = Score(tuple(tracks))
    return whole if score is None else replace(whole, tempos=score.tempos, meters=score.meters)


def _notes(grid: I64, role: int, dictionary: Dictionary, shift: int, bars: Bars, like: Encoded | None) -> list[Note]:
    made: list[Note] = []
    same: set[int] = set()
    if like is not None:
        width = min(grid.shape[1], like.grid.shape[1])
        rows = slice(2 * role, 2 * role + 2)
        same = set(np.flatnonzero((grid[rows, :width] == like.grid[rows, :width]).all(axis=0)).tolist())
        made += [note for (row, column), notes in like.kept.items() if row == role and column in same for note in notes]
    tokens, lengths = grid[2 * role : 2 * role + 2, : bars.columns]
    own = dictionary.ranges[ROLES[role]]
    parts = dictionary.parts[np.where((lengths >= 0) & (lengths < dictionary.size), lengths, PAD)]
    there = (tokens >= own.start) & (tokens < own.stop) & (parts[:, 0] >= 0) & bars.used[: len(tokens)]
    columns = np.flatnonzero(there)
    ticks = bars.ticks_of(columns).tolist()
    back, velocity = (0 if role == DRUM else shift), VELOCITIES[ROLES[role]]
    for column, tick in zip(columns.tolist(), ticks, strict=True):
        if column in same:
            continue
        low, rest = (UNITS[part + 1] * COLUMN for part in parts[column].tolist())
        for index, pitch in enumerate(dictionary.pitches(int(tokens[column]))):
            length = rest if index else low
            heard = pitch - back
            if pitch >= 0 and 0 <= heard <= 127:
                made.append(Note(tick, heard, length, velocity))
    return made


def give_back(score: Score, encoded: Encoded, grid: I64, dictionary: Dictionary, targets: Mask) -> Score:
    """The score with the target cells of a grid in the place of what was there; everything else note for note.

    Args:
        score: what was encoded.
        encoded: what `encode` made of it.
        grid: [14, L] filled.
        targets: [6, L] the cells that were to be made: notes that start in them go, those of `grid` come.
    Returns:
        The tracks of `score` in their order, new notes in the fullest track of their role; where a role had no track,
        one more at the end.
    Raises:
        ShapeError: `targets` does not go with the grid.
    """
    if targets.shape != (len(ROLES), grid.shape[1]):
        raise ShapeError(f"targets of this grid are {(len(ROLES), grid.shape[1])}, got {targets.shape}")
    only = np.where(np.repeat(targets, 2, axis=0), grid[:12], PAD)
    made = decode(np.concatenate((only, grid[12:])), dictionary, encoded.shift, bars=encoded.bars).tracks
    pairs = zip(score.tracks, encoded.roles, strict=True)
    tracks = [_without(track, role, encoded.bars, targets) for track, role in pairs]
    for role, new in zip(ROLES, made, strict=True):
        if not new.notes:
            continue
        own = [index for index, name in enumerate(encoded.roles) if name == role]
        if own:
            home = max(own, key=lambda index: len(score.tracks[index].notes))
            tracks[home] = replace(tracks[home], notes=tuple(sorted((*tracks[home].notes, *new.notes))))
        else:
            tracks.append(new)
    return replace(score, tracks=tuple(tracks))


def _without(track: Track, role: str | None, bars: Bars, targets: Mask) -> Track:
    """A track without the notes that start in targets of its role."""
    if role is None or not track.notes or not targets[ROLES.index(role)].any():
        return track
    wanted = targets[ROLES.index(role)]
    columns = bars.columns_of(np.array([note.start for note in track.notes], np.int64))
    gone = (columns < len(wanted)) & wanted[np.minimum(columns, len(wanted) - 1)]
    return replace(track, notes=tuple(note for note, out in zip(track.notes, gone.tolist(), strict=True) if not out))
