"""GETMusic as an accompanist: the band's next bar from the player's notes, the chords and the bars before.

The bar is decided in as many passes as time allows. The player's part that is not played yet is treated as unknown, not
as silence: it is decided as well and thrown away.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from engine.models.getmusic.board import Limits
from engine.models.getmusic.limits import conducted, default_pull, limits_of, tones_of
from engine.models.getmusic.model import FillSettings, Getmusic, GetmusicControls
from engine.music.arrays import F32, I64, Mask
from engine.music.bandfeatures import UNKNOWN
from engine.music.grid import decode, encode
from engine.music.harmony import Chord
from engine.music.keys import key_shift
from engine.music.score import ROLES, Note, Score, Track
from engine.music.vocabulary import PAD
from engine.protocols.accompanist import BAR_TICKS, BEATS, COLUMN_TICKS, COLUMNS, BarMade, BarRequest
from engine.protocols.streamer import work

__all__ = ["GetmusicAccompanist"]


_SPARE_S: Final = 0.02  # for drawing, and for sending the answer
_RESERVE_STEPS: Final = 4
_VELOCITIES: Final = {"lead": 100, "bass": 92, "drum": 92, "guitar": 78, "piano": 84, "string": 64}
_NEWEST: Final = 0.3  # weight of the latest pass in the running mean of its duration
_CHORD_WEIGHT: Final = BAR_TICKS // BEATS // 4  # for the key, a chord tone of a beat counts as a sixteenth note


class GetmusicAccompanist:
    """Makes bars, see `engine.protocols.accompanist.AccompanistModel`.

    Threads: one.

    Args:
        model: any GETMusic bundle. controls: of the network.
        clock: seconds, on the same clock as `BarRequest.deadline_s`.
    """

    def __init__(
        self,
        model: Getmusic,
        controls: GetmusicControls | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.model, self.controls, self._clock = model, controls or GetmusicControls(), clock
        self.first_s, self.pass_s = 0.0, 0.0
        """Running means of the seconds of a bar's first pass, which may read the past, and of every other."""

    def warm(self) -> None:
        """Run the network once on an empty bar, so that the first real bar is as fast as the others."""
        tracks = {"lead": tuple(Note(bar * BAR_TICKS, 60, BAR_TICKS) for bar in range(self._bars()))}
        end = self._clock() + 3600.0
        request = BarRequest(
            number=0, bar=self._bars(), first=0, tracks=tracks, known=self._bars() * BAR_TICKS, bars=1, tempo_bpm=120.0,
            targets=("bass",), chords=((None,) * BEATS,) * (self._bars() + 1), deadline_s=end,
        )  # fmt: skip
        for _ in range(2):
            self.make(request)

    def make(self, request: BarRequest) -> BarMade:
        """The bars requested: the first in as many passes as time allows, the others in the time that is left."""
        began_s = self._clock()
        pull = self.controls.chord_pull
        if pull < 0.0:
            pull = default_pull(self.model.network)
        sheet = _BarSheet(self.model, request, self._bars(), pull)
        bars: list[Mapping[str, tuple[Note, ...]]] = []
        passes = 0
        for number in range(request.bars):
            left_s = request.deadline_s - _SPARE_S - self._clock()
            most = self.controls.steps if number == 0 else min(self.controls.steps, _RESERVE_STEPS)
            if number and left_s < self.first_s + most * self.pass_s:
                break
            more = most - 1 if self.pass_s <= 0.0 else (left_s - self.first_s) / self.pass_s
            steps = 1 + int(min(most - 1, max(0.0, more)))
            made, count = self._bar(sheet, number, steps, request)
            bars.append(made)
            passes += count
        return BarMade(
            number=request.number, bar=request.bar, bars=tuple(bars), seconds=self._clock() - began_s, steps=passes
        )  # fmt: skip

    def _bars(self) -> int:
        """Bars before the one to make that the network sees."""
        return max(1, self.model.network.context // COLUMNS - 1)

    def _bar(
        self, sheet: "_BarSheet", number: int, steps: int, request: BarRequest
    ) -> tuple[Mapping[str, tuple[Note, ...]], int]:
        settings = FillSettings(
            steps=steps, seed=request.seed % 2**31, temperature=self.controls.temperature, top_p=self.controls.top_p,
            densities={role: share for role, share in request.density.items() if role in request.targets},
        )  # fmt: skip
        grid, targets, features, limits, first_bar = sheet.question(number)
        job = self.model.fill(grid, targets, settings, limits=limits, features=features, first_bar=first_bar)
        began_s, passes = self._clock(), 0

        def late() -> bool:
            nonlocal began_s, passes
            now_s = self._clock()
            if passes == 1:
                self.first_s = _learned(self.first_s, now_s - began_s)
            elif passes:
                self.pass_s = _learned(self.pass_s, now_s - began_s)
            began_s, passes = now_s, passes + 1
            return passes > 1 and now_s + self.pass_s > request.deadline_s - _SPARE_S

        made = work(job, late=late)
        return sheet.keep(number, made.grids[0]), made.passes


def _learned(known_s: float, took_s: float) -> float:
    """The running mean of a pass's seconds after one more; a single slow one has little effect."""
    return took_s if known_s <= 0.0 else known_s + (took_s - known_s) * _NEWEST


class _BarSheet:
    """A request as a grid: the known cells, then bar by bar the made ones."""

    def __init__(self, model: Getmusic, request: BarRequest, seen: int, pull: float) -> None:
        self._request, self._model = request, model
        first = max(request.first, request.bar - seen)
        self._first, self._line = first, (request.bar - first) * COLUMNS
        moved = (first - request.first) * BAR_TICKS
        known = {
            role: tuple(replace(note, start=note.start - moved) for note in notes if note.start >= moved)
            for role, notes in request.tracks.items()
        }
        self._known = min(self._line, max(0, request.known - moved + COLUMN_TICKS // 2) // COLUMN_TICKS)
        self._velocity = {role: _loudness(notes, _VELOCITIES[role]) for role, notes in known.items()}
        chords = request.chords[first - request.first :]
        bars = self._line // COLUMNS + request.bars
        tracks = tuple(Track(tuple(sorted(known.get(role, ()))), 0, role == "drum", role) for role in ROLES)
        self._shift = _shift(tracks, chords, model.facts.key_shift)
        encoded = encode(
            Score(tracks), model.dictionary, key=self._shift, lag=model.facts.lagged_chords,
            chords=[_longest(beats) for beats in chords], least_bars=bars, roles=ROLES,
        )  # fmt: skip
        self._grid = encoded.grid[:, : bars * COLUMNS]
        player = self._grid[self._rows(request.player)]
        player[player == model.dictionary.empty] = PAD
        self._beats = [None if beat is None else beat.transposed(self._shift) for bar in chords for beat in bar]
        self._features = self._conducted() if model.network.conducted else None
        tones = tones_of(self._beats, self._grid.shape[1], COLUMNS // BEATS)
        self._limits = limits_of(model.dictionary, shift=self._shift, tones=tones, pull=pull)

    def question(self, number: int) -> tuple[I64, Mask, F32 | None, Limits, int]:
        """Grid, targets, features, limits and number of the first bar, for the `number`-th bar wanted."""
        request, network = self._request, self._model.network
        last = self._line + (number + 1) * COLUMNS
        first = max(0, last - network.context // COLUMNS * COLUMNS)
        targets = np.zeros((len(ROLES), last), np.bool_)
        for role in request.targets:
            targets[ROLES.index(role), last - COLUMNS :] = True
        grid = self._grid[:, :last].copy()
        if request.player not in request.targets:
            open_ = max(0, last - network.window)
            player = ROLES.index(request.player)
            targets[player, max(self._known, open_) :] = True
            grid[self._rows(request.player), self._known : open_] = self._model.dictionary.empty
        features = None if self._features is None else self._features[:, first:last]
        limits = self._limits.between(first, last)
        return grid[:, first:], targets[:, first:], features, limits, self._first + first // COLUMNS

    def keep(self, number: int, made: I64) -> Mapping[str, tuple[Note, ...]]:
        """Copy a made bar into the grid; its notes by role."""
        start = self._line + number * COLUMNS
        bar = made[:, -COLUMNS:]
        whole = decode(bar, self._model.dictionary, self._shift)
        notes = {}
        for role in self._request.targets:
            rows = self._rows(role)
            self._grid[rows, start : start + COLUMNS] = bar[rows]
            velocity = self._velocity.get(role, _VELOCITIES[role])
            notes[role] = tuple(replace(note, velocity=velocity) for note in whole.tracks[ROLES.index(role)].notes)
        return notes

    def _rows(self, role: str) -> slice:
        track = ROLES.index(role)
        return slice(2 * track, 2 * track + 2)

    def _conducted(self) -> F32:
        """Harmony of each beat, and density and register of the bars to make."""
        columns = self._grid.shape[1]
        request, defaults = self._request, self._model.defaults
        density, register = (np.full((len(ROLES), columns), UNKNOWN, np.float32) for _ in range(2))
        if defaults is not None:
            # The seed of bar 0 is that of the performance, so its defaults stay the same from beginning to end.
            seed = (request.seed - request.bar) % 2**31
            density, register = defaults.choose(request.targets, columns, seed, first_bar=self._first, lead=None)
            density[:, : self._line] = register[:, : self._line] = UNKNOWN
        for role, share in request.density.items():
            density[ROLES.index(role), self._line :] = share
        return conducted(self._beats, columns, COLUMNS // BEATS, density, register)


def _shift(tracks: Sequence[Track], chords: Sequence[Sequence[Chord | None]], rule: str) -> int:
    """Semitones into the key of the grid, from the notes and the chords."""
    known = [(note.pitch, max(1, note.length)) for track in tracks if not track.drums for note in track.notes]
    known += [
        (tone, _CHORD_WEIGHT) for bar in chords for beat in bar if beat is not None for tone in beat.pitch_classes
    ]
    pitches, weights = np.array(known, np.int64).reshape(-1, 2).T
    return key_shift(pitches, weights, rule) if len(known) else 0


def _longest(beats: Sequence[Chord | None]) -> Chord | None:
    """The chord that holds in most beats of a bar; None where unknown."""
    named = [chord for chord in beats if chord is not None and chord.quality != "none"]
    return max(named, key=named.count) if named else None


def _loudness(notes: tuple[Note, ...], otherwise: int) -> int:
    return int(np.median([note.velocity for note in notes])) if notes else otherwise
