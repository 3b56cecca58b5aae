"""Packs and folders of MIDI as songs for a band: human pieces by their roles, and tunes for the arranger.

A pack is a folder or a ``.tar.gz`` with an ``index.csv``; any other folder of MIDI is read as well, its licence unknown
unless it is given. Only bars of 4/4 can be put on a grid: of each piece the stretches in that metre are taken.
"""

import csv
import io
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final

from engine.errors import EngineError
from engine.music.harmony import NO_CHORD, Chord, HarmonyError, parse_chord
from engine.music.score import Meter, Note, Score, TempoChange, Track
from engine.music.units import TICKS_PER_BEAT
from training.data.licences import UNKNOWN

__all__ = ["BAR", "Item", "Pack", "TuneError", "chord_bars", "cut", "on_grid", "read_chords", "stretches"]

BAR: Final = 4 * TICKS_PER_BEAT
Chords = tuple[tuple[float, float, Chord], ...]
_DEGREES: Final = {"1": 0, "b2": 1, "2": 2, "b3": 3, "3": 4, "4": 5, "#4": 6, "b5": 6, "5": 7, "b6": 8, "#5": 8, "6": 9}
_DEGREES_UP: Final = {**_DEGREES, "b7": 10, "7": 11, "9": 2, "11": 5, "13": 9, "bb7": 9}
_QUALITIES: Final = {
    "sus4(b7)": "7sus4",
    "aug7": "aug",
    "maj9": "maj9",
    "7(b9)": "7",
    "7(#9)": "7",
    "sus4(b7,9)": "7sus4",
}


class TuneError(EngineError):
    """A pack or file of music cannot be read: the message says which and why."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a pack.

    Args:
        pack: its name.
        file: path inside the pack.
        uid: pieces with one uid are the same tune and stay on one side of a split.
        licence: as the index has it.
        style: as the index has it; may be empty.
    """

    pack: str
    file: str
    uid: str
    licence: str
    style: str


class Pack(AbstractContextManager["Pack"]):
    """Files of one pack by name; opened with ``with``.

    Args:
        path: a folder, or a ``.tar.gz`` with one folder in it.
        licence: of all files, where there is no index.
    """

    def __init__(self, path: Path, licence: str = UNKNOWN) -> None:
        self.name = path.name.removesuffix(".tar.gz")
        self._path, self._licence = path, licence
        self._members: dict[str, bytes] | None = None

    def __enter__(self) -> "Pack":
        if self._path.is_dir():
            return self
        try:
            with tarfile.open(self._path) as archive:
                self._members = {}
                for member in archive:
                    name = member.name.partition("/")[2]
                    if member.isfile() and name.endswith((".mid", ".midi", ".tsv", ".csv")):
                        handle = archive.extractfile(member)
                        assert handle is not None
                        self._members[name] = handle.read()
        except (OSError, tarfile.TarError) as error:
            raise TuneError(f"{self._path}: not a folder and not a .tar.gz that can be read ({error})") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._members = None

    def read(self, file: str) -> bytes:
        """A file's bytes.

        Raises:
            TuneError: there is no such file.
        """
        try:
            return (self._path / file).read_bytes() if self._members is None else self._members[file]
        except (OSError, KeyError):
            raise TuneError(f"{self.name}: no file {file}") from None

    def items(self) -> tuple[Item, ...]:
        """All MIDI files in a fixed order, with what the index tells of them."""
        try:
            text = self.read("index.csv").decode("utf-8")
        except TuneError:
            return tuple(self._bare())
        return tuple(
            Item(
                self.name,
                _grid_file(self.name, row["file"]),
                row.get("split_uid") or row["file"],
                row.get("licence") or UNKNOWN,
                row.get("style", ""),
            )
            for row in csv.DictReader(io.StringIO(text))
            if row["file"].lower().endswith((".mid", ".midi"))
        )

    def _bare(self) -> Iterator[Item]:
        names = (
            [path.relative_to(self._path).as_posix() for path in self._path.rglob("*")]
            if self._members is None
            else self._members
        )
        for name in sorted(names):
            if name.lower().endswith((".mid", ".midi")):
                yield Item(self.name, name, f"{self.name}/{name}", self._licence, "")


def _grid_file(pack: str, file: str) -> str:
    """POP909 lists its files as published; beside each there is one on a grid of beats."""
    return f"grid/{Path(file).name}" if pack == "pop909" else file


def _chord(label: str) -> Chord:
    """A label such as ``F#:min7``, ``Bb:maj/3``, ``C:7/G``; what is not known is read as the triad it begins with."""
    plain, _, bass = label.strip().partition("/")
    root, _, quality = plain.partition(":")
    quality = _QUALITIES.get(quality, quality)
    for text in (f"{root}:{quality}", f"{root}:{quality.partition('(')[0]}", f"{root}:{quality[:3]}", root):
        try:
            chord = parse_chord(text)
        except HarmonyError:
            continue
        break
    else:
        return NO_CHORD
    if not bass or chord == NO_CHORD:
        return chord
    if bass in _DEGREES_UP:
        return replace(chord, bass=(chord.root + _DEGREES_UP[bass]) % 12)
    try:
        return replace(chord, bass=parse_chord(bass).root)
    except HarmonyError:
        return chord


def read_chords(text: str) -> Chords:
    """(first beat, last beat, chord) of a ``.chords.tsv``; beats are quarter notes from tick 0.

    Raises:
        TuneError: a line is not two numbers and a label.
    """
    rows = []
    for line in text.splitlines()[1:]:
        try:
            start, end, label = line.split("\t")
            rows.append((float(start), float(end), _chord(label)))
        except ValueError:
            raise TuneError(f"got chord line {line!r}, wanted start, end and label apart by tabs") from None
    return tuple(rows)


def chord_bars(chords: Chords, first_tick: int, bars: int) -> tuple[tuple[Chord, ...], ...]:
    """The chords of each bar from `first_tick` on, as few as say it: 1, 2 or 4 that share the bar."""
    found = []
    place = 0
    for beat in range(4 * bars):
        at = first_tick / TICKS_PER_BEAT + beat + 0.25  # a little in, so that a change just late still counts
        while place + 1 < len(chords) and chords[place][1] <= at:
            place += 1
        inside = chords and chords[place][0] <= at < chords[place][1]
        found.append(chords[place][2] if inside else NO_CHORD)
    rows: list[tuple[Chord, ...]] = []
    for bar in range(bars):
        one, two, three, four = found[4 * bar : 4 * bar + 4]
        if one == two and three == four:
            rows.append((one,) if one == three else (one, three))
        else:
            rows.append((one, two, three, four))
    return tuple(rows)


def stretches(score: Score, least: int = 8) -> list[tuple[int, int]]:
    """(first tick, bars) of every run of at least `least` bars in 4/4 or 2/2; upbeats and silent ends are left out."""
    end = score.end
    runs: list[tuple[int, int]] = []
    for meter, following in zip(score.meters, [*score.meters[1:], None], strict=True):
        last = end if following is None else min(following.tick, end)
        if (meter.beats, meter.unit) not in ((4, 4), (2, 2)):
            continue
        bars = max(0, last - meter.tick + (BAR - 1 if following is None else 0)) // BAR
        if runs and runs[-1][0] + runs[-1][1] * BAR == meter.tick:
            runs[-1] = (runs[-1][0], runs[-1][1] + bars)
        elif bars:
            runs.append((meter.tick, bars))
    return [run for run in runs if run[1] >= least]


def cut(score: Score, tick: int, bars: int) -> Score:
    """The bars from `tick` on as a score of their own, in 4/4, at the tempo that holds where it begins."""
    end = tick + bars * BAR

    def moved(track: Track) -> Track:
        notes = tuple(
            replace(note, start=note.start - tick, length=min(note.length, end - note.start))
            for note in track.notes
            if tick <= note.start < end
        )
        return replace(track, notes=notes)

    bpm = next((change.bpm for change in reversed(score.tempos) if change.tick <= tick), 120.0)
    return Score(tuple(map(moved, score.tracks)), (TempoChange(0, bpm),), (Meter(0, 4, 4),))


def on_grid(notes: tuple[Note, ...]) -> float:
    """Share of onsets within a sixth of a sixteenth of the sixteenth grid; 1 without notes."""
    if not notes:
        return 1.0
    step = TICKS_PER_BEAT // 4
    near = sum(abs((note.start + step // 2) % step - step // 2) * 6 <= step for note in notes)
    return near / len(notes)
