"""Notes to columns and back; chords and keys as the network knows them."""

import numpy as np
import pytest

from engine.models.getmusic_limits import limits_of, rows_of, tones_of
from engine.models.getmusic_notes import chord_tokens, columns_of, key_shift, notes_of, token_near
from engine.music.harmony import parse_chord
from engine.music.score import Note
from engine.music.vocabulary import PAD, UNITS, Dictionary
from tests.tiny_getmusic import dictionary_text, tiny_rows

WORDS = Dictionary.read(dictionary_text())


def test_notes_come_back() -> None:
    notes = (Note(0, 33, 480, 80), Note(480, 36, 240, 80), Note(480, 48, 240, 80), Note(1800, 40, 6240, 80))
    rows = columns_of(notes, "bass", 16, WORDS, shift=-3)
    back = tuple(notes_of(rows, "bass", WORDS, shift=-3, velocity=80))
    assert back == (notes[0], notes[1], notes[3]), "moved, the two at once have no token of their own"
    assert tuple(notes_of(columns_of(notes, "bass", 16, WORDS), "bass", WORDS, velocity=80)) == notes


@pytest.mark.parametrize("ticks", range(0, 8000, 37))
def test_lengths_are_the_longest_that_are_not_longer(ticks: int) -> None:
    token = int(columns_of([Note(0, 40, ticks)], "bass", 16, WORDS)[1, 0])
    units = (2 * ticks + 120) // 240
    assert UNITS[token + 1] == max(1, max(u for u in UNITS if u <= units))


def test_notes_go_to_the_nearest_column_and_drums_stay_in_place() -> None:
    rows = columns_of([Note(59, 36, 0), Note(180, 38, 0), Note(1861, 40, 0), Note(9999, 41, 0)], "drum", 16, WORDS, 5)
    assert np.flatnonzero(rows[0] != PAD).tolist() == [0, 2]
    assert [note.pitch for note in notes_of(rows, "drum", WORDS, shift=5)] == [36, 38]


@pytest.mark.parametrize(
    ("role", "pitches", "sounding"),
    [
        ("bass", [36, 48], (36, 48)), ("bass", [33, 40], (33,)), ("lead", [60, 64, 67], (67,)),
        ("piano", [55, 60, 64], (55, 60, 64)), ("piano", [55, 60, 64, 67], (55, 60, 64)),
        ("piano", [55, 58, 60, 64], (55, 60, 64)), ("piano", [40, 41, 42], (42,)), ("string", [130], (118,)),
        ("string", [-2], (10,)),
    ],
)  # fmt: skip
def test_what_has_no_token_gets_the_one_that_keeps_most(role: str, pitches: list[int], sounding: tuple[int]) -> None:
    assert WORDS.pitches(token_near(WORDS, role, pitches)) == sounding


@pytest.mark.parametrize(
    ("name", "root", "kind"),
    [("C", "C", "null"), ("Am", "A", "m"), ("F#7", "F#", "seven"), ("Bbmaj7", "Bb", "maj7"), ("Dm7b5", "D", "m7b5"),
     ("Gsus4", "G", "null"), ("Em9", "E", "m7"), ("Cdim7", "C", "dim")],
)  # fmt: skip
def test_chords_have_the_nearest_kind(name: str, root: str, kind: str) -> None:
    tokens = chord_tokens(parse_chord(name), WORDS)
    assert tuple(map(WORDS.word, tokens)) == (root, kind)
    assert WORDS.word(chord_tokens(parse_chord("Am"), WORDS, shift=3)[0]) == "C"


@pytest.mark.parametrize(
    ("scale", "tonic", "down", "near"),
    [([0, 2, 4, 5, 7, 9, 11], 0, 0, 0), ([7, 9, 11, 0, 2, 4, 6], 7, -7, 5), ([9, 11, 0, 2, 4, 5, 7], 9, 0, 0),
     ([4, 6, 7, 9, 11, 0, 2], 4, 5, 5), ([6, 8, 9, 11, 1, 2, 4], 6, 3, 3)],
)  # fmt: skip
def test_keys_are_moved_to_c_major_or_a_minor(scale: list[int], tonic: int, down: int, near: int) -> None:
    weights = np.zeros(12)
    weights[scale] = 1.0
    weights[tonic] = 3.0
    assert key_shift(weights, "down") == down
    assert key_shift(weights, "near") == near
    assert key_shift(weights, "none") == key_shift(np.zeros(12), "near") == 0


def test_rows_and_limits_come_from_the_dictionary() -> None:
    assert rows_of(WORDS) == tiny_rows()
    limits = limits_of(WORDS, shift=-2, ranges={"bass": (30, 50), "drum": (35, 38)}, chord_tones=("piano", "drum"))
    bass = np.flatnonzero(limits.ever["bass"])
    assert bass.tolist() == [*range(28, 49), 128]
    assert np.flatnonzero(limits.ever["drum"]).tolist() == [35, 36, 37, 38]
    assert "drum" not in limits.classes
    assert limits.classes["piano"][128].nonzero()[0].tolist() == [0, 4, 7]


def test_tones_follow_the_chords_in_the_key_of_the_grid() -> None:
    tones = tones_of([parse_chord("Am"), None, parse_chord("F")], 80, shift=3)
    assert tones[0].nonzero()[0].tolist() == [0, 3, 7]
    assert tones[16:32].all()
    assert tones[79].nonzero()[0].tolist() == [0, 3, 8]
