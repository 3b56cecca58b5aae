"""Chord names, progressions, held keys and keys."""

import numpy as np
import pytest

from engine.errors import EngineError
from engine.music.harmony import (
    MODES,
    NO_CHORD,
    QUALITIES,
    Chord,
    HarmonyError,
    Key,
    format_progression,
    parse_chord,
    parse_key,
    parse_progression,
    recognise,
)

EVERY_CHORD = [Chord(root, quality, root) for quality in QUALITIES if quality != "none" for root in range(12)]


@pytest.mark.parametrize(
    ("text", "root", "quality", "bass"),
    [
        ("C", 0, "maj", 0),
        ("Cm", 0, "min", 0),
        ("C-7", 0, "min7", 0),
        ("Cmaj7", 0, "maj7", 0),
        ("CM7", 0, "maj7", 0),
        ("Am7/G", 9, "min7", 7),
        ("A:min7", 9, "min7", 9),
        ("A:maj", 9, "maj", 9),
        ("Bb", 10, "maj", 10),
        ("B♭m", 10, "min", 10),
        ("F#m7b5/C", 6, "min7b5", 0),
        ("Cb", 11, "maj", 11),
        ("C6/9", 0, "69", 0),
        ("C6/9/E", 0, "69", 4),
        ("Cm(maj7)", 0, "minmaj7", 0),
        ("Gsus", 7, "sus4", 7),
        (" E°7 ", 4, "dim7", 4),
    ],
)
def test_usual_spellings_are_read(text: str, root: int, quality: str, bass: int) -> None:
    assert parse_chord(text) == Chord(root, quality, bass)


@pytest.mark.parametrize("chord", [*EVERY_CHORD, NO_CHORD, Chord(2, "7", 0)], ids=str)
def test_every_name_reads_back_as_its_chord(chord: Chord) -> None:
    assert parse_chord(str(chord)) == chord


@pytest.mark.parametrize("text", ["", "H", "c", "Cfoo", "C/X", "C//G", "Am7/", "C7 ", "C m", "7"])
def test_other_text_is_refused_with_a_remedy_or_read_after_trimming(text: str) -> None:
    if text.strip() == "C7":
        assert parse_chord(text) == Chord(0, "7", 0)
        return
    with pytest.raises(HarmonyError, match="wanted"):
        parse_chord(text)


def test_a_harmony_error_is_an_engine_error_and_a_value_error() -> None:
    assert issubclass(HarmonyError, EngineError)
    assert issubclass(HarmonyError, ValueError)


@pytest.mark.parametrize(("root", "quality", "bass"), [(12, "maj", 0), (0, "maj", -1), (0, "nice", 0)])
def test_impossible_chords_are_refused(root: int, quality: str, bass: int) -> None:
    with pytest.raises(HarmonyError, match="wanted"):
        Chord(root, quality, bass)


def test_chroma_holds_chord_and_bass_and_the_bass_vector_only_the_bass() -> None:
    chord = parse_chord("F/G")
    assert np.flatnonzero(chord.chroma()).tolist() == [0, 5, 7, 9]
    assert np.flatnonzero(chord.bass_vector()).tolist() == [7]
    assert chord.chroma().dtype == chord.bass_vector().dtype == np.float32
    assert not NO_CHORD.chroma().any()
    assert not NO_CHORD.bass_vector().any()


@pytest.mark.parametrize("lowest", [36, 52, 59, 71])
def test_a_voicing_has_each_tone_once_within_the_octave(lowest: int) -> None:
    for chord in EVERY_CHORD:
        pitches = chord.voiced(lowest)
        assert sorted(pitch % 12 for pitch in pitches) == sorted(chord.pitch_classes)
        assert list(pitches) == sorted(pitches)
        assert lowest <= pitches[0]
        assert pitches[-1] < lowest + 12


def test_transposing_twelve_times_comes_home() -> None:
    assert parse_chord("Am/E").transposed(3) == parse_chord("Cm/G")
    assert NO_CHORD.transposed(5) == NO_CHORD
    for chord in EVERY_CHORD:
        assert chord.transposed(5).transposed(-5) == chord == chord.transposed(12)


def test_without_bar_lines_each_chord_is_a_bar_and_with_them_chords_share_bars() -> None:
    loop = parse_progression("Am F C G")
    assert [len(bar) for bar in loop] == [1, 1, 1, 1]
    shared = parse_progression("| Am F | C | G7 G7/F |")
    assert [[str(chord) for chord in bar] for bar in shared] == [["Am", "F"], ["C"], ["G7", "G7/F"]]
    assert parse_progression("Am | F") == parse_progression("Am F")


@pytest.mark.parametrize("text", ["", "   ", "|", "Am || F", "Am Q"])
def test_a_progression_with_a_hole_is_refused(text: str) -> None:
    with pytest.raises(HarmonyError):
        parse_progression(text)


@pytest.mark.parametrize("chord", EVERY_CHORD, ids=str)
def test_held_chords_with_the_root_lowest_are_recognised(chord: Chord) -> None:
    held = [36 + chord.root, *(60 + tone for tone in chord.pitch_classes)]
    assert recognise(held) == chord


@pytest.mark.parametrize(
    ("pitches", "name"),
    [
        ((55, 60, 64), "C/G"),
        ((53, 60, 64, 67), "C/F"),
        ((50, 60, 64, 67), "Cadd9/D"),
        ((48, 59, 63, 66), "B/C"),
        ((60, 64), "C"),
        ((60, 63), "Cm"),
        ((48, 55, 60), "C5"),
        ((67, 60, 64, 72), "C"),
        ((59, 53, 67, 74), "G7/F"),
    ],
)
def test_inversions_slashes_and_incomplete_chords_get_a_fitting_name(pitches: tuple[int, ...], name: str) -> None:
    chord = recognise(pitches)
    assert chord is not None
    assert {pitch % 12 for pitch in pitches} <= set(chord.pitch_classes)
    assert chord.bass == min(pitches) % 12
    assert str(chord) == name


@pytest.mark.parametrize("pitches", [(), (60,), (48, 60, 72), tuple(range(60, 72))])
def test_too_few_keys_and_clusters_have_no_chord(pitches: tuple[int, ...]) -> None:
    assert recognise(pitches) is None


def test_diatonic_chords_stay_in_the_key() -> None:
    assert [str(chord) for chord in Key(9, "minor").diatonic_chords()] == ["Am", "Bdim", "C", "Dm", "Em", "F", "G"]
    assert str(Key(0, "major").diatonic(5, seventh=True)) == "G7"
    for mode in MODES:
        for tonic in range(12):
            key = Key(tonic, mode)
            for seventh in (False, True):
                for chord in key.diatonic_chords(seventh=seventh):
                    assert set(chord.pitch_classes) <= set(key.pitch_classes)


@pytest.mark.parametrize(
    ("text", "key"),
    [("F# minor", Key(6, "minor")), ("Bb", Key(10, "major")), ("Am", Key(9, "minor")), ("D dorian", Key(2, "dorian"))],
)
def test_keys_are_read(text: str, key: Key) -> None:
    assert parse_key(text) == key
    assert parse_key(str(key)) == key


def test_unknown_keys_modes_and_degrees_are_refused() -> None:
    for text in ("", "H minor", "C bluesish"):
        with pytest.raises(HarmonyError, match="wanted"):
            parse_key(text)
    with pytest.raises(HarmonyError):
        Key(12, "major")
    with pytest.raises(HarmonyError):
        Key(0, "Major")
    with pytest.raises(HarmonyError, match="degree"):
        Key(0, "major").diatonic(8)


@pytest.mark.parametrize("text", ["", "Am", "Am F C G", "Am F |", "Am F | C | G7 G7/F", "N Bb F#m7b5/C"])
def test_a_progression_as_text_is_read_back_as_it_was(text: str) -> None:
    bars = parse_progression(text) if text else ()
    shown = format_progression(bars)
    assert (parse_progression(shown) if shown else ()) == bars
