"""Sound to files while it plays: a writer thread behind a bounded queue, and a WAV file that is whole at any moment.

A recording survives whatever ends the program: its header is brought up to date every second, so at most that much is
lost. FLAC cannot be mended like this, so it is made from the finished WAV.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.errors import RecordError
from engine.music.audio import Audio
from engine.music.files import is_portable, shortened
from engine.music.soundwriter import SOUND_ENDINGS, WavFile, replacing_sound

__all__ = ["Recorder", "free_name", "write_later"]

_QUEUE_S: Final = 20.0  # a disk that is slower than sound for longer than this ends the recording
_HEADER_S: Final = 1.0
_TURN_S: Final = 0.02
_FINISH_S: Final = 10.0  # without getting on, until a file that is being finished is given up


class Recorder:
    """Records the mix from one session sample to another.

    Threads: `offer` by the audio pump, never waits; everything else by the session's housekeeping; the file by a thread
    of its own.

    Args:
        path: ends in .wav or .flac.
        first: the session's sample to begin with.
    """

    def __init__(self, path: Path, sample_rate: int, first: int) -> None:
        self.path, self.sample_rate, self.first = path, sample_rate, first
        self.last: int | None = None  # set to end
        self.samples = 0
        self.failed = ""
        self.done = False
        self._wav = WavFile(self._while_recording(), sample_rate)
        self._queue: deque[Audio] = deque()
        self._queued, self._taken, self._offered = 0, 0, False
        self._end = False
        self._steps = 0  # of work at the end, to see that it gets on
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def offer(self, position: int, audio: Audio) -> None:
        """Take what of [2, N] at a session sample belongs to the recording."""
        if self._end or self.done:
            return
        if not self._offered:  # asked for at once, it begins with what is read next
            self.first, self._offered = max(self.first, position), True
        begin = max(0, self.first - position)
        end = audio.shape[1] if self.last is None else min(audio.shape[1], self.last - position)
        if end > begin:
            if self._queued - self._taken > _QUEUE_S * self.sample_rate:
                self.failed = f"{self.path}: the disk is too slow; what was written until then is kept"
                self._end = True
                return
            self._queue.append(audio[:, begin:end].copy())
            self._queued += end - begin
        if self.last is not None and position + audio.shape[1] >= self.last:
            self._end = True

    @property
    def begun(self) -> bool:
        """Whether `first` is settled: something was offered."""
        return self._offered

    def finish(self) -> None:
        """Write what is queued and end, for a session that closes: as long as it gets on, at most some seconds more.

        An hour takes a while to become FLAC, and half of that would be no recording.
        """
        self._end = True
        seen = -1
        while self._thread.is_alive() and seen != self._steps:
            seen = self._steps
            self._thread.join(_FINISH_S)

    def _step(self) -> None:
        self._steps += 1

    def _while_recording(self) -> Path:
        return self.path if self.path.suffix.lower() == ".wav" else self.path.with_suffix(".flac.wav")

    def _run(self) -> None:
        synced_s = time.monotonic()
        try:
            while True:
                ending = self._end  # before the queue is emptied: nothing comes after
                while self._queue:
                    piece = self._queue.popleft()
                    self._wav.write(piece)
                    self._taken += piece.shape[1]
                    self._step()
                if ending:
                    break
                if time.monotonic() - synced_s >= _HEADER_S:
                    self._wav.sync()
                    synced_s = time.monotonic()
                time.sleep(_TURN_S)
            self._wav.close()
            self.samples = self._wav.samples
            if self._wav.path != self.path:
                _to_flac(self._wav.path, self.path, self._step)
        except (RecordError, OSError) as error:
            kept = self._wav.samples / self.sample_rate
            self.failed = f"{error}; the first {kept:.0f} s are kept in {self._wav.path.name}"
            self._rescue()
        self.done = True

    def _rescue(self) -> None:
        """After a failed write: the header says what is surely there, if the disk lets us."""
        self._end = True
        try:
            self._wav.close()
        except RecordError:
            return


def _to_flac(wav: Path, flac: Path, step: Callable[[], None]) -> None:
    """Turn a stereo WAV file into a FLAC file, and remove it once that is done; `step` is called on the way."""
    import soundfile

    try:
        with soundfile.SoundFile(os.fsencode(wav)) as source, replacing_sound(flac, source.samplerate) as out:
            for piece in source.blocks(1 << 16, dtype="float32"):
                out.write(piece.T)
                step()
    except (RecordError, soundfile.SoundFileError) as error:
        raise RecordError(f"{error}; the recording is kept as {wav.name}") from None
    wav.unlink()


def free_name(folder: Path, name: str) -> Path:
    """A path in `folder` for a recording; one that exists is never written over, a number is added.

    Args:
        name: a file name ending in .wav or .flac, such as every system takes; empty for one made of date and time.
    Raises:
        RecordError: it is not such a name.
    """
    name = name.strip() or time.strftime("ripieno-%Y%m%d-%H%M%S.wav")
    path = folder / name
    if path.suffix.lower() not in SOUND_ENDINGS or not is_portable(name):
        raise RecordError(f"a recording is named like take1.wav or take1.flac, without a folder; got {shortened(name)}")
    number = 2
    try:
        while path.exists() or path.with_suffix(".flac.wav").exists():
            path = folder / f"{Path(name).stem}-{number}{path.suffix}"
            number += 1
    except OSError as error:
        raise RecordError(f"{folder}: {error.strerror or error}; choose another folder") from None
    return path


def write_later(path: Path, audio: Audio, sample_rate: int, done: Callable[[str], None]) -> threading.Thread:
    """Write [2, N] as a WAV file in a thread; `done` is called there with what went wrong, or an empty text."""

    def run() -> None:
        try:
            with WavFile(path, sample_rate) as file:
                file.write(audio)
        except RecordError as error:
            done(str(error))
        else:
            done("")

    thread = threading.Thread(target=run, name="keep", daemon=True)
    thread.start()
    return thread
