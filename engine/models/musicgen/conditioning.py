"""Musical time and harmony as features of each step of a conducted language model."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.conductor import Bars, Conductor, Span, chord_in
from engine.errors import ManifestError
from engine.music import conducting
from engine.music.arrays import F32
from engine.music.audio import Audio
from engine.music.beats import detect_pulse
from engine.music.chroma import sounding_chords
from engine.music.conducting import STEP_FEATURES, TIME_FEATURES
from engine.music.harmony import NO_CHORD, Chord
from engine.music.units import is_tempo, samples_per_tick

__all__ = [
    "Harmony",
    "TempoAndChords",
    "detected_harmony",
    "led_by_ear",
    "over_detected_chords",
    "step_features",
    "tempo_in",
    "timed_by_ear",
]


_TEMPO: Final = re.compile(r"\b(\d{2,3})(?:\.\d+)? ?bpm\b", re.IGNORECASE)
_HEARD_S: Final = 12.0  # of the end of a sound, in which its pulse and its chords are sought
_ROUNDS: Final = (1, 2, 4, 8)  # bars after which harmony likes to come again


def tempo_in(text: str) -> float | None:
    """Quarter notes a minute that words ask for, such as "fast techno, 128 bpm"; None if they name no such tempo."""
    found = _TEMPO.search(text)
    tempo = float(found[0][:-3]) if found else 0.0
    return tempo if is_tempo(tempo) else None


@dataclass(frozen=True, slots=True)
class Harmony:
    """Chords detected in a sound, to continue over: a progression that is repeated from bar `first_bar` on."""

    bars: Bars
    first_bar: int

    def fill(self, span: Span) -> Span:
        """The span, with these chords where it tells of none."""
        silent = np.flatnonzero(~span.chroma.any(axis=0))
        if not len(silent):
            return span
        chroma, bass = span.chroma.copy(), span.bass.copy()
        for column in silent:
            middle = 0.5 * float(span.ticks[column] + span.ticks[column + 1])
            chord = chord_in(self.bars, self.first_bar, middle, span.bar_ticks)
            chroma[:, column], bass[:, column] = chord.chroma(), chord.bass_vector()
        return replace(span, chroma=chroma, bass=bass)


def detected_harmony(given: Audio, rate: int, conductor: Conductor, end: float) -> Harmony | None:
    """The chords of a sound's last bars, one or two a bar; None where nothing has a pitch.

    Args:
        given: [C, N], of which the last 12 s are used.
        rate: Hz.
        conductor: musical time. end: its sample at which the sound ends.
    """
    given = given[:, max(0, given.shape[1] - round(_HEARD_S * rate)) :]
    begin = max(0.0, end - given.shape[1] * conductor.sample_rate / rate)
    half = conductor.bar_ticks_at(end) / 2
    first = math.floor(conductor.tick_at(begin) / half)
    last = math.ceil(conductor.tick_at(end) / half)
    lines = [min(conductor.sample_of(line * half, begin), end) for line in range(first, last + 1)]
    before_s = given.shape[1] / rate - end / conductor.sample_rate
    # A piece of half a bar that begins before the sound, or goes on after it, belongs to the half beside it.
    whole = 0.5 * half * samples_per_tick(conductor.tempo_at(end), conductor.sample_rate)
    while len(lines) > 2 and lines[1] - lines[0] < whole:
        lines, first = lines[1:], first + 1
    while len(lines) > 2 and lines[-1] - lines[-2] < whole:
        lines = lines[:-1]
    times = [line / conductor.sample_rate + before_s for line in lines]
    chords = _unbroken(sounding_chords(given, rate, times))
    if not chords:
        return None
    # Whole bars: the half that was not heard is like the one that was.
    chords = [*chords[: first % 2], *chords]
    chords += chords[-1:] * (len(chords) % 2)
    pairs = zip(chords[::2], chords[1::2], strict=True)
    bars: list[tuple[Chord, ...]] = [(one,) if one.root == other.root else (one, other) for one, other in pairs]
    return Harmony(_round(bars), first // 2)


def _unbroken(chords: Sequence[Chord]) -> list[Chord]:
    """A rest is told as the chord before it, at the beginning as the one after; [] where all are rests."""
    made, last = [], next((chord for chord in chords if chord != NO_CHORD), None)
    if last is None:
        return []
    for chord in chords:
        last = last if chord == NO_CHORD else chord
        made.append(last)
    return made


def _round(bars: list[tuple[Chord, ...]]) -> Bars:
    """What goes round: one, two, four or eight bars that have come again, else all, filled up to such a number."""
    for period in _ROUNDS:
        if period < len(bars) and bars[period:] == bars[:-period]:
            return tuple(bars[:period])
    length = next((period for period in _ROUNDS if period >= len(bars)), len(bars))
    return (*bars, *bars[-1:] * (length - len(bars)))


@dataclass(frozen=True, slots=True)
class TempoAndChords:
    """What a sequence is led by.

    Args:
        conductor: musical time. before_s: seconds of it before what the sequence counts from.
        harmony: chords, where the conductor has none. timed: whether beat, bar and tempo are conditions, too.
    """

    conductor: Conductor
    before_s: float = 0.0
    harmony: Harmony | None = None
    timed: bool = True

    def features(self, frame: int, count: int, hop: int, sample_rate: int, width: int) -> F32:
        """[count, width] of frames of `hop` samples from one on."""
        span = self.conductor.span(frame * hop, count, hop, sample_rate, self.before_s * self.conductor.sample_rate)
        return step_features(span if self.harmony is None else self.harmony.fill(span), width, timed=self.timed)


def led_by_ear(given: Audio, rate: int) -> TempoAndChords | None:
    """The pulse and the chords of a sound [C, N]; None where it has neither."""
    return over_detected_chords(given, rate, timed_by_ear(given, rate))


def timed_by_ear(given: Audio, rate: int, beats: int = 4) -> TempoAndChords | None:
    """The pulse of a sound's [C, N] last seconds, `beats` to a bar, counted from its first; None where it has none."""
    begin = max(0, given.shape[1] - round(_HEARD_S * rate))
    pulse = detect_pulse(given[:, begin:], rate, beats)
    if pulse is None or not is_tempo(pulse.tempo_bpm):
        return None
    conductor = Conductor(rate, beats_per_bar=beats)
    conductor.set_tempo(pulse.tempo_bpm, 0.0)
    bar = 60.0 * beats / pulse.tempo_bpm
    return TempoAndChords(conductor, bar - (begin / rate + pulse.bar_s) % bar)


def over_detected_chords(given: Audio, rate: int, lead: TempoAndChords | None) -> TempoAndChords | None:
    """A lead that counts from the first sample of a sound [C, N], with the sound's chords where it tells of none.

    Without one, two chords are detected every two seconds, and nothing else is known; None where there are none.
    """
    led = lead or TempoAndChords(Conductor(rate), timed=False)
    end = (led.before_s + given.shape[1] / rate) * led.conductor.sample_rate
    harmony = detected_harmony(given, rate, led.conductor, end)
    return lead if harmony is None else replace(led, harmony=harmony)


def step_features(span: Span, width: int, *, timed: bool = True) -> F32:
    """[T, width] of a span of T frames; with `timed` off of its chords alone.

    Raises:
        ManifestError: a model whose steps take `width` features takes others than these.
    """
    if width != STEP_FEATURES:
        raise ManifestError(f"the model takes {width} features per step, wanted {STEP_FEATURES}; export it again")
    conditions = conducting.step_features(span.ticks[:-1], span.tempo_bpm, span.bar_ticks, span.chroma, span.bass)
    if not timed:
        conditions[:TIME_FEATURES] = 0.0
    return np.ascontiguousarray(conditions.T, np.float32)
