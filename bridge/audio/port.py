"""What every audio output offers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.audio.input import AudioInput, AudioStream
from engine.errors import EngineError
from engine.music.audio import Audio

__all__ = [
    "BLOCK",
    "LEAD_MS",
    "NULL",
    "AudioPort",
    "DuplexInput",
    "NoDeviceError",
    "PortError",
    "PortStats",
    "Source",
]

Source = Callable[[int], Audio]
"""Frames wanted -> [2, frames]: `Session.read`. Called from one thread only, and must not wait."""

NULL: Final = "null"
"""The name that asks for a port without a device."""

BLOCK: Final = 256
"""Frames read from the source at a time: small enough to be even, large enough to be cheap."""

LEAD_MS: Final = 30.0
"""Sound kept ready ahead of the device. Two busy Python threads beside the pump took up to 20 ms of it away."""


class PortError(EngineError):
    """An outside port cannot be had or has gone: choose another, or plug it in."""


class NoDeviceError(PortError):
    """There is nothing to play through at all; the message says how to get sound. A NullPort still lets time pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PortStats:
    """Counts of an output since it was opened.

    Args:
        frames: read from the source.
        underruns: times the ring was found empty: ours.
        device_flags: callbacks in which the driver itself reported a gap: the sound card's or the machine's.
        losses: times the device went away.
        faults: reads that raised and were replaced by silence.
        fill_ms: sound that was ready when the ring was last filled up: what was left of the lead.
    """

    frames: int = 0
    underruns: int = 0
    device_flags: int = 0
    losses: int = 0
    faults: int = 0
    fill_ms: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplexInput:
    """An input that is wanted beside an output, if they are one device: `name` and `channels` as in `open_input`."""

    name: str | None = None
    channels: tuple[int, int] = (1, 2)


class AudioPort(AudioStream, Protocol):
    """Takes sound from a source at the pace of a sound card.

    Its latency is counted from a read of the source to the moment at which the sound leaves the device.
    """

    @property
    def stats(self) -> PortStats: ...

    @property
    def input(self) -> AudioInput | None:
        """The input that was wanted beside it, in the same stream; None if none was, or if it is another device. Its
        samples are frames of the source, counted from its start. It ends with the port."""
        ...

    def start(self, source: Source) -> None:
        """Sound from here on, faded in."""
        ...
