"""Plans decide every cell once; windows cover every target once."""

import numpy as np
import pytest

from engine.errors import ShapeError
from engine.models.getmusic.plan import BAR, blocks, draws_of, official_passes, quotas, windows


@pytest.mark.parametrize(("cells", "passes"), [(8, 9), (16, 16), (32, 31), (64, 51), (96, 67), (99, 100), (512, 100)])
def test_the_official_plan_makes_as_many_passes_as_the_release(cells: int, passes: int) -> None:
    assert np.count_nonzero(official_passes(cells)) + 1 == passes


def test_the_official_plan_decides_every_cell() -> None:
    for cells in (*range(1200), 4096, 20_000):
        plan = official_passes(cells)
        assert plan.shape == (99,)
        assert plan.sum() == cells
        assert plan.min() >= 0


@pytest.mark.parametrize("plan", ["cosine", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 4, 8, 16, 25, 50, 100])
def test_quotas_decide_every_cell(plan: str, steps: int) -> None:
    for cells in range(200):
        made = quotas(cells, steps, plan)
        assert made.shape == (steps,)
        assert made.sum() == cells
        assert made.min() >= 0


def test_the_cosine_begins_slowly_and_the_line_does_not() -> None:
    cosine, line = quotas(1000, 10, "cosine"), quotas(1000, 10, "linear")
    assert cosine[0] < 20
    assert list(cosine) == sorted(cosine)
    assert set(line) == {100}


@pytest.mark.parametrize(("steps", "plan"), [(0, "cosine"), (4, "greedy"), (4, "official")])
def test_unknown_plans_are_refused(steps: int, plan: str) -> None:
    with pytest.raises(ShapeError):
        quotas(8, steps, plan)


def test_the_numbers_of_a_bar_do_not_depend_on_what_is_beside_it() -> None:
    whole = draws_of(3, 4 * BAR, 7, 22, 0, 1)
    assert whole.shape == (6, 4 * BAR, 3)
    assert np.array_equal(whole[:, 2 * BAR : 2 * BAR + 10], draws_of(3, 10, 7, 22, 0, 1, first_bar=2))
    assert len(np.unique(whole)) == whole.size


@pytest.mark.parametrize("length", [16, 60, 128, 130, 500, 1000, 1017])
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("context", [64, 128, 512])
def test_every_target_is_decided_in_exactly_one_window(length: int, share: float, context: int) -> None:
    rng = np.random.default_rng(length)
    targets = rng.random((6, length)) < share
    for block in (context, 16, 32):
        seen = np.zeros(length, int)
        view = windows(targets, context) if block == context else blocks(targets, context, block)
        for window in view:
            assert 0 <= window.first <= window.start < window.until <= window.last <= length
            assert window.last - window.first <= context
            assert window.first % BAR == 0
            assert block == context or window.start >= window.last - block
            seen[window.start : window.until] += 1
        assert (seen[targets.any(axis=0)] == 1).all()
        assert seen.max(initial=0) <= 1


def test_a_window_sees_what_was_decided_before_and_what_comes_after() -> None:
    targets = np.zeros((6, 1024), np.bool_)
    targets[1, 256:768] = True
    view = list(windows(targets, 256))
    assert view[0].first < 256
    assert all(window.start - window.first >= 64 for window in view)
    assert all(window.last - window.until >= 32 for window in view)


def test_nothing_to_decide_needs_no_window() -> None:
    assert not list(windows(np.zeros((6, 100), np.bool_), 64))
    assert not list(blocks(np.zeros((6, 100), np.bool_), 64, 16))
    with pytest.raises(ShapeError):
        list(windows(np.ones((6, 100), np.bool_), 32))
