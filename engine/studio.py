"""What a session does beside sounding: recordings, keeping what has just been played, and its ear's controls."""

import contextlib
import json
from collections import deque
from pathlib import Path
from typing import Any, Final

from engine.cast import Stage
from engine.controls import Value
from engine.errors import ControlError, RecordError
from engine.hearing import INPUT, Hearing
from engine.messages import Changed, Event, Failed, Keep, Record, Recorded, RecordStop, Set
from engine.mixer import Mixer
from engine.music.audio import Audio
from engine.record import Recorder, free_name, write_later
from engine.schedule import Due
from engine.take import TakeWriter

__all__ = ["Studio"]

_MARGIN_S: Final = 2.0  # the oldest of what is kept may be overwritten while it is copied


class Studio:
    """Recordings and keeps of one session.

    Threads: `tap` by the audio pump; everything else by the session's housekeeping.

    Args:
        folder: where files go; None refuses all.
        keep_s: how much of the past can be kept.
    """

    def __init__(self, folder: Path | None, stage: Stage, mixer: Mixer, hearing: Hearing, keep_s: float) -> None:
        self._folder, self._stage, self._mixer, self._keep_s = folder, stage, mixer, keep_s
        self._hearing = hearing
        self._current: tuple[Recorder, Due] | None = None
        self._recorders: tuple[tuple[Recorder, Due], ...] = ()
        self._news: deque[Event] = deque()  # from writer threads

    def tap(self, position: int, audio: Audio) -> None:
        """Offer [2, N] of the mix, at a session sample, to whoever records."""
        for recorder, _ in self._recorders:
            recorder.offer(position, audio)

    def obey(self, due: Due, sample: float) -> bool:
        """Carry out a command at a sample; False if it is not one of ours."""
        try:
            match due.command:
                case Record(name=name):
                    self._record(due, name, round(sample))
                case RecordStop():
                    self._stop(due, round(sample))
                case Keep(bars=bars):
                    self._keep(due, bars)
                case Set(path=path, value=value) if path[:1] == (INPUT,):
                    self._turn_input(due, path, value, round(sample))
                case _:
                    return False
        except (RecordError, ControlError) as error:
            self._stage.failed(due, str(error))
        except OSError as error:  # a disk has many ways to fail, and none may end the housekeeping
            self._stage.failed(due, f"{error.filename or self._folder}: {error.strerror or error}; try another folder")
        return True

    def tend(self) -> None:
        """Tell of what is finished, and note in the take how far it has come."""
        self._stage.take.reached(self._mixer.position)
        while self._news:
            self._stage.events.append(self._news.popleft())
        for recorder, due in self._recorders:
            if not recorder.done:
                continue
            if recorder.failed:
                self._stage.failed(due, recorder.failed)
            else:
                self._stage.events.append(Recorded(path=str(recorder.path), samples=recorder.samples))
            self._recorders = tuple(row for row in self._recorders if row[0] is not recorder)
            if self._current is not None and self._current[0] is recorder:
                self._current = None

    def close(self) -> None:
        """Finish what is being recorded."""
        for recorder, _ in self._recorders:
            recorder.finish()
        self.tend()

    def _turn_input(self, due: Due, path: tuple[str, ...], value: Value, sample: int) -> None:
        """The input is no part of what a take replays: its controls are kept there for people only."""
        value = self._hearing.turn(path[1:], value, sample)
        self._stage.take.note(turned="/".join(path), value=value, sample=sample)
        self._stage.events.append(Changed(path=path, value=value))
        self._stage.applied(due, "", sample)

    def _room(self) -> Path:
        if self._folder is None:
            raise RecordError("this session has no folder to record to; start it with one")
        return self._folder

    def _record(self, due: Due, name: str, sample: int) -> None:
        if self._current is not None and self._current[0].last is None:
            raise RecordError(f"{self._current[0].path.name} is being recorded; stop it first")
        recorder = Recorder(free_name(self._room(), name), self._stage.sample_rate, sample)
        self._current = recorder, due
        self._recorders = (*self._recorders, self._current)
        self._stage.take.note(record=recorder.path.name, sample=sample)
        self._stage.applied(due, "", sample)

    def _stop(self, due: Due, sample: int) -> None:
        if self._current is None or self._current[0].last is not None:
            raise RecordError("nothing is being recorded")
        self._current[0].last = max(sample, self._current[0].first)
        self._stage.applied(due, "", sample)

    def _keep(self, due: Due, bars: int) -> None:
        """The last whole bars that have been read, as many of those asked for as are still known."""
        conductor, rate = self._stage.conductor, self._stage.sample_rate
        here = self._mixer.position
        oldest = max(0, here - int((self._keep_s - _MARGIN_S) * rate))
        bar = conductor.bar_at(float(here))[0]
        ticks = [float(k * conductor.bar_ticks_at(here)) for k in range(max(0, bar - bars), bar + 1)]
        lines = [conductor.sample_of(tick, 0.0) for tick in ticks]
        lines = [line for line in lines if oldest <= line <= here]
        if len(lines) < 2 or round(lines[0]) >= round(lines[-1]):
            raise RecordError("no whole bar has been played yet, or it is longer than what is remembered")
        first, last = round(lines[0]), round(lines[-1])
        path = free_name(self._room(), f"keep-bar{bar - len(lines) + 1}.wav")
        sound = self._mixer.kept.get(first, last - first)

        without_commands = _excerpt(self._stage.take, path.with_suffix(".take.jsonl"), first, last)

        def done(failed: str) -> None:
            if failed or without_commands:
                reason = failed or f"{without_commands}; the sound itself is kept"
                self._news.append(Failed(number=due.number, command=due.command, reason=reason))
            if not failed:
                self._news.append(Recorded(path=str(path), samples=last - first))

        write_later(path, sound, rate, done)
        self._stage.applied(due, "", last)


def _excerpt(take: TakeWriter, path: Path, first: int, last: int) -> str:
    """The take so far, with a window: its replay is the sound that was kept. Gives what went wrong, or nothing."""
    if take.path is None:
        return ""
    try:
        head, *lines = take.path.read_text(encoding="utf-8").splitlines()
        header: dict[str, Any] = {**json.loads(head), "window": [first, last]}
        path.write_text("\n".join([json.dumps(header), *lines, json.dumps({"end": last})]) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:  # a ValueError: the take itself could not be begun
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # half of it would be no take
        return f"{path}: {getattr(error, 'strerror', None) or error}"
    return ""
