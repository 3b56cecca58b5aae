"""How dense and how high a band usually plays: what a network is told of parts that nobody has wished anything of.

A bundle may carry stretches of real playing as densities and registers. For the parts that are to begin from nothing
one of them is taken, chosen by seed among those whose lead is most like the one that is there, then another, as songs
go from part to part: left to itself a network that goes on from its own first bar would grow ever sparser.
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

__all__ = ["Usual", "played"]


_TRACKS: Final = len(ROLES)
_CHOICE: Final = 23  # what random numbers are for; see `engine.models.getmusic.board`
_NEAREST: Final = 48
_DENSITY, _REGISTER = 0.15, 0.06  # differences of a lead that count alike


class Usual:
    """The stretches of a bundle.

    Args:
        rows: [N, STRETCH, 2, 6] densities and registers by bar, below 0 where a part is not there.
    """

    def __init__(self, rows: F32) -> None:
        self._rows = rows

    @classmethod
    def of(cls, given: str | None) -> "Usual | None":
        """Those that a bundle carries, packed; None if it has none.

        Raises:
            ManifestError: what it has is none.
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

    def wishes(
        self, roles: Collection[str], columns: int, seed: int, *, first_bar: int = 0, lead: tuple[float, float] | None
    ) -> tuple[F32, F32]:
        """Density and register [6, columns] of `roles`, all others unknown.

        Args:
            columns: from the line of `first_bar` on.
            lead: density and register of the lead that is there; None if none is.
        """
        bars = first_bar + np.arange(-(-columns // COLUMNS))
        places = uniforms(int(bars[-1]) // STRETCH + 1, seed, _CHOICE)
        order = np.arange(len(self._rows))
        if lead is not None:
            own = np.stack([_known(self._rows[:, :, part, 0]) for part in (0, 1)], axis=1)
            far = ((own - lead) / (_DENSITY, _REGISTER)) ** 2
            order = np.argsort(far.sum(axis=1), kind="stable")[:_NEAREST]
        chosen = order[(places[bars // STRETCH] * len(order)).astype(np.int64)]
        told = np.repeat(self._rows[chosen, bars % STRETCH], COLUMNS, axis=0)[:columns].transpose(1, 2, 0).copy()
        told[:, [role not in roles for role in ROLES]] = UNKNOWN
        return told[0], told[1]


def _known(values: F32) -> F32:
    """[N] mean of what is known of [N, STRETCH]."""
    known = values >= 0.0
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1)), np.float32)


def played(tokens: I64, dictionary: Dictionary, role: str) -> tuple[float, float] | None:
    """Density and register of what a pitch row ([L]) plays; None if it plays nothing."""
    own = dictionary.ranges[role]
    there = tokens[(tokens >= own.start) & (tokens < own.stop)]
    if not there.size:
        return None
    pitches = [pitch for token in there.tolist() for pitch in dictionary.pitches(token)]
    return there.size / len(tokens), sum(pitches) / len(pitches) / 127.0
