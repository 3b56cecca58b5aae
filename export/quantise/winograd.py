"""Short filters with fewer multiplications: the bilinear algorithms of Toom, Cook and Winograd, for any sizes."""

from fractions import Fraction
from typing import Final

import numpy as np

from engine.music.arrays import F64

__all__ = ["AT_ONE", "bilinear", "multiplications"]


_POINTS: Final = (Fraction(0), Fraction(1), Fraction(-1), Fraction(2), Fraction(-2), Fraction(1, 2), Fraction(-1, 2))
"""Where polynomials are evaluated, beside infinity: small numbers first, they keep rounding errors small."""

AT_ONE: Final = 1
"""Which product is that at the point 1: all powers of 1 are 1, so it is added to every output as it is."""


def multiplications(outputs: int, taps: int) -> int:
    """Products that `outputs` values of a filter with `taps` taps need, instead of ``outputs * taps``."""
    return outputs + taps - 1


def bilinear(outputs: int, taps: int) -> tuple[F64, F64, F64]:
    """Matrices by which a filter is run on a tile: ``y = after @ ((kernel @ g) * (before @ d))``.

    Args:
        outputs: m, values of a tile, ``y[i] = sum_k g[k] d[i + k]``.
        taps: r, at most 8 - m together with it.
    Returns:
        after ``[m, n]``, kernel ``[n, r]`` and before ``[n, n]`` with n = m + r - 1.
    Raises:
        ValueError: the tile is too large to be exact enough.
    Source:
        Evaluate p and g at n - 1 points and at infinity, multiply, interpolate: ``p g = V_n^-1 (V_m p * V_r g)``. This
        is bilinear, so turning round its part in p gives the filter: ``V_m^T ((V_r g) * (V_n^-T d))``.
    """
    count = multiplications(outputs, taps)
    if not (outputs >= 1 and taps >= 1 and count - 1 <= len(_POINTS)):
        raise ValueError(f"no tile of {outputs} outputs and {taps} taps: at most {len(_POINTS) + 2} together")
    after, kernel, whole = (_powers(count, degree) for degree in (outputs, taps, count))
    before: F64 = np.asarray(np.linalg.inv(whole).T, np.float64)
    return after.T, kernel, before


def _powers(count: int, degree: int) -> F64:
    """[count, degree]: the powers of each point; those of infinity are the last coefficient alone."""
    rows = [[float(point**power) for power in range(degree)] for point in _POINTS[: count - 1]]
    return np.array([*rows, [0.0] * (degree - 1) + [1.0]], np.float64)
