"""Chords are heard in sound, whatever is drummed over them, and none where nothing has a pitch."""

import numpy as np
import pytest

from engine.music.chroma import pitch_classes, sounding_chords
from engine.music.harmony import NO_CHORD, Chord, parse_chord

RATE = 32000


def chord_sound(chord: Chord, seconds: float = 1.0) -> np.ndarray:
    """A bass and the chord's tones around 400 Hz, each with overtones."""
    times = np.arange(round(seconds * RATE)) / RATE
    pitches = [36 + chord.bass, *(60 + pitch for pitch in chord.pitch_classes)]
    rows = [
        np.sin(2 * np.pi * 440.0 * 2 ** ((pitch - 69) / 12) * overtone * times) / overtone**2
        for pitch in pitches
        for overtone in (1, 2, 3)
    ]
    return (0.05 * np.sum(rows, axis=0)).astype(np.float32)[None]


def drums(seconds: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    phase = np.mod(np.arange(round(seconds * RATE)), RATE // 4) / RATE
    return (0.3 * rng.standard_normal(len(phase)) * np.exp(-40.0 * phase)).astype(np.float32)[None]


@pytest.mark.parametrize("names", ["C G Am F", "Dm7 G7 Cmaj7 Cmaj7", "F#m D A E", "Bb Eb F Bb"])
@pytest.mark.parametrize("drummed", [False, True])
def test_chords_are_heard_in_their_spans(names: str, drummed: bool) -> None:
    chords = [parse_chord(name) for name in names.split()]
    sound = np.concatenate([chord_sound(chord) for chord in chords], axis=1)
    if drummed:
        sound = sound + drums(sound.shape[1] / RATE)
    heard = sounding_chords(np.tile(sound, (2, 1)), RATE, range(5))
    assert [(chord.root, chord.quality) for chord in heard] == [(chord.root, chord.quality) for chord in chords]


def test_no_chord_is_heard_where_nothing_has_a_pitch() -> None:
    rng = np.random.default_rng(0)
    for sound in (np.zeros((1, 2 * RATE), np.float32), drums(2.0), rng.normal(0, 0.1, (1, 2 * RATE))):
        assert sounding_chords(sound.astype(np.float32), RATE, [0.0, 1.0, 2.0]) == (NO_CHORD, NO_CHORD)
    assert sounding_chords(chord_sound(parse_chord("C")), RATE, [0.5]) == ()
    assert sounding_chords(chord_sound(parse_chord("C")), RATE, [5.0, 6.0]) == (NO_CHORD,)


def test_a_chord_outlasts_a_rest() -> None:
    silence = np.zeros((1, RATE), np.float32)
    sound = np.concatenate([chord_sound(parse_chord("Am")), silence, chord_sound(parse_chord("Am"))], axis=1)
    heard = sounding_chords(sound, RATE, [0.0, 1.0, 2.0, 3.0])
    assert [chord.quality for chord in heard] == ["min", "min", "min"]


def test_pitch_classes_are_those_that_sound() -> None:
    heard = pitch_classes(chord_sound(parse_chord("Eb")), RATE)
    assert heard.shape == (12,)
    assert np.linalg.norm(heard) == pytest.approx(1.0)
    assert set(np.argsort(heard)[-3:].tolist()) == {3, 7, 10}
    assert not pitch_classes(np.zeros((1, RATE), np.float32), RATE).any()
