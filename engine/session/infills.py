"""A session's jobs: work that ends, each in a process of its own, with its progress as events.

Sound never waits for them: a job's process reads files, runs networks and writes its result; the session passes on what
it says, and ends it when asked to.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Protocol

from engine.errors import ControlError, EngineError
from engine.messages.infill import CancelInfill, FilledNote, FillNote, ForgetNotes, Infill, InfillDone, InfillProgress
from engine.messages.session import Event, Failed
from engine.models.getmusic.model import FillSettings
from engine.music.files import file_in
from engine.music.midifile import write_midi
from engine.music.score import ROLES, Note, Score, Track
from engine.offline.infill import Infilled, InfillTask, infill, targets_of, written_bars
from engine.offline.infill_options import infill_options
from engine.processes import ChildProcess, ProcessEnded, until_parent_exits
from engine.protocols.accompanist import PROGRAMS
from engine.protocols.streamer import Job, Progress
from engine.session.schedule import Scheduled
from engine.session.slot import SessionContext

__all__ = ["Infills"]

_NOTES_AT_ONCE: Final = 64  # told at a time: more in one go are lost on the way by small receivers
_MOST_NOTES: Final = 20_000
_JOIN_S: Final = 1.0

Said = Progress | Infilled | str
"""What a job says: how far it is, at last its result, or why there is none."""


class _Runner(Protocol):
    """A job that is under way."""

    def said(self) -> Iterator[Said]:
        """What is new; never waits."""
        ...

    def close(self) -> None: ...


class Infills:
    """Fills asked for in one session; one at a time.

    Threads: the session's housekeeping.

    Args:
        folder: where files are read and results go; None refuses all.
        in_process: one pass at each `tend`, without processes.
    """

    def __init__(self, folder: Path | None, stage: SessionContext, *, in_process: bool) -> None:
        self._folder, self._stage, self._in_process = folder, stage, in_process
        self._current: tuple[Scheduled, _Runner] | None = None
        self._waiting: deque[Event] = deque()
        self._notes: list[FillNote] = []

    def obey(self, due: Scheduled, sample: int) -> bool:
        """Carry out a command; False if it is not one of ours."""
        command = due.command
        try:
            if isinstance(command, Infill):
                self._begin(due, command, sample)
            elif isinstance(command, CancelInfill):
                self._cancel(due, sample)
            elif isinstance(command, FillNote):
                self._keep(due, command, sample)
            elif isinstance(command, ForgetNotes):
                self._notes.clear()
                self._stage.applied(due, "", sample)
            else:
                return False
        except EngineError as error:
            self._stage.failed(due, str(error))
        return True

    def tend(self) -> None:
        """Tell of what is new."""
        if self._current is not None:
            due, runner = self._current
            for said in runner.said():
                self._hear(due, said)
        for _ in range(min(_NOTES_AT_ONCE, len(self._waiting))):
            self._stage.events.append(self._waiting.popleft())

    def close(self) -> None:
        """End what is under way."""
        if self._current is not None:
            self._current[1].close()
            self._current = None

    def _begin(self, due: Scheduled, command: Infill, sample: int) -> None:
        if self._folder is None:
            raise ControlError("this session has no folder to read from and write to; start it with one")
        if self._current is not None:
            raise ControlError("a fill is under way; send /getmusic/cancel or wait for it")
        task = _task(command, self._folder, self._notes)
        self._current = due, _LocalJob(infill(task)) if self._in_process else _ProcessJob(infill, task)
        self._stage.applied(due, "", sample)

    def _keep(self, due: Scheduled, note: FillNote, sample: int) -> None:
        if len(self._notes) >= _MOST_NOTES:
            raise ControlError(f"{_MOST_NOTES} notes are kept for a fill; send /getmusic/forget, or use a file")
        self._notes.append(note)
        self._stage.applied(due, "", sample)

    def _cancel(self, due: Scheduled, sample: int) -> None:
        if self._current is None:
            raise ControlError("no fill is under way")
        asked = self._current[0]
        self.close()
        self._stage.failed(asked, "cancelled")
        self._stage.applied(due, "", sample)

    def _hear(self, due: Scheduled, said: Said) -> None:
        number = due.number
        if isinstance(said, Progress):
            self._stage.events.append(InfillProgress(number=number, done=said.done, total=said.total))
            return
        self.close()
        if isinstance(said, str):
            self._stage.events.append(Failed(number=number, command=due.command, reason=said))
            return
        for variation, (path, parts) in enumerate(zip(said.paths, said.notes, strict=True), 1):
            count = sum(map(len, parts.values()))
            self._waiting.append(InfillDone(number=number, variation=variation, path=path, notes=count))
            self._waiting.extend(
                FilledNote(number, variation, role, note.start, note.pitch, note.length, note.velocity)
                for role, notes in parts.items()
                for note in notes
            )


def _written(notes: Sequence[FillNote], folder: Path) -> str:
    """Notes that came as messages as a file of the folder; its name, empty if there are none."""
    if not notes:
        return ""
    by_role: dict[str, list[Note]] = {}
    for each in notes:
        by_role.setdefault(each.track, []).append(Note(each.start, each.pitch, each.length, each.velocity))
    tracks = tuple(
        Track(tuple(sorted(by_role[role])), PROGRAMS[role], role == "drum", role) for role in ROLES if role in by_role
    )
    number = 1
    while (path := folder / f"notes{number}.mid").exists():
        number += 1
    try:
        path.write_bytes(write_midi(Score(tracks)))
    except OSError as error:
        raise ControlError(f"{path} cannot be written ({error.strerror or error}); make room") from None
    return path.name


def _task(command: Infill, folder: Path, notes: Sequence[FillNote]) -> InfillTask:
    """What a command asks for, within the session's folder.

    Args:
        notes: those that came as messages, for a command that names no file.

    Raises:
        ControlError: a name that is no file of the folder, or values that mean nothing.
    """
    name = command.file.strip() or _written(notes, folder)
    source = file_in(folder, name, "the name of a MIDI file")
    number, out = 1, folder / f"{source.stem}-fill1.mid"
    while out.exists() or out.with_stem(f"{out.stem}-1").exists():
        number += 1
        out = folder / f"{source.stem}-fill{number}.mid"
    return InfillTask(
        source=source,
        out=out,
        targets=targets_of(command.targets),
        bars=written_bars(command.bars),
        bundle=command.bundle,
        paths=False,
        chords=command.chords,
        options=infill_options(
            command.options, FillSettings(steps=command.steps, seed=command.seed, variations=command.variations)
        ),
    )


class _LocalJob:
    """A job in this process, a step at each question."""

    def __init__(self, job: Job[Infilled]) -> None:
        self._job = job

    def said(self) -> Iterator[Said]:
        try:
            yield next(self._job)
        except StopIteration as end:
            yield end.value
        except EngineError as error:
            yield str(error)

    def close(self) -> None:
        self._job.close()


class _ProcessJob:
    """A job in a child process."""

    def __init__(self, begin: Callable[[InfillTask], Job[Infilled]], task: InfillTask) -> None:
        self._child = ChildProcess(_serve, begin, task, name="ripieno-infill")

    def said(self) -> Iterator[Said]:
        try:
            while (said := self._child.receive(exit_s=_JOIN_S)) is not None:
                yield said
                if not isinstance(said, Progress):
                    return
        except ProcessEnded as ended:
            yield f"{ended}; nothing was written"

    def close(self) -> None:
        self._child.kill()
        self._child.close(wait_s=_JOIN_S)


def _serve(begin: Callable[[InfillTask], Job[Infilled]], task: InfillTask, said: Connection) -> None:
    """Life of a job's process."""
    with until_parent_exits():
        said.send(_result(begin(task), said.send))


def _result(job: Job[Infilled], tell: Callable[[Any], None]) -> Said:
    from engine.protocols.streamer import work

    try:
        return work(job, tell)
    except EngineError as error:
        return str(error)
    except (BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # whatever a file or a network brings about, it is told, not shown
        return f"{type(error).__name__}: {error}"
