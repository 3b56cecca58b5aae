"""What every audio input offers, and what inputs and outputs have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from engine.music.audio import Audio

__all__ = ["FILE", "NONE", "AudioInput", "AudioStream", "InputStats", "Listener", "SampleAt"]

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
    """Counts of an input since it was opened.

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


class AudioStream(Protocol):
    """An open input or output.

    Threads:
        open, start, stop    one thread, the owner's
        stats, poll          any thread
        what is called       the stream's own thread, between start and stop
    """

    @property
    def name(self) -> str:
        """The device or file, for people."""
        ...

    @property
    def sample_rate(self) -> int:
        """Hz at which the device or file runs; known before `start`."""
        ...

    @property
    def latency_s(self) -> float:
        """Seconds between us and the air, as far as the driver knows."""
        ...

    def stop(self) -> None:
        """End, and give the device back; a stream is started once."""
        ...

    def poll(self) -> list[str]:
        """Lines for people since the last call: a device gone or back, an underrun."""
        ...


class AudioInput(AudioStream, Protocol):
    """Gives what comes in to a listener, at the session's rate and samples; its latency is made good in them."""

    @property
    def stats(self) -> InputStats: ...

    def start(self, listener: Listener) -> None:
        """Listen from here on."""
        ...
