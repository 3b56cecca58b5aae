"""From a score to GETMusic's grid and back, to make some bars of some tracks again.

The notes to be made are removed first: key and chords are those of the rest. Of a long piece only the bars around those
to be made are used, as many as the network's context.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from engine.errors import ControlError
from engine.models.getmusic.board import Limits
from engine.models.getmusic.defaults import played
from engine.models.getmusic.limits import conducted, default_pull, limits_of, tones_of
from engine.models.getmusic.model import Getmusic
from engine.music.arrays import F32, I64, Mask
from engine.music.bars import COLUMNS, Bars
from engine.music.chords import chord_of
from engine.music.grid import Encoded, decode, encode
from engine.music.harmony import Chord
from engine.music.score import ROLES, Meter, Note, Score, Track
from engine.music.swing import swing_of
from engine.music.vocabulary import PAD

__all__ = ["Sheet", "Wanted"]


_MOST_BARS: Final = 4096
_VELOCITIES: Final = {"lead": 100, "bass": 92, "drum": 92, "guitar": 78, "piano": 84, "string": 64}
_STROKE: Final = 120  # ticks of a drum's stroke: their lengths have no meaning
_MOST_PARTS: Final = 8  # bars of a grid that one bar of a score may become
_NEAR: Final = 64  # nearest notes, from which a track's velocity is taken


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The bars and roles to make.

    Args:
        targets: roles. bars: first and last, from 0; they may lie beyond the end.
        chords: one a bar from bar 0 on, repeated; None: detected.
        seed: chooses the defaults of parts that start from nothing, see `engine.models.getmusic.defaults`.
        ranges, chord_tones, scale_tones, pull: see `limits_of`; `pull` None: `default_pull`.
    """

    targets: tuple[str, ...]
    bars: tuple[int, int]
    chords: tuple[Chord, ...] | None = None
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    chord_tones: Collection[str] = ()
    scale_tones: Collection[str] = ()
    pull: float | None = None
    seed: int = 0


class Sheet:
    """The grid, targets and limits of an infill.

    Args:
        model: the model that fills the grid.
        score: the music. roles: of each of its tracks.
        left: the score without the notes to be replaced; None: those that start in the bars to make.
    Attributes:
        grid, targets, limits, features, first_bar: see `Getmusic.fill`.
        ticks: start and end of the bars to make.
        left: the score without the notes to be replaced.
        swing: that of the score, which the grid has not: notes are straightened for the network.
    Raises:
        ControlError: no notes to go by, or too many bars.
    """

    def __init__(
        self,
        model: Getmusic,
        score: Score,
        roles: Sequence[str | None],
        wanted: Wanted,
        left: Score | None = None,
    ) -> None:
        first, last = wanted.bars
        if last - first >= _MOST_BARS:
            raise ControlError(
                f"got {last - first + 1} bars to make, wanted at most {_MOST_BARS}: choose some, such as 9-16"
            )
        self._model, self._score, self._roles, self._wanted = model, score, tuple(roles), wanted
        self.ticks = score.tick_of_bar(first), score.tick_of_bar(last + 1)
        tracks = zip(score.tracks, roles, strict=True)
        self.left = left or replace(score, tracks=tuple(self._without(track, role) for track, role in tracks))
        self._check()
        self.swing = swing_of(score, (note for track in score.tracks for note in track.notes))
        context = model.network.context // COLUMNS
        ends = score.bar_at(max(0, score.end - 1))[0]
        self.first_bar, self.last_bar = max(0, first - context), max(last, min(ends, last + context))
        self._start, self._end = (score.tick_of_bar(bar) for bar in (self.first_bar, self.last_bar + 1))
        self._encoded = self._encode()
        self.grid, self.targets = self._encoded.grid, self._targets()
        chords = self._harmony()
        columns = self.grid.shape[1]
        tones = tones_of(chords, columns)
        pull = default_pull(model.network) if wanted.pull is None else wanted.pull
        self.limits: Limits = limits_of(
            model.dictionary, shift=self._encoded.shift, ranges=wanted.ranges, chord_tones=wanted.chord_tones,
            scale_tones=wanted.scale_tones, tones=tones, pull=pull,
        )  # fmt: skip
        self.features: F32 | None = None
        if model.network.conducted:
            self.features = conducted(chords, columns, COLUMNS, *self._default_playing(columns))

    @property
    def lost(self) -> str:
        """What the network cannot represent, in words; empty if nothing."""
        return self._encoded.lost()

    @property
    def lines(self) -> list[int]:
        """Ticks of all bar lines in the grid, from that of `first_bar` on."""
        return [self._score.tick_of_bar(bar) for bar in range(self.first_bar, self.last_bar + 2)]

    def notes(self, grid: I64) -> dict[str, tuple[Note, ...]]:
        """The new notes of a filled grid by role, with their ticks in the score and their velocities."""
        cells = np.where(np.repeat(self.targets, 2, axis=0), grid[:12], PAD)
        cells = np.concatenate([cells, grid[12:]])
        whole = decode(cells, self._model.dictionary, self._encoded.shift, bars=self._encoded.bars)
        made = {}
        for role in self._wanted.targets:
            velocity = self._velocity(role)
            made[role] = tuple(
                self.swing.swung(
                    replace(
                        note, start=note.start + self._start, velocity=velocity,
                        length=_STROKE if role == "drum" else note.length,
                    )
                )
                for note in whole.tracks[ROLES.index(role)].notes
            )  # fmt: skip
        return made

    def _without(self, track: Track, role: str | None) -> Track:
        """A track without the notes to be made."""
        if role not in self._wanted.targets:
            return track
        return track.where(lambda note: not self.ticks[0] <= note.start < self.ticks[1])

    def _check(self) -> None:
        if self._wanted.chords is not None:
            return
        there = {role for role, track in zip(self._roles, self.left.tracks, strict=True) if role and track.notes}
        if not there:
            raise ControlError("nothing is left to play along with: give --chords, fewer targets or fewer bars")
        if there == {"drum"}:
            raise ControlError("only drums are left, which have no harmony: give --chords")

    def _encode(self) -> Encoded:
        """The remaining notes of the bars in the grid, from tick 0 on."""
        start, end = self._start, self._end
        tracks = tuple(
            replace(track, notes=tuple(replace(n, start=n.start - start) for n in sorted(self._straight(track))))
            for track in self.left.tracks
        )
        here = self._score.meter_at(start)
        later = [replace(meter, tick=meter.tick - start) for meter in self._score.meters if start < meter.tick < end]
        piece = Score(tracks, meters=(Meter(0, here.beats, here.unit), *later))
        lines = Bars.of(piece, _MOST_PARTS * (self.last_bar - self.first_bar + 1)).starts
        count = int(np.searchsorted(lines, end - start))
        wanted, facts = self._wanted.chords, self._model.facts
        bars = [self._score.bar_at(start + int(line))[0] for line in lines[:count]]
        return encode(
            piece, self._model.dictionary, key=facts.key_shift, least_bars=count, roles=self._roles,
            lag=facts.lagged_chords,
            chords=None if wanted is None else [wanted[bar % len(wanted)] for bar in bars],
        )  # fmt: skip

    def _straight(self, track: Track) -> Iterator[Note]:
        """The notes of the bars in the grid, without swing."""
        return (self.swing.straight(note) for note in track.notes if self._start <= note.start < self._end)

    def _harmony(self) -> list[Chord]:
        """One chord a bar of the grid, in its key."""
        if self._wanted.chords is None:
            return [chord_of(int(state)) for state in self._encoded.states]
        lines = self._encoded.bars.starts[:-1] + self._start
        bars = [self._score.bar_at(int(line))[0] for line in lines]
        return [self._wanted.chords[bar % len(self._wanted.chords)].transposed(self._encoded.shift) for bar in bars]

    def _default_playing(self, columns: int) -> tuple[F32 | None, F32 | None]:
        """Density and register of parts that start from nothing."""
        defaults, wanted = self._model.defaults, self._wanted
        roles = zip(self._roles, self.left.tracks, strict=True)
        cold = set(wanted.targets) - {role for role, track in roles if role and track.notes}
        if defaults is None or not cold:
            return None, None
        lead = played(self.grid[2 * ROLES.index("lead")], self._model.dictionary, "lead")
        return defaults.choose(cold, columns, wanted.seed, first_bar=self.first_bar, lead=lead)

    def _targets(self) -> Mask:
        bars = self._encoded.bars
        ticks = bars.ticks_of(np.arange(bars.columns)) + self._start
        inside = (ticks >= self.ticks[0]) & (ticks < self.ticks[1]) & bars.used
        if self.swing.swings and not self.swing.sixteenths:
            inside &= (np.arange(bars.columns) % COLUMNS) % 2 == 0
        chosen = np.array([role in self._wanted.targets for role in ROLES])
        return np.asarray(chosen[:, None] & inside, np.bool_)

    def _velocity(self, role: str) -> int:
        """Median velocity of the notes nearest to those made; of a new track, the default of its role."""
        middle = sum(self.ticks) / 2
        tracks = zip(self._roles, self._score.tracks, strict=True)
        notes = [note for name, track in tracks if name == role for note in track.notes]
        near = sorted(notes, key=lambda note: abs(note.start - middle))[:_NEAR]
        return int(np.median([note.velocity for note in near])) if near else _VELOCITIES[role]
