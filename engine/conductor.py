"""The conductor: which sample is which tick, which key and chord hold at a tick, and what a chunk is told of both.

Every voice gets a `Span` for each chunk: the musical time the chunk fills, frame by frame. A conductor is a value that
changes only by commands with a sample, so each process can hold its own and all agree.
"""

from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from engine.errors import ControlError
from engine.music.harmony import Chord
from engine.music.units import TICKS_PER_BEAT, samples_per_tick

__all__ = ["Conductor", "Span", "Stretch"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

_KEPT_STRETCHES = 64  # tempo changes remembered; older ones are no longer asked for


@dataclass(frozen=True, slots=True)
class Stretch:
    """Constant tempo from a sample on: tick = `tick` + (sample - `sample`) / samples per tick."""

    sample: float
    tick: float
    tempo_bpm: float


@dataclass(frozen=True, slots=True)
class Span:
    """The musical time that one chunk fills, one column a model frame.

    Args:
        sample: the chunk's first sample at the model's rate, counted from the voice's first.
        ticks: [T + 1] tick at each frame's first sample, and at the sample after the last.
        tempo_bpm: [T] quarter notes a minute.
        bar_ticks: ticks in a bar.
        chroma: [12, T] pitch classes of the sounding chord, 0 or 1; zeros where no chord is given.
        bass: [12, T] its bass note, one-hot; zeros where no chord is given.
    """

    sample: int
    ticks: F64
    tempo_bpm: F32
    bar_ticks: int
    chroma: F32
    bass: F32

    @property
    def frames(self) -> int:
        return len(self.tempo_bpm)

    def beat_phase(self) -> F64:
        """[T] position in the beat at each frame's first sample, 0..1."""
        return np.mod(self.ticks[:-1] / TICKS_PER_BEAT, 1.0)

    def bar_phase(self) -> F64:
        """[T] position in the bar at each frame's first sample, 0..1."""
        return np.mod(self.ticks[:-1] / self.bar_ticks, 1.0)


@dataclass(slots=True)
class Conductor:
    """Transport and harmony of one performance, at the session's sample rate.

    Tick 0 is the first beat of bar 0. Harmony is, in order of precedence: the chord set at a sample (held on a
    keyboard, or sent), else the progression, one entry a bar, repeated from its own first bar.

    Threads: one owner; nobody else may touch it. Give another process a copy.
    """

    sample_rate: int
    stretches: list[Stretch] = field(default_factory=lambda: [Stretch(0.0, 0.0, 120.0)])
    beats_per_bar: int = 4
    progression: tuple[tuple[Chord, ...], ...] = ()
    progression_bar: int = 0
    chords: list[tuple[float, Chord | None]] = field(default_factory=list)

    @property
    def bar_ticks(self) -> int:
        return self.beats_per_bar * TICKS_PER_BEAT

    def set_tempo(self, tempo_bpm: float, sample: float) -> None:
        """From `sample` on, `tempo_bpm`; the tick there is unchanged, so beats never jump."""
        self._begin(Stretch(sample, float(self.ticks_at(np.array([sample]))[0]), tempo_bpm))

    def locate(self, tick: float, sample: float) -> None:
        """From `sample` on, musical time goes on from `tick`."""
        self._begin(Stretch(sample, tick, self.tempo_at(sample)))

    def set_meter(self, beats_per_bar: int) -> None:
        """Quarter notes in a bar, 1..16; bars are counted anew from tick 0."""
        if not 1 <= beats_per_bar <= 16:
            raise ControlError(f"a bar has 1..16 beats, got {beats_per_bar}")
        self.beats_per_bar = beats_per_bar

    def set_chord(self, chord: Chord | None, sample: float) -> None:
        """From `sample` on, this chord; None gives harmony back to the progression."""
        kept = [row for row in self.chords if row[0] < sample][-_KEPT_STRETCHES:]
        self.chords = [*kept, (sample, chord)]

    def set_progression(self, bars: tuple[tuple[Chord, ...], ...], first_bar: int) -> None:
        """One entry a bar (its chords share the bar equally), repeated for ever from bar `first_bar`."""
        self.progression, self.progression_bar = bars, first_bar

    def tempo_at(self, sample: float) -> float:
        """Quarter notes a minute at a sample."""
        return self._stretch(sample).tempo_bpm

    def ticks_at(self, samples: F64) -> F64:
        """Ticks [N] at (fractional) samples [N]."""
        starts = [s.sample for s in self.stretches]
        which = np.maximum(0, np.searchsorted(starts, samples, side="right") - 1)
        at = np.array([(s.sample, s.tick, samples_per_tick(s.tempo_bpm, self.sample_rate)) for s in self.stretches])
        return np.asarray(at[which, 1] + (samples - at[which, 0]) / at[which, 2], np.float64)

    def sample_of(self, tick: float, after: float) -> float:
        """The first sample not before `after` at which `tick` is reached with the tempo now known.

        A tick that has passed gives `after` itself.
        """
        for index in range(max(0, self._index(after)), len(self.stretches)):
            stretch = self.stretches[index]
            start = max(after, stretch.sample)
            end = self.stretches[index + 1].sample if index + 1 < len(self.stretches) else float("inf")
            sample = stretch.sample + (tick - stretch.tick) * samples_per_tick(stretch.tempo_bpm, self.sample_rate)
            if sample <= start:
                return start
            if sample < end:
                return sample
        return after

    def next_line(self, after: float, ticks: int) -> float:
        """The first sample strictly after `after` whose tick is a multiple of `ticks` (a beat, a bar)."""
        now = float(self.ticks_at(np.array([after]))[0])
        return self.sample_of((np.floor(now / ticks + 1e-9) + 1.0) * ticks, after)

    def chord_at(self, tick: float, sample: float) -> Chord | None:
        """The chord that sounds at a tick which falls on `sample`; None where nothing says."""
        index = bisect_right(self.chords, sample, key=lambda row: row[0]) - 1
        if index >= 0 and self.chords[index][1] is not None:
            return self.chords[index][1]
        if not self.progression:
            return None
        bar, inside = divmod(tick, self.bar_ticks)
        entry = self.progression[int(bar - self.progression_bar) % len(self.progression)]
        return entry[min(int(inside / self.bar_ticks * len(entry)), len(entry) - 1)]

    def span(self, first: int, frames: int, hop: int, sample_rate: int, origin: int = 0) -> Span:
        """What a chunk is told.

        Args:
            first: its first sample at the model's rate, counted from the voice's first.
            frames, hop: model frames in the chunk, samples in a frame (model's rate).
            sample_rate: the model's, Hz.
            origin: the session's sample at which the voice's first sample sounds.
        """
        ratio = self.sample_rate / sample_rate
        samples = origin + (first + hop * np.arange(frames + 1, dtype=np.float64)) * ratio
        ticks = self.ticks_at(samples)
        chroma, bass = np.zeros((12, frames), np.float32), np.zeros((12, frames), np.float32)
        for column in range(frames):
            # A frame belongs to the chord at its middle: the nearest frame edge to a change, never a frame late.
            middle = 0.5 * (samples[column] + samples[column + 1])
            chord = self.chord_at(0.5 * (ticks[column] + ticks[column + 1]), middle)
            if chord is not None:
                chroma[:, column], bass[:, column] = chord.chroma(), chord.bass_vector()
        tempo = np.array([self.tempo_at(s) for s in samples[:-1]], np.float32)
        return Span(first, ticks, tempo, self.bar_ticks, chroma, bass)

    def copy(self) -> "Conductor":
        """An independent equal conductor."""
        return replace(self, stretches=list(self.stretches), chords=list(self.chords))

    def _begin(self, stretch: Stretch) -> None:
        kept = [s for s in self.stretches if s.sample < stretch.sample][-_KEPT_STRETCHES:]
        self.stretches = [*kept, stretch]

    def _index(self, sample: float) -> int:
        return max(0, bisect_right(self.stretches, sample, key=lambda s: s.sample) - 1)

    def _stretch(self, sample: float) -> Stretch:
        return self.stretches[self._index(sample)]
