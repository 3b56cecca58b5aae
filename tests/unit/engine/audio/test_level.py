"""Gains without a click, and peaks."""

import numpy as np
import pytest

from engine.audio.level import glide, peak_db, peak_of


def test_glide_starts_and_ends_where_it_should() -> None:
    ones = np.ones((2, 100), np.float32)
    out = glide(ones, 0.2, 0.8, 50)
    assert 0.2 < out[0, 0] < 0.21
    assert (out[:, 49:] == np.float32(0.8)).all()
    assert (np.diff(out[0]) >= 0).all()
    assert glide(ones, 1.0, 1.0, 50) is ones


def test_peak_sees_what_is_no_number() -> None:
    assert peak_of(np.array([[0.1, -0.6]], np.float32)) == pytest.approx(0.6)
    assert peak_of(np.zeros((2, 0), np.float32)) == 0.0
    assert not np.isfinite(peak_of(np.array([[0.1, np.nan]], np.float32)))
    assert peak_db(1.0) == 0.0
    assert peak_db(0.0) == -120.0
