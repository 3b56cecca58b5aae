"""A trained network as a player: a lead, its chords and what was played before become a band, window by window."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from engine.music.arrays import F32, I64, Mask
from engine.music.bandfeatures import band_features
from engine.music.harmony import QUALITIES
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from training.data.band_batches import PartProfile, chord_vectors
from training.data.grids import BAR, Window
from training.evaluate.bands import ACCOMPANIMENT
from training.evaluate.sampler import Predict, Question, fill
from training.models.getmusic import Cells
from training.models.getmusic_live import GetmusicLive

__all__ = ["live_player", "past_view", "play_on"]


def past_view(columns: int, window: int) -> Mask:
    """[L, L]: finished bars see themselves and earlier ones, the last `window` columns see everything."""
    bars = np.arange(columns) // BAR
    view: Mask = bars[None] <= bars[:, None]
    view[columns - window :] = True
    view[: columns - window, columns - window :] = False
    return view


def live_player(network: GetmusicLive, window: int) -> Predict:
    """The live network answering questions about the last `window` columns."""

    @torch.no_grad()
    def predict(question: Question) -> tuple[tuple[F32, ...], F32]:
        items, _, length = question.tokens.shape
        wide = min(window, length)
        t = np.zeros((items, length), np.int64)
        t[:, length - wide :] = round(99 * question.share)
        asked = np.repeat(question.asked, 2, axis=1)
        made = network(
            torch.from_numpy(question.tokens), torch.from_numpy(question.given.astype(np.int64)), torch.from_numpy(t),
            torch.from_numpy(question.features), torch.arange(length), torch.from_numpy(past_view(length, wide)),
            Cells.of(asked),
        )  # fmt: skip
        return tuple(made[role].numpy() for role in ROLES), made["duration"].numpy()

    return predict


def play_on(
    drawn: Sequence[Window],
    first: int,
    predict: Predict,
    dictionary: Dictionary,
    *,
    steps: int,
    seed: int,
    context: int = 8 * BAR,
    window: int = 2 * BAR,
    roles: Sequence[str] = ACCOMPANIMENT,
    levels: bool = False,
    chords: bool = True,
    temperature: float = 1.0,
    pull: float = 0.0,
) -> list[I64]:
    """Play everything from column `first` on; what is before it, and tracks that are not played, is given.

    Args:
        drawn: stretches of one length, whole windows after `first`.
        context: columns of the past that are seen.
        levels: give the network density and register of the real tracks, as controls would.
        chords: give it the chords. pull: how strongly it is drawn to them, see `fill`.
    Returns:
        [14, L] each; tracks that the real piece does not have stay empty.
    """
    grids = np.stack([each.grid for each in drawn])
    length = grids.shape[2]
    absent = (grids == dictionary.empty).all(axis=2)
    hidden_chords = np.full_like(grids[:, 12:], dictionary.empty)
    features, tones = _conditions(drawn, dictionary, levels, chords)
    made = grids.copy()
    if not chords:
        made[:, 12:] = hidden_chords
    asked = np.zeros((len(grids), len(ROLES), length), bool)
    for role in roles:
        track = ROLES.index(role)
        asked[:, track, first:] = ~absent[:, 2 * track, None]
    rng = np.random.default_rng(seed)
    for start in range(first, length, window):
        low, high = max(0, start - context), min(length, start + window)
        part = fill(
            made[:, :, low:high],
            asked[:, :, low:high] & (np.arange(low, high) >= start),
            features[:, :, low:high],
            predict,
            dictionary,
            steps=steps,
            rng=rng,
            temperature=temperature,
            tones=tones[:, low:high] if chords else None,
            pull=pull,
        )
        made[:, :, low:high] = part
    made[:, 12:] = grids[:, 12:]
    return list(made)


def _conditions(drawn: Sequence[Window], dictionary: Dictionary, levels: bool, chords: bool) -> tuple[F32, Mask]:
    """Features [B, F, L], and pitch classes [B, L, 12] of the chords, all where none is known.

    Chords are those of the grid, one a bar: what simple players are given, and what is measured.
    """
    profile, features, tones = PartProfile(dictionary), [], []
    for each in drawn:
        unknown = np.full_like(each.chords, tuple(QUALITIES).index("none"))
        chroma, bass = chord_vectors(replace(each, chords=unknown), dictionary)
        density, register = profile.of(each.grid) if levels else (None, None)
        use = np.float32(chords)
        features.append(band_features(chroma * use, bass * use, density, register))
        tones.append((chroma.T > 0) | ~(chroma.T > 0).any(axis=1, keepdims=True))
    return np.stack(features), np.stack(tones)
