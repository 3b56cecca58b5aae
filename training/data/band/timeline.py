"""What is known of every moment of a piece: beat, bar, meter, tempo, chord, key, players, style, density, loudness."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.music.arrays import F32, F64, I64
from engine.music.harmony import NO_CHORD, Chord, Key, parse_chord, parse_key
from training.data.corpus import density_curve

__all__ = ["PartFacts", "Timeline", "TimelineFrames"]

_NONE = "N"


@dataclass(frozen=True, slots=True)
class PartFacts:
    """One part of a piece.

    Args:
        role: of the band.
        instrument: its name in words.
        program: General MIDI program from 0, or drum kit.
        notes: [N, 4]: start in ms, length in ms, pitch, velocity.
    """

    role: str
    instrument: str
    program: int
    notes: I64


@dataclass(frozen=True, slots=True)
class TimelineFrames:
    """What holds at T moments.

    Args:
        beat: [T] beats since the first, with fractions; below 0 before it, and held at the end after the last.
        beat_phase, bar_phase: [T] 0..1.
        tempo_bpm: [T] quarter notes a minute.
        chords: [T] place of the chord in `Timeline.chords`.
        chroma, bass: [12, T] 0 or 1: tones of the chord, and its bass.
        plays: [P, T] 0 or 1: whether each part plays in this bar, in the order of `Timeline.parts`.
        density: [T] 0..1, see `training.data.corpus.density_curve`.
        lufs: [T] loudness of the bar.
    """

    beat: F64
    beat_phase: F32
    bar_phase: F32
    tempo_bpm: F32
    chords: I64
    chroma: F32
    bass: F32
    plays: F32
    density: F32
    lufs: F32


@dataclass(frozen=True)
class Timeline:
    """What is known of a piece.

    Args:
        beats_s: seconds of each beat as it is felt (a dotted quarter note in 6/8), and of the end of the last.
        meter: beats in a bar and their unit, as written.
        key: of the piece.
        style: of the arranger.
        chord_beats, chords: from which beat each chord holds.
        parts: who plays.
        lufs: loudness of each bar.
    """

    beats_s: F64
    meter: tuple[int, int]
    key: Key
    style: str
    chord_beats: F64
    chords: tuple[Chord, ...]
    parts: tuple[PartFacts, ...]
    lufs: F32

    @property
    def beats_per_bar(self) -> int:
        """Beats in a bar as they are felt: two in 6/8."""
        beats, unit = self.meter
        return beats // 3 if unit == 8 and beats % 3 == 0 else beats

    @cached_property
    def onsets_s(self) -> F64:
        """Times at which anything begins, once each, ascending."""
        starts = [part.notes[:, 0] for part in self.parts]
        return np.unique(np.concatenate(starts)) / 1000.0 if starts else np.zeros(0)

    @cached_property
    def plays(self) -> F32:
        """[P, bars] 0 or 1: whether a part sounds in a bar."""
        bars = (len(self.beats_s) - 1) // self.beats_per_bar
        edges = self.beats_s[:: self.beats_per_bar] * 1000.0
        found = np.zeros((len(self.parts), bars), np.float32)
        for row, part in zip(found, self.parts, strict=True):
            first = np.clip(np.searchsorted(edges, part.notes[:, 0] + 30.0, side="right") - 1, 0, bars - 1)
            ends = part.notes[:, 0] + part.notes[:, 1] - 60.0
            last = np.clip(np.searchsorted(edges, ends, side="right") - 1, first, bars - 1)
            for a, b in zip(first, last, strict=True):
                row[a : b + 1] = 1.0
        return found

    def frames(self, times_s: npt.ArrayLike) -> TimelineFrames:
        """What holds at these moments, in seconds from the start of the piece; any number, any hop."""
        times = np.asarray(times_s, np.float64).reshape(-1)
        count = len(self.beats_s) - 1
        first, last = np.diff(self.beats_s)[[0, -1]]
        beat = np.interp(times, self.beats_s, np.arange(count + 1))
        beat = np.where(times < self.beats_s[0], (times - self.beats_s[0]) / first, beat)
        whole = np.clip(np.floor(beat).astype(np.int64), 0, count - 1)
        bar = np.minimum(whole // self.beats_per_bar, len(self.lufs) - 1)
        chord = np.clip(np.searchsorted(self.chord_beats, beat, side="right") - 1, 0, None)
        chroma = np.stack([each.chroma() for each in self.chords], axis=1)
        bass = np.stack([each.bass_vector() for each in self.chords], axis=1)
        quarters = self.meter[0] * 4.0 / self.meter[1] / self.beats_per_bar
        after = beat + np.maximum(times - self.beats_s[-1], 0.0) / last  # phases run on in the tail
        return TimelineFrames(
            beat=beat,
            beat_phase=_phase(after),
            bar_phase=_phase(after / self.beats_per_bar),
            tempo_bpm=np.asarray(60.0 * quarters / np.diff(self.beats_s)[whole], np.float32),
            chords=np.asarray(chord, np.int64),
            chroma=np.asarray(chroma[:, chord], np.float32),
            bass=np.asarray(bass[:, chord], np.float32),
            plays=self.plays[:, bar],
            density=density_curve(self.onsets_s, times),
            lufs=np.asarray(self.lufs[bar], np.float32),
        )

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "beats": [round(float(time), 4) for time in self.beats_s],
            "meter": list(self.meter),
            "key": str(self.key),
            "style": self.style,
            "chords": [
                [float(beat), _NONE if chord == NO_CHORD else str(chord)]
                for beat, chord in zip(self.chord_beats, self.chords, strict=True)
            ],
            "parts": [
                {"role": p.role, "instrument": p.instrument, "program": p.program, "notes": p.notes.tolist()}
                for p in self.parts
            ],
            "lufs": [round(float(value), 1) for value in self.lufs],
        }

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> "Timeline":
        """The inverse of `record`."""
        return cls(
            beats_s=np.array(record["beats"], np.float64),
            meter=(int(record["meter"][0]), int(record["meter"][1])),
            key=parse_key(record["key"]),
            style=str(record["style"]),
            chord_beats=np.array([beat for beat, _ in record["chords"]], np.float64),
            chords=tuple(NO_CHORD if name == _NONE else parse_chord(name) for _, name in record["chords"]),
            parts=tuple(
                PartFacts(p["role"], p["instrument"], int(p["program"]), np.array(p["notes"], np.int64).reshape(-1, 4))
                for p in record["parts"]
            ),
            lufs=np.array(record["lufs"], np.float32),
        )


def _phase(turns: F64) -> F32:
    """0..1, below 1 in float32, too."""
    return np.asarray(np.minimum(turns % 1.0, 1.0 - 2.0**-24), np.float32)
