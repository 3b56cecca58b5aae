"""A folder of sound files as a corpus: any format and rate that soundfile reads, mono doubled, bad files left out."""

import json
import os
from pathlib import Path

import numpy as np

from engine.music.arrays import F64
from engine.music.audio import Audio, read_audio, to_stereo
from engine.music.beats import track_beats
from engine.music.files import sha256_of
from training.data.corpus import Corpus, CorpusEntry, DataError
from training.data.onsets import onset_times

__all__ = ["ENDINGS", "Folder", "find_audio", "read_stereo"]

ENDINGS = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".caf", ".w64"})
_ANALYSIS_RATE = 22050  # onsets and beats need no more


def find_audio(folder: Path) -> tuple[Path, ...]:
    """Sound files in `folder` and below it, by ending, in order of path; a file stands for itself.

    Raises:
        DataError: there is no such folder, it cannot be listed, or it holds no sound file.
    """
    if folder.is_file():
        return (folder,)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give one that holds sound files")
    refused: list[OSError] = []
    found = sorted(
        Path(root) / name
        for root, _, names in os.walk(folder, onerror=refused.append, followlinks=True)
        for name in names
        if Path(name).suffix.lower() in ENDINGS and not name.startswith(".")
    )
    if not found:
        reason = f" ({refused[0]})" if refused else ""
        raise DataError(f"{folder}: no sound files in it or below{reason}; wanted {', '.join(sorted(ENDINGS))}")
    return tuple(found)


def read_stereo(path: Path, sample_rate: int) -> Audio:
    """The whole file as [2, N] at `sample_rate`: mono doubled, channels beyond two dropped, resampled by soxr.

    Raises:
        OSError: not readable as sound; the message names the file.
    """
    audio, rate = read_audio(path)
    audio = to_stereo(audio)
    if rate == sample_rate:
        return audio
    import soxr

    return np.ascontiguousarray(soxr.resample(audio.T, rate, sample_rate).T, np.float32)


class Folder(Corpus):
    """Sound files below a folder.

    Checksums and lengths are kept in the cache and taken from there while a file's size and time stay the same.

    Args:
        folder: searched with all folders below it, or one file.
        cache: for `index.json`; made if missing.
    Raises:
        DataError: no file can be read.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self._paths: dict[str, Path] = {}
        problems, entries = [], []
        index_file = cache / "index.json"
        index = _read_index(index_file)
        paths = find_audio(folder)
        for path in paths:
            try:
                known = _known(path, index)
            except OSError as error:
                problems.append(str(error))
                continue
            digest, duration = str(known["checksum"]), float(known["duration_s"])
            if digest in self._paths:
                problems.append(f"{path}: the same file as {self._paths[digest]}; left out")
            else:
                self._paths[digest] = path
                entries.append(
                    CorpusEntry(str(path.relative_to(folder) if folder.is_dir() else path.name), digest, duration)
                )
        self.entries, self.problems = tuple(entries), tuple(problems)
        if not entries:
            raise DataError(f"{folder}: none of {len(paths)} sound files can be read; the first: {problems[0]}")
        cache.mkdir(parents=True, exist_ok=True)
        draft = index_file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(index, indent=0, sort_keys=True), "utf-8")
        draft.replace(index_file)

    def audio(self, entry: CorpusEntry, sample_rate: int) -> Audio:
        return read_stereo(self._paths[entry.checksum], sample_rate)

    def rhythm(self, entry: CorpusEntry) -> tuple[float, F64]:
        audio = self.audio(entry, _ANALYSIS_RATE)
        return track_beats(audio, _ANALYSIS_RATE)[0], onset_times(audio, _ANALYSIS_RATE)


def _read_index(path: Path) -> dict[str, dict[str, float | str]]:
    try:
        index = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # it only saves time
    return index if isinstance(index, dict) else {}


def _known(path: Path, index: dict[str, dict[str, float | str]]) -> dict[str, float | str]:
    """What the index says of `path`, made and added if it says nothing or of an older file.

    Raises:
        OSError: not readable as sound, or without a single sample.
    """
    import soundfile

    status = path.stat()
    key = str(path.resolve())
    known = index.get(key)
    if known is None or (known["size"], known["time"]) != (status.st_size, status.st_mtime_ns):
        try:
            about = soundfile.info(str(path))
        except (soundfile.SoundFileError, OSError) as error:
            raise OSError(f"{path}: not readable as sound ({error}); left out") from None
        if about.frames < 1:
            raise OSError(f"{path}: holds no sound; left out")
        known = {
            "size": status.st_size,
            "time": status.st_mtime_ns,
            "checksum": sha256_of(path),
            "duration_s": about.frames / about.samplerate,
        }
        index[key] = known
    return known
