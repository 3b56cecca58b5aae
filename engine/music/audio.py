"""Audio arrays, and sound files in and out (soundfile)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import RecordError, ShapeError
from engine.music.soundwriter import replacing_sound

__all__ = ["Audio", "read_audio", "soft_limit", "to_stereo", "write_audio"]

_LEAST_HZ = 1000  # telephones have 8000

Audio = npt.NDArray[np.float32]
"""Sound as [C, N] float32 in -1..1."""


def read_audio(path: str | Path, *, most_samples: int | None = None) -> tuple[Audio, int]:
    """Read a sound file (WAV, FLAC, OGG, MP3, AIFF).

    Args:
        most_samples: of all channels together; None: any number.
    Returns:
        [C, N] and its sample rate in Hz. Samples that are no number are silence, endless ones are 1 or -1.
    Raises:
        OSError: the file is missing or not sound, too long, or says a rate that no sound has; the message names it.
    """
    import soundfile

    if Path(path).is_dir() or not Path(path).exists():  # the library calls both a system error
        raise FileNotFoundError(f"{path}: {'a folder' if Path(path).is_dir() else 'no such file'}; give a sound file")
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, samples = file.samplerate, file.frames * file.channels
            whole = most_samples is None or samples <= most_samples
            data = file.read(-1 if whole else 0, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise OSError(f"{path}: not readable as sound ({error}); give a WAV, FLAC, OGG, MP3 or AIFF file") from None
    if not whole:
        raise OSError(f"{path}: {samples} samples are too many, at most {most_samples}; cut out what matters")
    if rate < _LEAST_HZ:
        raise OSError(f"{path}: {rate} samples a second are no sound; give a file of {_LEAST_HZ} or more")
    sound = np.ascontiguousarray(data.T)
    if not np.isfinite(sound).all():  # floats in a file may be anything, and would spread to all that is made of them
        sound = np.nan_to_num(sound, nan=0.0, posinf=1.0, neginf=-1.0)
    return sound, int(rate)


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
    """[2, N] of any [C, N]: one channel is doubled, channels beyond two are dropped."""
    if audio.shape[0] == 1:
        return np.repeat(audio, 2, axis=0)
    return audio[:2]
