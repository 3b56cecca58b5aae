"""Sound written to files piece by piece: WAV that is whole at any moment, and FLAC.

WAV is written here and not by soundfile: its header then holds no time of day, so equal sound makes equal files, and
it can be brought up to date while the file grows.
"""

import contextlib
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import numpy as np

from engine.errors import RecordError, ShapeError
from engine.music.arrays import F32
from engine.music.files import replacing

__all__ = ["SOUND_ENDINGS", "FlacFile", "WavFile", "replacing_sound", "sound_file"]

SOUND_ENDINGS: Final = (".wav", ".flac")
"""Of the files that are written: 32-bit float, and 24-bit."""

_RIFF_MOST: Final = 0xFFFFFFFF
_HEADER_BYTES: Final = 94


class _SoundFile(ABC):
    """What both kinds have in common. In a with block they are closed at its end."""

    def __init__(self, path: Path, sample_rate: int, channels: int, shown: Path | None) -> None:
        self.path, self.sample_rate, self.channels, self.samples = path, sample_rate, channels, 0
        self._shown = path if shown is None else shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...


class WavFile(_SoundFile):
    """A 32-bit float WAV file that other programs can read while it grows.

    Longer than 4 GiB it becomes RF64: the header keeps room for the long sizes from the start.

    Args:
        opener: opens the file to write bytes to; `Path.open` if None.
        shown: the path that errors name; `path` if None.
    Source:
        EBU Tech 3306 (RF64): a JUNK chunk of 28 bytes is turned into ds64. WAVE_FORMAT_IEEE_FLOAT is 3; formats other
        than PCM carry an extension size and a fact chunk (Microsoft, Multimedia Programming Interface, 1994).

    Raises:
        RecordError: the file cannot be made or written; what was written before stays readable.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int = 2,
        *,
        opener: Callable[[Path], BinaryIO] | None = None,
        shown: Path | None = None,
    ) -> None:
        super().__init__(path, sample_rate, channels, shown)
        try:
            self._file = opener(path) if opener else path.open("wb")
        except OSError as error:
            raise _error(self._shown, error) from None
        try:
            self._file.write(self._header())
            self._file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.close()
            with contextlib.suppress(OSError):
                path.unlink()  # there is nothing in it
            raise _error(self._shown, error) from None

    def write(self, audio: F32) -> None:
        """Append [C, N]; the header is not touched."""
        _check(audio, self.channels)
        try:
            self._file.write(np.ascontiguousarray(audio.T, "<f4").tobytes())
        except OSError as error:
            raise _error(self._shown, error) from None
        self.samples += audio.shape[1]

    def sync(self) -> None:
        """Bring the header up to date."""
        try:
            self._file.flush()
            self._file.seek(0)
            self._file.write(self._header())
            self._file.seek(_HEADER_BYTES + 4 * self.channels * self.samples)
            self._file.flush()
        except OSError as error:
            raise _error(self._shown, error) from None

    def close(self) -> None:
        """Bring the header up to date and end."""
        try:
            self.sync()
        finally:
            try:
                self._file.close()
            except OSError as error:
                raise _error(self._shown, error) from None

    def _header(self) -> bytes:
        rate, channels, width = self.sample_rate, self.channels, 4 * self.channels
        data = width * self.samples
        riff = data + _HEADER_BYTES - 8
        long = riff > _RIFF_MOST
        sizes = struct.pack("<4sIQQQI", b"ds64" if long else b"JUNK", 28, riff, data, self.samples, 0)
        return b"".join(
            [
                struct.pack("<4sI4s", b"RF64" if long else b"RIFF", _RIFF_MOST if long else riff, b"WAVE"),
                sizes,
                struct.pack("<4sIHHIIHHH", b"fmt ", 18, 3, channels, rate, width * rate, width, 32, 0),
                struct.pack("<4sII", b"fact", 4, min(self.samples, _RIFF_MOST)),
                struct.pack("<4sI", b"data", _RIFF_MOST if long else data),
            ]
        )


class FlacFile(_SoundFile):
    """A 24-bit FLAC file, written like a `WavFile`; it can be read once it is closed.

    Args:
        shown: the path that errors name; `path` if None.
    Raises:
        RecordError: the file cannot be made or written, or FLAC does not hold such a rate or so many channels.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int = 2, *, shown: Path | None = None) -> None:
        import soundfile

        super().__init__(path, sample_rate, channels, shown)
        self._errors = soundfile.SoundFileError, OSError
        try:
            self._file = soundfile.SoundFile(os.fsencode(path), "w", sample_rate, channels, "PCM_24", format="FLAC")
        except self._errors as error:
            raise _error(self._shown, error) from None

    def write(self, audio: F32) -> None:
        """Append [C, N]."""
        _check(audio, self.channels)
        try:
            self._file.write(audio.T)
        except self._errors as error:
            raise _error(self._shown, error) from None
        self.samples += audio.shape[1]

    def close(self) -> None:
        """Write what is left and end."""
        try:
            self._file.close()
        except self._errors as error:
            raise _error(self._shown, error) from None


def sound_file(path: Path, sample_rate: int, channels: int = 2, *, shown: Path | None = None) -> WavFile | FlacFile:
    """A new sound file, of the kind that its ending names; `shown` as for `WavFile`.

    Raises:
        RecordError: its ending is none of `SOUND_ENDINGS`, or it cannot be made.
    """
    ending = path.suffix.lower()
    if ending not in SOUND_ENDINGS:
        raise RecordError(f"{shown or path}: sound is written as .wav or .flac; rename the file")
    return (WavFile if ending == ".wav" else FlacFile)(path, sample_rate, channels, shown=shown)


@contextmanager
def replacing_sound(path: Path, sample_rate: int, channels: int = 2) -> Iterator[WavFile | FlacFile]:
    """A sound file to write to, that takes the place of `path` once the block has ended; see `replacing`.

    Raises:
        RecordError: as `sound_file`; or it cannot be written, or not be moved into place.
    """
    try:
        with replacing(path) as draft, sound_file(draft, sample_rate, channels, shown=path) as file:
            yield file
    except OSError as error:
        raise _error(path, error) from None


def _check(audio: F32, channels: int) -> None:
    if audio.ndim != 2 or audio.shape[0] != channels:
        raise ShapeError(f"got audio of shape {audio.shape}, wanted [{channels}, N]")


def _error(path: Path, error: Exception) -> RecordError:
    reason = getattr(error, "strerror", None) or error
    return RecordError(f"{path}: cannot be written ({reason}); make room or choose another folder")
