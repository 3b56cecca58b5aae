"""Our own arranger: a melody and its chords to a band of six, in many styles, seeded.

What a trained model learns of accompaniment without a licence to ask for: all patterns were written here, all notes
follow from the tune's own chords. Voices move little from chord to chord, the bass leads to what comes, drums fill
where phrases end, sections differ in who plays and how fully.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import EngineError
from engine.music.harmony import NO_CHORD, Chord
from engine.music.score import ROLES, Note, Score, TempoChange, Track
from engine.music.units import TICKS_PER_BEAT
from training.data.arrange.drums import drum_hits
from training.data.arrange.form import draw_form
from training.data.arrange.parts import STEPS, Song, Stroke, bass, guitar, piano, string
from training.data.arrange.styles import STYLES
from training.data.arrange.voicing import scale_of
from training.data.pieces import PROGRAMS

__all__ = ["ArrangeError", "Arrangement", "arrange"]

_TICKS: Final = TICKS_PER_BEAT // 4


class ArrangeError(EngineError, ValueError):
    """A tune cannot be arranged as asked: change the argument that the message names."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A band of six.

    Args:
        score: six tracks in the order of `ROLES`, bars of 4/4 from tick 0, every note on the sixteenth grid but those
            of the lead and of a given piano.
        chords: the chord of every sixteenth as the band understood it (triads may have become sevenths).
    """

    score: Score
    chords: tuple[Chord, ...]


def _per_step(chords: Sequence[Sequence[Chord]]) -> list[Chord]:
    steps: list[Chord] = []
    for index, bar in enumerate(chords):
        if len(bar) not in (1, 2, 4):
            raise ArrangeError(f"got {len(bar)} chords in bar {index + 1}, wanted 1, 2 or 4")
        steps += [chord for chord in bar for _ in range(STEPS // len(bar))]
    return steps


def _enriched(chords: list[Chord], scale: frozenset[int]) -> list[Chord]:
    """Plain triads with the seventh that the scale gives them."""

    def rich(chord: Chord) -> Chord:
        if chord.quality == "maj":
            quality = "maj7" if (chord.root + 11) % 12 in scale else "7"
        elif chord.quality == "min":
            quality = "min7"
        else:
            return chord
        return Chord(chord.root, quality, chord.bass)

    return [rich(chord) for chord in chords]


def _sounding(lead: Track, bars: int) -> tuple[bool, ...]:
    """For each bar, whether the lead begins a note in it."""
    begun = {note.start // (STEPS * _TICKS) for note in lead.notes}
    return tuple(bar in begun for bar in range(bars))


def _track(role: str, strokes: Iterable[Stroke], end: int) -> Track:
    """Notes in order; of one pitch, each ends where the next begins."""
    notes: dict[int, list[Note]] = {}
    for step, pitch, length, velocity in sorted(strokes):
        if not 0 <= pitch <= 127 or step >= end:
            continue
        row = notes.setdefault(pitch, [])
        start = step * _TICKS
        if row and row[-1].start == start:
            continue
        if row and row[-1].end > start:
            row[-1] = Note(row[-1].start, pitch, start - row[-1].start, row[-1].velocity)
        row.append(Note(start, pitch, min(length, end - step) * _TICKS, velocity))
    flat = tuple(sorted(note for row in notes.values() for note in row))
    return Track(flat, PROGRAMS[role], role == "drum", role)


def arrange(
    lead: Track,
    chords: Sequence[Sequence[Chord]],
    style: str,
    seed: int,
    *,
    density: float | None = None,
    register: float | None = None,
    tempo_bpm: float | None = None,
    piano_track: Track | None = None,
) -> Arrangement:
    """Write a band around a melody. The same arguments give the same notes.

    Args:
        lead: the melody; bar 1 at tick 0, bars of 4/4. It is kept as it is.
        chords: for each bar 1, 2 or 4 chords that share it; "none" silences all but drums.
        style: a key of `STYLES`.
        seed: 0 or greater.
        density: 0 sparse .. 1 full; drawn if None.
        register: -1 low .. 1 high, of the upper parts; drawn if None.
        tempo_bpm: 30..300; drawn from the style's range if None.
        piano_track: a piano part to keep instead of writing one.
    Raises:
        ArrangeError: no such style, no chords, or a value out of range.
    """
    if style not in STYLES:
        raise ArrangeError(f"got style {style!r}, wanted one of {', '.join(STYLES)}")
    if not chords or seed < 0:
        raise ArrangeError(
            f"got {len(chords)} bars of chords and seed {seed}, wanted at least one bar and a seed from 0"
        )
    streams = np.random.SeedSequence([seed, *style.encode()]).spawn(7)
    for_song, for_form, for_drums, *for_parts = map(np.random.default_rng, streams)
    chosen = STYLES[style]
    drawn = for_song.random(4)
    full = 0.15 + 0.75 * drawn[0] if density is None else density
    place = 2.0 * drawn[1] - 1.0 if register is None else register
    low, high = chosen.tempo
    tempo = float(round(low + drawn[2] * (high - low))) if tempo_bpm is None else float(tempo_bpm)
    if not (0.0 <= full <= 1.0 and -1.0 <= place <= 1.0 and 30.0 <= tempo <= 300.0):
        raise ArrangeError(f"got density {full}, register {place}, tempo {tempo}, wanted 0..1, -1..1 and 30..300")
    steps = _per_step(chords)
    scale = scale_of(tuple(chord for chord in steps if chord != NO_CHORD))
    if drawn[3] < chosen.sevenths:
        steps = _enriched(steps, scale)
    plans = draw_form(_sounding(lead, len(chords)), chosen, full, for_form)
    song = Song(plans, tuple(steps), scale, chosen, place)
    end = len(chords) * STEPS
    tracks = {
        "lead": Track(lead.notes, PROGRAMS["lead"], False, "lead"),
        "drum": _track("drum", _strokes(drum_hits(plans, chosen, for_drums)), end),
    }
    for role, write, rng in zip(
        ("bass", "guitar", "piano", "string"), (bass, guitar, piano, string), for_parts, strict=True
    ):
        tracks[role] = _track(role, write(song, rng), end)
    if piano_track is not None:
        tracks["piano"] = Track(piano_track.notes, PROGRAMS["piano"], False, "piano")
    score = Score(tuple(tracks[role] for role in ROLES), (TempoChange(0, tempo),))
    return Arrangement(score, tuple(steps))


def _strokes(bars: Iterable[list[tuple[int, int, int]]]) -> Iterable[Stroke]:
    for bar, hits in enumerate(bars):
        for step, note, velocity in hits:
            yield bar * STEPS + step, note, 1, velocity
