"""The sound that a voice goes on with: taken from the live input, from the mix, or from a file, and put where it stays.

What was taken is written into the session's folder, and the order to the voice names it with its sha256: so a take
holds all that its replay needs.
"""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from engine.audio.input import InputHistory
from engine.audio.mixer import Mixer
from engine.audio.record import WavFile
from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import Continue
from engine.music.audio import Audio

__all__ = ["Sources"]

_MARGIN_S: Final = 2.0  # the oldest of what is kept may be overwritten while it is copied
_MOST_S: Final = 60.0
_LEAST_S: Final = 0.1
_MOST_BYTES: Final = 1 << 28  # summed while the housekeeping waits: a fifth of a second


class Sources:
    """What was just heard, for one session.

    Threads: the session's housekeeping.

    Args:
        folder: of the session; None refuses all.
        conductor: the session's, which tells how long bars are.
        keep_s: how much of the mix is known.
    """

    def __init__(
        self, folder: Path | None, conductor: Conductor, mixer: Mixer, hearing: InputHistory, keep_s: float
    ) -> None:
        self._folder, self._conductor, self._mixer, self._hearing = folder, conductor, mixer, hearing
        self._keep_s, self._rate = keep_s, conductor.sample_rate

    def find(self, command: Continue) -> Continue:
        """The same command with files of the folder for its source and melody, their sums, and when the source ended.

        Raises:
            ControlError: there is nothing to go on with. RecordError: it cannot be written.
        """
        if self._folder is None:
            raise ControlError("this session has no folder to keep what is heard in; start it with one")
        melody_hash = self._sum(command.melody) if command.melody else ""
        source = command.source or ("input" if self._hearing.heard else "output")
        if source not in ("input", "output"):
            return replace(command, source=source, file_hash=self._sum(source), melody_hash=melody_hash)
        end = self._hearing.end if source == "input" else self._mixer.position
        samples = self._length(command, end)
        sound = self._hearing.last(samples, end) if source == "input" else self._mixed(samples, end)
        if sound.shape[1] < _LEAST_S * self._rate or not np.any(sound):
            raise ControlError(f"nothing has been heard from the {source} yet: name a file, or wait for sound")
        name = self._write(sound, end)
        return replace(
            command, source=name, seconds=sound.shape[1] / self._rate, file_hash=self._sum(name),
            melody_hash=melody_hash, heard_until=end,
        )  # fmt: skip

    def _length(self, command: Continue, end: int) -> int:
        """Samples that are heard."""
        conductor, known = self._conductor, min(end, round(_MOST_S * self._rate))
        if command.bars:
            tick = conductor.tick_at(float(end)) - command.bars * conductor.bar_ticks_at(float(end))
            return min(known, round(end - conductor.sample_of(tick, 0.0)))
        return min(known, round(command.seconds * self._rate)) if command.seconds else known

    def _mixed(self, samples: int, end: int) -> Audio:
        samples = max(0, min(samples, end, int((self._keep_s - _MARGIN_S) * self._rate)))
        return self._mixer.kept.get(end - samples, samples)

    def _write(self, sound: Audio, end: int) -> str:
        """The name of a new file of the folder."""
        assert self._folder is not None
        number, path = 1, self._folder / f"heard-{end}.wav"
        while path.exists():
            number += 1
            path = self._folder / f"heard-{end}-{number}.wav"
        file = WavFile(path, self._rate)
        try:
            file.write(sound)
        finally:
            file.close()
        return path.name

    def _sum(self, name: str) -> str:
        """sha256 of a file of the folder."""
        assert self._folder is not None
        path = self._folder / name
        if path.name != name or "\\" in name or not path.is_file():
            raise ControlError(f"wanted input, output, or a sound file in the session folder, got {name!r}")
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ControlError(f"{name} is too large to be gone on with: cut out what matters")
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ControlError(f"{name} cannot be read ({error.strerror})") from None
