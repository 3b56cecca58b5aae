"""Notes drawn to a chord: away from what is not in it, towards what the bar has not sounded of it."""

import numpy as np

from engine.music.leaning import leaning, outside, sounded

CLASSES = np.zeros((4, 12), np.bool_)
CLASSES[0, 0] = CLASSES[1, 4] = CLASSES[2, 1] = CLASSES[3, [0, 4, 7]] = True
C = np.isin(np.arange(12), (0, 4, 7))[None]
NOTHING = np.zeros((1, 12), np.bool_)


def test_tones_outside_are_counted_by_their_share() -> None:
    assert outside(C, CLASSES).tolist() == [[0, 0, 1, 0]]
    assert np.allclose(outside(~C, CLASSES), [[1, 1, 0, 1]])


def test_what_is_missing_is_likelier_until_it_sounds() -> None:
    assert np.allclose(leaning(CLASSES, C, NOTHING, 3.0), [[1, 1, -3, 3]])
    heard = NOTHING.copy()
    heard[0, 0] = True
    assert np.allclose(leaning(CLASSES, C, heard, 3.0), [[0, 1, -3, 2]])
    assert np.allclose(leaning(CLASSES, C, C, 3.0), [[0, 0, -3, 0]])


def test_where_no_chord_is_known_nothing_leans() -> None:
    assert not leaning(CLASSES, np.ones((1, 12), np.bool_), NOTHING, 3.0).any()


def test_a_bar_is_what_sounds_from_line_to_line() -> None:
    tokens = np.full((2, 40), 15)
    tokens[0, [3, 15]], tokens[1, 39] = 100, 103
    tokens[0, 20] = 99  # of another track
    made = sounded(tokens, 100, CLASSES)
    assert made.shape == (2, 40, 12)
    assert made[0, :16].sum(axis=1).tolist() == [1] * 16
    assert not made[0, 16:].any()
    assert made[1, 32:, [0, 4, 7]].all()
    assert not made[1, :32].any()
