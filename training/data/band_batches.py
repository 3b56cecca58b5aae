"""Windows of the store made into what a network is trained on: cells that are hidden, what they held, how they count.

For the live network two streams go through at once, as in block diffusion: finished bars as they are, each seeing only
what came before it; and windows of two bars with hidden cells, each seeing itself and the finished bars before it. So
every bar is practised in one pass, and what is learned is what is played: keys and values of a finished bar do not
depend on what comes after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.music.arrays import F32, I64, Mask
from engine.music.bandfeatures import BAND_FEATURES, UNKNOWN, band_features, densities, registers
from engine.music.harmony import QUALITIES
from engine.music.score import ROLES
from engine.music.vocabulary import KINDS, PAD, Dictionary
from training.data.grids import BAR, Window
from training.data.masks import TRACKS, Chances, choose_rows, choose_targets, hide

__all__ = ["PartProfile", "chord_vectors", "live_batch", "live_example", "question", "stream_places", "stream_view"]

Arrays = dict[str, npt.NDArray[np.generic]]

_QUALITIES: Final = tuple(QUALITIES)
_OF_KIND: Final = dict(zip(KINDS, ("maj", "min", "aug", "dim", "7", "maj7", "min7", "min7b5"), strict=True))
_CHROMA: Final = np.zeros((len(_QUALITIES), 12), np.float32)
for _index, _name in enumerate(_QUALITIES):
    _CHROMA[_index, list(QUALITIES[_name])] = 1.0
_NONE: Final = _QUALITIES.index("none")


class PartProfile:
    """Density and register of every role by bar, read off grids.

    Args:
        dictionary: that of the grids.
    """

    def __init__(self, dictionary: Dictionary) -> None:
        self.sums = np.zeros(dictionary.size + 2)
        self.counts = np.zeros(dictionary.size + 2)
        for tokens in dictionary.ranges.values():
            for token in tokens:
                pitches = [pitch for pitch in dictionary.pitches(token) if pitch >= 0]
                self.sums[token], self.counts[token] = sum(pitches), len(pitches)

    def of(self, grid: I64) -> tuple[F32, F32]:
        """Density and register [6, L] of [14, L]; -1 where a role is not there."""
        cells = grid[: 2 * TRACKS : 2]
        density = densities(self.counts[cells] > 0)
        density[(cells >= len(self.counts) - 2).all(axis=1)] = UNKNOWN
        return density, registers(self.sums[cells], self.counts[cells])


def chord_vectors(window: Window, dictionary: Dictionary) -> tuple[F32, F32]:
    """Chroma and bass [12, L] of every column: the piece's own chords, else those of the grid's chord rows."""
    root, quality, bass = (row.astype(np.int64) for row in window.chords)
    kinds = np.array([_QUALITIES.index(_OF_KIND[kind]) for kind in KINDS])
    rows = window.grid[12:]
    written = (rows[0] >= dictionary.roots.start) & (rows[0] < dictionary.roots.stop) & (quality == _NONE)
    root = np.where(written, rows[0] - dictionary.roots.start, root)
    bass = np.where(written, root, bass)
    quality = np.where(written, kinds[np.clip(rows[1] - dictionary.kinds.start, 0, len(KINDS) - 1)], quality)
    turned = (np.arange(12)[:, None] - root[None]) % 12
    chroma = np.take_along_axis(_CHROMA[quality].T, turned, axis=0)
    known = quality != _NONE
    basses = (np.arange(12)[:, None] == bass[None]) & known[None]
    return np.maximum(chroma, basses).astype(np.float32) * known, basses.astype(np.float32)


def question(tokens: I64, truth: I64, asked: Mask, weight: F32, dictionary: Dictionary, *, onsets_only: bool) -> Arrays:
    """Cells that are asked for, by row, with what they hold and how much each counts.

    Args:
        tokens: [B, 14, L] what the network sees. truth: the same before it was hidden.
        asked: [B, 14, L]. weight: [B, L].
        onsets_only: durations are asked only where something begins (pitch and duration are then decided together: a
            column that rests has no duration).
    Returns:
        For each role and "duration": ``cells_*`` int64 [M] (b * L + column; of durations (b * 6 + track) * L + column),
        ``answer_*`` int64 [M] (of pitches the last class is PAD), ``weight_*`` float32 [M].
    """
    length = tokens.shape[2]
    found: Arrays = {}
    for track, role in enumerate(ROLES):
        items, columns = np.nonzero(asked[:, 2 * track])
        span = dictionary.ranges[role]
        held = truth[items, 2 * track, columns]
        found[f"cells_{role}"] = items * length + columns
        found[f"answer_{role}"] = np.where(held == PAD, len(span), held - span.start)
        found[f"weight_{role}"] = weight[items, columns].astype(np.float32)
    durations = asked[:, 1 : 2 * TRACKS : 2]
    if onsets_only:
        durations = durations & (truth[:, : 2 * TRACKS : 2] != PAD)
    items, tracks, columns = np.nonzero(durations)
    found["cells_duration"] = (items * TRACKS + tracks) * length + columns
    found["answer_duration"] = dictionary.length_classes[truth[items, 2 * tracks + 1, columns]]
    found["weight_duration"] = weight[items, columns].astype(np.float32)
    return found


def stream_places(columns: int, window: int) -> I64:
    """[L] rotary place of each column of the two streams: finished columns first, then all columns again in windows."""
    return np.concatenate([np.arange(columns - window), np.arange(columns)]).astype(np.int64)


def stream_view(columns: int, window: int) -> Mask:
    """[L, L] which column (row) may look at which: finished bars at themselves and earlier ones; windows at themselves
    and at the finished bars before them."""
    past = columns - window
    bars = np.concatenate([np.arange(past) // BAR, np.full(columns, -1)])
    windows = np.concatenate([np.full(past, -1), np.arange(columns) // window])
    first_bars = np.concatenate([np.zeros(past, np.int64), np.arange(columns) // window * (window // BAR)])
    finished = bars[None] >= 0
    among = (bars[:, None] >= 0) & finished & (bars[None] <= bars[:, None])
    back = (windows[:, None] >= 0) & finished & (bars[None] < first_bars[:, None])
    inside = (windows[:, None] >= 0) & (windows[None] == windows[:, None])
    view: Mask = among | back | inside
    return view


@dataclass(frozen=True, slots=True)
class _Part:
    """Columns of one item of a batch.

    Args:
        tokens, truth: [14, L]. given, hidden: [14, L]. t: [L]. weight: [L]. features: [F, L].
        targets: cells that are to be found.
    """

    tokens: I64
    truth: I64
    given: Mask
    hidden: Mask
    t: I64
    weight: F32
    features: F32
    targets: int = 0


class _BatchConditions:
    """What is known of a stretch besides its grid: chords, densities, registers."""

    def __init__(self, drawn: Window, grid: I64, dictionary: Dictionary, profile: PartProfile) -> None:
        self._chroma, self._bass = chord_vectors(drawn, dictionary)
        self._density, self._register = profile.of(grid)

    def features(self, columns: slice, chords: bool, known: Mask) -> F32:
        """[F, W] of some columns; `known` is [2, 6]: of which tracks density and register are given."""
        use = np.float32(chords)
        density = np.where(known[0, :, None], self._density[:, columns], np.float32(UNKNOWN))
        register = np.where(known[1, :, None], self._register[:, columns], np.float32(UNKNOWN))
        return band_features(self._chroma[:, columns] * use, self._bass[:, columns] * use, density, register)


def _open_window(
    grid: I64, columns: slice, share: float, conditions: _BatchConditions, chords: bool, words: Dictionary,
    chances: Chances, rng: np.random.Generator,
) -> _Part:  # fmt: skip
    """One window with hidden cells."""
    truth = grid[:, columns]
    shown_truth = truth.copy()
    ahead = rng.random() < chances.chord_ahead
    if not ahead:
        shown_truth[12:] = words.empty
    targets = choose_targets(shown_truth, words.empty, chances, rng)
    shown = hide(shown_truth, targets, share, words.mask, rng)
    # That the coming chords are not known yet is no reason to call their rows absent.
    shown.given[12:] = (grid[12:] != words.empty).any(axis=1, keepdims=True)
    # Only of tracks that are targets: of others density and register would say what is not known while playing.
    known = (rng.random((2, TRACKS)) < 0.5) & (rng.random((2, 1)) < 0.6) & targets[: 2 * TRACKS : 2].any(axis=1)
    total, width = int(targets.sum()), truth.shape[1]
    return _Part(
        shown.tokens,
        truth,
        shown.given,
        shown.hidden,
        np.full(width, round(99 * shown.hidden.sum() / max(1, total)), np.int64),
        np.full(width, 1.0 / max(share, 0.2), np.float32),
        conditions.features(columns, chords and ahead, known),
        total,
    )


def live_example(
    drawn: Window,
    shares: Sequence[float],
    dictionary: Dictionary,
    profile: PartProfile,
    chances: Chances,
    rng: np.random.Generator,
) -> _Part:
    """Both streams of one stretch of music: all bars but those of the last window as they are, then all windows.

    Args:
        drawn: whole bars, a multiple of the window.
        shares: of the targets to be hidden, for each window, 0..1.
    """
    grid = choose_rows(drawn.grid, dictionary.empty, chances, rng)
    width = grid.shape[1] // len(shares)
    past = grid.shape[1] - width
    conditions = _BatchConditions(drawn, grid, dictionary, profile)
    known = rng.random() >= chances.chord_drop
    rows_known, features_known = known and rng.random() < 0.85, known and rng.random() < 0.85
    if not rows_known:
        grid[12:] = dictionary.empty
    there = (grid != dictionary.empty).any(axis=1, keepdims=True)
    finished = _Part(
        grid[:, :past],
        grid[:, :past],
        np.repeat(there, past, axis=1),
        np.zeros((14, past), bool),
        np.zeros(past, np.int64),
        np.zeros(past, np.float32),
        conditions.features(slice(0, past), features_known, np.full((2, TRACKS), rng.random() < 0.5)),
    )
    parts = [finished]
    for index, share in enumerate(shares):
        columns = slice(index * width, (index + 1) * width)
        parts.append(_open_window(grid, columns, share, conditions, features_known, dictionary, chances, rng))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in ("tokens", "truth", "given", "hidden", "t", "weight", "features")
    }
    return _Part(**joined, targets=sum(part.targets for part in parts))


def live_batch(
    drawn: Sequence[Window],
    window: int,
    dictionary: Dictionary,
    profile: PartProfile,
    chances: Chances,
    rng: np.random.Generator,
) -> Arrays:
    """A batch of two streams.

    Args:
        drawn: stretches of one length, a multiple of `window`.
        window: columns, whole bars.
    Returns:
        ``tokens``, ``given`` int64 [B, 14, L], ``t`` int64 [B, L], ``features`` [B, F, L], ``targets`` [B] how many
        cells were to be found, and what `question` gives.
    """
    windows = drawn[0].grid.shape[1] // window
    count = len(drawn) * windows
    # Shares are spread evenly over 0..1 in every batch: each step then sees easy and hard questions alike.
    spread = (rng.permutation(count) + rng.random()) / count
    shares = spread.reshape(len(drawn), windows)
    made = [live_example(each, row, dictionary, profile, chances, rng) for each, row in zip(drawn, shares, strict=True)]
    tokens, truth, hidden = (np.stack([getattr(e, name) for e in made]) for name in ("tokens", "truth", "hidden"))
    weight = np.stack([each.weight for each in made])
    arrays: Arrays = {
        "tokens": tokens,
        "given": np.stack([each.given for each in made]).astype(np.int64),
        "t": np.stack([each.t for each in made]),
        "features": np.stack([each.features for each in made]),
        "targets": np.array([each.targets for each in made], np.float32),
    }
    assert arrays["features"].shape[1] == BAND_FEATURES
    return arrays | question(tokens, truth, hidden, weight, dictionary, onsets_only=True)
