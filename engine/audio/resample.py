"""Streaming change of sample rate (soxr), aligned: the first sample out is the first sample in."""

import numpy as np
import soxr

from engine.errors import ShapeError
from engine.music.audio import Audio

__all__ = ["Resampler"]


class Resampler:
    """One stream of sound from one sample rate to another.

    What comes out depends only on what has gone in and how it was cut, so a replay that cuts alike is bit-identical.
    Sample m of the input sounds at m * to_hz / from_hz of the output; the filter needs some samples of the future
    (`held`), which it keeps back until they have come.

    Threads: one owner.
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self._channels = channels
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, channels, dtype="float32", quality="HQ")
        )

    @property
    def held(self) -> int:
        """Samples of output that wait for more input."""
        return 0 if self._stream is None else round(self._stream.delay())

    def process(self, audio: Audio) -> Audio:
        """[C, N] at the first rate to [C, M] at the second; M varies by a few samples from call to call.

        Raises:
            ShapeError: the number of channels is not the stream's.
        """
        if audio.ndim != 2 or audio.shape[0] != self._channels:
            raise ShapeError(f"the stream has {self._channels} channels, got an array of shape {audio.shape}")
        if self._stream is None:
            return audio
        made = self._stream.resample_chunk(np.ascontiguousarray(audio.T))
        return np.asarray(made.reshape(-1, self._channels).T, np.float32)
