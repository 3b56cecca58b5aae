"""How notes are drawn to a chord: what lies outside it is less likely, what the bar has not sounded of it is likelier.

So a part tells the chord in the course of a bar, be it by full chords or note by note, in the rhythm it has anyway.
"""

from typing import Final

import numpy as np

from engine.music.arrays import F64, I64, Mask

__all__ = ["leaning", "outside", "sounded"]


_BAR: Final = 16  # columns


def outside(tones: Mask, classes: Mask) -> F64:
    """[M, n] share of the pitch classes of tokens ([n, 12]) that are not among tones ([M, 12])."""
    count = np.maximum(1, classes.sum(axis=1))
    return np.asarray((~tones).astype(np.float64) @ classes.T.astype(np.float64) / count, np.float64)


def leaning(classes: Mask, tones: Mask, sounded: Mask, pull: float) -> F64:
    """What is added to the logits of tokens.

    Args:
        classes: [n, 12] pitch classes of each token.
        tones: [M, 12] those of the chord; all 12 where none is known.
        sounded: [M, 12] those that the part sounds elsewhere in the bar.
        pull: nats between a token outside the chord and one inside, and between one inside and one that brings all of
            a chord of which the bar has sounded nothing.
    Returns:
        [M, n], not above `pull`; all 0 where no chord is known.
    """
    missing = (tones & ~sounded & ~tones.all(axis=1, keepdims=True)).astype(np.float64)
    share = missing @ classes.T.astype(np.float64) / np.maximum(1, tones.sum(axis=1, keepdims=True))
    return np.asarray(pull * (share - outside(tones, classes)), np.float64)


def sounded(tokens: I64, low: int, classes: Mask) -> Mask:
    """[B, L, 12] the pitch classes that a part sounds anywhere in each column's bar.

    Args:
        tokens: [B, L] its pitch row, from a bar line on. low: its first token. classes: [n, 12] as of `leaning`.
    """
    items, length = tokens.shape
    bars = -(-length // _BAR)
    known = np.zeros((items, bars * _BAR, 12), np.bool_)
    there = (tokens >= low) & (tokens < low + len(classes))
    known[:, :length][there] = classes[tokens[there] - low]
    every = known.reshape(items, bars, _BAR, 12).any(axis=2)
    return np.repeat(every, _BAR, axis=1)[:, :length]
