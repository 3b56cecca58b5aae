"""Audio arrays, and sound files in and out (soundfile)."""

import math
import os
import re
import shutil
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from engine.errors import RecordError, ShapeError
from engine.music.soundwriter import replacing_sound

__all__ = ["Audio", "read_audio", "soft_limit", "to_channels", "to_mono", "to_stereo", "write_audio"]

_PIECE: Final = 1 << 14  # frames that are read at a time
_ENDLESS: Final = 1 << 40  # frames: libsndfile says more where a header says nothing
_LEAST_HZ: Final = 1000  # telephones have 8000

_HALF = math.sqrt(0.5)
_CANCELLED = 0.02  # of the louder channel's power; of independent channels the mean has a quarter or more
_LAYOUTS = {3: "LRC", 4: "LRlr", 5: "LRClr", 6: "LRC-lr", 7: "LRC-Clr", 8: "LRC-lrlr"}
"""Places of the channels in WAV files: front left and right, centre, bass effects (-), back and side left and right."""

Audio = npt.NDArray[np.float32]
"""Sound as [C, N] float32 in -1..1."""


def read_audio(path: str | Path, *, most_samples: int | None = None, last_s: float | None = None) -> tuple[Audio, int]:
    """Read a sound file (WAV, FLAC, OGG, MP3, AIFF).

    A file that is cut off is read as far as it goes, a WAV file whose sizes were never filled in to its end.

    Args:
        most_samples: that may be read, of all channels together; None: any number.
        last_s: read only so many seconds at the end; None: all.
    Returns:
        [C, N] and its sample rate in Hz. Samples that are no number are silence, endless ones are 1 or -1.
    Raises:
        OSError: the file is missing or not sound, too long, or says a rate that no sound has; the message names it.
    """
    import soundfile

    if Path(path).is_dir() or not Path(path).exists():  # the library calls both a system error
        raise FileNotFoundError(f"{path}: {'a folder' if Path(path).is_dir() else 'no such file'}; give a sound file")
    most = math.inf if most_samples is None else most_samples
    try:
        with _opened(Path(path)) as raw:
            for seek in (True, False):
                with soundfile.SoundFile(raw) as file:
                    rate, channels = file.samplerate, file.channels
                    last = None if last_s is None else max(1, round(last_s * rate))
                    if seek and not _sought(file, last):
                        continue
                    samples = channels * (file.frames if last is None else min(last, file.frames))
                    data = None if most < samples < _ENDLESS else _read(file, last, most / channels)
                    break
    except (soundfile.SoundFileError, OSError, TypeError) as error:  # a TypeError: it has no header, as .raw
        reason = getattr(error, "strerror", None) or ("it has no header" if isinstance(error, TypeError) else error)
        reason = re.sub(r"^Error opening .*?: ", "", str(reason))  # the name stands before it, and here it is bytes
        raise OSError(f"{path}: not readable as sound ({reason}); give a WAV, FLAC, OGG, MP3 or AIFF file") from None
    if data is None:
        raise OSError(f"{path}: {samples} samples are too many, at most {most_samples}; cut out what matters")
    if rate < _LEAST_HZ:
        raise OSError(f"{path}: {rate} samples a second are no sound; give a file of {_LEAST_HZ} or more")
    sound = np.ascontiguousarray(data.T)
    if not np.isfinite(sound).all():  # floats in a file may be anything, and would spread to all that is made of them
        sound = np.nan_to_num(sound, nan=0.0, posinf=1.0, neginf=-1.0)
    return sound, int(rate)


def _sought(file: Any, last: int | None) -> bool:
    """Go to the last frames of an open file where it can; False if it is cut off before, and must be opened again."""
    import soundfile

    if last is not None and file.seekable() and last < file.frames < _ENDLESS:
        try:
            file.seek(file.frames - last)
        except soundfile.SoundFileError:
            return False
    return True


def _read(file: Any, last: int | None, most: float) -> Audio | None:
    """[N, C], of the last frames only if `last` says so; None if there are more than `most`.

    Piece by piece: neither is a header believed that promises more than there is, nor does memory hold more than is
    wanted.
    """
    import soundfile

    pieces: deque[Audio] = deque()
    held, ended = 0, False
    while held <= most and not ended:
        piece = np.full((_PIECE, file.channels), np.nan, np.float32)
        try:
            piece = file.read(out=piece)
        except soundfile.SoundFileError:  # what was decoded before the fault is there
            piece = piece[: _PIECE - int(np.isnan(piece[::-1, 0]).cumprod().sum())]
            ended = True
            if not pieces and not len(piece):
                raise
        ended = ended or not len(piece)
        pieces.append(piece)
        held += len(piece)
        while last is not None and held - len(pieces[0]) >= last:
            held -= len(pieces.popleft())
    data = np.concatenate(pieces)[-(last or held or 1) :]
    return data if len(data) <= most else None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """What soundfile opens: the name, in bytes as a name need not be a text, or a WAV file with its sizes filled in."""
    with path.open("rb") as file:
        at = _unfinished(file)
        if at is None:
            yield os.fsencode(path)
            return
        with TemporaryFile() as whole:
            file.seek(0)
            shutil.copyfileobj(file, whole)
            size = whole.tell()
            for place, value in ((4, size - 8), (at, size - at - 4)):
                whole.seek(place)
                whole.write(min(value, 0xFFFFFFFF).to_bytes(4, "little"))
            whole.seek(0)
            yield whole


def _unfinished(file: BinaryIO) -> int | None:
    """Where a WAV file says how long its sound is, if it says 0 and yet sound follows; else None."""
    if file.read(12)[:4] != b"RIFF":
        return None
    while len(head := file.read(8)) == 8:
        size = int.from_bytes(head[4:], "little")
        if head[:4] == b"data":
            at = file.tell() - 4
            return at if size == 0 and file.read(1) else None
        file.seek(size + size % 2, os.SEEK_CUR)
    return None


def write_audio(path: str | Path, audio: Audio, sample_rate: int) -> None:
    """Write [C, N] as WAV (32-bit float) or FLAC (24-bit) by the name's ending; a file is replaced once all is written.

    Raises:
        OSError: the folder is missing, the disk is full, or the ending is unknown.
    """
    if audio.ndim != 2:
        raise ShapeError(f"audio is [C, N], got shape {audio.shape}")
    try:
        with replacing_sound(Path(path), sample_rate, audio.shape[0]) as file:
            file.write(audio)
    except RecordError as error:
        raise OSError(str(error)) from None


def soft_limit(audio: Audio) -> Audio:
    """A copy of [C, N], untouched below 0.6, bent smoothly above so that no peak reaches 0.85.

    Composed music is mixed through it, and a model that learned what goes into the mix plays through it too.
    """
    size = np.abs(audio)
    loud = size > 0.6
    out = audio.copy()
    out[loud] = np.sign(audio[loud]) * (0.6 + 0.25 * np.tanh((size[loud] - 0.6) / 0.25))
    return out


def to_stereo(audio: Audio) -> Audio:
    """[2, N] of any [C, N], as loud as it was: one channel is doubled, those beyond two go to their side.

    Centre and surround channels come in at -3 dB, and the bass effects channel is left out. More than two channels are
    in the order of WAV files; of a number that has no such order, every other one goes to the left and to the right.

    Source:
        ITU-R BS.775: the downmix of 3/2 sound. The sum is divided so that the power of independent channels stays.
    """
    if audio.shape[0] <= 2:
        return audio if audio.shape[0] == 2 else np.repeat(audio, 2, axis=0)
    gains = _downmix(audio.shape[0])
    return np.asarray(gains @ audio, np.float32)


def to_mono(audio: Audio) -> Audio:
    """[1, N] of any [C, N]: the mean of left and right, or the louder of them where they cancel each other.

    The right channel may be the left one upside down: a widened stereo image, or a plug wired the wrong way round. That
    sounds, so it may not become silence.
    """
    if audio.shape[0] == 1:
        return audio
    stereo = to_stereo(audio)
    mean: Audio = stereo.mean(axis=0, keepdims=True, dtype=np.float32)
    powers = np.square(stereo, dtype=np.float64).sum(axis=1)
    if np.square(mean, dtype=np.float64).sum() >= _CANCELLED * powers.max():
        return mean
    loudest = int(powers.argmax())
    return stereo[loudest : loudest + 1]


def to_channels(audio: Audio, count: int) -> Audio:
    """[count, N] of any [C, N]: more than two are the front left and right, and silence in the others."""
    if audio.shape[0] == count:
        return audio
    if count == 1:
        return to_mono(audio)
    stereo = to_stereo(audio)
    return stereo if count == 2 else np.concatenate([stereo, np.zeros((count - 2, audio.shape[1]), np.float32)])


def _downmix(channels: int) -> Audio:
    """[2, channels] gains to left and right, for three channels and more."""
    layout = _LAYOUTS.get(channels) or "".join("LR"[at % 2] for at in range(channels))
    rows = {
        "L": (1.0, 0.0),
        "R": (0.0, 1.0),
        "C": (_HALF, _HALF),
        "l": (_HALF, 0.0),
        "r": (0.0, _HALF),
        "-": (0.0, 0.0),
    }
    gains = np.array([rows[place] for place in layout], np.float32).T
    return np.asarray(gains / np.sqrt(np.square(gains).sum(axis=1, keepdims=True)), np.float32)
