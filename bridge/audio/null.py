"""A port without a device: the same shape, in real time, or in time that the caller moves."""

import numpy as np

from bridge.audio.port import BLOCK, NULL, PortStats, Source
from bridge.audio.pump import Pump
from engine.music.audio import Audio

__all__ = ["NullPort"]


class NullPort:
    """Reads its source as a sound card would, and drops the sound.

    Args:
        sample_rate: Hz.
        block: frames read at a time.
        realtime: True: a thread reads at the pace of the clock; False: nothing is read until `advance`.
    Threads:
        As AudioPort; `advance` by the owner.
    """

    name = NULL
    input = None

    def __init__(self, *, sample_rate: int = 48_000, block: int = BLOCK, realtime: bool = True) -> None:
        self.sample_rate = sample_rate
        self.realtime = realtime
        self._block = block
        self._source: Source | None = None
        self._pump = Pump(sample_rate=sample_rate, block=block, lead=block)
        self._advanced = 0

    @property
    def latency_s(self) -> float:
        """Zero: what is read is over at once."""
        return 0.0

    @property
    def stats(self) -> PortStats:
        """Frames read; the rest stays zero."""
        return self._pump.stats() if self.realtime else PortStats(frames=self._advanced)

    def start(self, source: Source) -> None:
        """Let time pass from here on (in real time), or wait for `advance`."""
        self._source = source
        if self.realtime:
            self._pump.start(source)

    def advance(self, frames: int) -> Audio:
        """Move time by hand; blocks are as a device's, the last one as short as needed.

        Returns:
            [2, frames], the sound that a device would have played.
        Raises:
            RuntimeError: the port runs in real time or was not started.
        """
        source = self._source
        if self.realtime or source is None:
            raise RuntimeError("advance wants a started NullPort(realtime=False)")
        out = np.zeros((2, frames), np.float32)
        for start in range(0, frames, self._block):
            end = min(start + self._block, frames)
            out[:, start:end] = source(end - start)
        self._advanced += frames
        return out

    def stop(self) -> None:
        """Time stands still."""
        self._pump.stop()
        self._source = None

    def poll(self) -> list[str]:
        """Lines for people since the last call."""
        return self._pump.notices.poll()
