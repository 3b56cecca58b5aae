"""Our own arranger: a melody and its chords to a band of six, in many styles, seeded.

What a trained model learns of accompaniment without a licence to ask for: all patterns were written here, all notes
follow from the tune's own chords. Voices move little from chord to chord, the bass leads to what comes, drums fill
where phrases end, sections differ in who plays and how fully.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.errors import EngineError
from engine.music.harmony import NO_CHORD, Chord, Key
from engine.music.score import ROLES, Note, Score, TempoChange, Track
from training.data.arrange.drums import drum_hits
from training.data.arrange.form import BarPlan, draw_form
from training.data.arrange.instruments import KITS, RANGES, fit_notes, shift_notes
from training.data.arrange.meters import STEP_TICKS, BarGrid
from training.data.arrange.parts import Song, Stroke, bass, guitar, piano, string
from training.data.arrange.styles import STYLES, ArrangementStyle
from training.data.arrange.voicing import scale_of
from training.data.pieces import PROGRAMS

__all__ = ["ArrangeError", "Arrangement", "arrange"]


class ArrangeError(EngineError, ValueError):
    """A tune cannot be arranged as asked: change the argument that the message names."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A band of six.

    Args:
        score: six tracks in the order of `ROLES` with their programs, bars of the style's meter from tick 0, one tempo;
            every note on the sixteenth grid but those of the lead and of a given piano. Swing is not in it.
        chords: the chord of every sixteenth as the band plays it: triads may have become sevenths, or power
            chords where no third sounds.
        style: a key of `STYLES`; its `swing` and `swing_unit` say how the notes are to be played.
        key: of the whole piece.
        levels: for each bar, how fully each role plays, above 0 (sparse) .. 1 (full); silent roles are missing.
    """

    score: Score
    chords: tuple[Chord, ...]
    style: str
    key: Key
    levels: tuple[dict[str, float], ...]

    @property
    def grid(self) -> BarGrid:
        """The bar: its meter, steps and beats."""
        return STYLES[self.style].grid

    @property
    def tempo_bpm(self) -> float:
        """Quarter notes a minute."""
        return self.score.tempos[0].bpm

    @property
    def swing(self) -> float:
        """Where in a pair of `swing_unit` notes the second falls: 0.5 straight .. 0.67 triplet."""
        return STYLES[self.style].swing

    @property
    def swing_unit(self) -> int:
        """8 where eighths swing, 16 where sixteenths do."""
        return STYLES[self.style].swing_unit

    @property
    def programs(self) -> dict[str, int]:
        """The General MIDI program of each role; of the drums, the kit."""
        return {role: track.program for role, track in zip(ROLES, self.score.tracks, strict=True)}

    @property
    def densities(self) -> tuple[float, ...]:
        """For each bar, the mean of its levels over all six roles, 0..1."""
        return tuple(sum(bar.values()) / len(ROLES) for bar in self.levels)


def _per_step(chords: Sequence[Sequence[Chord]], grid: BarGrid) -> list[Chord]:
    steps: list[Chord] = []
    for index, bar in enumerate(chords):
        if len(bar) not in grid.splits:
            counts = ", ".join(map(str, grid.splits))
            raise ArrangeError(f"got {len(bar)} chords in bar {index + 1} of {grid.name}, wanted one of {counts}")
        steps += [chord for chord, length in zip(bar, grid.splits[len(bar)], strict=True) for _ in range(length)]
    return steps


def _key(chords: Sequence[Chord], scale: frozenset[int]) -> Key:
    """The major key of a scale, or its relative minor where minor chords on its tonic sound longer."""
    tonic = next((pitch for pitch in range(12) if frozenset(Key(pitch, "major").pitch_classes) == scale), 0)
    minor = (tonic + 9) % 12
    longest = sum(1 if chord.root == tonic else -1 for chord in chords if chord.root in (tonic, minor))
    return Key(tonic, "major") if longest >= 0 else Key(minor, "minor")


def _levels(
    plans: Sequence[BarPlan], tracks: dict[str, Track], grid: BarGrid, given: set[str]
) -> tuple[dict[str, float], ...]:
    """How fully each role plays, bar by bar: as planned, or by the onsets of what was given; silent ones miss."""
    onsets = {role: Counter(note.start // grid.ticks for note in track.notes) for role, track in tracks.items()}
    sounds = {
        role: {bar for n in track.notes for bar in range(n.start // grid.ticks, -(-max(n.end, 1) // grid.ticks))}
        for role, track in tracks.items()
    }

    def level(bar: int, role: str) -> float:
        planned = None if role in given else plans[bar].levels.get(role)
        return min(1.0, max(1, onsets[role][bar]) * 2 / grid.steps) if planned is None else (planned + 1) / 3

    return tuple({role: level(bar, role) for role in ROLES if bar in sounds[role]} for bar in range(len(plans)))


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


def _sounding(lead: Track, bars: int, grid: BarGrid) -> tuple[bool, ...]:
    """For each bar, whether the lead begins a note in it."""
    begun = {note.start // grid.ticks for note in lead.notes}
    return tuple(bar in begun for bar in range(bars))


def _with_breaks(plans: tuple[BarPlan, ...], chords: Sequence[Chord], style: ArrangementStyle) -> tuple[BarPlan, ...]:
    """The plans with drums in bars without a chord, where nothing else plays."""
    steps = style.grid.steps
    silent = [set(chords[bar * steps : (bar + 1) * steps]) == {NO_CHORD} for bar in range(len(plans))]
    return tuple(
        replace(plan, levels={**plan.levels, "drum": max(1, plan.levels.get("drum", 1))})
        if alone and style.drums[1]
        else plan
        for plan, alone in zip(plans, silent, strict=True)
    )


def _track(role: str, strokes: Iterable[Stroke], end: int) -> Track:
    """Notes in order; of one pitch, each ends where the next begins."""
    notes: dict[int, list[Note]] = {}
    for step, pitch, length, velocity in sorted(strokes):
        if not 0 <= pitch <= 127 or step >= end:
            continue
        row = notes.setdefault(pitch, [])
        start = step * STEP_TICKS
        if row and row[-1].start == start:
            continue
        if row and row[-1].end > start:
            row[-1] = Note(row[-1].start, pitch, start - row[-1].start, row[-1].velocity)
        row.append(Note(start, pitch, min(length, end - step) * STEP_TICKS, velocity))
    flat = tuple(sorted(note for row in notes.values() for note in row))
    return Track(flat, PROGRAMS[role], role == "drum", role)


def _check(chords: Sequence[Sequence[Chord]], style: str, seed: int, programs: Mapping[str, int] | None) -> None:
    if style not in STYLES:
        raise ArrangeError(f"got style {style!r}, wanted one of {', '.join(STYLES)}")
    if not chords or seed < 0:
        raise ArrangeError(
            f"got {len(chords)} bars of chords and seed {seed}, wanted at least one bar and a seed from 0"
        )
    if programs is not None and not all(programs.get(r) in (KITS if r == "drum" else RANGES) for r in ROLES):
        raise ArrangeError(
            f"got programs {dict(programs)}, wanted one for each of {', '.join(ROLES)}, see `instruments`"
        )


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
    programs: Mapping[str, int] | None = None,
    key: Key | None = None,
) -> Arrangement:
    """Write a band around a melody. The same arguments give the same notes.

    Args:
        lead: the melody; bar 1 at tick 0, bars of the style's meter. It is kept as it is; `programs` may move it by
            octaves.
        chords: for each bar 1, 2 or one chord a beat that share it; "none" silences all but drums.
        style: a key of `STYLES`.
        seed: 0 or greater.
        density: 0 sparse .. 1 full; drawn if None.
        register: -1 low .. 1 high, of the upper parts; drawn if None.
        tempo_bpm: 30..300; drawn from the style's range if None.
        piano_track: a piano part to keep instead of writing one.
        programs: General MIDI program of each role, of the drums the kit, such as `draw_programs` draws. Every part is
            then kept within its instrument's usual range, by octaves, drums play alone where there is no chord, and
            guitars sound all of a chord and strum few sixteenths. None: the six usual ones, and notes as written.
        key: of the piece; estimated from its chords if None.
    Raises:
        ArrangeError: no such style, no chords, or a value out of range.
    """
    _check(chords, style, seed, programs)
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
    grid = chosen.grid
    steps = _per_step(chords, grid)
    scale = scale_of(tuple(chord for chord in steps if chord != NO_CHORD))
    if drawn[3] < chosen.sevenths:
        steps = _enriched(steps, scale)
    plans = draw_form(_sounding(lead, len(chords), grid), chosen, full, for_form)
    if programs is not None:
        plans = _with_breaks(plans, steps, chosen)
    song = Song(plans, tuple(steps), scale, chosen, place, refined=programs is not None)
    tracks = _tracks(song, lead, piano_track, for_drums, for_parts)
    if programs is not None:
        tracks = {role: _played(role, track, programs[role]) for role, track in tracks.items()}
        steps = _bare_fifths(steps, tracks)
    score = Score(tuple(tracks[role] for role in ROLES), (TempoChange(0, tempo),), (grid.meter,))
    given = {"lead"} if piano_track is None else {"lead", "piano"}
    levels = _levels(plans, tracks, grid, given)
    return Arrangement(score, tuple(steps), style, key or _key(steps, scale), levels)


def _tracks(
    song: Song,
    lead: Track,
    piano_track: Track | None,
    for_drums: np.random.Generator,
    for_parts: list[np.random.Generator],
) -> dict[str, Track]:
    """What each role plays: the lead and a piano as given, the rest written."""
    end = len(song.chords)
    tracks = {
        "lead": Track(lead.notes, PROGRAMS["lead"], False, "lead"),
        "drum": _track("drum", _strokes(drum_hits(song.plans, song.style, for_drums), song.grid), end),
    }
    for role, write, rng in zip(
        ("bass", "guitar", "piano", "string"), (bass, guitar, piano, string), for_parts, strict=True
    ):
        tracks[role] = _track(role, write(song, rng), end)
    if piano_track is not None:
        tracks["piano"] = Track(piano_track.notes, PROGRAMS["piano"], False, "piano")
    return tracks


def _played(role: str, track: Track, program: int) -> Track:
    """A part on an instrument, within its range."""
    if role == "drum":
        return replace(track, program=program)
    move = shift_notes if role == "lead" else fit_notes
    return replace(track, notes=move(track.notes, program), program=program)


def _bare_fifths(chords: list[Chord], tracks: dict[str, Track]) -> list[Chord]:
    """The chords, but for triads of which root and fifth sound and no third: these are power chords."""
    classes: list[set[int]] = [set() for _ in chords]
    for role, track in tracks.items():
        for note in track.notes if role != "drum" else ():
            if note.start // STEP_TICKS < len(classes):
                classes[note.start // STEP_TICKS].add(note.pitch % 12)
    made, start = list(chords), 0
    for end in range(1, len(chords) + 1):
        if end < len(chords) and chords[end] == chords[start]:
            continue
        chord, sounding = chords[start], set().union(*classes[start:end])
        thirds = {(chord.root + 3) % 12, (chord.root + 4) % 12}
        if chord.quality in ("maj", "min") and {chord.root, (chord.root + 7) % 12} <= sounding - thirds == sounding:
            made[start:end] = [Chord(chord.root, "5", chord.root)] * (end - start)
        start = end
    return made


def _strokes(bars: Iterable[list[tuple[int, int, int]]], grid: BarGrid) -> Iterable[Stroke]:
    for bar, hits in enumerate(bars):
        for step, note, velocity in hits:
            yield bar * grid.steps + step, note, 1, velocity
