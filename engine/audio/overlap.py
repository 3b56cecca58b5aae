"""Joining sounds with equal power."""

from functools import lru_cache

import numpy as np

from engine.errors import ShapeError
from engine.music.audio import Audio

__all__ = ["crossfade", "fade_in", "fade_out"]


@lru_cache(maxsize=64)
def fade_in(samples: int) -> Audio:
    """[samples] gains from 0 to 1: a quarter sine, taken at the middle of each sample. Shared: do not write to it.

    Source:
        With `fade_out`, sin and cos of one angle, so their squares sum to 1.
    """
    gains = np.sin(0.5 * np.pi * (np.arange(samples) + 0.5) / max(1, samples)).astype(np.float32)
    gains.flags.writeable = False
    return gains


@lru_cache(maxsize=64)
def fade_out(samples: int) -> Audio:
    """[samples] gains from 1 to 0, the mirror of `fade_in`. Shared: do not write to it."""
    gains = np.ascontiguousarray(fade_in(samples)[::-1])
    gains.flags.writeable = False
    return gains


def crossfade(old: Audio, new: Audio, overlap: int) -> Audio:
    """Join two chunks with equal power, so steady noise keeps its level.

    Args:
        old: [C, N]; its last `overlap` samples fade out.
        new: [C, M]; its first `overlap` samples fade in.
        overlap: samples, 1..min(N, M).
    Returns:
        [C, N + M - overlap], a new array.
    Raises:
        ShapeError: channel counts differ or `overlap` does not fit.
    Source:
        Gains are cos and sin of one angle, so their squares sum to 1.
    """
    if old.shape[0] != new.shape[0] or not 1 <= overlap <= min(old.shape[1], new.shape[1]):
        raise ShapeError(f"cannot join {old.shape} and {new.shape} over {overlap} samples")
    joint = old[:, -overlap:] * fade_out(overlap) + new[:, :overlap] * fade_in(overlap)
    return np.concatenate([old[:, :-overlap], joint, new[:, overlap:]], axis=1)
