"""Where Musika's music is in its latent space: sizes, anchors, coordinates, style, and glides from place to place.

A piece follows a broken line through random anchors, one patch of latents after the other, under a style vector that
stays the same. Every random number is keyed by (seed, purpose, index), so any patch can be made without those before.

Source: Pasini & Schlueter, "Musika! Fast Infinite Waveform Music Generation", ISMIR 2022, and its release: anchors
three patches apart and half-integer positions from half a patch on (44.1 kHz), two patches apart and integers from 0
(22 kHz).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.models.musika.facts import MusikaFacts
from engine.music.arrays import F32, I64
from engine.music.noise import keyed_normal, keyed_truncated_normal

__all__ = [
    "Glide",
    "Place",
    "coordinates",
    "mix",
    "patch_noise",
    "shares",
    "still_sounding",
    "style_vector",
]


# Purposes of keyed random numbers; block noise is drawn in `engine.models.musika.streamer`.
_ANCHOR: Final = 1
_STYLE: Final = 2
_DRIFT: Final = 3
_PATCH_NOISE: Final = 4

_DRIFT_PATCHES: Final = 4  # patches from one drawn style to the next while the style wanders
_M22_ANCHOR_TRUNCATION: Final = 1.75  # the 22 kHz release never truncates anchors further, only the style


@dataclass(frozen=True, slots=True)
class Place:
    """What controls say about the music; equal places make equal patches.

    Args:
        seed, other, blend: style seeds, and how far from the first to the second, 0..1.
        wander: how far the style drifts from there, 0..1.
        truncation: limit of anchors and style, in standard deviations.
        condition: values of the bundle's conditions, about 0..1.
    """

    seed: int
    other: int
    blend: float
    wander: float
    truncation: float
    condition: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Glide:
    """A move to `place` that begins at latent `start` (counted from the voice's first) and takes `length` latents."""

    place: Place
    start: int
    length: float


def shares(glide: Glide, latents: I64) -> F32:
    """[T] how much of a glide's place holds at each of these latents, 0..1; the first latent has already moved."""
    done = (latents - glide.start + 1) / max(glide.length, 1.0)
    return np.clip(done, 0.0, 1.0).astype(np.float32)


def mix(old: F32, new: F32, share: F32) -> F32:
    """Latents [D, T] on the straight line between two, at `share` [T] of the way; exact at both ends."""
    return np.where(share >= 1.0, new, np.where(share <= 0.0, old, old + share * (new - old)))


def style_vector(facts: MusikaFacts, place: Place, position: int) -> F32:
    """[latent] style of patch `position`.

    A blend keeps the spread that a single style has; a style that wanders moves along a line through styles of its own,
    a new one every few patches, the same within each patch (the model has never seen a style change inside one).
    """
    limit = place.truncation
    style = keyed_truncated_normal(facts.latent, limit, place.seed, _STYLE)
    if place.blend > 0.0:
        other = keyed_truncated_normal(facts.latent, limit, place.other, _STYLE)
        style = _line(style, other, place.blend)
    if place.wander > 0.0:
        knot, step = divmod(position, _DRIFT_PATCHES)
        one, two = (keyed_truncated_normal(facts.latent, limit, place.seed, _DRIFT, k) for k in (knot, knot + 1))
        drift = _line(one, two, step / _DRIFT_PATCHES)
        style = np.float32((1.0 - place.wander**2) ** 0.5) * style + np.float32(place.wander) * drift
    return style


def _line(one: F32, two: F32, share: float) -> F32:
    """Between two independent normal vectors, with the variance of either all the way."""
    a, b = np.float32(1.0 - share), np.float32(share)
    return np.asarray((a * one + b * two) / np.sqrt(a * a + b * b), np.float32)


def coordinates(facts: MusikaFacts, seed: int, place: Place, position: int) -> F32:
    """[1, 2 * latent + conditions, seq_len]: the generator's input for patch `position` on the path of `seed`."""
    truncation = max(place.truncation, _M22_ANCHOR_TRUNCATION) if facts.variant == "m22" else place.truncation
    first = facts.first_position + position * facts.seq_len
    points = (first + np.arange(facts.seq_len, dtype=np.float64)) / facts.anchor_spacing
    left = np.floor(points).astype(np.int64)
    lowest, highest = int(left[0]), int(left[-1]) + 1
    anchors = np.stack([_anchor(facts, seed, truncation, k) for k in range(lowest, highest + 1)], axis=1)
    share = (points - left).astype(np.float32)
    line = anchors[:, left - lowest] * (1.0 - share) + anchors[:, left - lowest + 1] * share
    constant = np.concatenate([style_vector(facts, place, position), np.array(place.condition, np.float32)])
    rest = np.repeat(constant[:, None], facts.seq_len, axis=1)
    return np.ascontiguousarray(np.concatenate([line, rest])[None], np.float32)


def _anchor(facts: MusikaFacts, seed: int, truncation: float, index: int) -> F32:
    return keyed_truncated_normal(facts.latent, truncation, seed, _ANCHOR, index)


def patch_noise(facts: MusikaFacts, seed: int, patch: int) -> F32:
    """[1, patch_noise] for the patch that a voice makes as its number `patch`."""
    return keyed_normal(facts.patch_noise, seed, _PATCH_NOISE, patch)[None]


def still_sounding(glides: Sequence[Glide], latent: int) -> tuple[Glide, ...]:
    """The glides that shape latents from `latent` on: the last finished one and all after it."""
    for index in range(len(glides) - 1, 0, -1):
        if latent - glides[index].start + 1 >= glides[index].length:
            return tuple(glides[index:])
    return tuple(glides)
