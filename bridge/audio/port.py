"""What every audio port offers, and how one is found by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from engine.errors import EngineError
from engine.music.audio import Audio

if TYPE_CHECKING:
    from bridge.audio.input import AudioInput

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
    "open_port",
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
    """How a port has done so far.

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


class AudioPort(Protocol):
    """Takes sound from a source at the pace of a sound card.

    Threads:
        open, start, stop    one thread, the owner's
        the source           called from the port's own thread between start and stop
        stats, poll          any thread
    """

    @property
    def name(self) -> str:
        """What is played through, for people."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz; known before `start`, so that the source can be made for it."""
        ...

    @property
    def latency_s(self) -> float:
        """From a read of the source to the moment it is heard, as far as the driver knows."""
        ...

    @property
    def stats(self) -> PortStats: ...

    @property
    def input(self) -> "AudioInput | None":
        """The input that was wanted beside it, in the same stream; None if none was, or if it is another device. The
        samples it tells are frames of the source, counted from its start. It ends with the port."""
        ...

    def start(self, source: Source) -> None:
        """Sound from here on, faded in."""
        ...

    def stop(self) -> None:
        """Silence, and the device given back; a port is started once."""
        ...

    def poll(self) -> list[str]:
        """Lines for people since the last call: an underrun, a device gone or back."""
        ...


def open_port(
    name: str | None = None,
    *,
    sample_rate: int | None = None,
    channels: tuple[int, int] = (1, 2),
    lead_ms: float = LEAD_MS,
    block: int = BLOCK,
    latency: str | float = "low",
    beside: DuplexInput | None = None,
) -> AudioPort:
    """Open the audio output with this name; it is silent until started.

    Args:
        name: None: the system's default output; ``null``: no device; otherwise any part of a device's name, in any
            case, or ``HOSTAPI: part`` where several host APIs offer the same device.
        sample_rate: Hz; None: what the device runs at (48000 without one).
        channels: the device's channels, counted from 1, for left and right; the same one twice mixes to mono.
        lead_ms: sound kept ready ahead of the device, 5..500: more is safer, less is quicker.
        block: frames read from the source at a time, 16..4096.
        latency: of the device: ``low``, ``high`` or seconds.
        beside: an input that is wanted too; the port's `input`, if the device is both.
    Raises:
        NoDeviceError: no PortAudio library or no output device.
        PortError: no such device, or it refuses the rate or the channels; lists what there is.
    """
    if name is not None and name.strip().lower() == NULL:
        from bridge.audio.null import NullPort

        return NullPort(sample_rate=sample_rate or 48_000, block=block)
    from bridge.audio.device import DevicePort

    return DevicePort(
        name,
        sample_rate=sample_rate,
        channels=channels,
        lead_ms=lead_ms,
        block=block,
        latency=latency,
        beside=beside,
    )
