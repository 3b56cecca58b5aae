"""Densities and registers of real bands: the defaults of a live band for parts that no control sets."""

import numpy as np

from engine.music.arrays import F32
from engine.music.bandfeatures import STRETCH, packed
from training.data.band_batches import PartProfile
from training.data.corpus import DataError
from training.data.grids import BAR, Grids

__all__ = ["typical_playing"]

_ROLES = 5  # that must be there, the lead among them
_TRIES = 50  # for each stretch


def typical_playing(grids: Grids, count: int = 1024, *, seed: int = 0) -> str:
    """[count, STRETCH bars, 2, 6] densities and registers of stretches of the training side, packed.

    Raises:
        DataError: hardly any stretch has a lead and four other roles.
    """
    rng, profile = np.random.default_rng(seed), PartProfile(grids.dictionary)
    rows: list[F32] = []
    pieces = grids.pieces(held_out=False)
    for _ in range(_TRIES * count):
        piece = int(rng.choice(pieces))
        bars = max(1, grids.entries[piece].columns // BAR - STRETCH + 1)
        density, register = profile.of(grids.window(piece, BAR * int(rng.integers(bars)), STRETCH * BAR).grid)
        levels = np.stack([density[:, ::BAR].T, register[:, ::BAR].T], axis=1)
        plays = np.asarray((levels[:, 0] > 0).any(axis=0))
        if plays[0] and plays.sum() >= _ROLES:
            rows.append(levels)
        if len(rows) == count:
            return packed(np.stack(rows))
    raise DataError("hardly any piece has a lead and four other roles: prepare the store with arrangements")
