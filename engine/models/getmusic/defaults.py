"""Default density and register of parts for which none are set.

A bundle may hold stretches of real playing as densities and registers. A part that starts from nothing takes one of
them, chosen by seed among those whose lead is most similar to the present lead, then another after `STRETCH` bars.
Without these defaults a network that continues its own first bar would become sparser and sparser.
"""

from collections.abc import Collection
from typing import Final

import numpy as np

from engine.errors import ManifestError
from engine.music.arrays import F32, I64
from engine.music.bandfeatures import COLUMNS, STRETCH, UNKNOWN, unpacked
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from engine.sampling import uniforms

__all__ = ["PlayingDefaults", "played"]


_TRACKS: Final = len(ROLES)
_CHOICE: Final = 23  # purpose of the random numbers; see `engine.models.getmusic.board`
_NEAREST: Final = 48
_DENSITY, _REGISTER = 0.15, 0.06  # differences of a lead that weigh the same


class PlayingDefaults:
    """Stretches of real playing of a bundle.

    Args:
        rows: [N, STRETCH, 2, 6] densities and registers by bar, below 0 where a part is absent.
    """

    def __init__(self, rows: F32) -> None:
        self._rows = rows

    @classmethod
    def from_fact(cls, given: str | None) -> "PlayingDefaults | None":
        """Unpack a bundle's fact; None if it has none.

        Raises:
            ManifestError: the fact has a wrong form.
        """
        if given is None:
            return None
        try:
            rows = unpacked(given).reshape(-1, STRETCH, 2, _TRACKS)
        except (TypeError, ValueError):
            rows = np.zeros((0, STRETCH, 2, _TRACKS), np.float32)
        if not len(rows):
            raise ManifestError("getmusic: fact 'usual' is no list of densities and registers; export it again")
        return cls(rows)

    def choose(
        self, roles: Collection[str], columns: int, seed: int, *, first_bar: int = 0, lead: tuple[float, float] | None
    ) -> tuple[F32, F32]:
        """Density and register [6, columns] of `roles`; those of all others are unknown.

        Args:
            columns: counted from the line of `first_bar`.
            lead: density and register of the present lead; None without a lead.
        """
        bars = first_bar + np.arange(-(-columns // COLUMNS))
        places = uniforms(int(bars[-1]) // STRETCH + 1, seed, _CHOICE)
        order = np.arange(len(self._rows))
        if lead is not None:
            own = np.stack([_known(self._rows[:, :, part, 0]) for part in (0, 1)], axis=1)
            far = ((own - lead) / (_DENSITY, _REGISTER)) ** 2
            order = np.argsort(far.sum(axis=1), kind="stable")[:_NEAREST]
        chosen = order[(places[bars // STRETCH] * len(order)).astype(np.int64)]
        values = np.repeat(self._rows[chosen, bars % STRETCH], COLUMNS, axis=0)[:columns].transpose(1, 2, 0).copy()
        values[:, [role not in roles for role in ROLES]] = UNKNOWN
        return values[0], values[1]


def _known(values: F32) -> F32:
    """[N] mean of the known values of [N, STRETCH]."""
    known = values >= 0.0
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1)), np.float32)


def played(tokens: I64, dictionary: Dictionary, role: str) -> tuple[float, float] | None:
    """Density and register of a pitch row [L]; None if it has no notes."""
    own = dictionary.ranges[role]
    there = tokens[(tokens >= own.start) & (tokens < own.stop)]
    if not there.size:
        return None
    pitches = [pitch for token in there.tolist() for pitch in dictionary.pitches(token)]
    return there.size / len(tokens), sum(pitches) / len(pitches) / 127.0
