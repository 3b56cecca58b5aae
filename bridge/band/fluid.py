"""The band heard through FluidSynth: a soundfont's instruments, rendered here into an audio port of our own.

Optional: the library and its wrapper (``pip install ripieno[fluid]``) may be there or not; without them, or without a
soundfont, the band has its plain tones.
"""

import importlib.util
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.band.tones import BandSound, BlockClock, Sound
from bridge.midi.output_commands import OutputCommand, SetPulse, carried_out
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
    """Soundfonts in the system's usual places, then the small one that comes with pretty_midi, if that is installed."""
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
    """The best sound there is for the band, and a line for people that says which.

    Args:
        sample_rate, latency_s: as `BandSound`.
        soundfont: a file to play with; empty: the first that is found.
    Raises:
        SettingsError: a soundfont asked for by name is not there or cannot be read.
    """
    if soundfont and not Path(soundfont).is_file():
        raise SettingsError(f"there is no soundfont {soundfont}; name a file that ends in .sf2 or .sf3")
    path = Path(soundfont) if soundfont else next(iter(soundfonts()), None)
    why = "no soundfont is found: name one with --soundfont"
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
    """Orders of a sender in, a soundfont's sound out; every note-on is answered, as at a MIDI port.

    Threads: `obey` any; `read` the audio port's, which alone touches the synthesizer.

    Args:
        soundfont: its instruments, by General MIDI.
        sample_rate, latency_s, now: as `BandSound`.
    Raises:
        ImportError: no wrapper, or no library.
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
        self._orders: deque[OutputCommand] = deque()

    def obey(self, order: OutputCommand) -> None:
        """Take an order; it is carried out by the next `read`."""
        self._orders.append(order)

    def read(self, frames: int) -> Audio:
        """[2, frames], what will be heard `latency_s` from now."""
        begin_s = self._clock.next(frames)
        dues = []
        while self._orders:
            order = self._orders.popleft()
            if isinstance(order, SetPulse):
                self._pulse = order.pulse
            dues += carried_out(order, self._ledger, begin_s)
        dues += self._ledger.turn(begin_s + frames / self._rate, self._pulse)
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
