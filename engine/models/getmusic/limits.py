"""Allowed tokens and harmony features of an infill, from the tokens of a dictionary."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from engine.models.getmusic.board import Limits
from engine.models.getmusic.network import Network, Rows
from engine.music.arrays import F32, Mask
from engine.music.bandfeatures import COLUMNS, band_features
from engine.music.harmony import Chord
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary

__all__ = ["PULL", "conducted", "default_pull", "limits_of", "rows_of", "tones_of"]


PULL: Final = 2.0
"""Default bias towards chord tones, in nats, for a network with harmony features."""


def default_pull(network: Network) -> float:
    """The default chord bias: `PULL` for a network with harmony features, 0 for one without (the published one)."""
    return PULL if network.conducted else 0.0


def rows_of(dictionary: Dictionary) -> Rows:
    """The tokens of each track."""
    ranges = [dictionary.ranges[role] for role in ROLES]
    splits = len(dictionary.lengths) - PAD - 1
    return Rows(tuple(r.start for r in ranges), tuple(len(r) for r in ranges), dictionary.size, splits)


def tones_of(chords: Sequence[Chord | None], columns: int, each: int = COLUMNS) -> Mask:
    """[columns, 12] the pitch classes of chords; all pitch classes where no chord is known.

    Args:
        chords: in the key of the grid, in order, `each` columns each; the last one holds to the end.
    """
    tones = np.ones((columns, 12), np.bool_)
    for index, chord in enumerate(chords):
        if chord is not None and chord.quality != "none":
            tones[index * each :] = chord.chroma() > 0
        else:
            tones[index * each :] = True
    return tones


def conducted(
    chords: Sequence[Chord | None],
    columns: int,
    each: int = COLUMNS,
    density: F32 | None = None,
    register: F32 | None = None,
) -> F32:
    """The input features of a grid that begins at a bar line (see `engine.music.bandfeatures`).

    Args:
        chords, each: as for `tones_of`. density, register: [6, columns], or None.
    """
    chroma, bass = np.zeros((12, columns), np.float32), np.zeros((12, columns), np.float32)
    for index, chord in enumerate(chords):
        known = chord is not None and chord.quality != "none"
        chroma[:, index * each :] = chord.chroma()[:, None] if known and chord is not None else 0.0
        bass[:, index * each :] = chord.bass_vector()[:, None] if known and chord is not None else 0.0
    return band_features(chroma, bass, density, register)


def limits_of(
    dictionary: Dictionary,
    *,
    shift: int = 0,
    ranges: Mapping[str, tuple[int, int]] | None = None,
    chord_tones: Collection[str] = (),
    scale_tones: Collection[str] = (),
    tones: Mask | None = None,
    pull: float = 0.0,
) -> Limits:
    """The tokens that are allowed.

    Args:
        shift: semitones from sounding notes to the grid's; drums are not moved.
        ranges: role to the lowest and highest sounding pitch; every note of a token must lie within.
        chord_tones: roles limited to `tones` ([L, 12], in the key of the grid). scale_tones: roles limited to the
            scale of the key and `tones`.
        pull: bias of all roles towards `tones`, see `Limits`.
    """
    ever = {}
    for role, span in (ranges or {}).items():
        moved = 0 if role == "drum" else shift
        low, high = (pitch + moved for pitch in span)
        tokens = (dictionary.pitches(token) for token in dictionary.ranges[role])
        ever[role] = np.array([all(low <= pitch <= high for pitch in token) for token in tokens])
    minding = {*chord_tones, *scale_tones, *(ROLES if pull and tones is not None else ())} - {"drum"}
    classes = {role: dictionary.classes[role] for role in minding}
    return Limits(
        rows=rows_of(dictionary), ever=ever, classes=classes, tones=tones, pull=pull,
        strict=frozenset(chord_tones), scale=frozenset(scale_tones),
    )  # fmt: skip
