"""Crossfades keep the level."""

import numpy as np
import pytest

from engine.audio.overlap import crossfade, fade_in, fade_out
from engine.errors import ShapeError


def test_fades_have_equal_power() -> None:
    assert np.allclose(fade_in(480) ** 2 + fade_out(480) ** 2, 1.0, atol=1e-6)


def test_crossfade_keeps_the_level_of_noise() -> None:
    rng = np.random.default_rng(1)
    old, new = (rng.standard_normal((1, 48000)).astype(np.float32) for _ in range(2))
    joint = crossfade(old, new, 24000)
    assert joint.shape == (1, 72000)
    level = np.sqrt((joint.reshape(-1, 6000) ** 2).mean(axis=1))
    assert np.abs(level - 1.0).max() < 0.05


@pytest.mark.parametrize("overlap", [0, 11])
def test_an_overlap_that_does_not_fit_is_refused(overlap: int) -> None:
    with pytest.raises(ShapeError):
        crossfade(np.zeros((2, 10), np.float32), np.zeros((2, 20), np.float32), overlap)
