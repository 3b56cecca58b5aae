"""Random numbers that belong to a place, not to a moment: the same key gives the same numbers, whoever asks and when.

A model that draws its noise by (seed, purpose, channel, index of the block) makes the same sound whether blocks are
made one by one, in groups, in threads, or again after a stop.

Source: Philox 4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) is a function of key and
counter; its raw numbers are fixed by numpy's compatibility policy, those of ``Generator`` methods are not. Normal
values are made from them here, by Box and Muller's method.
"""

from typing import Final

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import F32, U64

__all__ = ["keyed_normal", "keyed_truncated_normal", "keyed_uniform"]


_WORD: Final = 2**64
_MANY: Final = 2**32  # raw words a key may be asked for: words of one key never meet those of another
_ROUND: Final = 8  # draws of each truncated value in one go
_TWO_PI: Final = np.float32(2.0 * np.pi)


def _raw(count: int, seed: int, place: tuple[int, ...]) -> U64:
    """`count` 64-bit words at one key."""
    if len(place) > 4 or not all(0 <= part < _WORD for part in (seed, *place)):
        raise ShapeError(f"a noise key is a seed and up to 4 integers in 0..2^64-1, got {(seed, *place)}")
    if not 0 <= count < _MANY:
        raise ShapeError(f"{count} numbers asked for at one key, at most {_MANY} are there")
    purpose, *rest = (*place, 0, 0, 0, 0)[:4]
    bits = np.random.Philox(key=np.array([seed, purpose], np.uint64), counter=np.array([0, *rest], np.uint64))
    return np.asarray(bits.random_raw(count), np.uint64)


def keyed_uniform(count: int, seed: int, *place: int) -> F32:
    """[count] values in 0..1 (1 left out), 24 bits each.

    Args:
        seed: 0..2^64-1.
        place: what they are for, then where: up to 4 integers 0..2^64-1, such as purpose, channel, block.
    """
    return ((_raw(count, seed, place) >> np.uint64(40)).astype(np.float32)) * np.float32(2.0**-24)


def keyed_normal(count: int, seed: int, *place: int) -> F32:
    """[count] standard normal values; arguments as for `keyed_uniform`.

    Each raw word gives two values, so the first `count` of a longer draw are the same numbers.
    """
    words = _raw((count + 1) // 2 if count > 0 else count, seed, place)
    # The radius' uniform number has 32 bits, shifted by half a step off zero: values reach 6.66 and no further.
    radius_u = ((words >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    angle = ((words & np.uint64(0xFFFFFFFF)) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24) * _TWO_PI
    radius = np.sqrt(-2.0 * np.log(radius_u)).astype(np.float32)
    pairs = np.empty((len(words), 2), np.float32)
    pairs[:, 0] = radius * np.cos(angle)
    pairs[:, 1] = radius * np.sin(angle)
    return pairs.reshape(-1)[:count]


def keyed_truncated_normal(count: int, limit: float, seed: int, *place: int) -> F32:
    """[count] normal values within -limit..limit: a value outside is drawn again, nothing is scaled.

    Each value has draws of its own, so another limit changes only the values that it cuts off or lets in.

    Args:
        limit: at least 0.05; below that almost every value would have to be drawn again.
        seed, place: as for `keyed_uniform`, at most 3 integers: the fourth counts the rounds of draws.
    """
    if len(place) > 3 or limit < 0.05:
        raise ShapeError(f"truncated noise takes a limit of at least 0.05 and 3 integers, got {limit} and {place}")
    place = (*place, *(0,) * (3 - len(place)))
    values = np.full(count, np.inf, np.float32)
    turn = 0
    while (open_ := np.flatnonzero(~(np.abs(values) <= limit))).size:
        draws = keyed_normal(_ROUND * count, seed, *place, turn).reshape(_ROUND, count)[:, open_]
        inside = np.abs(draws) <= limit
        values[open_] = draws[inside.argmax(axis=0), np.arange(open_.size)]
        turn += 1
    return values
