"""The musical time that a chunk of a live language model fills, at any of its samples and a little beyond."""

import math
from typing import Final

import numpy as np

from engine.conductor import Conductor, Span
from engine.models.musicgen.sequence import When
from engine.protocols.streamer import StreamSpec

__all__ = ["ChunkTime", "time_from"]

_HAIR: Final = 1e-6  # of a tick: a line that is reached but for rounding is reached


class ChunkTime:
    """Ticks, and the musical time of frames, by the sample of a chunk at which they sound.

    Args:
        span: musical time of the chunk: of a time `spec.latency` later than its first sample.
    """

    def __init__(self, span: Span, spec: StreamSpec) -> None:
        self._span, self._spec = span, spec
        self.bar_ticks = span.bar_ticks
        self.tempo_bpm = float(span.tempo_bpm[0])

    def tick(self, sample: int) -> float:
        """At a sample of the chunk; outside of what the span says, as if the tempo stayed."""
        column, part = self._place(sample)
        ticks = self._span.ticks
        return float(ticks[column] + part * (ticks[column + 1] - ticks[column]))

    def line(self, first: int, last: int) -> int | None:
        """The sample after `first`, at most `last`, at which a bar begins; None if none does."""
        begin, end = self.tick(first), self.tick(last)
        line = (math.floor(begin / self.bar_ticks + _HAIR) + 1) * self.bar_ticks
        if not begin < line <= end + _HAIR:
            return None
        return min(last, first + max(1, round((line - begin) / (end - begin) * (last - first))))

    def beyond(self, sample: int) -> When:
        """Musical time of frames, for a sequence whose next sample sounds at a sample of the chunk."""

        def at(ahead: int) -> Span:
            column, _ = self._place(sample + ahead)
            span, ticks = self._span, [self.tick(sample + ahead), self.tick(sample + ahead + self._spec.hop)]
            one = slice(column, column + 1)
            return Span(
                span.sample, np.array(ticks), span.tempo_bpm[one], span.bar_ticks, span.chroma[:, one],
                span.bass[:, one],
            )  # fmt: skip

        return at

    def _place(self, sample: int) -> tuple[int, float]:
        """The span's column that tells of a sample, and how many columns beyond its beginning that is."""
        columns = (sample - self._spec.latency) / self._spec.hop
        column = min(max(math.floor(columns), 0), self._span.frames - 1)
        return column, columns - column


def time_from(conductor: Conductor, origin: float, hop: int, sample_rate: int) -> When:
    """Musical time of frames, by their first sample; sample 0 sounds at the session's sample `origin`."""

    def at(sample: int) -> Span:
        return conductor.span(sample, 1, hop, sample_rate, origin)

    return at
