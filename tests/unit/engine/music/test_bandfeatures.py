"""What a band network is told is a function of the place in the bar, the chord and the wishes, in a fixed order."""

import numpy as np
import pytest

from engine.errors import ShapeError
from engine.music.bandfeatures import BAND_FEATURES, COLUMNS, UNKNOWN, band_features, densities, registers
from engine.music.harmony import parse_chord


def chord(name: str, length: int) -> tuple[np.ndarray, np.ndarray]:
    made = parse_chord(name)
    return np.repeat(made.chroma()[:, None], length, 1), np.repeat(made.bass_vector()[:, None], length, 1)


def test_rows_lie_where_the_table_says() -> None:
    made = band_features(*chord("D/F#", 20), np.full((6, 20), 0.25, np.float32), np.full((6, 20), 0.5, np.float32))
    assert made.shape == (BAND_FEATURES, 20)
    assert made.dtype == np.float32
    np.testing.assert_allclose(made[:8, 0], [1, 1, 1, 1, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(made[:8, 4], [1, 1, 0, -1, 0, 0, 1, 0], atol=1e-6)
    assert list(np.flatnonzero(made[8:20, 3])) == [0, 3, 8]  # F#, A, D counted from F#
    assert list(np.flatnonzero(made[20:32, 3])) == [2, 6, 9]
    assert list(np.flatnonzero(made[32:44, 3])) == [6]
    assert (made[44:50] == 0.25).all()
    assert (made[50:] == 0.5).all()


def test_each_column_of_a_bar_is_told_apart_and_bars_are_alike() -> None:
    made = band_features(np.zeros((12, 48), np.float32), np.zeros((12, 48), np.float32))[:8].round(5)
    assert len({tuple(column) for column in made.T}) == COLUMNS
    np.testing.assert_allclose(made[:, :16], made[:, 32:], atol=1e-5)


def test_nothing_known_is_zeros_of_harmony_and_unknown_wishes() -> None:
    made = band_features(np.zeros((12, 16), np.float32), np.zeros((12, 16), np.float32))
    assert not made[8:44].any()
    assert (made[44:] == UNKNOWN).all()


def test_a_transposed_chord_has_the_same_intervals() -> None:
    first, second = (band_features(*chord(name, 16)) for name in ("C/E", "Ab/C"))
    np.testing.assert_array_equal(first[8:20], second[8:20])
    assert (first[20:44] != second[20:44]).any()


def test_densities_and_registers_are_of_bars() -> None:
    onsets = np.zeros((6, 40), np.bool_)
    onsets[1, [0, 4, 8, 12]] = True
    onsets[1, 32:36] = True  # half a bar is left at the end
    made = densities(onsets)
    np.testing.assert_allclose(made[1], np.repeat([0.25, 0.0, 0.5], 16)[:40])
    counts = onsets.astype(np.float64)
    heights = registers(counts * 63.5, counts)
    np.testing.assert_allclose(heights[1], np.repeat([0.5, UNKNOWN, 0.5], 16)[:40])
    assert (heights[0] == UNKNOWN).all()


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match=r"\[6, L\]"):
        band_features(np.zeros((12, 16), np.float32), np.zeros((12, 16), np.float32), np.zeros((6, 15), np.float32))
