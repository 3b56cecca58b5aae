"""A sound that is mixed in beside the voices, such as the band's: written beside the take, so that a replay has it.

A take holds what voices were asked, not what they sounded like. A guest is not made again in a replay, so its sound
is kept, sample for sample, from the first that is not silent.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.audio.record import Recorder
from engine.errors import ControlError, RecordError, TakeError
from engine.messages.session import Failed, Record
from engine.music.audio import Audio
from engine.music.files import file_in
from engine.session.slot import SessionContext

__all__ = ["GuestReader", "GuestSound"]

_WAITING: Final = 4096  # pieces that wait for the housekeeping at most: some 20 s
_ENDING: Final = ".guest.wav"


class GuestSound:
    """Of one session.

    Threads: `tap` by the audio pump, never waits; everything else by the session's housekeeping.
    """

    def __init__(self, stage: SessionContext) -> None:
        self._stage = stage
        self._pieces: deque[tuple[int, Audio]] = deque()
        self._begun = False
        self._recorder: Recorder | None = None
        self._ended = stage.take.path is None
        self._overflowed = False

    def tap(self, position: int, sound: Audio) -> None:
        """Take [2, N] of the guest at a session sample."""
        if self._ended or not (self._begun or np.any(sound)):
            return
        self._begun = True
        if len(self._pieces) >= _WAITING:
            self._ended = self._overflowed = True  # a replay would have a hole: it ends here, and `tend` says so
            return
        self._pieces.append((position, sound.copy()))

    def tend(self) -> None:
        """Write what was taken."""
        take = self._stage.take
        while self._pieces:
            position, sound = self._pieces.popleft()
            if self._recorder is None and take.path is not None:
                try:
                    self._recorder = Recorder(take.path.with_suffix(_ENDING), self._stage.sample_rate, position)
                except (RecordError, OSError) as error:
                    self._fail(str(error))
                    return
                take.guest(self._recorder.path.name, position)
            if self._recorder is not None:
                self._recorder.offer(position, sound)
        if self._overflowed:
            self._overflowed = False
            self._fail("this machine is too slow to write it; what was written until then is kept")
        elif self._recorder is not None and self._recorder.failed and not self._ended:
            self._fail(self._recorder.failed)

    def close(self) -> None:
        """Write what is left, and end the file."""
        self.tend()
        if self._recorder is not None:
            self._recorder.finish()

    def _fail(self, reason: str) -> None:
        self._ended = True
        self._pieces.clear()
        self._stage.events.append(Failed(number=0, command=Record(), reason=f"a replay will lack the band: {reason}"))


class GuestReader:
    """The guests of a take, as they sounded.

    Args:
        folder: of the take. guests: names of files and the session samples at which they begin.
    Raises:
        TakeError: a file is missing, or of another rate; none stays open then.
    """

    def __init__(self, folder: Path | None, guests: Sequence[tuple[str, int]], sample_rate: int) -> None:
        import soundfile

        self._files: list[tuple[Any, int]] = []
        for name, first in guests:
            try:
                path = file_in(folder, name)
                file = soundfile.SoundFile(str(path))
            except (ControlError, soundfile.SoundFileError, OSError) as error:
                self.close()
                raise TakeError(
                    f"the sound of this take's band cannot be read ({error}): put {name} beside it"
                ) from None
            self._files.append((file, first))
            if file.samplerate != sample_rate or file.channels != 2:
                self.close()
                raise TakeError(f"{name} is not the sound of this take's band: another rate or number of channels")

    def read(self, position: int, samples: int) -> Audio | None:
        """[2, samples] from a session sample on; None without guests."""
        if not self._files:
            return None
        out = np.zeros((2, samples), np.float32)
        for file, first in self._files:
            begin, end = max(position, first), min(position + samples, first + file.frames)
            if end > begin:
                file.seek(begin - first)
                out[:, begin - position : end - position] += file.read(end - begin, dtype="float32", always_2d=True).T
        return out

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._files:
            file.close()
