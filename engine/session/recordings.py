"""What a session does beside sounding: recordings, keeping what has just been played, and its ear's controls."""

import contextlib
import json
from collections import deque
from pathlib import Path
from typing import Any, Final

from engine.audio.input import INPUT, InputHistory
from engine.audio.mixer import Mixer
from engine.audio.record import Recorder, free_name, write_later
from engine.controls import Value
from engine.errors import ControlError, RecordError
from engine.messages.session import Changed, Event, Failed, Keep, Record, Recorded, RecordStop, Set
from engine.music.audio import Audio
from engine.session.schedule import Scheduled
from engine.session.slot import SessionContext
from engine.session.take import TakeWriter

__all__ = ["Recordings"]

_MARGIN_S: Final = 2.0  # the oldest of what is kept may be overwritten while it is copied
_MOST_S: Final = 1.0  # of what was heard, written at a time; and how long a recording waits for the end of it


class _Heard:
    """A recording of the live input beside one of the mix: as long, sample for sample, zero where nothing was heard.

    Threads: the session's housekeeping.
    """

    def __init__(self, path: Path, mix: Recorder, due: Scheduled, hearing: InputHistory) -> None:
        self.recorder, self.due = Recorder(path, mix.sample_rate, mix.first), due
        self._mix, self._hearing = mix, hearing
        self._next: int | None = None

    def tend(self, here: int) -> None:
        """Take what was heard since; `here` is the session's sample that is read next."""
        mix, recorder, hearing = self._mix, self.recorder, self._hearing
        if self._next is None:
            if not mix.begun:
                return
            self._next = mix.first
        recorder.last = mix.last if not mix.done else mix.first + mix.samples
        most, until = round(_MOST_S * mix.sample_rate), hearing.end
        if recorder.last is not None and here > recorder.last + most:
            until = max(until, recorder.last)  # an input that has gone holds nothing up
        while self._next < until:
            end = min(until, self._next + most)
            recorder.offer(self._next, hearing.last(end - self._next, end))
            self._next = end
        if recorder.last is not None and recorder.last <= self._next:
            recorder.offer(recorder.last, hearing.last(0))  # it may have been told of its end only now

    def finish(self) -> None:
        """The session closes: what was not heard yet stays out."""
        self.recorder.finish()


class Recordings:
    """Recordings and keeps of one session.

    Threads: `tap` by the audio pump; everything else by the session's housekeeping.

    Args:
        folder: where files go; None refuses all.
        keep_s: how much of the past can be kept.
    """

    def __init__(
        self, folder: Path | None, stage: SessionContext, mixer: Mixer, hearing: InputHistory, keep_s: float
    ) -> None:
        self._folder, self._stage, self._mixer, self._keep_s = folder, stage, mixer, keep_s
        self._hearing = hearing
        self._current: tuple[Recorder, Scheduled] | None = None
        self._recorders: tuple[tuple[Recorder, Scheduled], ...] = ()
        self._heard: list[_Heard] = []
        self._news: deque[Event] = deque()  # from writer threads

    def tap(self, position: int, audio: Audio) -> None:
        """Offer [2, N] of the mix, at a session sample, to whoever records."""
        for recorder, _ in self._recorders:
            recorder.offer(position, audio)

    def obey(self, due: Scheduled, sample: float) -> bool:
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
        for heard in self._heard:
            heard.tend(self._mixer.position)
        for recorder, due in (*self._recorders, *((heard.recorder, heard.due) for heard in self._heard)):
            if not recorder.done:
                continue
            if recorder.failed:
                self._stage.failed(due, recorder.failed)
            else:
                self._stage.events.append(Recorded(path=str(recorder.path), samples=recorder.samples))
            self._recorders = tuple(row for row in self._recorders if row[0] is not recorder)
            self._heard = [heard for heard in self._heard if heard.recorder is not recorder]
            if self._current is not None and self._current[0] is recorder:
                self._current = None

    def close(self) -> None:
        """Finish what is being recorded."""
        for recorder, _ in self._recorders:
            recorder.finish()
        for heard in self._heard:
            heard.tend(self._mixer.position)
            heard.finish()
        self.tend()

    def _turn_input(self, due: Scheduled, path: tuple[str, ...], value: Value, sample: int) -> None:
        """The input is no part of what a take replays: its controls are kept there for people only."""
        value = self._hearing.turn(path[1:], value, sample)
        self._stage.take.note(turned="/".join(path), value=value, sample=sample)
        self._stage.events.append(Changed(path=path, value=value))
        self._stage.applied(due, "", sample)

    def _room(self) -> Path:
        if self._folder is None:
            raise RecordError("this session has no folder to record to; start it with one")
        return self._folder

    def _record(self, due: Scheduled, name: str, sample: int) -> None:
        if self._current is not None and self._current[0].last is None:
            raise RecordError(f"{self._current[0].path.name} is being recorded; stop it first")
        recorder = Recorder(free_name(self._room(), name), self._stage.sample_rate, sample)
        self._current = recorder, due
        self._recorders = (*self._recorders, self._current)
        if self._hearing.expected or self._hearing.received:  # a recording from the start begins before the input does
            self._record_input(due, recorder)
        self._stage.take.note(record=recorder.path.name, sample=sample)
        self._stage.applied(due, "", sample)

    def _record_input(self, due: Scheduled, mix: Recorder) -> None:
        """What is heard, beside the mix; if that cannot be, the mix is recorded all the same."""
        try:
            path = free_name(self._room(), f"{mix.path.stem}-input{mix.path.suffix}")
            self._heard.append(_Heard(path, mix, due, self._hearing))
        except RecordError as error:
            self._stage.failed(due, f"the input is not recorded, only the mix: {error}")

    def _stop(self, due: Scheduled, sample: int) -> None:
        if self._current is None or self._current[0].last is not None:
            raise RecordError("nothing is being recorded")
        self._current[0].last = max(sample, self._current[0].first)
        self._stage.applied(due, "", sample)

    def _keep(self, due: Scheduled, bars: int) -> None:
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
