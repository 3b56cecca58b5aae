"""The band through FluidSynth: a soundfont's instruments, rendered into an audio port.

Optional: it needs the library, its wrapper (``pip install ripieno[fluid]``) and a soundfont; without them the band
has plain tones.
"""

import importlib.util
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.band.tones import BandSound, BlockClock, Sound
from bridge.midi.output_commands import OutputCommand, SetPulse, apply_to_ledger
from bridge.settings import SettingsError
from engine.band.ledger import Ledger
from engine.music.audio import Audio
from engine.music.pulse import Pulse

__all__ = ["FluidSound", "open_sound", "soundfonts"]

_PLACES: Final = (
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share",
)
_ENDINGS: Final = (".sf2", ".sf3")
_GAIN: Final = 0.5
_OFF, _ON, _CONTROL, _PROGRAM = 0x80, 0x90, 0xB0, 0xC0


def soundfonts() -> list[Path]:
    """Soundfonts in the system's standard folders, then the small one of pretty_midi, if that is installed."""
    found = [
        path for place in _PLACES if Path(place).is_dir() for path in sorted(Path(place).rglob("*"))
        if path.suffix.lower() in _ENDINGS
    ]  # fmt: skip
    package = importlib.util.find_spec("pretty_midi")
    if package is not None and package.origin is not None:
        small = Path(package.origin).parent / "TimGM6mb.sf2"
        found += [small] if small.is_file() else []
    return found


def open_sound(sample_rate: int, latency_s: Callable[[], float], soundfont: str = "") -> tuple[Sound, str]:
    """The best available sound for the band, and a line for people that names it.

    Args:
        sample_rate, latency_s: as `BandSound`.
        soundfont: its file; empty: the first that is found.
    Raises:
        SettingsError: a soundfont given by name does not exist or cannot be read.
    """
    if soundfont and not Path(soundfont).is_file():
        raise SettingsError(f"there is no soundfont {soundfont}; give a file that ends in .sf2 or .sf3")
    path = Path(soundfont) if soundfont else next(iter(soundfonts()), None)
    why = "no soundfont found: give one with --soundfont"
    if path is not None:
        try:
            return FluidSound(path, sample_rate, latency_s), f"FluidSynth with {path.name}"
        except ImportError:
            why = "FluidSynth is not installed (the extra [fluid], and the system's libfluidsynth)"
        except OSError as error:
            if soundfont:
                raise SettingsError(str(error)) from None
            why = str(error)
    return BandSound(sample_rate, latency_s), f"plain tones; {why}"


class FluidSound:
    """Output commands in, a soundfont's sound out; every note-on gets its note-off, as at a MIDI port.

    Threads: `apply` any; `read` the audio port's, which alone touches the synthesizer.

    Args:
        soundfont: file with the instruments, by General MIDI.
        sample_rate, latency_s, now: as `BandSound`.
    Raises:
        ImportError: the wrapper or the library is missing.
        OSError: the file is no soundfont.
    """

    def __init__(
        self,
        soundfont: Path,
        sample_rate: int,
        latency_s: Callable[[], float],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        import fluidsynth

        self._rate = sample_rate
        self._synth: Any = fluidsynth.Synth(gain=_GAIN, samplerate=float(sample_rate), channels=16)
        if self._synth.sfload(str(soundfont)) < 0:
            self._synth.delete()
            raise OSError(f"{soundfont} cannot be read as a soundfont")
        for channel in range(16):
            self._synth.program_change(channel, 0)
        self._clock = BlockClock(sample_rate, latency_s, now)
        self._ledger = Ledger()
        self._pulse: Pulse | None = None
        self._commands: deque[OutputCommand] = deque()

    def apply(self, command: OutputCommand) -> None:
        """Take a command; the next `read` carries it out."""
        self._commands.append(command)

    def read(self, frames: int) -> Audio:
        """[2, frames], what sounds `latency_s` from now."""
        begin_s = self._clock.next(frames)
        dues = []
        while self._commands:
            command = self._commands.popleft()
            if isinstance(command, SetPulse):
                self._pulse = command.pulse
            dues += apply_to_ledger(command, self._ledger, begin_s)
        dues += self._ledger.due(begin_s + frames / self._rate, self._pulse)
        parts, done = [], 0
        for due in dues:
            at = min(frames, max(done, round((due.at_s - begin_s) * self._rate)))
            parts.append(self._samples(at - done))
            done = at
            self._give(due.message)
        parts.append(self._samples(frames - done))
        return np.concatenate(parts, axis=1)

    def _give(self, message: bytes) -> None:
        kind, channel = message[0] & 0xF0, message[0] & 0x0F
        if kind == _ON:
            self._synth.noteon(channel, message[1], message[2])
        elif kind == _OFF:
            self._synth.noteoff(channel, message[1])
        elif kind == _CONTROL:
            self._synth.cc(channel, message[1], message[2])
        elif kind == _PROGRAM:
            self._synth.program_change(channel, message[1])

    def _samples(self, frames: int) -> Audio:
        if frames == 0:
            return np.zeros((2, 0), np.float32)
        whole = np.asarray(self._synth.get_samples(frames), np.float32).reshape(frames, 2).T
        return np.asarray(whole / np.float32(32768.0), np.float32)
