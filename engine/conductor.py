"""The conductor: which sample is which tick, which key and chord hold at a tick, and both for each frame of a chunk.

Every voice gets a `Span` for each chunk: the musical time the chunk fills, frame by frame. A conductor is a value that
changes only by commands with a sample, so each process can hold its own and all agree.
"""

from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np

from engine.errors import ControlError
from engine.music.arrays import F32, F64
from engine.music.harmony import Chord, format_progression
from engine.music.units import TICKS_PER_BEAT, samples_per_tick

__all__ = ["Bars", "Conductor", "Span", "Stretch", "chord_in"]


_KEPT_STRETCHES = 64  # tempo changes remembered; older ones are no longer asked for


Bars = tuple[tuple[Chord, ...], ...]
"""A progression: the chords of each bar, which share it equally."""


def chord_in(bars: Bars, first_bar: int, tick: float, bar_ticks: int) -> Chord:
    """The chord at a tick of a progression that is repeated from bar `first_bar` on, and before it."""
    bar, inside = divmod(tick, bar_ticks)
    entry = bars[int(bar - first_bar) % len(bars)]
    return entry[min(int(inside / bar_ticks * len(entry)), len(entry) - 1)]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Constant tempo and meter from a sample on: tick = `tick` + (sample - `sample`) / samples per tick.

    `beats` is the quarter notes in a bar; 0 stands for the conductor's first meter.
    """

    sample: float
    tick: float
    tempo_bpm: float
    beats: int = 0


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

    Tick 0 is the first beat of bar 0; bar lines are the multiples of a bar's ticks. Where the meter changes, musical
    time moves to the same place of the bar of the same number in the new meter, so bars keep their numbers and beats
    their phase. Harmony is, in order of precedence: the chord set at a sample (held on a keyboard, or sent), else the
    progression, one entry a bar, repeated from its own first bar.

    Threads: one owner; nobody else may touch it. Give another process a copy.
    """

    sample_rate: int
    stretches: list[Stretch] = field(default_factory=lambda: [Stretch(0.0, 0.0, 120.0)])
    beats_per_bar: int = 4
    progressions: list[tuple[float, Bars, int]] = field(default_factory=list)
    chords: list[tuple[float, Chord | None]] = field(default_factory=list)

    @property
    def bar_ticks(self) -> int:
        """Ticks in a bar, by the latest meter."""
        return self._beats(self.stretches[-1]) * TICKS_PER_BEAT

    @property
    def last_change(self) -> float:
        """The sample of the latest change; what comes after may not be put before it."""
        chord = self.chords[-1][0] if self.chords else -np.inf
        progression = self.progressions[-1][0] if self.progressions else -np.inf
        return max(self.stretches[-1].sample, chord, progression)

    def set_tempo(self, tempo_bpm: float, sample: float) -> None:
        """From `sample` on, `tempo_bpm`; the tick there is unchanged, so beats never jump."""
        self._begin(Stretch(sample, self.tick_at(sample), tempo_bpm, self._stretch(sample).beats))

    def locate(self, tick: float, sample: float) -> None:
        """From `sample` on, musical time continues from `tick`."""
        now = self._stretch(sample)
        self._begin(Stretch(sample, tick, now.tempo_bpm, now.beats))

    def set_meter(self, beats_per_bar: int, sample: float | None = None) -> None:
        """Quarter notes in a bar, 1..16, from `sample` on; without one for all time, bars counted anew from tick 0."""
        if not 1 <= beats_per_bar <= 16:
            raise ControlError(f"a bar has 1..16 beats, got {beats_per_bar}")
        if sample is None:
            self.beats_per_bar = beats_per_bar
            self.stretches = [replace(s, beats=0) for s in self.stretches]
            return
        now, tick = self._stretch(sample), self.tick_at(sample)
        bar, inside = divmod(tick, self._beats(now) * TICKS_PER_BEAT)
        self._begin(Stretch(sample, bar * beats_per_bar * TICKS_PER_BEAT + inside, now.tempo_bpm, beats_per_bar))

    def set_chord(self, chord: Chord | None, sample: float) -> None:
        """From `sample` on, this chord; None gives harmony back to the progression."""
        kept = [row for row in self.chords if row[0] < sample][-_KEPT_STRETCHES:]
        self.chords = [*kept, (sample, chord)]

    def set_progression(self, bars: Bars, first_bar: int, sample: float = -np.inf) -> None:
        """From `sample` on, one entry a bar (its chords share the bar equally), repeated from bar `first_bar`."""
        kept = [row for row in self.progressions if row[0] < sample][-_KEPT_STRETCHES:]
        self.progressions = [*kept, (sample, bars, first_bar)]

    def tempo_at(self, sample: float) -> float:
        """Quarter notes a minute at a sample."""
        return self._stretch(sample).tempo_bpm

    def bar_ticks_at(self, sample: float) -> int:
        """Ticks in a bar at a sample."""
        return self._beats(self._stretch(sample)) * TICKS_PER_BEAT

    def tick_at(self, sample: float) -> float:
        """Tick at one (fractional) sample."""
        stretch = self._stretch(sample)
        return stretch.tick + (sample - stretch.sample) / samples_per_tick(stretch.tempo_bpm, self.sample_rate)

    def bar_at(self, sample: float) -> tuple[int, float]:
        """(bar, beat in the bar) at a sample, both counted from 0."""
        bar, inside = divmod(self.tick_at(sample), self.bar_ticks_at(sample))
        return int(bar), inside / TICKS_PER_BEAT

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
        return self.sample_of(float(np.floor(self.tick_at(after) / ticks + 1e-9) + 1.0) * ticks, after)

    def chord_at(self, tick: float, sample: float) -> Chord | None:
        """The chord that sounds at a tick which falls on `sample`; None where nothing says."""
        index = bisect_right(self.chords, sample, key=lambda row: row[0]) - 1
        if index >= 0 and self.chords[index][1] is not None:
            return self.chords[index][1]
        index = bisect_right(self.progressions, sample, key=lambda row: row[0]) - 1
        if index < 0 or not self.progressions[index][1]:
            return None
        _, bars, first_bar = self.progressions[index]
        return chord_in(bars, first_bar, tick, self.bar_ticks_at(sample))

    def span(self, first: int, frames: int, hop: int, sample_rate: int, origin: float = 0) -> Span:
        """Musical time and harmony of each frame of a chunk.

        Args:
            first: its first sample at the model's rate, counted from the voice's first.
            frames, hop: model frames in the chunk, samples in a frame (model's rate).
            sample_rate: the model's, Hz.
            origin: the session's sample (it may fall between two) at which the voice's first sample sounds.
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
        return Span(first, ticks, tempo, self.bar_ticks_at(float(samples[0])), chroma, bass)

    def settings(self) -> dict[str, float | int | str]:
        """What the latest changes have set, by OSC address below the root; each value can be sent back to its address.

        The chord is empty where the progression is followed, the progression where there is none.
        """
        chord = self.chords[-1][1] if self.chords else None
        bars = self.progressions[-1][1] if self.progressions else ()
        return {
            "transport/tempo": self.stretches[-1].tempo_bpm,
            "transport/beats": self._beats(self.stretches[-1]),
            "harmony/chord": "" if chord is None else str(chord),
            "harmony/progression": format_progression(bars),
        }

    def copy(self) -> "Conductor":
        """An independent equal conductor."""
        return replace(
            self, stretches=list(self.stretches), chords=list(self.chords), progressions=list(self.progressions)
        )

    def _begin(self, stretch: Stretch) -> None:
        kept = [s for s in self.stretches if s.sample < stretch.sample][-_KEPT_STRETCHES:]
        self.stretches = [*kept, stretch]

    def _beats(self, stretch: Stretch) -> int:
        return stretch.beats or self.beats_per_bar

    def _index(self, sample: float) -> int:
        return max(0, bisect_right(self.stretches, sample, key=lambda s: s.sample) - 1)

    def _stretch(self, sample: float) -> Stretch:
        return self.stretches[self._index(sample)]
