"""The features of each column for a conducted band network: position in the bar, chord, and settings of each part.

A column is a sixteenth note, a bar has 16, a grid begins at a bar line. One function for training and for playing, so
that both mean the same by a density of one half. Rows of `band_features`, in order:

===== ==== ====================================================================================
first rows
===== ==== ====================================================================================
0     8    turns of the beat (1, 2 to a beat), then of the bar (1, 2 to a bar): 4 cosines, 4 sines
8     12   chord tones counted upwards from the chord's bass: what is learned for one root holds for all
20    12   chord tones as pitch classes (0 is C), in the key of the grid
32    12   the chord's bass, one-hot, in the key of the grid
44    6    density of each role in its bar, 0..1; -1 unknown
50    6    register of each role in its bar, mean pitch / 127; -1 unknown
===== ==== ====================================================================================

Where no chord is known rows 8..43 are zero.
"""

import base64
from typing import Final

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import F32, F64, Mask
from engine.music.score import ROLES

__all__ = [
    "BAND_FEATURES",
    "COLUMNS",
    "STRETCH",
    "UNKNOWN",
    "band_features",
    "densities",
    "packed",
    "registers",
    "unpacked",
]


BAND_FEATURES: Final = 8 + 3 * 12 + 2 * len(ROLES)

COLUMNS: Final = 16
"""Columns of a bar."""

STRETCH: Final = 8
"""Bars of real playing from which a band that begins from nothing takes its density and register."""

UNKNOWN: Final = -1.0
"""Density or register that nobody asked for."""

_BEAT: Final = 4
_STEPS: Final = 240  # into which 0..1 is packed: sixteenths are whole numbers
_ABSENT: Final = 255


def band_features(chroma: F32, bass: F32, density: F32 | None = None, register: F32 | None = None) -> F32:
    """The features of a grid's columns.

    Args:
        chroma, bass: [12, L] pitch classes of the chord and its bass (one-hot), in the key of the grid, that is turned
            by its shift: ``np.roll(chroma, shift, axis=0)``; zeros where no chord is known.
        density, register: [6, L] by role; `UNKNOWN`, or None, where nobody asked. See `densities`, `registers`.
    Returns:
        [BAND_FEATURES, L].
    Raises:
        ShapeError: shapes differ.
    """
    length = chroma.shape[-1]
    blank = np.full((len(ROLES), length), UNKNOWN, np.float32)
    density, register = (blank if wish is None else wish for wish in (density, register))
    shapes = [chroma.shape, bass.shape, density.shape, register.shape]
    if shapes != [(12, length)] * 2 + [(len(ROLES), length)] * 2:
        raise ShapeError(f"chroma and bass are [12, L], density and register [{len(ROLES)}, L]; got {shapes}")
    column = np.arange(length)
    turns = np.stack([column / _BEAT, 2 * column / _BEAT, column / COLUMNS, 2 * column / COLUMNS]) * (2.0 * np.pi)
    upwards = (np.arange(12)[:, None] + bass.argmax(axis=0)[None]) % 12
    above = np.take_along_axis(chroma, upwards, axis=0) * bass.max(axis=0)[None]
    rows = [np.cos(turns), np.sin(turns), above, chroma, bass, density, register]
    return np.concatenate(rows).astype(np.float32)


def densities(onsets: Mask) -> F32:
    """[6, L] share of the columns of each bar in which a role begins something.

    Args:
        onsets: [6, L], bars of 16 columns; the last may be cut off.
    """
    return _per_bar(onsets.astype(np.float64), np.ones(onsets.shape))


def registers(pitch_sums: F64, counts: F64) -> F32:
    """[6, L] mean pitch / 127 of what a role begins in each bar; `UNKNOWN` in bars without notes.

    Args:
        pitch_sums: [6, L] sum of the pitches that begin in a column, in the key of the grid.
        counts: [6, L] how many begin.
    """
    return _per_bar(pitch_sums / 127.0, counts)


def packed(values: F32) -> str:
    """Densities or registers of any shape as text, a byte each."""
    coded = np.where(values < 0.0, _ABSENT, np.round(values * _STEPS)).astype(np.uint8)
    return base64.b64encode(coded.tobytes()).decode("ascii")


def unpacked(text: str) -> F32:
    """What `packed` packed, flat.

    Raises:
        ValueError: it did not.
    """
    coded = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if ((coded > _STEPS) & (coded != _ABSENT)).any():
        raise ValueError("densities and registers are 0 to 1, or unknown")
    return np.where(coded == _ABSENT, UNKNOWN, coded / _STEPS).astype(np.float32)


def _per_bar(values: F64, weights: F64) -> F32:
    """[6, L] sum of values / sum of weights in each column's bar; `UNKNOWN` where weights are zero."""
    length = values.shape[1]
    spare = -length % COLUMNS
    sums = [
        np.pad(part, ((0, 0), (0, spare))).reshape(len(part), -1, COLUMNS).sum(axis=2) for part in (values, weights)
    ]
    mean = np.where(sums[1] > 0, sums[0] / np.maximum(sums[1], 1e-9), UNKNOWN)
    return np.repeat(mean, COLUMNS, axis=1)[:, :length].astype(np.float32)
