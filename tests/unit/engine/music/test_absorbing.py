"""The schedule of the absorbing diffusion: spot values, limits, and the tables that checkpoints carry."""

import numpy as np
import pytest

from engine.music.absorbing import STEPS, hidden_share, log_buffers, returns, schedule, step_of


def test_spot_values() -> None:
    made = schedule(11880)
    np.testing.assert_allclose(made.keep[[0, 1, 49, 98, 99]], [0.99999, 0.98990, 0.98039, 0.50022, 0.00089], atol=6e-6)
    np.testing.assert_allclose(made.hide[[0, 1, 49, 99]], [9e-6, 0.01010, 0.01961, 0.99901], atol=6e-6)
    np.testing.assert_allclose(made.hidden[[0, 49, 98, 99]], [9e-6, 0.49495, 0.98989, 0.99999], atol=6e-6)


def test_a_cell_is_kept_hidden_or_one_of_the_others() -> None:
    made = schedule(500)
    np.testing.assert_allclose(made.keep + made.hide + 500 * made.replace, 1.0, atol=1e-12)
    np.testing.assert_allclose(made.kept + made.hidden + 500 * made.replaced, 1.0, atol=1e-12)
    np.testing.assert_allclose(500 * made.replaced[:STEPS], 1e-6, rtol=1e-6)
    assert (made.kept[STEPS], made.hidden[STEPS]) == (1.0, 0.0)


def test_steps_after_one_another_make_the_sum() -> None:
    made = schedule(500)
    np.testing.assert_allclose(np.cumprod(made.keep), made.kept[:STEPS], rtol=1e-9)
    np.testing.assert_allclose(1.0 - np.cumprod(1.0 - made.hide), made.hidden[:STEPS], rtol=1e-9)


def test_a_hidden_cell_comes_back_once_in_t_steps() -> None:
    assert returns(0) == 1.0
    for t in (1, 2, 10, 50, 99):
        assert returns(t) == pytest.approx(1.0 / t, rel=2e-3)


def test_the_step_of_a_share_hides_that_share() -> None:
    for step in range(STEPS):
        assert step_of(float(hidden_share()[step])) == step
    assert (step_of(-1.0), step_of(2.0)) == (0, STEPS - 1)


def test_tables_are_finite_but_for_the_time_before_the_first_step() -> None:
    for name, table in log_buffers(11880).items():
        assert table.dtype == np.float32
        assert table.shape == ((STEPS + 1,) if "cumprod" in name else (STEPS,))
        assert np.isfinite(table[:STEPS]).all(), name
