"""A MIDI file in, MIDI files out: a fill as a whole, told by its progress.

What is asked for is taken out of the score; what is left says key and chords and is what the network sees. Of what
comes back only the tracks and bars asked for are new: everything else of the file stays note for note, and the file
itself is not touched.
"""

import re
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from engine.band import PROGRAMS
from engine.errors import BundleError, ControlError, RecordError
from engine.models.getmusic import FillSettings
from engine.models.getmusic_sheet import Part, Parts, Sheet
from engine.music.harmony import Chord, parse_progression
from engine.music.midifile import MidiFile, open_midi, write_midi
from engine.music.score import ROLES, Note, Score, Track
from engine.stream import Job

__all__ = ["InfillTask", "Infilled", "infill", "parts_of", "spliced", "targets_of", "written_bars"]

# General MIDI families up to a program: keys and tuned percussion, guitars, basses, strings and choirs, then whatever
# has a tune: brass, reeds, pipes, synthesiser leads; pads are strings.
_FAMILIES: Final = (
    (23, "piano"), (31, "guitar"), (39, "bass"), (54, "string"), (87, "lead"), (103, "string"), (111, "guitar"),
    (127, "lead"),
)  # fmt: skip
_ALSO: Final = {"lead": "melody", "bass": "bass", "drum": "drum", "guitar": "gtr", "piano": "keys", "string": "strings"}
_AROUND: Final = 4  # bars drawn before and after those that were made


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillTask:
    """What to fill.

    Args:
        source, out: MIDI files; of several variations `out` gets numbers.
        targets: roles to make. bars: first and last, from 1; None for all there are.
        bundle: name or path (if `paths`); empty for the first that makes notes.
        chords: a progression from bar 1 on; empty for what is heard.
        settings: see `FillSettings`.
        ranges, chord_tones: see `engine.models.getmusic_limits.limits_of`.
        picture: file to draw into. threads: of the network.
    """

    source: Path
    out: Path
    targets: tuple[str, ...]
    bars: tuple[int, int] | None = None
    bundle: str = ""
    paths: bool = True
    chords: str = ""
    settings: FillSettings = field(default_factory=FillSettings)
    ranges: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    chord_tones: tuple[str, ...] = ()
    picture: Path | None = None
    threads: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Infilled:
    """What a fill made.

    Args:
        paths: one file a variation. notes: of each, the new notes by role.
        passes, seconds: of the network.
        lost: what of the input the network could not be told, in words; empty if it was told all.
    """

    paths: tuple[str, ...]
    notes: tuple[Mapping[str, tuple[Note, ...]], ...]
    passes: int
    seconds: float
    lost: str = ""

    def told(self) -> Iterator[str]:
        """Lines for people."""
        for path, parts in zip(self.paths, self.notes, strict=True):
            yield f"{path}: " + ", ".join(f"{len(notes)} notes of {role}" for role, notes in parts.items())
        yield f"{self.passes} passes of the network in {self.seconds:.1f} s"
        if self.lost:
            yield self.lost


def targets_of(text: str) -> tuple[str, ...]:
    """Roles from words such as ``bass,drum``.

    Raises:
        ControlError: one of them is no role, or there is none.
    """
    words = [word for word in re.split(r"[,\s]+", text.strip().lower()) if word]
    wrong = [word for word in words if word not in ROLES]
    if wrong or not words:
        got = f"'{wrong[0]}'" if wrong else "nothing"
        raise ControlError(f"targets are one or more of {', '.join(ROLES)}; got {got}")
    return tuple(dict.fromkeys(words))


def written_bars(text: str) -> tuple[int, int] | None:
    """First and last bar from ``9-16`` or ``9``, from 1; None from nothing.

    Raises:
        ControlError: it is neither.
    """
    if not text.strip():
        return None
    found = re.fullmatch(r"\s*(\d{1,6})\s*(?:-\s*(\d{1,6})\s*)?", text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= first <= last:
        raise ControlError(f"bars are such as 9-16, the first being 1; got {text!r}")
    return first, last


def spliced(
    score: Score,
    gone: Mapping[int, Collection[Note]],
    new: Mapping[str, tuple[Note, ...]],
    homes: Mapping[str, int],
    programs: Mapping[str, int],
) -> Score:
    """A score in which some notes have been exchanged for others, and all else is as it was.

    Args:
        gone: track number to the notes that go; of equal notes as many as are named.
        new: role to the notes that come.
        homes: role to the number of the track that takes them; roles that have none get a track of their own.
        programs: role to the General MIDI program of such a track.
    """
    tracks = list(score.tracks)
    for number, notes in gone.items():
        going = Counter(notes)
        left = []
        for note in tracks[number].notes:
            if going[note] > 0:
                going[note] -= 1
            else:
                left.append(note)
        tracks[number] = replace(tracks[number], notes=tuple(left))
    for role, notes in new.items():
        if role in homes:
            home = tracks[homes[role]]
            tracks[homes[role]] = replace(home, notes=tuple(sorted((*home.notes, *notes))))
        elif notes:
            tracks.append(Track(tuple(sorted(notes)), programs[role], role == "drum", role))
    return replace(score, tracks=tuple(tracks))


def infill(task: InfillTask) -> Job[Infilled]:
    """A job that reads, fills, and writes; closed before its end it leaves nothing behind.

    Raises:
        ControlError: the file has nothing to play along with, or too many bars are asked for.
        ScoreError: it is no MIDI file. BundleError: there is no bundle that makes notes.
    """
    from engine.bundle import open_getmusic

    file = open_midi(task.source)
    score = file.score
    if not any(track.notes for track in score.tracks):
        raise ControlError(f"{task.source.name} holds no notes: choose another file")
    last = score.bar_at(max(0, score.end - 1))[0]
    bars = (0, last) if task.bars is None else (task.bars[0] - 1, task.bars[1] - 1)
    if bars[0] > last + 1:
        raise ControlError(
            f"{task.source.name} ends with bar {last + 1}: bars to make begin at {last + 2} at the latest"
        )
    parts = parts_of(score)
    model = open_getmusic(task.bundle or first_bundle(), threads=task.threads, paths=task.paths)
    sheet = Sheet(
        model, score, parts, targets=task.targets, bars=bars, ranges=task.ranges, chord_tones=task.chord_tones,
        chords=chords_of(task.chords),
    )  # fmt: skip
    began_s = time.perf_counter()
    filled = yield from model.fill(
        sheet.grid,
        sheet.targets,
        task.settings,
        limits=sheet.limits,
        features=sheet.features,
        first_bar=sheet.first_bar,
    )
    homes = {role: _home(parts[role], sheet.ticks) for role in task.targets if parts.get(role)}
    made = [_fitted(sheet.notes(grid), score, sheet, homes) for grid in filled.grids]
    paths = _write(task, file, sheet, made, homes)
    if task.picture is not None:
        _draw(task, sheet, made, parts)
    lost, total = sheet.lost
    told = f"{lost} of {total} notes have no place in its vocabulary and were not heard" if lost else ""
    return Infilled(
        paths=paths, notes=tuple(made), passes=filled.passes, seconds=time.perf_counter() - began_s, lost=told
    )  # fmt: skip


def first_bundle() -> str:
    """The first bundle that makes notes.

    Raises:
        BundleError: there is none.
    """
    from engine.bundle import FOLDERS_VARIABLE, bundles

    name = next((info.name for info in bundles() if not info.streams), None)
    if name is None:
        raise BundleError(f"no bundle that makes notes is here: put one into a folder that {FOLDERS_VARIABLE} names")
    return name


def chords_of(text: str) -> tuple[Chord, ...] | None:
    """One chord a bar, of bars with several the first; None from nothing.

    Raises:
        HarmonyError: it is no progression.
    """
    return tuple(bar[0] for bar in parse_progression(text)) if text.strip() else None


def parts_of(score: Score) -> Parts:
    """The notes of a score by role, each with the number of its track."""
    parts: dict[str, list[tuple[int, Note]]] = {}
    for number, track in enumerate(score.tracks):
        if track.notes:
            parts.setdefault(_role_of(track), []).extend((number, note) for note in track.notes)
    return {role: tuple(sorted(rows, key=lambda row: row[1])) for role, rows in parts.items()}


def _role_of(track: Track) -> str:
    """By its name if that names a role, else by the family of its program."""
    if track.drums:
        return "drum"
    named = next((role for role in ROLES if role in track.name.lower() or _ALSO[role] in track.name.lower()), None)
    if named is not None and named != "drum":
        return named
    return next(role for last, role in _FAMILIES if track.program <= last)


def _write(
    task: InfillTask,
    file: MidiFile,
    sheet: Sheet,
    made: Sequence[Mapping[str, tuple[Note, ...]]],
    homes: Mapping[str, int],
) -> tuple[str, ...]:
    """Write all variations, or none."""
    many = len(made) > 1
    paths = [task.out.with_stem(f"{task.out.stem}-{n}") if many else task.out for n in range(1, len(made) + 1)]
    drafts = [path.with_name(f".{path.name}.part") for path in paths]
    if any(path.exists() and path.samefile(task.source) for path in paths):
        raise ControlError(f"{task.out} is the file that is read, which stays as it is: choose another name")
    try:
        for draft, notes in zip(drafts, made, strict=True):
            whole = spliced(file.score, sheet.gone, notes, homes, PROGRAMS)
            draft.write_bytes(write_midi(whole, file))
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    except OSError as error:
        raise RecordError(f"{task.out} cannot be written ({error.strerror or error}); choose another folder") from None
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return tuple(map(str, paths))


def _fitted(
    made: Mapping[str, tuple[Note, ...]], score: Score, sheet: Sheet, homes: Mapping[str, int]
) -> dict[str, tuple[Note, ...]]:
    """New notes made to fit among those that stay, so that no key is struck while it is held.

    A note ends where its key is struck again, and where the bars that are made end, if the track goes on there; where
    its key is held by a note from before, it is left out.
    """
    fitted = {}
    for role, notes in made.items():
        kept: list[Note] = []
        if role in homes:
            gone = Counter(sheet.gone.get(homes[role], ()))
            kept = list((Counter(score.tracks[homes[role]].notes) - gone).elements())
        end = sheet.ticks[1] if any(note.start >= sheet.ticks[1] for note in kept) else score.end + (1 << 30)
        held: dict[int, int] = {}
        for note in kept:
            if note.start < sheet.ticks[0]:
                held[note.pitch] = max(note.end, held.get(note.pitch, 0))
        struck: dict[int, list[int]] = {}
        for note in notes:
            struck.setdefault(note.pitch, []).append(note.start)
        rows = []
        for note in notes:
            if note.start >= held.get(note.pitch, 0):
                again = struck[note.pitch][bisect_right(struck[note.pitch], note.start) :][:1]
                rows.append(replace(note, length=min([note.end, end, *again]) - note.start))
        fitted[role] = tuple(rows)
    return fitted


def _home(part: Part, ticks: tuple[int, int]) -> int:
    """The track that takes a role's new notes: that of the most of its notes near by."""
    counted = Counter(track for track, note in part if ticks[0] <= note.start < ticks[1])
    return (counted or Counter(track for track, _ in part)).most_common(1)[0][0]


def _draw(task: InfillTask, sheet: Sheet, made: Sequence[Mapping[str, tuple[Note, ...]]], parts: Parts) -> None:
    from engine.pianoroll import Roll, Strip, save_rolls

    first, lines = sheet.bars
    begin, end = sheet.ticks
    near = [index for index, tick in enumerate(lines) if begin - _AROUND * 1920 <= tick <= end + _AROUND * 1920]
    bars = lines[near[0] : near[-1] + 1]

    def strip(role: str, new: tuple[Note, ...] | None = None) -> Strip:
        old = [n for _, n in parts.get(role, ()) if new is None or not begin <= n.start < end]
        fresh = frozenset(new or ())
        return Strip(name=role, notes=(*old, *fresh), new=fresh.__contains__)

    given = tuple(strip(role) for role in ROLES if role not in task.targets and parts.get(role))
    rolls = [Roll(title="given", strips=given)] if given else []
    rolls += [
        Roll(title=f"variation {number}", strips=tuple(strip(role, notes[role]) for role in task.targets))
        for number, notes in enumerate(made, 1)
    ]
    title = f"{task.source.name}   {', '.join(task.targets)}   seed {task.settings.seed}"
    save_rolls(task.picture or "", rolls, bars, first_bar=first + near[0] + 1, shaded=(begin, end), title=title)
