"""A score as GETMusic sees it, for some bars of some tracks to be made anew, and back.

What is to be made is taken out first: key and chords are those of what is left. Bars of any meter are put on sixteen
columns each, shorter ones leave the last columns empty; of longer ones the network hears and makes the first sixteen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.errors import ControlError
from engine.models.getmusic import Getmusic
from engine.models.getmusic_board import Limits
from engine.models.getmusic_limits import limits_of, tones_of
from engine.models.getmusic_notes import COLUMN_TICKS, chord_tokens, columns_of, key_shift, notes_of
from engine.models.getmusic_plan import BAR
from engine.music.bandfeatures import band_features
from engine.music.harmony import Chord
from engine.music.score import ROLES, Note, Score
from engine.music.vocabulary import PAD

__all__ = ["Part", "Parts", "Sheet"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Part = tuple[tuple[int, Note], ...]
Parts = Mapping[str, Part]
"""By role, notes with the number of the track each is of."""

MOST_BARS: Final = 512
_VELOCITIES: Final = {"lead": 100, "bass": 92, "drum": 92, "guitar": 78, "piano": 84, "string": 64}
_DRUM_TICKS: Final = COLUMN_TICKS  # a stroke's length says nothing; ours are one column


@dataclass(frozen=True, slots=True)
class _Bars:
    """The bars of a score that are seen: ticks and columns.

    Args:
        first: number of the first. lines: ticks of their bar lines, and of the end.
    """

    first: int
    lines: Sequence[int]

    def on_grid(self, note: Note) -> Note | None:
        """The note on a grid of 1920 ticks a bar; None if it is in none of these bars or behind their columns."""
        bar = int(np.searchsorted(self.lines, note.start, side="right")) - 1
        if not 0 <= bar < len(self.lines) - 1:
            return None
        column = (2 * (note.start - self.lines[bar]) + COLUMN_TICKS) // (2 * COLUMN_TICKS)
        if self.lines[bar] + column * COLUMN_TICKS >= self.lines[bar + 1]:
            bar, column = bar + 1, 0
        return replace(note, start=(bar * BAR + column) * COLUMN_TICKS) if column < BAR else None

    def in_score(self, note: Note) -> Note:
        """The inverse of `on_grid`."""
        bar, inside = divmod(note.start, BAR * COLUMN_TICKS)
        return replace(note, start=self.lines[bar] + inside)

    def usable(self) -> Mask:
        """[columns] those that lie within their bar."""
        bars = np.repeat(np.diff(np.asarray(self.lines)), BAR)
        return np.asarray(np.arange(len(bars)) % BAR * COLUMN_TICKS < bars, np.bool_)


class Sheet:
    """What a fill is about.

    Args:
        model: whose grids these are.
        score: the music. parts: its notes by role.
        targets: roles to make. bars: first and last, from 0; beyond the end the piece goes on.
        chords: one a bar from bar 0 on, repeated; None for what is heard.
        ranges, chord_tones: see `limits_of`.
    Attributes:
        grid, targets, limits, features, first_bar: see `Getmusic.fill`.
        ticks: from where to where in the score.
        gone: by track, the notes that go.
        lost: how many notes the network cannot be told of, and of how many.
    Raises:
        ControlError: nothing to begin with, or too many bars.
    """

    def __init__(
        self,
        model: Getmusic,
        score: Score,
        parts: Parts,
        *,
        targets: Sequence[str],
        bars: tuple[int, int],
        chords: Sequence[Chord] | None = None,
        ranges: Mapping[str, tuple[int, int]] | None = None,
        chord_tones: Sequence[str] = (),
    ) -> None:
        if bars[1] - bars[0] >= MOST_BARS:
            count = bars[1] - bars[0] + 1
            raise ControlError(f"got {count} bars to make, at most {MOST_BARS} go at once: choose some, such as 9-16")
        self._model, self._roles = model, tuple(targets)
        self.ticks = score.tick_of_bar(bars[0]), score.tick_of_bar(bars[1] + 1)
        self._all = parts
        kept = {role: tuple(row for row in part if not self._goes(role, row[1])) for role, part in parts.items()}
        self.gone: dict[int, list[Note]] = {}
        for role in self._roles:
            for track, note in parts.get(role, ()):
                if self._goes(role, note):
                    self.gone.setdefault(track, []).append(note)
        if not any(kept.values()) and chords is None:
            raise ControlError("nothing is left to play along with: give --chords, fewer targets or fewer bars")
        if not any(part for role, part in kept.items() if role != "drum") and chords is None:
            raise ControlError("only drums are left, which say nothing of harmony: give --chords")
        last_bar = score.bar_at(max(0, score.end - 1))[0]
        self._seen = _seen(score, bars, last_bar, model.network.context // BAR)
        self._shift, self._chords = 0, self._harmony(kept, chords)
        self._shift = key_shift(_weights(kept, self._chords), str(model.facts.get("key_shift", "near")))
        self.first_bar = self._seen.first
        self.lost = (0, 0)
        self.grid = self._grid(kept)
        self.targets = self._targets()
        tones = tones_of(self._chords, self.grid.shape[1], self._shift) if chord_tones else None
        self.limits: Limits = limits_of(
            model.dictionary, shift=self._shift, ranges=ranges, chord_tones=chord_tones, tones=tones
        )
        self.features: F32 | None = self._conducted() if model.network.conducted else None

    @property
    def bars(self) -> tuple[int, Sequence[int]]:
        """Number of the first bar that is seen, and the ticks of all bar lines."""
        return self._seen.first, self._seen.lines

    def notes(self, grid: Ids) -> dict[str, tuple[Note, ...]]:
        """The new notes of a filled grid, by role, where and as loud as they are in the score."""
        made = {}
        for role in self._roles:
            track = ROLES.index(role)
            rows = np.where(self.targets[track], grid[2 * track : 2 * track + 2], PAD)
            velocity = self._velocity(role)
            notes = [
                self._seen.in_score(note)
                for note in notes_of(rows, role, self._model.dictionary, shift=self._shift, velocity=velocity)
            ]
            made[role] = tuple(sorted(replace(n, length=_DRUM_TICKS) for n in notes) if role == "drum" else notes)
        return made

    def _goes(self, role: str, note: Note) -> bool:
        return role in self._roles and self.ticks[0] <= note.start < self.ticks[1]

    def _velocity(self, role: str) -> int:
        """That of the bars nearest to those made; of a new track, a usual one."""
        middle = sum(self.ticks) / 2
        near = sorted(self._all.get(role, ()), key=lambda row: abs(row[1].start - middle))[:64]
        return int(np.median([note.velocity for _, note in near])) if near else _VELOCITIES[role]

    def _harmony(self, kept: Parts, chords: Sequence[Chord] | None) -> list[Chord | None]:
        """One chord a seen bar."""
        count = len(self._seen.lines) - 1
        if chords is not None:
            return [chords[(self._seen.first + bar) % len(chords)] for bar in range(count)]
        from engine.capture import chord_of

        found: list[Chord | None] = []
        pitched = sorted(note for role, part in kept.items() if role != "drum" for _, note in part)
        starts = [note.start for note in pitched]
        for first, last in zip(self._seen.lines, self._seen.lines[1:], strict=False):
            here = pitched[np.searchsorted(starts, first) : np.searchsorted(starts, last)]
            found.append(chord_of(here, found[-1] if found else None))
        return found

    def _grid(self, kept: Parts) -> Ids:
        """[14, L] with what is left; tracks without notes are EMPTY."""
        dictionary = self._model.dictionary
        columns = (len(self._seen.lines) - 1) * BAR
        grid = np.full((14, columns), dictionary.empty, np.int64)
        lost = total = 0
        for track, role in enumerate(ROLES):
            here = [note for _, note in kept.get(role, ()) if self._seen.lines[0] <= note.start < self._seen.lines[-1]]
            placed = [note for note in map(self._seen.on_grid, here) if note is not None]
            if placed:
                rows = columns_of(placed, role, columns, dictionary, self._shift)
                grid[2 * track : 2 * track + 2] = rows
                total += len(here)
                lost += len(here) - sum(len(dictionary.pitches(int(token))) for token in rows[0])
        self.lost = max(0, lost), total
        lag = 1 if self._model.facts.get("lagged_chords", False) else 0
        for bar in range(columns // BAR):
            chord = self._chords[max(0, bar - lag)]
            if chord is not None and chord.quality != "none":
                root, kind = chord_tokens(chord, dictionary, self._shift)
                grid[12, bar * BAR : (bar + 1) * BAR], grid[13, bar * BAR : (bar + 1) * BAR] = root, kind
        return grid

    def _targets(self) -> Mask:
        lines = np.repeat(np.asarray(self._seen.lines[:-1]), BAR)
        inside = (lines >= self.ticks[0]) & (lines < self.ticks[1]) & self._seen.usable()
        chosen = np.array([role in self._roles for role in ROLES])
        return chosen[:, None] & inside

    def _conducted(self) -> F32:
        columns = self.grid.shape[1]
        chroma, bass = np.zeros((12, columns), np.float32), np.zeros((12, columns), np.float32)
        for bar, chord in enumerate(self._chords):
            if chord is not None and chord.quality != "none":
                here = slice(bar * BAR, (bar + 1) * BAR)
                chroma[:, here] = np.roll(chord.chroma(), self._shift)[:, None]
                bass[:, here] = np.roll(chord.bass_vector(), self._shift)[:, None]
        return band_features(chroma, bass)


def _seen(score: Score, bars: tuple[int, int], last_bar: int, context: int) -> _Bars:
    """The bars to make, and as many around them as a network may see."""
    first, last = max(0, bars[0] - context), max(bars[1], min(last_bar, bars[1] + context))
    return _Bars(first, [score.tick_of_bar(bar) for bar in range(first, last + 2)])


def _weights(kept: Parts, chords: Sequence[Chord | None]) -> F64:
    """[12] how long each pitch class sounds, drums left out; where nothing else does, the chords'."""
    weights = np.zeros(12)
    for role, part in kept.items():
        if role != "drum":
            for _, note in part:
                weights[note.pitch % 12] += max(1, note.length)
    if not weights.any():
        for chord in chords:
            if chord is not None:
                weights[list(chord.pitch_classes)] += 1.0
    return weights
