"""Tunes by people from packs of free music: POP909 (MIT), and lead sheets in the public domain. All are in 4/4."""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from engine.errors import EngineError
from engine.music.harmony import NO_CHORD, Chord
from engine.music.midifile import read_midi
from engine.music.score import Note, Track
from training.data.corpus import DataError
from training.data.licences import may_ship
from training.data.pieces import side_of
from training.data.tunes import BAR, Item, Pack, chord_bars, cut, on_grid, read_chords, stretches

__all__ = ["HELD_OUT", "BandTune", "TuneBook"]

HELD_OUT: Final = 0.06
"""Share of tunes, of style seeds, and of pieces that are held out."""
_PACKS: Final = ("pop909", "leadsheets")
_ON_GRID: Final = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class BandTune:
    """A melody with its chords, in 4/4 from tick 0.

    Args:
        uid: versions of one tune have one uid, and stay on one side of a split.
        licence: of the notes.
        lead: the melody.
        piano: a piano part that belongs to the tune, if there is one.
        chords: for each bar 1, 2 or 4 chords that share it.
    """

    uid: str
    licence: str
    lead: Track
    piano: Track | None
    chords: tuple[tuple[Chord, ...], ...]

    def part(self, first: int, bars: int) -> "BandTune":
        """Some bars of it."""
        start, end = first * BAR, (first + bars) * BAR

        def inside(track: Track) -> Track:
            kept = (n for n in track.notes if start <= n.start < end)
            notes = (Note(n.start - start, n.pitch, min(n.length, end - n.start), n.velocity) for n in kept)
            return replace(track, notes=tuple(notes))

        piano = None if self.piano is None else inside(self.piano)
        return replace(self, lead=inside(self.lead), piano=piano, chords=self.chords[first : first + bars])

    def transposed(self, semitones: int) -> "BandTune":
        """The same tune in another key; what would leave the MIDI pitches stays an octave nearer."""

        def moved(track: Track) -> Track:
            notes = (replace(n, pitch=_inside(n.pitch + semitones)) for n in track.notes)
            return replace(track, notes=tuple(sorted(notes)))

        chords = tuple(tuple(c if c == NO_CHORD else c.transposed(semitones) for c in bar) for bar in self.chords)
        piano = None if self.piano is None else moved(self.piano)
        return replace(self, lead=moved(self.lead), piano=piano, chords=chords)


def _inside(pitch: int) -> int:
    return pitch + 12 if pitch < 0 else pitch - 12 if pitch > 127 else pitch


class TuneBook:
    """All tunes that pieces are drawn from, in a fixed order.

    Args:
        folder: a folder with the packs ``pop909`` and ``leadsheets`` as folders or ``.tar.gz``, or None: no tunes.
    Raises:
        DataError: the folder holds neither.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._packs: dict[str, Pack] = {}
        self._sides: dict[bool, list[Item]] = {True: [], False: []}
        if folder is None:
            return
        for name in _PACKS:
            path = next((p for p in (folder / name, folder / f"{name}.tar.gz") if p.exists()), None)
            if path is not None:
                self._open(Pack(path))
        if not self._packs:
            raise DataError(f"{folder}: no tunes; wanted {' or '.join(f'{name}.tar.gz' for name in _PACKS)} in it")

    def _open(self, pack: Pack) -> None:
        pack.__enter__()  # open as long as the book
        self._packs[pack.name] = pack
        for item in pack.items():
            if may_ship(item.licence):
                self._sides[side_of(item.uid, HELD_OUT)].append(item)

    def draw(self, rng: np.random.Generator, bars: int, held_out: bool) -> BandTune | None:
        """A tune of one side of the split, cut to at most `bars` bars, in any key; None where there are no tunes."""
        items = self._sides[held_out]
        for _ in range(12 if items else 0):  # some are in other meters, or played freely
            found = self._parts(items[int(rng.integers(len(items)))])
            if found:
                tune = found[int(rng.integers(len(found)))]
                room = len(tune.chords) - bars
                first = 4 * int(rng.integers(room // 4 + 1)) if room > 0 else 0
                return tune.part(first, min(bars, len(tune.chords))).transposed(int(rng.integers(-5, 7)))
        return None

    @lru_cache(maxsize=4096)  # noqa: B019  (a book lives as long as the process)
    def _parts(self, item: Item) -> tuple[BandTune, ...]:
        try:
            return tuple(_tunes(self._packs[item.pack], item))
        except EngineError:
            return ()


def _tunes(pack: Pack, item: Item) -> list[BandTune]:
    """Every stretch of 4/4 of a file whose chords are known."""
    score = read_midi(pack.read(item.file))
    chords = read_chords(pack.read(item.file.removesuffix(".mid") + ".chords.tsv").decode("utf-8"))
    named = {track.name.lower(): track for track in score.tracks if track.notes}
    melody = named.get("melody") or named.get("lead") or next((t for t in score.tracks if t.notes), None)
    if melody is None:
        return []
    piano = named.get("piano")
    found = []
    for tick, bars in stretches(score):
        whole = cut(replace(score, tracks=tuple(t for t in (melody, piano) if t is not None)), tick, bars)
        rows = chord_bars(chords, tick, bars)
        silent = sum(chord == NO_CHORD for bar in rows for chord in bar)
        if on_grid(whole.tracks[0].notes) < _ON_GRID or silent > 0.5 * sum(map(len, rows)):
            continue
        second = whole.tracks[1] if len(whole.tracks) > 1 else None
        found.append(BandTune(uid=item.uid, licence=item.licence, lead=whole.tracks[0], piano=second, chords=rows))
    return found
