"""How far a band's playing is from real playing: chords, pitches, lengths, rhythm, density, key, rests.

All measures are taken on grids: they see what the network writes, nothing of velocity. Definitions are fixed here, so
that numbers from before stay comparable.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.arrays import F64, I64, Mask
from engine.music.chords import NO_STATE, bar_vectors, detect_chords
from engine.music.score import ROLES
from engine.music.vocabulary import KINDS, PAD, UNITS, Dictionary

__all__ = ["ACCOMPANIMENT", "Bands", "Comparison", "compare", "divergence"]


ACCOMPANIMENT: Final = ("bass", "drum", "guitar", "piano", "string")
_BAR: Final = 16
_IOI: Final = 64  # columns; longer gaps count as this
_SMALL: Final = 1e-6
_WHITE: Final = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))  # C major and A minor: the key of every grid


@dataclass(frozen=True, slots=True)
class Comparison:
    """Measures of playing against real playing of the same bars.

    Args:
        chord_accuracy: share of (pitched track that plays, bar) whose chord, recognised from that track alone, has root
            and kind of the bar's chord, 0..1; the same share of the real playing is what can be reached.
        kl_pitch, kl_duration, kl_ioi: KL(real || made) in nats of histograms of 128 pitches, 15 lengths, gaps between
            onsets of 0..64 columns, each bin plus 1e-6, of each track over all pieces; mean over tracks.
        song_kl_pitch, song_kl_duration, song_kl_ioi: the same of each piece by itself; mean over pieces and tracks.
        density: mean onsets a bar and track.
        density_error: mean absolute difference of that, by piece and track.
        out_of_key: share of pitched notes outside the piece's key.
        pad_share: share of columns in which a track begins nothing.
    Source:
        Chord accuracy: PopMAG (Ren et al. 2020), with the chord recogniser of GETMusic, by bar. KL: GETMusic names the
        measures without bins; these are ours.
    """

    chord_accuracy: float
    kl_pitch: float
    kl_duration: float
    kl_ioi: float
    song_kl_pitch: float
    song_kl_duration: float
    song_kl_ioi: float
    density: float
    density_error: float
    out_of_key: float
    pad_share: float

    def numbers(self) -> dict[str, float]:
        """All measures by name."""
        return {name: float(getattr(self, name)) for name in self.__dataclass_fields__}


def divergence(real: F64, made: F64) -> float:
    """KL(real || made) of two histograms of counts, in nats, each bin of the normalised ones plus 1e-6.

    Two empty histograms do not differ; an empty one against another is all bins alike.
    """
    if not real.sum() and not made.sum():
        return 0.0
    one, two = ((h / max(h.sum(), 1.0)) + _SMALL for h in (real, made))
    one, two = one / one.sum(), two / two.sum()
    return float((one * np.log(one / two)).sum())


class Bands:
    """Reads grids of one dictionary.

    Args:
        dictionary: that of the grids.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        self.dictionary = dictionary
        self._sounds = np.zeros((dictionary.size + 2, 128), np.float64)
        for tokens in dictionary.ranges.values():
            for token in tokens:
                self._sounds[token, [pitch for pitch in dictionary.pitches(token) if 0 <= pitch < 128]] = 1.0

    def onsets(self, grid: I64, role: str) -> Mask:
        """[L] where a role begins something."""
        span = self.dictionary.ranges[role]
        row = grid[2 * ROLES.index(role)]
        begun: Mask = (row >= span.start) & (row < span.stop)
        return begun

    def pitches(self, grid: I64, role: str) -> F64:
        """[128] how often each pitch is struck."""
        row = grid[2 * ROLES.index(role)]
        return np.asarray(self._sounds[row[self.onsets(grid, role)]].sum(axis=0), np.float64)

    def durations(self, grid: I64, role: str) -> F64:
        """[15] how often each length is written at an onset; one of two parts counts half for either."""
        parts = self.dictionary.parts[grid[2 * ROLES.index(role) + 1][self.onsets(grid, role)]]
        return np.bincount(parts[parts >= 0], minlength=PAD) / 2.0

    def gaps(self, grid: I64, role: str) -> F64:
        """[65] columns between onsets, the last bin all that are longer."""
        places = np.nonzero(self.onsets(grid, role))[0]
        return np.bincount(np.minimum(np.diff(places), _IOI), minlength=_IOI + 1).astype(np.float64)

    def recognised(self, grid: I64, role: str) -> I64:
        """[bars] the chord of each bar, recognised from one track alone, numbered as in `engine.music.chords`."""
        pitches, starts, lengths = [], [], []
        track = ROLES.index(role)
        for column in np.nonzero(self.onsets(grid, role))[0]:
            low, rest = self.dictionary.parts[int(grid[2 * track + 1, column])].tolist()
            for index, pitch in enumerate(self.dictionary.pitches(int(grid[2 * track, column]))):
                pitches.append(pitch)
                starts.append(int(column))
                lengths.append(UNITS[max(0, rest if index else low) + 1])
        which, when, long = (np.array(values, np.int64) for values in (pitches, starts, lengths))
        return detect_chords(bar_vectors(which, when, long, grid.shape[1] // _BAR))

    def written(self, grid: I64) -> I64:
        """[bars] the chords of the chord rows in the same numbers."""
        roots, kinds = self.dictionary.roots, self.dictionary.kinds
        root, kind = grid[12, ::_BAR], grid[13, ::_BAR]
        known = (root >= roots.start) & (root < roots.stop) & (kind >= kinds.start) & (kind < kinds.stop)
        return np.where(known, 1 + len(KINDS) * (root - roots.start) + kind - kinds.start, NO_STATE)

    def right_chords(self, grid: I64, wanted: I64, roles: Sequence[str]) -> tuple[int, int]:
        """(right, judged) bars of pitched tracks: those in which they play; `wanted` as of `written`."""
        right = judged = 0
        for role in roles:
            if role == "drum":
                continue
            plays = self.onsets(grid, role).reshape(-1, _BAR).any(axis=1) & (wanted != NO_STATE)
            judged += int(plays.sum())
            right += int((plays & (self.recognised(grid, role) == wanted)).sum())
        return right, judged


def compare(real: Sequence[I64], made: Sequence[I64], bands: Bands, roles: Sequence[str] = ACCOMPANIMENT) -> Comparison:
    """Measure playing against real playing.

    Args:
        real, made: grids [14, L] of the same bars, pairwise; chord rows of `real` are the chords that are wanted.
        bands: reader of the dictionary.
        roles: tracks to measure; a track that the real piece does not have is passed over there.
    """
    kinds = {"pitch": bands.pitches, "duration": bands.durations, "ioi": bands.gaps}
    pooled: dict[str, list[float]] = {}
    by_song: dict[str, list[float]] = {}
    here = {role: [i for i, g in enumerate(real) if bands.onsets(g, role).any()] for role in roles}
    for kind, read in kinds.items():
        pooled[kind], by_song[kind] = [], []
        for role in roles:
            if not here[role]:
                continue
            pairs = [(read(real[i], role), read(made[i], role)) for i in here[role]]
            pooled[kind].append(
                divergence(np.sum([a for a, _ in pairs], axis=0), np.sum([b for _, b in pairs], axis=0))
            )
            by_song[kind] += [divergence(a, b) for a, b in pairs]
    rates = [_rates(real[i], made[i], bands, role) for role in roles for i in here[role]]
    right = [
        bands.right_chords(b, bands.written(a), [r for r in roles if i in here[r]])
        for i, (a, b) in enumerate(zip(real, made, strict=True))
    ]
    sounding = [bands.pitches(grid, role) for grid in made for role in roles if role != "drum"]
    struck = np.sum(sounding, axis=0) if sounding else np.zeros(128)
    classes = np.array([struck[c::12].sum() for c in range(12)])
    mean = np.mean(rates, axis=0) if rates else np.zeros(3)
    return Comparison(
        chord_accuracy=sum(r for r, _ in right) / max(1, sum(n for _, n in right)),
        kl_pitch=float(np.mean(pooled["pitch"])),
        kl_duration=float(np.mean(pooled["duration"])),
        kl_ioi=float(np.mean(pooled["ioi"])),
        song_kl_pitch=float(np.mean(by_song["pitch"])),
        song_kl_duration=float(np.mean(by_song["duration"])),
        song_kl_ioi=float(np.mean(by_song["ioi"])),
        density=float(mean[0]),
        density_error=float(mean[1]),
        out_of_key=float(classes[~_WHITE].sum() / max(1.0, classes.sum())),
        pad_share=float(mean[2]),
    )


def _rates(real: I64, made: I64, bands: Bands, role: str) -> tuple[float, float, float]:
    """Onsets a bar, how far that is from the real number, share of columns that rest."""
    bars = real.shape[1] / _BAR
    there, wanted = bands.onsets(made, role).sum() / bars, bands.onsets(real, role).sum() / bars
    return float(there), float(abs(there - wanted)), float(1.0 - there / _BAR)
