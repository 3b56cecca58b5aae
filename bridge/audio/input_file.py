"""A sound file played in as if it were live, again and again: for machines without a sound card, and for tests."""

import threading
import time
from collections import deque
from pathlib import Path
from typing import Final

import numpy as np

from bridge.audio.input import FILE, InputStats, Listener, SampleAt
from bridge.audio.port import PortError
from engine.audio.resample import Resampler
from engine.music.audio import Audio

__all__ = ["FileInput"]

_TURN_S: Final = 0.01
_BEHIND_S: Final = 1.0  # further behind than this, lost time is skipped: the machine slept
_PIECE: Final = 1024


class FileInput:
    """A sound file; what sounds with the session's first sample is its beginning. Arguments and errors as `open_input`.

    Threads: as AudioInput; the file by the input's own thread, or by a test that takes turns itself.

    Args:
        path: WAV, FLAC, OGG, MP3 or AIFF. It is read while it plays, so it may be of any length.
    """

    def __init__(self, path: str, *, sample_rate: int, sample_at: SampleAt, channels: tuple[int, int] = (1, 2)) -> None:
        import soundfile

        try:
            self._file = soundfile.SoundFile(str(Path(path).expanduser()))
        except (soundfile.SoundFileError, OSError) as error:
            wanted = "give a WAV, FLAC, OGG, MP3 or AIFF file"
            raise PortError(f"input file {path!r} is not readable as sound ({error}); {wanted}") from None
        self.name, self.sample_rate, self.latency_s = FILE + path, int(self._file.samplerate), 0.0
        there = int(self._file.channels)
        if there > 1 and max(channels) > there:
            self._file.close()
            raise PortError(f"input file {path!r} has channels 1..{there}, got {channels}: choose among those")
        if not len(self._file):
            self._file.close()
            raise PortError(f"input file {path!r} is empty: give one with sound in it")
        self._columns = [min(channel, there) - 1 for channel in channels]
        self._rate, self._sample_at = sample_rate, sample_at
        self._resampler = Resampler(self.sample_rate, sample_rate, 2)
        self._made: deque[Audio] = deque()
        self._listener: Listener | None = None
        self._lines: deque[str] = deque(maxlen=100)
        self._next = self._samples = self._jumps = self._faults = 0
        self._fault = ""
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()

    @property
    def stats(self) -> InputStats:
        """A file is never late and never lost; what can fail is the reading, and the listener."""
        return InputStats(samples=self._samples, jumps=self._jumps, faults=self._faults)

    def start(self, listener: Listener) -> None:
        """Play it in from here on, in a thread of its own."""
        self.begin(listener)
        self._thread = threading.Thread(target=self._run, name="audio-file-in", daemon=True)
        self._thread.start()

    def begin(self, listener: Listener) -> None:
        """Give what is due to `listener` from now on, a turn at a time."""
        self._listener = listener

    def stop(self) -> None:
        """End, and close the file; safe to call twice, and without `start`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._file.close()

    def poll(self) -> list[str]:
        """Lines since the last call."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def turn(self) -> None:
        """Play in what has sounded since the last turn."""
        here, listener = self._sample_at(time.perf_counter()), self._listener
        if here is None or listener is None:
            return
        if here - self._next > _BEHIND_S * self._rate:
            self._jumps += 1
            self._next = int(here)
        while self._next < int(here):
            try:
                audio = self._piece(min(_PIECE, int(here) - self._next))
                listener(audio, self._next)
                self._samples += audio.shape[1]
            except Exception as error:  # a file on a stick that is pulled out, or a mistake of ours: time goes on
                self._faults += 1
                self._tell(f"{self.name} cannot be played in: {type(error).__name__}: {error}")
                audio = np.zeros((2, min(_PIECE, int(here) - self._next)), np.float32)
            self._next += audio.shape[1]

    def _piece(self, most: int) -> Audio:
        """The next samples of the file, 1 to `most` of them."""
        while not self._made:
            frames = self._file.read(_PIECE, dtype="float32", always_2d=True)
            if len(frames) < _PIECE:
                if not len(frames) and not self._file.tell():
                    raise OSError("it has no sound any more")
                self._file.seek(0)
            made = self._resampler.process(frames[:, self._columns].T)
            if made.shape[1]:
                self._made.append(made)
        first = self._made.popleft()
        if first.shape[1] > most:
            self._made.appendleft(first[:, most:])
        return first[:, :most]

    def _tell(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            self._lines.append(fault)

    def _run(self) -> None:
        while not self._stopping.wait(_TURN_S):
            self.turn()
