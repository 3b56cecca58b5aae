"""The sound that a voice continues: the live input and the mix are written to a file, and a file is taken by its name.

What is read again in a replay lies in the session's folder, and the order to the voice names it with its sha256: so a
take holds all that its replay needs. Files are opened where they are needed: see `engine.worker.sources`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from engine.audio.input import InputHistory
from engine.audio.mixer import Mixer
from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import Continue
from engine.music.audio import Audio
from engine.music.files import check_name, file_in, sha256_of
from engine.music.soundwriter import WavFile
from engine.processes import NORMAL_PRIORITY
from engine.worker.background import BackgroundTask

__all__ = ["Sources"]

_MARGIN_S: Final = 2.0  # the oldest of what is kept may be overwritten while it is copied
_MOST_S: Final = 60.0
_LEAST_S: Final = 0.1


class Sources:
    """What a voice may continue, for one session.

    Threads: the session's housekeeping; what takes time runs in threads of its own.

    Args:
        folder: of the session; None refuses all.
        conductor: the session's, which tells how long bars are.
        keep_s: how much of the mix is known.
        threaded: whether files are written beside the caller, or while a result is asked for.
    """

    def __init__(
        self,
        folder: Path | None,
        conductor: Conductor,
        mixer: Mixer,
        hearing: InputHistory,
        keep_s: float,
        *,
        threaded: bool = True,
    ) -> None:
        self._folder, self._conductor, self._mixer, self._hearing = folder, conductor, mixer, hearing
        self._keep_s, self._rate, self._threaded = keep_s, conductor.sample_rate, threaded

    def find(self, command: Continue) -> BackgroundTask:
        """Begin to find what a command is to continue; touches no disk itself.

        Returns:
            Its result is the same command with a file of the folder as its source. If that was written now, also with
            its hash and the sample at which it ends. It may raise RecordError: the file cannot be written; or
            ControlError: there is nothing but silence.
        Raises:
            ControlError: there is nothing to continue.
        """
        folder = self._folder
        if folder is None:
            raise ControlError("this session has no folder to keep audio in; start it with one")
        if command.melody:
            check_name(command.melody)
        source = command.source or ("input" if self._hearing.received else "output")
        if source not in ("input", "output"):
            check_name(source, "input, output, or the name of a sound file")
            named = replace(command, source=source)
            return BackgroundTask(lambda: named, threaded=False)
        end = self._hearing.end if source == "input" else self._mixer.position
        samples = self._length(command, end)
        if source == "input":
            copy: Callable[[], Audio] = partial(self._hearing.last, samples, end)
        else:
            samples = max(0, min(samples, end, int((self._keep_s - _MARGIN_S) * self._rate)))
            copy = partial(self._mixed, samples, end)
        if samples < _LEAST_S * self._rate:
            raise _nothing_in(source)
        work = partial(self._written, folder, replace(command, source=source, heard_until=end), copy)
        return BackgroundTask(work, threaded=self._threaded, priority=NORMAL_PRIORITY)

    def _length(self, command: Continue, end: int) -> int:
        """Samples of the prompt."""
        conductor, known = self._conductor, min(end, round(_MOST_S * self._rate))
        if command.bars:
            tick = conductor.tick_at(float(end)) - command.bars * conductor.bar_ticks_at(float(end))
            return min(known, round(end - conductor.sample_of(tick, 0.0)))
        return min(known, round(command.seconds * self._rate)) if command.seconds else known

    def _mixed(self, samples: int, end: int) -> Audio:
        """A copy of the mix before `end`. Any thread."""
        sound, kept = self._mixer.kept.get(end - samples, samples), self._mixer.kept.capacity
        if self._mixer.position - (end - samples) > kept:
            raise ControlError("the mix was overwritten before it was copied: this machine is too busy; ask again")
        return sound

    def _written(self, folder: Path, command: Continue, copy: Callable[[], Audio]) -> Continue:
        """Write the prompt to a new file, and name that in the command. Any thread."""
        if command.melody:
            file_in(folder, command.melody)  # without it nothing will be made, so leave no file behind
        sound = copy()
        if not np.any(sound):
            raise _nothing_in(command.source)
        path = _new_file(folder, command.heard_until)
        with WavFile(path, self._rate) as file:
            file.write(sound)
        return replace(command, source=path.name, seconds=sound.shape[1] / self._rate, file_hash=sha256_of(path))


def _nothing_in(source: str) -> ControlError:
    return ControlError(f"nothing has come from the {source} yet; name a file, or wait for sound")


def _new_file(folder: Path, end: int) -> Path:
    """A new, empty file for a prompt that ends at a session sample. Two threads get two."""
    number, path = 1, folder / f"heard-{end}.wav"
    while True:
        try:
            path.open("xb").close()
        except FileExistsError:
            number += 1
            path = folder / f"heard-{end}-{number}.wav"
        else:
            return path
