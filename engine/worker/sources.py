"""The sound files that a continuation is made from: found in the session's folder, checked, hashed and read.

All of it happens in the voice's process, so neither a large file nor a slow disk holds up who asked.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from engine.errors import ControlError
from engine.messages.continuation import Continue
from engine.music.audio import read_audio, write_audio
from engine.music.files import file_in, sha256_of
from engine.protocols.streamer import PromptAudio, SourceAudio

__all__ = ["OpenedSources", "lacks_hashes", "open_sources", "rehearse_sources"]

_MOST_BYTES: Final = 1 << 28
_MOST_SAMPLES: Final = 1 << 28  # of all channels: 1 GiB once it is read
_PROMPT_S: Final = 600.0  # at the end of a file: more than any model takes as prompt, or needs for its beat
_REHEARSED_HZ: Final = 48000


@dataclass(frozen=True, slots=True)
class OpenedSources:
    """What a command's files hold, and their sha256; empty where it names no melody."""

    audio: PromptAudio
    file_hash: str
    melody_hash: str

    def named_in(self, command: Continue) -> Continue:
        """The command with the hashes of the files that were read."""
        return replace(command, file_hash=self.file_hash, melody_hash=self.melody_hash)


def lacks_hashes(command: Continue) -> bool:
    """Whether it is not known yet what the files of a command hold."""
    return not command.file_hash or bool(command.melody and not command.melody_hash)


def open_sources(folder: Path | None, command: Continue) -> OpenedSources:
    """Read the files that a command names.

    Args:
        folder: the session's; None if it has none.
    Raises:
        ControlError: a file is not there, too large, not sound, or another one than its hash in the command says.
    """
    last_s = max(_PROMPT_S, command.seconds)
    prompt, file_hash = _opened(folder, command.source, command.file_hash, last_s)
    if not command.melody:
        return OpenedSources(PromptAudio(prompt), file_hash, "")
    melody, melody_hash = _opened(folder, command.melody, command.melody_hash)
    return OpenedSources(PromptAudio(prompt, melody), file_hash, melody_hash)


def rehearse_sources() -> None:
    """Read one file, so that the first that counts takes no longer than others. Raises OSError: no room for it."""
    with TemporaryDirectory() as folder:
        write_audio(Path(folder) / "rehearsed.wav", np.zeros((2, _REHEARSED_HZ), np.float32), _REHEARSED_HZ)
        open_sources(Path(folder), Continue(source="rehearsed.wav"))


def _opened(folder: Path | None, name: str, wanted: str, last_s: float | None = None) -> tuple[SourceAudio, str]:
    """A file of the folder, or its last seconds, and its hash, which must be the wanted one unless that is empty."""
    path = file_in(folder, name)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ControlError(f"{name} is too large: got more than {_MOST_BYTES >> 20} MiB; cut out what matters")
        found = sha256_of(path)
        if wanted and found != wanted:
            raise ControlError(f"{name} has changed since it was asked for; ask again")
        sound, rate = read_audio(path, most_samples=_MOST_SAMPLES, last_s=last_s)
    except OSError as error:
        reason = error.strerror if error.strerror else str(error).replace(str(path), name)
        raise ControlError(f"{name} cannot be read: {reason}") from None
    return SourceAudio(sound, rate), found
