"""A MIDI file in, MIDI files out: one infill, with its progress.

What is asked for is taken out of the score; what is left says key and chords and is what the network sees. Of what
comes back only the tracks and bars asked for are new: everything else of the file stays note for note, and the file
itself is not touched.
"""

import re
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from engine.errors import ControlError, RecordError
from engine.models.getmusic.model import Getmusic
from engine.models.getmusic.sheet import Sheet, Wanted
from engine.music.harmony import Chord, parse_progression
from engine.music.midifile import MidiFile, open_midi, write_midi
from engine.music.roles import roles_of
from engine.music.score import ROLES, Note, Score, Track
from engine.offline.infill_options import InfillOptions
from engine.protocols.accompanist import PROGRAMS
from engine.protocols.streamer import Job

__all__ = ["InfillTask", "Infilled", "infill", "targets_of", "written_bars"]

_VERB: Final = "infill"
_AROUND: Final = 4 * 1920  # ticks drawn before and after what was made


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillTask:
    """What to fill.

    Args:
        source, out: MIDI files; of several variations `out` gets numbers.
        targets: roles to make. bars: first and last, from 1; None for all there are.
        bundle: name or path (if `paths`); empty for the first that makes notes.
        chords: a progression from bar 1 on; empty: detected in the file.
        options: how to infill, and which notes are allowed.
        picture: file to draw into. threads: of the network.
    """

    source: Path
    out: Path
    targets: tuple[str, ...]
    bars: tuple[int, int] | None = None
    bundle: str = ""
    paths: bool = True
    chords: str = ""
    options: InfillOptions = field(default_factory=InfillOptions)
    picture: Path | None = None
    threads: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Infilled:
    """What a fill made.

    Args:
        paths: one file a variation. notes: of each, the new notes by role.
        passes, seconds: of the network.
        lost: what of the input the network cannot represent, in words; empty if nothing.
    """

    paths: tuple[str, ...]
    notes: tuple[Mapping[str, tuple[Note, ...]], ...]
    passes: int
    seconds: float
    lost: str = ""

    def summary(self) -> Iterator[str]:
        """The result in lines of text."""
        for path, parts in zip(self.paths, self.notes, strict=True):
            yield f"{path}: " + ", ".join(f"{len(notes)} notes of {role}" for role, notes in parts.items())
        yield f"{self.passes} network passes in {self.seconds:.1f} s"
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


def infill(task: InfillTask) -> Job[Infilled]:
    """A job that reads, fills, and writes; closed before its end it leaves nothing behind.

    Raises:
        ControlError: the file has nothing to play along with, or too many bars are asked for.
        ScoreError: it is no MIDI file. BundleError: there is no bundle that makes notes.
    """
    from engine.bundles.bundle import first_for, open_model

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
    roles = roles_of(score)
    bundle = task.bundle or first_for(_VERB)
    model: Getmusic = open_model(bundle, _VERB, threads=task.threads, paths=task.paths)
    wanted = Wanted(
        targets=task.targets, bars=bars, chords=chords_of(task.chords), ranges=task.options.ranges,
        chord_tones=task.options.chord_tones, scale_tones=task.options.scale_tones, pull=task.options.pull,
        seed=task.options.settings.seed,
    )  # fmt: skip
    sheet = Sheet(model, score, roles, wanted)
    began_s = time.perf_counter()
    filled = yield from model.fill(
        sheet.grid,
        sheet.targets,
        task.options.settings,
        limits=sheet.limits,
        features=sheet.features,
        first_bar=sheet.first_bar,
    )
    homes = _homes(roles, score, sheet.ticks)
    made = [_fitted(sheet.notes(grid), sheet, homes) for grid in filled.grids]
    paths = _write(task, file, sheet, made, homes)
    if task.picture is not None:
        _draw(task, sheet, made, roles)
    return Infilled(
        paths=paths, notes=tuple(made), passes=filled.passes, seconds=time.perf_counter() - began_s, lost=sheet.lost
    )  # fmt: skip


def chords_of(text: str) -> tuple[Chord, ...] | None:
    """One chord a bar, of bars with several the first; None from nothing.

    Raises:
        HarmonyError: it is no progression.
    """
    return tuple(bar[0] for bar in parse_progression(text)) if text.strip() else None


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
            whole = _joined(sheet.left, notes, homes)
            draft.write_bytes(write_midi(whole, file))
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    except OSError as error:
        raise RecordError(f"{task.out} cannot be written ({error.strerror or error}); choose another folder") from None
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return tuple(map(str, paths))


def _joined(left: Score, new: Mapping[str, tuple[Note, ...]], homes: Mapping[str, int]) -> Score:
    """What is left of a score and new notes by role, in the tracks where they are at home or in tracks of their own."""
    tracks = list(left.tracks)
    for role, notes in new.items():
        if role in homes:
            home = tracks[homes[role]]
            tracks[homes[role]] = replace(home, notes=tuple(sorted((*home.notes, *notes))))
        elif notes:
            tracks.append(Track(tuple(sorted(notes)), PROGRAMS[role], role == "drum", role))
    return replace(left, tracks=tuple(tracks))


def _homes(roles: Sequence[str | None], score: Score, ticks: tuple[int, int]) -> dict[str, int]:
    """Of each role the track that takes its new notes: the one that had most there, else most of all."""

    def worth(number: int) -> tuple[int, int]:
        notes = score.tracks[number].notes
        return sum(ticks[0] <= note.start < ticks[1] for note in notes), len(notes)

    numbers: dict[str, list[int]] = {}
    for number, role in enumerate(roles):
        if role is not None:
            numbers.setdefault(role, []).append(number)
    return {role: max(own, key=worth) for role, own in numbers.items()}


def _fitted(
    made: Mapping[str, tuple[Note, ...]], sheet: Sheet, homes: Mapping[str, int]
) -> dict[str, tuple[Note, ...]]:
    """New notes made to fit among those that stay, so that no key is struck while it is held.

    A note ends where its key is struck again, and where the bars that are made end, if the track goes on there; where
    its key is held by a note from before, it is left out.
    """
    fitted = {}
    for role, notes in made.items():
        kept = sheet.left.tracks[homes[role]].notes if role in homes else ()
        continues = any(note.start >= sheet.ticks[1] for note in kept)
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
                ends = [note.end, *again, *([sheet.ticks[1]] if continues else [])]
                rows.append(replace(note, length=min(ends) - note.start))
        fitted[role] = tuple(rows)
    return fitted


def _draw(
    task: InfillTask, sheet: Sheet, made: Sequence[Mapping[str, tuple[Note, ...]]], roles: Sequence[str | None]
) -> None:
    from engine.offline.pianoroll import Roll, Strip, save_rolls

    begin, end = sheet.ticks
    near = [(n, tick) for n, tick in enumerate(sheet.lines) if begin - _AROUND <= tick <= end + _AROUND]
    pairs = list(zip(roles, sheet.left.tracks, strict=True))

    def strip(role: str, new: tuple[Note, ...] = ()) -> Strip:
        kept = [note for name, track in pairs if name == role for note in track.notes]
        fresh = frozenset(new)
        return Strip(name=role, notes=(*kept, *new), new=fresh.__contains__)

    there = {name for name, track in pairs if track.notes}
    given = tuple(strip(role) for role in ROLES if role in there and role not in task.targets)
    rolls = [Roll(title="given", strips=given)] if given else []
    rolls += [
        Roll(title=f"variation {number}", strips=tuple(strip(role, notes[role]) for role in task.targets))
        for number, notes in enumerate(made, 1)
    ]
    title = f"{task.source.name}   {', '.join(task.targets)}   seed {task.options.settings.seed}"
    save_rolls(
        task.picture or "", rolls, [tick for _, tick in near], first_bar=sheet.first_bar + near[0][0] + 1,
        shaded=(begin, end), title=title,
    )  # fmt: skip
