"""What every audio input offers, and how one is found by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.audio.port import PortError
from bridge.audio.scan import DEFAULT
from engine.music.audio import Audio

__all__ = ["FILE", "NONE", "AudioInput", "InputStats", "Listener", "SampleAt", "open_input"]

Listener = Callable[[Audio, int], None]
"""Takes [2, N] or [1, N] at the session's rate, and the sample of the session that sounded when its first came in:
`Session.hear`. Called from one thread only, and must not wait."""

SampleAt = Callable[[float], float | None]
"""Seconds of `time.perf_counter` -> the session's sample that sounds then; None as long as none has."""

NONE: Final = "none"
"""The name that asks for no input."""

FILE: Final = "file:"
"""What a name begins with that asks for a sound file, played in as if it were live."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InputStats:
    """How an input has done so far.

    Args:
        samples: given to the listener, at the session's rate.
        overruns: times the ring was found full and sound was lost: ours.
        device_flags: callbacks in which the driver itself reported a gap.
        losses: times the device went away.
        jumps: times at which what came in had to be put elsewhere than next to what came before.
        faults: blocks that the listener refused.
    """

    samples: int = 0
    overruns: int = 0
    device_flags: int = 0
    losses: int = 0
    jumps: int = 0
    faults: int = 0


class AudioInput(Protocol):
    """Gives what comes in to a listener, at the session's samples.

    Threads:
        open, start, stop    one thread, the owner's
        the listener         called from the input's own thread between start and stop
        stats, poll          any thread
    """

    @property
    def name(self) -> str:
        """What is listened to, for people."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz at which it comes in, before it is brought to the session's."""
        ...

    @property
    def latency_s(self) -> float:
        """From the air to us, as far as the driver knows; it has been made good in the samples told."""
        ...

    @property
    def stats(self) -> InputStats: ...

    def start(self, listener: Listener) -> None:
        """Listen from here on."""
        ...

    def stop(self) -> None:
        """Give the device back; an input is started once."""
        ...

    def poll(self) -> list[str]:
        """Lines for people since the last call: a device gone or back."""
        ...


def open_input(
    name: str,
    *,
    sample_rate: int,
    sample_at: SampleAt,
    channels: tuple[int, int] = (1, 2),
    latency: str | float = "low",
) -> AudioInput:
    """Open the audio input with this name; nothing is listened to until it is started.

    Args:
        name: ``default``: the system's choice; ``file:PATH``: a sound file, again and again; otherwise any part of a
            device's name, as for `open_port`.
        sample_rate: Hz, the session's; what comes in at another is brought to it.
        sample_at: tells what sounds when, so that what comes in can be put to it.
        channels: the device's or the file's channels, counted from 1, for left and right; the same one twice: for both.
        latency: of the device: ``low``, ``high`` or seconds.
    Raises:
        NoDeviceError: no PortAudio library or no input device.
        PortError: no such device, or it refuses, or no such file; the message lists what there is.
    """
    if min(channels) < 1:
        raise PortError(f"channels are counted from 1, got {channels}")
    if name.startswith(FILE):
        from bridge.audio.input_file import FileInput

        return FileInput(name.removeprefix(FILE), sample_rate=sample_rate, sample_at=sample_at, channels=channels)
    from bridge.audio.input_device import DeviceInput

    device = None if name.strip().lower() == DEFAULT else name
    return DeviceInput(device, sample_rate=sample_rate, sample_at=sample_at, channels=channels, latency=latency)
