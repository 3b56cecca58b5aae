"""A sound file played in as if it were live, again and again: for machines without a sound card, and for tests."""

import time
from collections import deque
from pathlib import Path
from typing import Final

from bridge.audio.input import FILE, InputStats, SampleAt
from bridge.audio.input_thread import InputThread
from bridge.audio.port import PortError
from engine.audio.resample import Resampler
from engine.music.audio import Audio

__all__ = ["FileInput"]

_TURN_S: Final = 0.01
_BEHIND_S: Final = 1.0  # further behind than this, lost time is skipped: the machine slept
_PIECE: Final = 1024


class FileInput(InputThread):
    """A sound file; what sounds with the session's first sample is its beginning. Arguments and errors as `open_input`.

    Threads: as AudioInput; the file by the input's own thread, or by a test that takes turns itself.

    Args:
        path: WAV, FLAC, OGG, MP3 or AIFF. It is read while it plays, so it may be of any length.
    """

    def __init__(self, path: str, *, sample_rate: int, sample_at: SampleAt, channels: tuple[int, int] = (1, 2)) -> None:
        import soundfile

        super().__init__("audio-file-in", _TURN_S)
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

    @property
    def stats(self) -> InputStats:
        """A file is never late and never lost; what can fail is the reading, and the listener."""
        return InputStats(samples=self._samples, jumps=self._jumps, faults=self.notices.faults)

    def stop(self) -> None:
        """End, and close the file; safe to call twice, and without `start`."""
        super().stop()
        self._file.close()

    def turn(self) -> None:
        """Play in what has sounded since the last turn."""
        here = self._sample_at(time.perf_counter())
        if here is None or self._listener is None:
            return
        if here - self._next > _BEHIND_S * self._rate:
            self._jumps += 1
            self._next = int(here)
        while self._next < int(here):
            most = min(_PIECE, int(here) - self._next)
            try:
                audio = self._piece(most)
            except Exception as error:  # a file on a stick that is pulled out: time passes all the same
                self.notices.fault(f"{self.name} cannot be played in", error)
                self._next += most
            else:
                self._give(audio)

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
