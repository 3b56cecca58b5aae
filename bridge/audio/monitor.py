"""The live input in the output, for a player who would not hear it otherwise. Off unless it is asked for."""

from collections.abc import Callable
from typing import Final

import numpy as np

from bridge.audio.port import Source
from engine.audio.input import InputHistory
from engine.music.audio import Audio
from engine.music.units import db_to_amplitude

__all__ = ["Monitor"]

_MARGIN_S: Final = 0.01  # kept in hand: what is heard comes in bursts; as much more each time it was too little
_MOST_S: Final = 0.1
_STEP_S: Final = 0.02  # a change of level from nothing to full takes so long


class Monitor:
    """A source with the live input in it, as late as it has to be and no later.

    What comes in is needed ahead of the moment at which it would have to sound, so it sounds late by what the output
    keeps ready and by both latencies: a help, no replacement for listening directly.

    Threads: as every source, one.

    Args:
        source: what sounds beside it.
        hearing: whose `monitor` control is the level.
        position: the session's sample that is read next.
    """

    def __init__(self, source: Source, hearing: InputHistory, position: Callable[[], int]) -> None:
        self.late = 0
        """Times that the input was not there when it was needed: it fades out, and comes back later than before."""
        self._source, self._hearing, self._position = source, hearing, position
        self._rate = hearing.sample_rate
        self._delay: int | None = None
        self._end = 0
        self._gain = 0.0

    def __call__(self, frames: int) -> Audio:
        """[2, frames], the source's next, and the input if it is asked for; within -1..1."""
        first, out = self._position(), self._source(frames)
        wanted = db_to_amplitude(self._hearing.controls.monitor)
        if self._gain == wanted == 0.0:
            self._delay = None
            return out
        needed = first + frames - self._hearing.end
        if self._delay is None and not self._found(needed, frames):
            return out
        # A block ahead of running dry, so that there is something left to fade.
        dry = self._delay is not None and needed + frames > self._delay
        most = frames / (_STEP_S * self._rate)
        gain = 0.0 if dry else self._gain + min(most, max(-most, wanted - self._gain))
        ramp = np.linspace(self._gain, gain, frames, endpoint=False, dtype=np.float32)
        heard = self._hearing.last(frames, first + frames - (self._delay or 0))
        self._gain = gain
        if dry:
            self.late += 1
            self._delay = None
        mixed: Audio = (out + heard * ramp).clip(-1.0, 1.0)
        return mixed

    def _found(self, needed: int, frames: int) -> bool:
        """Choose how late the input is to sound; False while none comes in."""
        end, self._end = self._end, self._hearing.end
        self._gain = 0.0
        if self._end <= end:
            return False
        margin_s = min(_MOST_S, _MARGIN_S * (1 + self.late))
        self._delay = needed + 2 * frames + round(margin_s * self._rate)
        return True
