"""Features of musical time and harmony are functions of phase and chord, nothing else."""

import numpy as np
import pytest

from engine.music.conducting import (
    CLOCK_FEATURES,
    FRAME_FEATURES,
    GATES,
    chord_gates,
    clock_features,
    frame_features,
)
from engine.music.harmony import parse_chord

BAR = 1920


def columns(name: str) -> tuple[np.ndarray, np.ndarray]:
    chord = parse_chord(name)
    return chord.chroma()[:, None], chord.bass_vector()[:, None]


def test_the_same_place_in_the_bar_has_the_same_features() -> None:
    ticks = np.array([0.0, 100.0, 479.0, 1300.0])
    tempo = np.full(4, 128.0, np.float32)
    there, later = clock_features(ticks, tempo, BAR), clock_features(ticks + 7 * BAR, tempo, BAR)
    assert there.shape == (CLOCK_FEATURES, 4)
    np.testing.assert_allclose(there, later, atol=1e-5)
    assert np.abs(there).max() <= 1.0


def test_time_since_the_beat_counts_in_seconds_not_in_ticks() -> None:
    """A drum dies away as fast at any tempo."""
    slow = clock_features(np.array([48.0]), np.array([60.0], np.float32), BAR)
    fast = clock_features(np.array([96.0]), np.array([120.0], np.float32), BAR)
    decays = slice(10, 14)
    np.testing.assert_allclose(slow[decays], fast[decays], rtol=1e-5)


@pytest.mark.parametrize("semitones", range(12))
def test_a_generator_is_told_intervals_not_roots(semitones: int) -> None:
    ticks, tempo = np.zeros(1), np.full(1, 120.0, np.float32)
    chord = parse_chord("Am7")
    moved = chord.transposed(semitones)
    one = frame_features(ticks, tempo, BAR, chord.chroma()[:, None], chord.bass_vector()[:, None])
    two = frame_features(ticks, tempo, BAR, moved.chroma()[:, None], moved.bass_vector()[:, None])
    assert one.shape == (FRAME_FEATURES, 1)
    np.testing.assert_array_equal(one, two)


def test_gates_open_bass_and_tones_upwards_from_the_bass() -> None:
    gates = chord_gates(*columns("C7"))[:, :, 0]
    assert gates.shape == (GATES, 12)
    assert not gates[0].any()
    opened = [list(np.flatnonzero(row)) for row in gates[1:]]
    assert opened == [[0], [0], [4], [7], [10]]


def test_gates_of_an_inversion_count_from_its_bass() -> None:
    gates = chord_gates(*columns("C/E"))[:, :, 0]
    assert [list(np.flatnonzero(row)) for row in gates[1:]] == [[4], [4], [7], [0], []]


def test_no_chord_opens_nothing_but_the_first_gate() -> None:
    none = np.zeros((12, 3), np.float32)
    gates = chord_gates(none, none)
    assert gates[0].all()
    assert not gates[1:].any()
