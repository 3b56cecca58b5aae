"""Codes come back from every pattern as they went in, and a prompt's codes are never drawn."""

import numpy as np
import pytest

from engine.music.codes import (
    MONO_DELAYS,
    STEREO_DELAYS,
    PatternError,
    Plan,
    coarse_first,
    delayed,
    flattened,
    parallel,
)

SPECIAL = 2048
PLANS = {
    "delay": delayed(1500),
    "stereo": delayed(1500, STEREO_DELAYS),
    "partial delay": delayed(1500, (0, 1, 1, 1)),
    "parallel": parallel(1500, 4),
    "flatten": flattened(1500, (0, 1, 2, 3)),
    "partial flatten": flattened(1500, (0, 1, 1, 1)),
    "coarse first": coarse_first(1500, (0, 0, 0)),
}


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("delay", 1504),
        ("stereo", 1504),
        ("partial delay", 1502),
        ("parallel", 1501),
        ("flatten", 6001),
        ("partial flatten", 3001),
        ("coarse first", 3001),
    ],
)
def test_lengths_are_the_published_ones(name: str, length: int) -> None:
    assert PLANS[name].length == length


@pytest.mark.parametrize("name", PLANS)
def test_codes_come_back(name: str) -> None:
    plan = PLANS[name]
    codes = np.random.default_rng(0).integers(0, 2048, plan.steps.shape)
    sequence = plan.sequence(codes, SPECIAL)
    assert np.array_equal(plan.codes(sequence), codes)
    assert np.array_equal(sequence == SPECIAL, ~plan.said)
    assert (sequence[:, 0] == SPECIAL).all()


def test_delay_is_the_published_picture() -> None:
    codes = np.tile(np.arange(6), (4, 1))
    assert delayed(6, MONO_DELAYS).sequence(codes, -1).tolist() == [
        [-1, 0, 1, 2, 3, 4, 5, -1, -1, -1],
        [-1, -1, 0, 1, 2, 3, 4, 5, -1, -1],
        [-1, -1, -1, 0, 1, 2, 3, 4, 5, -1],
        [-1, -1, -1, -1, 0, 1, 2, 3, 4, 5],
    ]


@pytest.mark.parametrize("name", PLANS)
def test_a_prompt_is_left_as_it_is(name: str) -> None:
    plan, known = PLANS[name], 300
    codes = np.random.default_rng(1).integers(0, 2048, plan.steps.shape)
    sequence = plan.sequence(codes, SPECIAL)
    unknown = plan.unknown(known)
    assert unknown.sum() == plan.codebooks * (plan.frames - known)
    drawn = np.where(unknown, 7, sequence)
    assert np.array_equal(plan.codes(drawn)[:, :known], codes[:, :known])
    assert (plan.codes(drawn)[:, known:] == 7).all()
    assert plan.first_unknown(known) == int(np.flatnonzero(unknown.any(axis=0))[0])


def test_delay_feeds_a_prompt_and_the_empty_step_first() -> None:
    assert delayed(1500).first_unknown(300) == 301
    assert delayed(1500).first_unknown(0) == 1
    assert delayed(10).first_unknown(10) == delayed(10).length


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PatternError, match="delays"):
        delayed(4, (0, -1))
    with pytest.raises(PatternError, match="rise"):
        flattened(4, (0, 2))
    with pytest.raises(PatternError, match=r"\[4, 5\]"):
        delayed(6).sequence(np.zeros((4, 5), np.int64), SPECIAL)
    with pytest.raises(PatternError, match="10 steps"):
        delayed(6).codes(np.zeros((4, 9), np.int64))
    with pytest.raises(PatternError, match="at one step"):
        Plan(np.array([[1, 1]]))
