"""A MIDI file in, MIDI files out: one infill, with its progress.

What is asked for is taken out of the score; what is left says key and chords and is what the network sees. Of what
comes back only the tracks and bars asked for are new: every other event of the file stays as it is, and the file itself
is not touched.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from engine.errors import ControlError, RecordError
from engine.models.getmusic.model import Getmusic
from engine.models.getmusic.sheet import Sheet, Wanted
from engine.music.harmony import Chord, parse_progression
from engine.music.midifile import MidiFile, open_midi
from engine.music.roles import RANGES, role_named, roles_of
from engine.music.score import ROLES, Note, Score
from engine.offline.infill_options import InfillOptions
from engine.offline.infill_parts import InfillParts
from engine.offline.infill_retry import Attempt, attempts
from engine.protocols.streamer import Job

__all__ = ["InfillTask", "Infilled", "infill", "targets_of", "written_bars"]

_VERB: Final = "infill"
_AROUND: Final = 4 * 1920  # ticks drawn before and after what was made


@dataclass(frozen=True, kw_only=True, slots=True)
class InfillTask:
    """What to fill.

    Args:
        source, out: MIDI files; of several variations `out` gets numbers.
        targets: roles to make. bars: first and last, from 1; None for those with music.
        song: which song of a file of several (type 2), from 1; None refuses such a file.
        bundle: name or path (if `paths`); empty for the first that makes notes.
        chords: a progression from bar 1 on; empty: detected in the file.
        options: how to infill, and which notes are allowed.
        picture: file to draw into. threads: of the network.
    """

    source: Path
    out: Path
    targets: tuple[str, ...]
    bars: tuple[int, int] | None = None
    song: int | None = None
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
        remarks: what else there is to know, a sentence each: bars chosen, parts without a note, damaged tracks.
    """

    paths: tuple[str, ...]
    notes: tuple[Mapping[str, tuple[Note, ...]], ...]
    passes: int
    seconds: float
    lost: str = ""
    remarks: tuple[str, ...] = ()

    def summary(self) -> Iterator[str]:
        """The result in lines of text."""
        for path, parts in zip(self.paths, self.notes, strict=True):
            yield f"{path}: " + ", ".join(f"{len(notes)} notes of {role}" for role, notes in parts.items())
        yield f"{self.passes} network passes in {self.seconds:.1f} s"
        if self.lost:
            yield self.lost
        yield from self.remarks


def targets_of(text: str) -> tuple[str, ...]:
    """Roles from words such as ``bass,drum``; plurals and common names count too, see `role_named`.

    Raises:
        ControlError: one of them is no role, or there is none.
    """
    words = [word for word in re.split(r"[,\s]+", text.strip().lower()) if word]
    found = [role for role in map(role_named, words) if role is not None]
    if len(found) < len(words) or not words:
        got = next((f"'{word}'" for word in words if role_named(word) is None), "nothing")
        raise ControlError(f"targets are one or more of {', '.join(ROLES)}; got {got}")
    return tuple(dict.fromkeys(found))


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

    file = open_midi(task.source, task.song)
    bars, remark = _bars(task, file)
    roles = roles_of(file.score)
    parts = InfillParts(file, roles, task.targets, bars)
    bundle = task.bundle or first_for(_VERB)
    model: Getmusic = open_model(bundle, _VERB, threads=task.threads, paths=task.paths)
    wanted = Wanted(
        targets=task.targets, bars=bars, chords=chords_of(task.chords), ranges={**RANGES, **task.options.ranges},
        chord_tones=task.options.chord_tones, scale_tones=task.options.scale_tones, pull=task.options.pull,
        seed=task.options.settings.seed,
    )  # fmt: skip
    sheet = Sheet(model, file.score, roles, wanted, _left(file.score, parts))
    began_s = time.perf_counter()
    made = yield from attempts(model, sheet, parts, task.targets, bars, task.options.settings)
    notes = tuple({role: tuple(note for note, _, _ in rows) for role, rows in one.parts.items()} for one in made)
    paths = _write(task, parts, made)
    if task.picture is not None:
        _draw(task, sheet, notes, roles)
    swing = [f"the eighths swing ({100 * sheet.swing.ratio:.0f} %): new notes follow"] if sheet.swing.swings else []
    return Infilled(
        paths=paths, notes=notes, passes=sum(one.passes for one in made), seconds=time.perf_counter() - began_s,
        lost=sheet.lost,
        remarks=(*remark, *swing, *file.source.remarks, *(line for one in made for line in one.remarks)),
    )  # fmt: skip


def _bars(task: InfillTask, file: MidiFile) -> tuple[tuple[int, int], tuple[str, ...]]:
    """First and last bar to make, from 0, and what there is to say about them.

    Where none are asked for they are those from the first note to the end of the file, or to the last note if the file
    is silent for longer after it than it has music.
    """
    score = file.score
    starts = [track.notes[0].start for track in score.tracks if track.notes]
    if not starts:
        raise ControlError(f"{task.source.name} holds no notes: choose another file")
    begin = min(starts)
    end = file.end if file.end - score.end <= score.end - begin else score.end
    first, last = score.bar_at(begin)[0], score.bar_at(max(begin, end - 1))[0]
    there = score.bar_at(max(begin, score.end - 1, file.end - 1))[0]
    if task.bars is None:
        silent = (first, there - last)
        remark = f"bars {first + 1}-{last + 1} are made: the other bars are silent; --bars 1-{there + 1} asks for all"
        return (first, last), (remark,) if any(silent) else ()
    if task.bars[0] > there + 2:
        raise ControlError(
            f"{task.source.name} ends with bar {there + 1}: bars to make begin at {there + 2} at the latest"
        )
    return (task.bars[0] - 1, task.bars[1] - 1), ()


def _left(score: Score, parts: InfillParts) -> Score:
    """The score without the notes that are replaced."""
    rows = zip(score.tracks, parts.gone, strict=True)
    return replace(
        score,
        tracks=tuple(
            replace(track, notes=tuple(note for number, note in enumerate(track.notes) if number not in gone))
            for track, gone in rows
        ),
    )


def chords_of(text: str) -> tuple[Chord, ...] | None:
    """One chord a bar, of bars with several the first; None from nothing.

    Raises:
        HarmonyError: it is no progression.
    """
    return tuple(bar[0] for bar in parse_progression(text)) if text.strip() else None


def _write(task: InfillTask, parts: InfillParts, made: Sequence[Attempt]) -> tuple[str, ...]:
    """Write all variations, or none."""
    many = len(made) > 1
    paths = [task.out.with_stem(f"{task.out.stem}-{n}") if many else task.out for n in range(1, len(made) + 1)]
    drafts = [path.with_name(f".{path.name}.part") for path in paths]
    if any(path.exists() and path.samefile(task.source) for path in paths):
        raise ControlError(f"{task.out} is the file that is read, which stays as it is: choose another name")
    try:
        for draft, one in zip(drafts, made, strict=True):
            draft.write_bytes(parts.written(one.parts))
        for draft, path in zip(drafts, paths, strict=True):
            draft.replace(path)
    except OSError as error:
        raise RecordError(f"{task.out} cannot be written ({error.strerror or error}); choose another folder") from None
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)
    return tuple(map(str, paths))


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
