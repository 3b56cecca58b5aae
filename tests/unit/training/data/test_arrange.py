"""The arranger follows the chords, moves its voices little, varies, and repeats itself exactly for the same seed."""

from itertools import pairwise

import numpy as np
import pytest

from engine.music.harmony import NO_CHORD, Chord, parse_progression
from engine.music.score import ROLES, Note, Track
from training.data.arrange.arrange import ArrangeError, arrange
from training.data.arrange.drums import FILLS
from training.data.arrange.styles import DRUM_KEYS, STYLES, read_styles
from training.data.arrange.voicing import guitar_shape, lead_voices

CHORDS = parse_progression("C | Am F | Dm7 G7 | C | Em | F#dim B7 | Em C/E | Csus4 C") * 4
LEAD = Track(tuple(Note(index * 240, 72 + (index * 5) % 12, 240) for index in range(64, 256)), 80)


def band(style: str, seed: int = 1, **more):
    made = arrange(LEAD, CHORDS, style, seed, **more)
    return made, dict(zip(ROLES, made.score.tracks, strict=True))


@pytest.mark.parametrize("style", STYLES)
def test_every_style_writes_a_band_on_the_grid(style: str) -> None:
    played = set()
    for seed in range(3):
        made, tracks = band(style, seed, density=0.7)
        low, high = STYLES[style].tempo
        assert low <= made.score.tempos[0].bpm <= high
        assert tracks["lead"].notes == LEAD.notes
        played |= {role for role, track in tracks.items() if track.notes}
        for role in ROLES[1:]:
            assert all(note.start % 120 == 0 and 0 < note.length <= 16 * 120 for note in tracks[role].notes), role
            assert tracks[role].end <= len(CHORDS) * made.grid.ticks
    assert played == set(ROLES)


def test_the_same_seed_gives_the_same_notes_and_another_seed_others() -> None:
    assert band("funk", 5)[0] == band("funk", 5)[0]
    assert band("funk", 5)[0] != band("funk", 6)[0]
    assert band("funk", 5)[1]["bass"] != band("pop", 5)[1]["bass"]


@pytest.mark.parametrize("style", STYLES)
def test_pitched_parts_sound_the_chord(style: str) -> None:
    inside = total = 0
    for seed in range(3):
        made, tracks = band(style, seed)
        for role in ("guitar", "piano"):
            for note in tracks[role].notes:
                total += 1
                inside += note.pitch % 12 in made.chords[note.start // 120].pitch_classes
    # Power chords give a diminished chord's root a fifth of its own; nothing else is foreign.
    assert inside >= 0.97 * total


def test_the_bass_begins_chords_with_their_bass_note() -> None:
    hits = [
        note.pitch % 12 == made.chords[note.start // 120].bass
        for style in STYLES
        for made, tracks in [band(style)]
        for note in tracks["bass"].notes
        if note.start % made.grid.ticks == 0
    ]
    assert np.mean(hits) > 0.97


def test_the_bass_leads_to_the_next_chord_by_a_step() -> None:
    steps = []
    for seed in range(6):
        for before, after in pairwise(band("swing", seed, density=0.5)[1]["bass"].notes):
            if after.start % 1920 == 0 and before.start % 1920 == 12 * 120:
                steps.append(abs(after.pitch - before.pitch))
    assert len(steps) > 30
    assert np.mean([step <= 2 for step in steps]) > 0.6


def test_bars_are_not_one_loop_but_do_repeat() -> None:
    for style in ("rock", "bossa", "techno", "folk"):
        drums = band(style, 3, density=0.6)[1]["drum"].notes
        bars = [frozenset((n.start % 1920, n.pitch) for n in drums if n.start // 1920 == bar) for bar in range(32)]
        assert 4 <= len(set(bars)) < 32, style


def test_fills_lead_from_section_to_section() -> None:
    fills = {DRUM_KEYS[line[0]] for kinds in FILLS.values() for kind in kinds for line in kind} & {50, 47, 43}
    toms = [n.start // 1920 % 4 for seed in range(8) for n in band("rock", seed)[1]["drum"].notes if n.pitch in fills]
    assert toms
    assert set(toms) == {3}


def test_density_and_register_do_what_they_say() -> None:
    counts = [
        sum(len(track.notes) for s in range(5) for track in band("pop", s, density=d)[0].score.tracks[1:])
        for d in (0.1, 0.5, 0.9)
    ]
    assert counts[0] < counts[1] < counts[2]
    heights = [
        np.mean([n.pitch for s in range(5) for n in band("pop", s, density=0.6, register=r)[1]["piano"].notes])
        for r in (-1.0, 1.0)
    ]
    assert heights[1] - heights[0] > 8


def test_a_bar_without_a_chord_has_drums_only() -> None:
    chords = [(NO_CHORD,)] * 4 + list(CHORDS[:8])
    for seed in range(4):
        made = arrange(LEAD, chords, "pop", seed, density=0.8)
        for role, track in zip(ROLES, made.score.tracks, strict=True):
            if role not in ("lead", "drum"):
                assert all(note.start >= 4 * 1920 for note in track.notes)


def test_a_given_piano_is_kept() -> None:
    piano = Track((Note(0, 60, 480), Note(480, 64, 480)), 0)
    assert band("pop", 2, piano_track=piano)[1]["piano"].notes == piano.notes


def test_voices_move_little() -> None:
    voices: tuple[int, ...] = ()
    moves = []
    for chord in [bar[0] for bar in CHORDS]:
        following = lead_voices(voices, chord, 3, 50, 77)
        assert {pitch % 12 for pitch in following} <= set(chord.pitch_classes)
        if voices:
            moves.append(max(abs(a - b) for a, b in zip(voices, following, strict=True)))
        voices = following
    assert max(moves) <= 5
    assert np.mean(moves) < 3


@pytest.mark.parametrize("root", range(12))
@pytest.mark.parametrize("quality", ["maj", "min", "7", "maj7", "dim", "sus4", "5"])
def test_guitar_shapes_can_be_held(root: int, quality: str) -> None:
    chord = Chord(root, quality, root)
    shape = guitar_shape(chord)
    assert 4 <= len(shape) <= 6
    assert {pitch % 12 for pitch in shape} <= set(chord.pitch_classes)
    assert shape[0] % 12 == root
    assert 40 <= shape[0] <= shape[-1] <= 76


@pytest.mark.parametrize(
    ("chords", "style", "seed", "more"),
    [
        ([], "pop", 0, {}),
        (CHORDS, "yodel", 0, {}),
        (CHORDS, "pop", -1, {}),
        (CHORDS, "pop", 0, {"density": 1.5}),
        (CHORDS, "pop", 0, {"tempo_bpm": 1000.0}),
        ([CHORDS[0] * 3], "pop", 0, {}),
    ],
)
def test_what_cannot_be_arranged_is_said(chords, style, seed, more) -> None:
    with pytest.raises(ArrangeError, match="wanted"):
        arrange(LEAD, chords, style, seed, **more)


@pytest.mark.parametrize("line", ["drums main K:X...", "bass main R...............Q", "string full P"])
def test_a_misspelt_pattern_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="sixteen"):
        read_styles(f"style x 60 90\ngates 1 1 1 1\nfills snare\n{line}\n")
