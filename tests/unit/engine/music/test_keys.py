"""Shifts into the key of a grid."""

import numpy as np
import pytest

from engine.music.keys import key_shift

MAJOR, MINOR = (0, 4, 7, 0, 2, 5, 9, 11, 0, 7), (0, 3, 7, 0, 0, 2, 5, 8, 10, 7)


def _shift(tonic: int, steps: tuple[int, ...], rule: str) -> int:
    pitches = np.array([60 + tonic + step for step in steps])
    return key_shift(pitches, np.ones(len(steps), np.int64), rule)


def test_g_major_goes_down_a_fifth_as_published_and_up_a_fourth_by_the_nearer_way() -> None:
    assert (_shift(7, MAJOR, "down"), _shift(7, MAJOR, "near"), _shift(7, MAJOR, "none")) == (-7, 5, 0)


@pytest.mark.parametrize("tonic", range(12))
def test_every_key_becomes_c_major_or_a_minor(tonic: int) -> None:
    assert _shift(tonic, MAJOR, "down") == -tonic
    assert _shift(tonic, MINOR, "down") == 9 - tonic
    for steps, goal in ((MAJOR, 0), (MINOR, 9)):
        near = _shift(tonic, steps, "near")
        assert -6 <= near <= 5
        assert (tonic + near) % 12 == goal


def test_no_notes_are_in_no_key() -> None:
    assert key_shift(np.array([], np.int64), np.array([], np.int64), "down") == 0
