"""A streamer into a sound file, as fast as it goes: the same steps as live, so the same sound."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np

from engine.conductor import Conductor, Span
from engine.music.audio import Audio
from engine.music.soundwriter import replacing_sound
from engine.music.units import db_to_amplitude
from engine.processes import cores
from engine.protocols.streamer import Streamer

__all__ = ["CanBatch", "RenderResult", "pieces", "render"]

_PIECE_S: Final = 12.0  # seconds of sound that streamers which can make many chunks at once make first at once
_PIECES_S: Final = 96.0  # and at most; a piece that took less than _LONG_S is followed by one of twice its length
_LONG_S: Final = 0.5


@runtime_checkable
class CanBatch(Protocol):
    """What a streamer offers beside, if it makes many chunks faster at once than one by one."""

    def steps(self, state: Any, controls: Any, spans: Sequence[Span], workers: int) -> Audio:
        """The bits of as many calls of `step`, one after the other."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RenderResult:
    """What a render made.

    Args:
        samples: written, at `sample_rate`.
        took_s: seconds of work.
        peak: greatest absolute sample before clipping.
        complete: False if it was interrupted; the file holds what was finished.
    """

    samples: int
    sample_rate: int
    took_s: float
    peak: float
    complete: bool

    @property
    def realtime(self) -> float:
        """Seconds of sound per second of work."""
        return self.samples / self.sample_rate / max(self.took_s, 1e-9)


def pieces(
    streamer: Streamer[Any, Any],
    *,
    samples: int,
    seed: int = 0,
    controls: Any = None,
    conductor: Conductor | None = None,
    workers: int | None = None,
) -> Iterator[Audio]:
    """The sound of a streamer from its beginning, piece by piece, `samples` in all; as it comes, not clipped.

    Args:
        seed: for `Streamer.begin`.
        controls: constant; the defaults if None. Their `gain` and `mute` are applied here, as a worker would.
        conductor: any sample rate; 120 bpm in four without chords if None.
        workers: threads for streamers that use several; all cores if None.
    """
    spec = streamer.spec
    controls = streamer.controls() if controls is None else controls
    conductor = conductor or Conductor(spec.sample_rate)
    muted = bool(getattr(controls, "mute", False))
    gain = np.float32(0.0 if muted else db_to_amplitude(float(getattr(controls, "gain", 0.0))))
    state = streamer.begin(seed)
    origin = spec.latency * conductor.sample_rate / spec.sample_rate  # sound that lags belongs to a later time
    chunks = -(-samples // spec.chunk)
    batched = streamer if isinstance(streamer, CanBatch) else None
    many, most = (max(1, round(s * spec.sample_rate / spec.chunk)) for s in (_PIECE_S, _PIECES_S))
    first, left = 0, samples
    while first < chunks:
        count = 1 if batched is None else min(many, chunks - first)
        spans = [
            conductor.span(chunk * spec.chunk, spec.frames, spec.hop, spec.sample_rate, origin)
            for chunk in range(first, first + count)
        ]
        began_s = time.perf_counter()
        if batched is None:
            sound = streamer.step(state, controls, spans[0])
        else:
            sound = batched.steps(state, controls, spans, workers or cores())
        if time.perf_counter() - began_s < _LONG_S:  # long pieces are faster, short ones show progress
            many = min(2 * many, most)
        first += count
        sound = sound[:, :left] * gain
        left -= sound.shape[1]
        yield sound


def render(
    streamer: Streamer[Any, Any],
    path: str | Path,
    *,
    seconds: float,
    seed: int = 0,
    controls: Any = None,
    conductor: Conductor | None = None,
    workers: int | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> RenderResult:
    """Write `seconds` of a streamer's sound as WAV (32-bit float) or FLAC (24-bit), clipped to -1..1.

    An interrupt (Ctrl-C) ends the file early and leaves it valid.

    Args:
        path: its ending chooses the format; an existing file is replaced.
        seconds: rounded up to a whole sample.
        seed, controls, conductor, workers: as for `pieces`.
        progress: called with the share that is done, 0..1, after each piece.
    Raises:
        RecordError: the ending is unknown, the folder is missing, or the disk is full.
    """
    spec = streamer.spec
    samples = int(np.ceil(seconds * spec.sample_rate))
    begun, peak, complete = time.perf_counter(), 0.0, True
    with replacing_sound(Path(path), spec.sample_rate, spec.channels) as file:
        try:
            for sound in pieces(
                streamer, samples=samples, seed=seed, controls=controls, conductor=conductor, workers=workers
            ):
                peak = max(peak, float(np.abs(sound).max(initial=0.0)))
                file.write(np.clip(sound, -1.0, 1.0))
                progress(file.samples / max(1, samples))
        except KeyboardInterrupt:
            complete = False
    took_s = time.perf_counter() - begun
    return RenderResult(samples=file.samples, sample_rate=spec.sample_rate, took_s=took_s, peak=peak, complete=complete)
