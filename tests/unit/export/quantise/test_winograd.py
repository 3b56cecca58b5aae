"""Tiles give what filters give, with fewer multiplications."""

import numpy as np
import pytest

from export.quantise.winograd import bilinear, multiplications


@pytest.mark.parametrize(("outputs", "taps"), [(1, 1), (2, 2), (4, 2), (2, 3), (4, 3), (2, 4), (4, 4), (5, 3)])
def test_tile_is_the_filter(outputs: int, taps: int) -> None:
    rng = np.random.default_rng(outputs)
    after, kernel, before = bilinear(outputs, taps)
    count = multiplications(outputs, taps)
    assert (after.shape, kernel.shape, before.shape) == ((outputs, count), (count, taps), (count, count))
    values, filters = rng.standard_normal(count), rng.standard_normal(taps)
    wanted = [filters @ values[at : at + taps] for at in range(outputs)]
    assert after @ ((kernel @ filters) * (before @ values)) == pytest.approx(wanted, abs=1e-12)


def test_tile_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="6 outputs and 4 taps"):
        bilinear(6, 4)
