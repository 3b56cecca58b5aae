"""A song as it is played: notes in seconds with swing, human timing and loudness, strummed and held as players do."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import F64
from engine.music.score import Track
from engine.music.units import TICKS_PER_BEAT
from training.data.band.fluid import PlayedNote
from training.data.band.grooves import humanise
from training.data.band.palette import human_timing
from training.data.band.songs import BandSong

__all__ = ["BandPerformance", "perform", "swung"]

_START_S: Final = 0.1  # so that what is played a little early is not cut
_TAIL_S: Final = 2.0
_STRUM_MS: Final = {"guitar": (6.0, 26.0), "piano": (0.0, 7.0), "string": (0.0, 4.0)}
_GATES: Final = {
    "lead": (0.75, 1.02),
    "bass": (0.6, 1.0),
    "guitar": (0.7, 1.1),
    "piano": (0.6, 1.05),
    "string": (0.85, 1.05),
}


_RINGING: Final = (0, 1, 2, 3, 4, 5, 24, 25)  # programs with a pedal, or strings that ring on


@dataclass(frozen=True, slots=True)
class BandPerformance:
    """What the band plays.

    Args:
        parts: notes by role, in order of time.
        quarters_s: when each quarter note begins, and when the last one ends.
        duration_s: of the piece with its tail.
    """

    parts: dict[str, tuple[PlayedNote, ...]]
    quarters_s: F64
    duration_s: float

    def beats_s(self, quarters: float) -> F64:
        """When each beat of so many quarter notes begins, and when the last one ends."""
        index = np.arange(len(self.quarters_s))
        return np.asarray(np.interp(np.arange(0.0, index[-1] + 1e-9, quarters), index, self.quarters_s))


def swung(quarters: F64, swing: float, unit: int) -> F64:
    """Places in quarter notes with the second of each two notes late.

    Args:
        quarters: straight places.
        swing: where the second note lies between the first and the next pair: 0.5 straight .. 0.67 triplets.
        unit: 8 where eighths swing, 16 where sixteenths do.
    """
    pair = 8.0 / unit
    whole = np.floor(quarters / pair)
    inside = quarters / pair - whole
    bent = np.where(inside < 0.5, 2.0 * swing * inside, swing + (2.0 * inside - 1.0) * (1.0 - swing))
    return np.asarray((whole + bent) * pair)


def perform(song: BandSong, rng: np.random.Generator) -> BandPerformance:
    """Play a song. The same song and stream give the same notes."""
    human = human_timing(song.band.style) * float(rng.uniform(0.5, 1.2))
    clock = _clock(song, human, rng)
    phrase = _phrases(song.bars, rng)
    parts = {track.name: _played(track, song, clock, phrase, human, rng) for track in song.score.tracks}
    return BandPerformance(parts, clock, float(clock[-1]) + _TAIL_S)


def _clock(song: BandSong, human: float, rng: np.random.Generator) -> F64:
    """Quarter notes in seconds: a tempo that drifts by a percent or so where people play, and slows at some ends."""
    count = round(song.bar_quarters * song.bars)
    drift = np.cumsum(rng.standard_normal(count)) * 0.0025 * human
    drift -= np.linspace(0.0, drift[-1], count)
    lengths = 60.0 / song.band.tempo_bpm * (1.0 + np.clip(drift, -0.025, 0.025))
    if human >= 0.5 and rng.random() < 0.35:
        lengths[-4:] *= np.linspace(1.02, 1.18, 4)
    return np.asarray(_START_S + np.concatenate(([0.0], np.cumsum(lengths))))


def _phrases(bars: int, rng: np.random.Generator) -> F64:
    """A factor of loudness for each bar: arcs over four or eight bars, and a slow line over the piece."""
    length = int(rng.choice([4, 8]))
    place = np.arange(bars) % length / length
    arc = 1.0 + float(rng.uniform(0.0, 0.12)) * np.sin(np.pi * place)
    ends = 1.0 + rng.uniform(-0.12, 0.12, 2)
    return np.asarray(arc * np.linspace(ends[0], ends[1], bars))


def _played(
    track: Track, song: BandSong, clock: F64, phrase: F64, human: float, rng: np.random.Generator
) -> tuple[PlayedNote, ...]:
    straight = np.array([note.start for note in track.notes]) / TICKS_PER_BEAT
    ends = np.array([note.end for note in track.notes]) / TICKS_PER_BEAT
    index, unit = np.arange(len(clock)), song.band.swing_unit
    starts = np.interp(swung(straight, song.swing, unit), index, clock)
    lengths = np.maximum(np.interp(swung(ends, song.swing, unit), index, clock) - starts, 0.03)
    loud = np.array([note.velocity for note in track.notes], np.float64)
    loud *= phrase[np.minimum((straight / song.bar_quarters).astype(int), len(phrase) - 1)]
    keys = np.array([note.pitch for note in track.notes], np.float64)
    inside = straight % song.bar_quarters
    if track.drums:
        late, loud = humanise(keys, inside / 4.0, loud, human, rng)
        lengths = np.full(len(keys), 0.12)
    else:
        late, loud = _human(straight, inside, song.beat_quarters, loud, human, rng)
        late += _strum(track.name, straight, keys, human, rng)
        lengths = _held(track.name, track.program, lengths, straight, song, clock, rng)
    late += human * float(rng.normal(0.0, 0.004))  # some players are ahead, others behind
    starts = np.maximum(starts + late, 0.0)
    velocities = np.clip(np.round(loud), 1, 127).astype(int)
    rows = zip(starts, lengths, keys, velocities, strict=True)
    return tuple(sorted(PlayedNote(float(s), float(n), int(k), int(v)) for s, n, k, v in rows))


def _human(
    straight: F64, inside: F64, beat: float, loud: F64, human: float, rng: np.random.Generator
) -> tuple[F64, F64]:
    """Timing that wanders with a memory of a few notes, and accents on strong beats."""
    moments, which = np.unique(straight, return_inverse=True)
    noise = rng.standard_normal(len(moments))
    late = np.zeros(len(moments))
    for place in range(1, len(moments)):
        late[place] = 0.7 * late[place - 1] + 0.006 * noise[place]
    strong = np.where(inside == 0.0, 1.07, np.where(inside % beat == 0.0, 1.02, 0.95))
    spread = 1.0 + 0.06 * rng.standard_normal(len(straight))
    return human * late[which], loud * (1.0 + (0.4 + 0.6 * human) * (strong * spread - 1.0))


def _strum(role: str, straight: F64, keys: F64, human: float, rng: np.random.Generator) -> F64:
    """Seconds that each note of a chord comes later than its first: guitars down or up, pianos a little rolled."""
    spread = np.zeros(len(straight))
    if role not in _STRUM_MS:
        return spread
    step_s = float(rng.uniform(*_STRUM_MS[role])) / 1000.0 * (0.3 + 0.7 * human)
    for moment in np.unique(straight):
        chord = np.flatnonzero(straight == moment)
        if len(chord) < 2:
            continue
        order = np.argsort(keys[chord])
        if role == "guitar" and moment % 1.0 not in (0.0, 0.5):  # between the eighths the hand comes back up
            order = order[::-1]
        spread[chord[order]] = step_s / 2.0 * np.arange(len(chord))
    return spread


def _held(
    role: str, program: int, lengths: F64, straight: F64, song: BandSong, clock: F64, rng: np.random.Generator
) -> F64:
    """Legato or staccato for the whole piece; with the pedal down, to the next change of chord."""
    held = lengths * float(rng.uniform(*_GATES.get(role, (0.8, 1.0))))
    pedalled = role in ("piano", "guitar") and program in _RINGING and rng.random() < 0.45
    if not pedalled:
        return np.asarray(held)
    changes = _changes(song)
    following = changes[np.minimum(np.searchsorted(changes, straight, side="right"), len(changes) - 1)]
    index = np.arange(len(clock))
    until = np.interp(following, index, clock) - np.interp(straight, index, clock)
    return np.asarray(np.clip(until, held, np.maximum(held, 3.0)))


def _changes(song: BandSong) -> F64:
    """Quarter notes on which the chord changes, or a bar begins; the end of the piece last."""
    chords, bar = song.band.chords, song.band.grid.steps
    steps = [step for step in range(len(chords)) if step % bar == 0 or chords[step] != chords[step - 1]]
    return np.array([step / 4.0 for step in steps] + [len(chords) / 4.0])
