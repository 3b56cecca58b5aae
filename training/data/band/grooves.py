"""How people play drums: small shifts in time and loudness by drum and place in the bar, as measured.

Learned from the 193 4/4 beats of the Groove MIDI Dataset that lie on a sixteenth grid (Google Magenta, CC-BY-4.0;
J. Gillick, A. Roberts, J. Engel, D. Eck, D. Bamman, "Learning to Groove with Inverse Sequence Transformations", ICML
2019). Each number is a mean over drummers, relative to the drummer's own mean: milliseconds early (-) or late (+), and
velocity as a share of the drum's mean.
"""

from typing import Final

import numpy as np

from engine.music.arrays import F64

__all__ = ["CREDIT", "group_of", "humanise"]

CREDIT: Final = "Groove MIDI Dataset, Google Magenta, CC-BY-4.0, magenta.tensorflow.org/datasets/groove"

_JITTER_MS: Final = 9.0  # what is left between two neighbouring strokes of one drum; the drift of the whole is its own
_VELOCITY_SHARE: Final = 0.11  # standard deviation of the velocity of one stroke

# (milliseconds on each sixteenth of a bar), (velocity share on each sixteenth), for each group of drums.
_GROOVES: Final = {
    "kick": (
        (-1, -6, -4, 5, 3, 6, -3, 6, -1, 0, -5, 4, 0, 4, -4, 4),
        (1.19, 0.7, 1.05, 0.91, 1.02, 0.85, 1.01, 0.75, 1.07, 0.8, 1.06, 0.89, 1.09, 0.9, 0.92, 0.65),
    ),
    "snare": (
        (-8, 6, -7, 6, 1, 7, -8, 7, -8, 6, -8, 1, -1, 6, -6, 6),
        (0.74, 0.74, 1.04, 1.02, 1.27, 0.81, 0.99, 0.81, 0.87, 0.85, 1.01, 1.05, 1.29, 0.93, 1.2, 0.84),
    ),
    "hat": (
        (3, 3, -1, 3, 5, 6, 2, 8, 2, 2, -1, 1, 3, 3, 2, 3),
        (1.23, 0.63, 0.98, 0.79, 1.35, 0.72, 0.96, 0.85, 1.1, 0.78, 1.02, 0.77, 1.32, 0.76, 0.98, 0.84),
    ),
    "open": (
        (1, -3, -2, 2, 3, -3, 3, 1, 0, 4, -4, 2, -1, 2, -4, 0),
        (1.04, 0.6, 1.04, 0.85, 1.07, 0.6, 1.05, 0.9, 1.01, 0.76, 1.06, 0.78, 1.02, 0.81, 1.09, 0.81),
    ),
    "ride": (
        (3, 5, -1, 7, 3, 3, 0, 3, 3, 8, 0, 2, 4, 2, 3, 4),
        (1.16, 0.71, 0.9, 0.83, 1.1, 0.85, 1.0, 0.75, 1.07, 0.71, 0.99, 0.73, 1.18, 0.81, 1.01, 0.73),
    ),
    "tom": (
        (2, 10, -5, 2, 2, 0, -6, 2, -3, 2, -6, -2, -2, -2, -7, -3),
        (1.06, 0.72, 0.98, 0.99, 1.07, 0.79, 1.08, 0.91, 1.06, 0.92, 1.03, 1.01, 1.09, 0.93, 1.07, 0.92),
    ),
}
_GROUPS: Final = {
    **dict.fromkeys((35, 36), "kick"), **dict.fromkeys((37, 38, 39, 40), "snare"), **dict.fromkeys((42, 44), "hat"),
    **dict.fromkeys((46,), "open"), **dict.fromkeys((51, 53, 59, 54, 56, 69, 70), "ride"),
    **dict.fromkeys((41, 43, 45, 47, 48, 50, 63, 64, 75), "tom"),
}  # fmt: skip
_PLAIN: Final = ((0,) * 16, (1.0,) * 16)


def group_of(key: int) -> str:
    """The group of drums of a General MIDI drum key; empty for what is struck too rarely to be measured (cymbals)."""
    return _GROUPS.get(key, "")


def humanise(keys: F64, places: F64, velocities: F64, human: float, rng: np.random.Generator) -> tuple[F64, F64]:
    """Shift strokes as drummers do.

    Args:
        keys: [N] MIDI drum keys.
        places: [N] place in the bar, 0..1.
        velocities: [N] 1..127, as written.
        human: 0 as written .. 1 as measured.
    Returns:
        Seconds to add to each stroke, and the new velocities.
    """
    rows = [_GROOVES.get(group_of(int(key)), _PLAIN) for key in keys]
    steps = np.floor(places * 16.0 + 0.5).astype(int) % 16
    late_ms = np.array([row[0][step] for row, step in zip(rows, steps, strict=True)])
    shares = np.array([row[1][step] for row, step in zip(rows, steps, strict=True)])
    late_ms = human * (late_ms + _JITTER_MS * rng.standard_normal(len(keys)))
    # Half of the measured accent: the patterns as written have accents of their own.
    accent = 1.0 + human * (0.5 * (shares - 1.0) + _VELOCITY_SHARE * rng.standard_normal(len(keys)))
    return late_ms / 1000.0, np.clip(velocities * accent, 8.0, 127.0)
