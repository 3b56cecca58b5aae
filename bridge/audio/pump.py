"""The thread that moves sound from a source into a device's ring; without a device it lets the same time pass.

What one turn does is plain code over a clock and a sink, so it runs in tests without threads and without waiting.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np

from bridge.audio.port import PortStats, Source
from bridge.audio.rings import Interleaved
from bridge.notices import Notices
from engine.errors import ShapeError
from engine.music.audio import Audio
from engine.processes import AUDIO_PRIORITY, set_priority

__all__ = ["FADE_S", "Pump", "Sink"]

FADE_S: Final = 0.01
"""Ramp at every edge of the sound: a step in the wave is a click, 10 ms of ramp is none."""

_SWITCH_S: Final = 0.0005  # longest that another Python thread keeps the interpreter from the pump; the default is 5 ms
_BEHIND_S: Final = 1.0  # later than this without a device, lost time is skipped: the machine slept
_STALL_S: Final = 1.0  # a device that took nothing for this long has gone, whatever its driver says


class Sink(Protocol):
    """A ring that a device plays from, as the pump sees it. Called from one thread; nothing here waits."""

    @property
    def width(self) -> int:
        """Channels of what is written: 2, or 1 for mono."""
        ...

    @property
    def underruns(self) -> int:
        """Times the ring ran empty; its reader then waits until it is full again, and fades in."""
        ...

    def begin(self, frame: int) -> None:
        """What is written first will be this frame of the source, counted from its start."""
        ...

    def alive(self) -> bool:
        """Whether the device is there, as far as anybody knows."""
        ...

    def fill(self) -> int:
        """Frames ready in the ring."""
        ...

    def write(self, frames: Interleaved) -> None:
        """Add [N, width]; there is room for a lead and two blocks."""
        ...

    def close(self) -> None:
        """No more will come: running empty is not an underrun from now on."""
        ...


class Pump:
    """Keeps a sink `lead` frames ahead, and says when that fails.

    Args:
        sample_rate: Hz.
        block: frames read from the source at a time.
        lead: frames kept ready in the sink.
        clock: seconds, monotonic.
    Threads:
        start, stop, attach    the owner's
        turn                   the pump's own, or a test's
        stats, notices         any
    """

    def __init__(
        self, *, sample_rate: int, block: int, lead: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.lost = threading.Event()
        """Set when the sink has gone and time passes without one; cleared by the next one."""
        self._rate, self._block, self._lead, self._clock = sample_rate, block, max(lead, 2 * block), clock
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._next_sink: deque[Sink] = deque(maxlen=1)
        self.notices = Notices()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._switch_s = 0.0
        self._frames = self._losses = 0
        self._fill = self._found = 0  # of the sink, after the last turn and before it
        self._underruns = self._underruns_before = 0  # of the present sink, of those before
        self._since_s, self._passed = 0.0, 0  # without a sink: since when, and frames since then
        self._moved_s = 0.0  # when the sink was last seen to take sound

    def start(self, source: Source) -> None:
        """Run turns in a thread of its own until `stop`; other Python threads yield to it sooner meanwhile."""
        self.begin(source)
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switch_s, _SWITCH_S))
        self._thread = threading.Thread(target=self._run, name="audio-pump", daemon=True)
        self._thread.start()

    def begin(self, source: Source) -> None:
        """Take sound from `source` from now on, a turn at a time."""
        self._source = source
        self._since_s, self._passed = self._clock(), 0

    def stop(self) -> None:
        """End the thread, and the sound with a fade; waits until it has been played (about the lead)."""
        self._stopping.set()
        if self._thread is None:
            return
        self._thread.join()
        self._thread = None
        sys.setswitchinterval(self._switch_s)
        if self._sink is not None:
            self._fade_out(self._sink)

    def attach(self, sink: Sink) -> None:
        """From the next turn on, play into `sink`."""
        self._next_sink.append(sink)

    def stats(self, device_flags: int = 0) -> PortStats:
        """What was counted so far."""
        return PortStats(
            frames=self._frames,
            underruns=self._underruns_before + self._underruns,
            device_flags=device_flags,
            losses=self._losses,
            faults=self.notices.faults,
            fill_ms=1000.0 * self._found / self._rate,
        )

    def turn(self) -> float:
        """Do what is due now.

        Returns:
            Seconds until the next turn is due.
        """
        if self._next_sink:
            self._sink = self._next_sink.popleft()
            self._sink.begin(self._frames)
            self._fill, self._moved_s = 0, self._clock()
            self.lost.clear()
        if self._sink is None:
            return self._pass_time()
        if self._feed(self._sink):
            return self._block / self._rate / 2
        self._sink, self._fill, self._found = None, 0, 0
        self._underruns_before, self._underruns = self._underruns_before + self._underruns, 0
        self._losses += 1
        self._since_s, self._passed = self._clock(), 0
        self.lost.set()
        return 0.0

    def _feed(self, sink: Sink) -> bool:
        """Fill the sink up to the lead; False when it has gone."""
        if sink.underruns != self._underruns:
            self._underruns = sink.underruns
            total = self._underruns_before + self._underruns
            self.notices.say(f"audio underrun ({total} so far): the output buffer ran empty; raise --lead-ms")
        now = self._clock()
        fill = self._found = sink.fill()
        if fill < self._fill:
            self._moved_s = now
        if now - self._moved_s > _STALL_S or not sink.alive():
            return False
        while fill + self._block <= self._lead:
            sink.write(_interleaved(self._read(), sink.width))
            fill += self._block
        self._fill = fill
        return True

    def _pass_time(self) -> float:
        """Read and drop what a device would have played by now, against absolute deadlines."""
        now = self._clock()
        if now - self._since_s - self._passed / self._rate > _BEHIND_S:
            self.notices.say("the machine was suspended: lost time is skipped")
            self._since_s, self._passed = now, 0
        while (wait_s := self._since_s + self._passed / self._rate - now) <= 0.0:
            self._read()
            self._passed += self._block
        return wait_s

    def _read(self) -> Audio:
        """One block of the source; silence, counted, if it fails: time must go on, and other voices with it."""
        self._frames += self._block
        if self._source is not None:
            try:
                audio = self._source(self._block)
                if audio.shape != (2, self._block):
                    raise ShapeError(f"the source gave {audio.shape}, wanted {(2, self._block)}")
                return audio
            except Exception as error:
                self.notices.fault("audio source failed, silence instead", error)
        return np.zeros((2, self._block), np.float32)

    def _fade_out(self, sink: Sink) -> None:
        """Play a last block that falls to nothing, and wait until all is played."""
        ramp = np.linspace(1.0, 0.0, self._block, dtype=np.float32)
        sink.write(_interleaved(self._read() * ramp, sink.width))
        sink.close()
        until_s = self._clock() + (self._lead + self._block) / self._rate + 0.1
        while sink.alive() and sink.fill() and self._clock() < until_s:
            time.sleep(0.002)

    def _run(self) -> None:
        set_priority(AUDIO_PRIORITY)
        while not self._stopping.is_set():
            wait_s = self.turn()
            if wait_s > 0.0:
                time.sleep(min(wait_s, 0.1))


def _interleaved(audio: Audio, width: int) -> Interleaved:
    """[2, N] -> [N, width]."""
    if width == 1:
        return np.ascontiguousarray(audio.mean(axis=0, dtype=np.float32)[:, None])
    return np.ascontiguousarray(audio.T)
