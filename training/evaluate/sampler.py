"""Filling hidden cells with a network in training: the plain way, for previews and measurements.

The live player has more to it (budgets, controls, ranges); here every pass reveals a share of what is still hidden,
chosen at random, so that the share that is left follows a quarter cosine.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.music.arrays import F32, I64, Mask
from engine.music.leaning import leaning, sounded
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary

__all__ = ["Predict", "Question", "draw_classes", "fill"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a network is asked in one pass.

    Args:
        tokens: [B, 14, L]. given: [B, 14, L] bool. share: of the targets that are hidden.
        features: [B, F, L].
        asked: [B, 6, L] which columns of which tracks, pitch and duration both.
    """

    tokens: I64
    given: Mask
    share: float
    features: F32
    asked: Mask


Predict = Callable[[Question], tuple[tuple[F32, ...], F32]]
"""Logits: of each track [M_r, n_r + 1] in the order of ``np.nonzero(asked[:, track])``; durations [M, lengths of
the dictionary] in the order of ``np.nonzero(asked)``."""


def draw_classes(logits: F32, rng: np.random.Generator, temperature: float = 1.0) -> I64:
    """One class for each row of [M, n], in double precision."""
    if not len(logits):
        return np.zeros(0, np.int64)
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    sums = np.cumsum(weights, axis=1)
    drawn = rng.random(len(logits)) * sums[:, -1]
    return np.asarray(np.minimum((sums <= drawn[:, None]).sum(axis=1), logits.shape[1] - 1), np.int64)


def fill(
    tokens: I64,
    targets: Mask,
    features: F32,
    predict: Predict,
    dictionary: Dictionary,
    *,
    steps: int,
    rng: np.random.Generator,
    temperature: float = 1.0,
    tones: Mask | None = None,
    pull: float = 0.0,
) -> I64:
    """Find all targets.

    Args:
        tokens: [B, 14, L]; what targets hold is not looked at.
        targets: [B, 6, L] columns of tracks to be found.
        features: [B, F, L].
        steps: passes, 1 or more.
        tones: [B, L, 12] pitch classes of the chord. pull: how strongly notes are drawn to them (see
            `engine.music.leaning`); how often something sounds stays as it is.
    Returns:
        [B, 14, L] with every target filled: pitch and duration, or both PAD.
    """
    made = tokens.copy()
    rows = np.repeat(targets, 2, axis=1)
    made[:, :12][rows] = dictionary.mask
    there = (made != dictionary.empty).any(axis=2, keepdims=True)
    given = np.repeat(there, made.shape[2], axis=2)
    given[:, :12] &= ~rows
    hidden = targets.copy()
    total = max(1, int(targets.sum()))
    for step in range(steps):
        left = int(hidden.sum())
        if not left:
            break
        keep = 0 if step + 1 == steps else int(np.cos(0.5 * np.pi * (step + 1) / steps) * total)
        if left <= keep:
            continue
        places = np.flatnonzero(hidden)
        reveal = np.zeros_like(hidden)
        reveal.reshape(-1)[rng.choice(places, left - keep, replace=False)] = True
        pitch, duration = predict(Question(made, given, left / total, features, reveal))
        if tones is not None and pull:
            pitch = _pulled(pitch, made, reveal, tones, pull, dictionary)
        _write(made, reveal, pitch, duration, dictionary, rng, temperature)
        hidden &= ~reveal
    return made


def _pulled(
    pitch: tuple[F32, ...], made: I64, asked: Mask, tones: Mask, pull: float, dictionary: Dictionary
) -> tuple[F32, ...]:
    """The logits drawn to the chords, with rests as likely as before."""
    drawn = []
    for track, role in enumerate(ROLES):
        logits, classes = pitch[track], dictionary.classes[role]
        if role != "drum" and len(logits):
            items, columns = np.nonzero(asked[:, track])
            now = sounded(made[:, 2 * track], dictionary.ranges[role].start, classes)[items, columns]
            lean = leaning(classes, tones[items, columns], now, pull).astype(np.float32)
            sounding = logits[:, :-1] + lean
            before, after = (np.logaddexp.reduce(each, axis=1, keepdims=True) for each in (logits[:, :-1], sounding))
            logits = np.concatenate([sounding + before - after, logits[:, -1:]], axis=1)
        drawn.append(logits)
    return tuple(drawn)


def _write(
    made: I64,
    reveal: Mask,
    pitch: tuple[F32, ...],
    duration: F32,
    dictionary: Dictionary,
    rng: np.random.Generator,
    temperature: float,
) -> None:
    """Draw pitch and duration of every cell that is revealed: who rests has no duration, who plays has one."""
    lengths = np.full(reveal.shape, PAD, np.int64)
    choices = np.delete(np.array(dictionary.lengths), PAD)
    lengths[reveal] = choices[draw_classes(np.delete(duration, PAD, axis=1), rng, temperature)]
    for track, role in enumerate(ROLES):
        where = reveal[:, track]
        span = dictionary.ranges[role]
        drawn = draw_classes(pitch[track], rng, temperature)
        chosen = np.where(drawn == len(span), PAD, drawn + span.start)
        made[:, 2 * track][where] = chosen
        made[:, 2 * track + 1][where] = np.where(chosen == PAD, PAD, lengths[:, track][where])
