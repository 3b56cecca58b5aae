"""Chords heard from notes, one a bar."""

import numpy as np
import numpy.typing as npt
import pytest

from engine.music.chords import NO_STATE, ChordEar, bar_vectors, chord_of, detect_chords, lagged, state_of
from engine.music.harmony import NO_CHORD, QUALITIES, Chord, parse_chord

C, AM, F, G = (state_of(parse_chord(name)) for name in ("C", "Am", "F", "G"))


def _vectors(*names: str) -> npt.NDArray[np.float64]:
    made = np.stack([parse_chord(name).chroma().astype(np.float64) for name in names])
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_plain_chords_are_heard_in_their_bars() -> None:
    assert detect_chords(_vectors("C", "Am", "F", "G")).tolist() == [C, AM, F, G]


def test_the_published_lag_says_each_chord_a_bar_late_and_the_first_one_twice() -> None:
    assert lagged(detect_chords(_vectors("C", "Am", "F", "G"))).tolist() == [C, C, AM, F, G]
    empty_first = np.concatenate((np.zeros((1, 12)), _vectors("C", "Am", "F", "G")))
    assert detect_chords(empty_first).tolist() == [C, C, AM, F, G]  # how the lag comes about


def test_silence_keeps_the_chord_and_silence_alone_has_none() -> None:
    vectors = _vectors("C", "F", "F", "G")
    vectors[2] = 0.0
    assert detect_chords(vectors).tolist() == [C, F, F, G]
    assert detect_chords(np.zeros((3, 12))).tolist() == [NO_STATE] * 3


def test_bar_by_bar_gives_what_all_at_once_gives() -> None:
    vectors = _vectors("Dm7", "G7", "Cmaj7", "Am7")
    ear = ChordEar()
    live = [ear.push(vector) for vector in vectors]
    assert live == ear.path().tolist() == detect_chords(vectors).tolist()
    assert [str(chord_of(state)) for state in live] == ["Dm7", "G7", "Cmaj7", "Am7"]


def _dense(vectors: npt.NDArray[np.float64]) -> list[int]:
    """The same search over all pairs of 1,164 states, as it is usually written."""
    from engine.music import chords

    n = chords._STATES
    step = np.empty((12, n, 12, n))
    for key in range(12):
        step[key] = chords._ACROSS[None]
        step[key, :, key] = chords._WITHIN[key]
    matrix = step.reshape(12 * n, 12 * n)
    seen = 100.0 * vectors @ chords._VECTORS.T
    score = (-np.log(12) + chords._PRIOR + seen[0]).ravel()
    back = []
    for row in seen[1:]:
        moved = score[:, None] + matrix
        back.append(moved.argmax(axis=0))
        score = moved.max(axis=0) + np.tile(row, 12)
    at, found = int(score.argmax()), []
    for came in reversed(back):
        found.append(at % n)
        at = int(came[at])
    return [at % n, *reversed(found)]


def test_searching_key_by_key_finds_what_searching_all_pairs_finds() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.random((10, 12)) ** 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[4] = 0.0
    assert detect_chords(vectors).tolist() == _dense(vectors)


def test_a_note_counts_in_every_bar_it_sounds_in_and_after_the_end_in_the_last() -> None:
    made = bar_vectors(np.array([60, 64]), np.array([12, 40]), np.array([8, 3]), 2)
    np.testing.assert_allclose(made[0], np.eye(12)[0])
    np.testing.assert_allclose(made[1], (4 * np.eye(12)[0] + 3 * np.eye(12)[4]) / 5)


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_chord_that_can_be_typed_has_a_nearest_one(quality: str) -> None:
    if quality == "none":
        assert chord_of(state_of(NO_CHORD)) == NO_CHORD
        return
    found = chord_of(state_of(Chord(7, quality, 2)))
    assert (found.root, found.bass) == (7, 7)
    exact = quality in ("maj", "min", "aug", "dim", "7", "maj7", "min7", "min7b5")
    assert (found.quality == quality) is exact


def test_no_chord_given_is_no_chord() -> None:
    assert state_of(None) == NO_STATE
