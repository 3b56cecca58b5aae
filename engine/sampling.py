"""Seeded draws from logits, exact in float64: the same seed gives the same choice, whoever asks and in what company.

Source: the inverse of the cumulative distribution, in double precision. Gumbel noise in single precision, as many
samplers use it, lowers the effective temperature (Zheng et al., "Masked diffusion models are secretly time-agnostic
masked models", 2024).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import ShapeError
from engine.music.arrays import F32, F64, I64, Mask
from engine.music.noise import keyed_uniform

__all__ = ["Drawn", "draw", "draw_or_rest", "nucleus", "uniforms"]


_STEP: Final = 2.0**-24  # of the numbers that `keyed_uniform` gives; two of them make one of ours


@dataclass(frozen=True, slots=True)
class Drawn:
    """Choices with what the distribution said of them.

    Args:
        ids: [M] the classes chosen.
        log_p: [M] natural logarithm of their probability, before temperature and nucleus.
        entropy: [M] of the distribution, in nats: `-log_p - entropy` is how much odder than usual a choice is.
    """

    ids: I64
    log_p: F64
    entropy: F64


def uniforms(count: int, seed: int, *place: int) -> F64:
    """[count] numbers in 0..1 (1 left out) of 48 bits, that belong to a place (see `engine.music.noise`)."""
    pairs = keyed_uniform(2 * count, seed, *place).astype(np.float64).reshape(count, 2)
    return np.asarray(pairs[:, 0] + pairs[:, 1] * _STEP, np.float64)


def nucleus(p: F64, top_p: float) -> F64:
    """The most probable classes that together reach `top_p`, the others at 0; not normalised again.

    Args:
        p: [M, V] probabilities.
        top_p: more than 0, at most 1; 1 keeps all.
    """
    if top_p >= 1.0:
        return p
    order = np.argsort(-p, axis=1, kind="stable")
    ranked = np.take_along_axis(p, order, axis=1)
    before = np.cumsum(ranked, axis=1) - ranked
    keep = np.zeros(p.shape, np.bool_)
    np.put_along_axis(keep, order, before < top_p * p.sum(axis=1, keepdims=True), axis=1)
    return np.where(keep, p, 0.0)


def draw(logits: F32 | F64, u: F64, *, temperature: float = 1.0, top_p: float = 1.0) -> Drawn:
    """One class a row.

    Args:
        logits: [M, V]; -inf for what must not be chosen.
        u: [M] numbers in 0..1, see `uniforms`.
        temperature: 0 takes the most probable class; 1 is the distribution itself.
        top_p: see `nucleus`.
    Raises:
        ShapeError: sizes differ, a row allows nothing, or a setting is out of range.
    """
    _check(logits, u, temperature, top_p)
    p = _probabilities(logits)
    shaped = p if temperature == 1.0 else _tempered(logits, temperature)
    return _told(p, _pick(nucleus(shaped, top_p), u))


def draw_or_rest(
    logits: F32 | F64,
    u: F64,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    bias: float | F64 = 0.0,
    allowed: Mask | None = None,
    lean: F64 | None = None,
) -> Drawn:
    """One class a row, where the last class is a rest: first whether to rest, then which of the others.

    Temperature, nucleus, `allowed` and `lean` shape what sounds, never how often: else a low temperature, or a narrow
    range, would end in silence, since rests are what is most certain. How often is what `bias` is for.

    Args:
        logits: [M, V + 1].
        u: [M, 2] numbers in 0..1: for the rest, for the class.
        temperature, top_p: as for `draw`, of the other classes.
        bias: added to the logit of the rest, a number or [M]; +inf always rests.
        allowed: [V] or [M, V], which classes may sound; where none may, a rest.
        lean: [V] or [M, V], added to the logits of what sounds.
    Returns:
        Drawn with ids 0..V, V the rest.
    Raises:
        ShapeError: as for `draw`.
    """
    rest = logits.shape[1] - 1
    _check(logits, u[:, 0], temperature, top_p)
    biased = np.asarray(logits, np.float64).copy()
    biased[:, rest] += bias
    p = _probabilities(biased)
    sounding = biased[:, :rest] if lean is None else biased[:, :rest] + lean
    if allowed is not None:
        sounding = np.where(allowed, sounding, -np.inf)
    can = np.isfinite(sounding).any(axis=1)
    rests = (u[:, 0] < p[:, rest]) | ~can
    ids = np.full(len(u), rest, np.int64)
    rows = np.flatnonzero(~rests)
    if rows.size:
        among = sounding[rows]
        shaped = _probabilities(among) if temperature == 1.0 else _tempered(among, temperature)
        ids[rows] = _pick(nucleus(shaped, top_p), u[rows, 1])
    return _told(p, ids)


def _check(logits: F32 | F64, u: F64, temperature: float, top_p: float) -> None:
    if logits.ndim != 2 or u.shape != logits.shape[:1]:
        raise ShapeError(f"draws take logits [M, V] and M numbers, got {logits.shape} and {u.shape}")
    if not temperature >= 0.0 or not 0.0 < top_p <= 1.0:
        raise ShapeError(f"draws take a temperature of 0 or more and top_p in 0..1, got {temperature} and {top_p}")


def _probabilities(logits: F32 | F64) -> F64:
    """[M, V], each row adding up to 1."""
    wide = np.asarray(logits, np.float64)
    if wide.size == 0:
        return np.zeros(wide.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        top = wide.max(axis=1, keepdims=True)
        p = np.exp(wide - top)
    p[np.isposinf(wide)] = 1.0
    total = p.sum(axis=1, keepdims=True)
    if not (np.isfinite(total) & (total > 0.0)).all():
        raise ShapeError("a row of logits allows no class, or holds what is not a number")
    return np.asarray(p / total, np.float64)


def _tempered(logits: F32 | F64, temperature: float) -> F64:
    wide = np.asarray(logits, np.float64)
    if temperature == 0.0:
        best = np.zeros(wide.shape)
        best[np.arange(len(wide)), wide.argmax(axis=1)] = 1.0
        return best
    return _probabilities(wide / temperature)


def _pick(p: F64, u: F64) -> I64:
    """The class at which the cumulative sum of [M, V] first exceeds each of [M] numbers; never one of probability 0."""
    sums = np.cumsum(p, axis=1)
    return np.asarray((sums <= (u * sums[:, -1])[:, None]).sum(axis=1), np.int64)


def _told(p: F64, ids: I64) -> Drawn:
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    entropy = -np.where(p > 0.0, p * np.where(p > 0.0, log_p, 0.0), 0.0).sum(axis=1)
    return Drawn(ids, log_p[np.arange(len(ids)), ids], entropy)
