"""Where Musika's music is in its latent space: sizes, anchors, coordinates, style, and glides from place to place.

A piece follows a broken line through random anchors, one patch of latents after the other, under a style vector that
stays the same. Every random number is keyed by (seed, purpose, index), so any patch can be made without those before.

Source: Pasini & Schlueter, "Musika! Fast Infinite Waveform Music Generation", ISMIR 2022, and its release: anchors
three patches apart and half-integer positions from half a patch on (44.1 kHz), two patches apart and integers from 0
(22 kHz).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from engine.errors import ManifestError
from engine.graphs.manifest import Manifest
from engine.music.arrays import F32, I64
from engine.music.noise import keyed_normal, keyed_truncated_normal

__all__ = [
    "CONDITIONS",
    "Glide",
    "Layout",
    "Place",
    "coordinates",
    "mix",
    "patch_noise",
    "shares",
    "still_heard",
    "style_vector",
]


# Purposes of keyed random numbers; block noise is drawn in `engine.models.musika.streamer`.
_ANCHOR: Final = 1
_STYLE: Final = 2
_DRIFT: Final = 3
_PATCH_NOISE: Final = 4

_DRIFT_PATCHES: Final = 4  # patches from one drawn style to the next while the style wanders
_M22_ANCHOR_TRUNCATION: Final = 1.75  # the 22 kHz release never truncates anchors further, only the style
CONDITIONS: Final = ("density", "tempo")


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of one Musika bundle, from its manifest.

    Args:
        variant: ``m44`` or ``m22``.
        sample_rate: Hz. hop: samples in a frame; the window is four hops.
        latent: width of one channel's latents, of anchors and of style.
        seq_len: latents in a patch. block: latents decoded together. block_frames: into so many frames.
        anchor_spacing: latents between anchors. first_position: of patch 0's first latent.
        mu, sigma: a magnitude in dB is sigma * value + mu. floor: power added to every bin.
        conditions: further inputs of the generator, of `CONDITIONS`.
        patch_noise, block_noise: noise values for a patch, for a block of one channel.
    """

    variant: str
    sample_rate: int
    hop: int
    latent: int
    seq_len: int
    block: int
    block_frames: int
    anchor_spacing: int
    first_position: float
    mu: float
    sigma: float
    floor: float
    conditions: tuple[str, ...]
    patch_noise: int
    block_noise: int

    @classmethod
    def of(cls, manifest: Manifest) -> "Layout":
        """What a manifest says.

        Raises:
            ManifestError: a fact is missing, of the wrong kind, or the sizes do not fit together.
        """
        fact = manifest.fact
        try:
            per = {"patch": 0, "block": 0}
            for layer in fact("noise"):
                per[layer["per"]] += int(layer["length"])
            layout = cls(
                variant=str(fact("variant")),
                sample_rate=int(fact("sample_rate")),
                hop=int(fact("hop")),
                latent=int(fact("latent")),
                seq_len=int(fact("seq_len")),
                block=int(fact("block")),
                block_frames=int(fact("block_frames")),
                anchor_spacing=int(fact("anchor_spacing")),
                first_position=float(fact("first_position")),
                mu=float(fact("mu")),
                sigma=float(fact("sigma")),
                floor=float(fact("amplitude_floor")),
                conditions=_conditions(manifest.facts.get("conditions"), int(fact("condition"))),
                patch_noise=per["patch"],
                block_noise=per["block"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ManifestError(f"musika: a fact of the bundle does not fit ({error!r}); export it again") from None
        sizes = (layout.sample_rate, layout.hop, layout.latent, layout.seq_len, layout.block, layout.block_frames)
        if min(*sizes, layout.anchor_spacing) < 1 or layout.seq_len % layout.block:
            raise ManifestError(f"musika: sizes {sizes} do not fit together; export the bundle again")
        return layout

    @property
    def chunk(self) -> int:
        """Samples that one block of latents becomes."""
        return self.block_frames * self.hop

    @property
    def latent_rate(self) -> float:
        """Latents a second."""
        return self.sample_rate * self.block / self.chunk


def _conditions(names: Any, count: int) -> tuple[str, ...]:
    """The conditions by name; a bundle that only counts them has density first."""
    conditions = CONDITIONS[:count] if names is None else tuple(str(name) for name in names)
    if len(conditions) != count or not set(conditions) <= set(CONDITIONS):
        raise ValueError(f"conditions {names} of {count} channels, wanted some of {CONDITIONS}")
    return conditions


@dataclass(frozen=True, slots=True)
class Place:
    """What controls say about the music; equal places make equal patches.

    Args:
        seed, other, blend: style seeds, and how far from the first to the second, 0..1.
        wander: how far the style drifts from there, 0..1.
        truncation: limit of anchors and style, in standard deviations.
        condition: values of the layout's conditions, about 0..1.
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


def style_vector(layout: Layout, place: Place, position: int) -> F32:
    """[latent] style of patch `position`.

    A blend keeps the spread that a single style has; a style that wanders moves along a line through styles of its own,
    a new one every few patches, the same within each patch (the model has never heard a style change inside one).
    """
    limit = place.truncation
    style = keyed_truncated_normal(layout.latent, limit, place.seed, _STYLE)
    if place.blend > 0.0:
        other = keyed_truncated_normal(layout.latent, limit, place.other, _STYLE)
        style = _line(style, other, place.blend)
    if place.wander > 0.0:
        knot, step = divmod(position, _DRIFT_PATCHES)
        one, two = (keyed_truncated_normal(layout.latent, limit, place.seed, _DRIFT, k) for k in (knot, knot + 1))
        drift = _line(one, two, step / _DRIFT_PATCHES)
        style = np.float32((1.0 - place.wander**2) ** 0.5) * style + np.float32(place.wander) * drift
    return style


def _line(one: F32, two: F32, share: float) -> F32:
    """Between two independent normal vectors, with the variance of either all the way."""
    a, b = np.float32(1.0 - share), np.float32(share)
    return np.asarray((a * one + b * two) / np.sqrt(a * a + b * b), np.float32)


def coordinates(layout: Layout, seed: int, place: Place, position: int) -> F32:
    """[1, 2 * latent + conditions, seq_len]: what the generator is told for patch `position` on the path of `seed`."""
    truncation = max(place.truncation, _M22_ANCHOR_TRUNCATION) if layout.variant == "m22" else place.truncation
    first = layout.first_position + position * layout.seq_len
    points = (first + np.arange(layout.seq_len, dtype=np.float64)) / layout.anchor_spacing
    left = np.floor(points).astype(np.int64)
    lowest, highest = int(left[0]), int(left[-1]) + 1
    anchors = np.stack([_anchor(layout, seed, truncation, k) for k in range(lowest, highest + 1)], axis=1)
    share = (points - left).astype(np.float32)
    line = anchors[:, left - lowest] * (1.0 - share) + anchors[:, left - lowest + 1] * share
    constant = np.concatenate([style_vector(layout, place, position), np.array(place.condition, np.float32)])
    rest = np.repeat(constant[:, None], layout.seq_len, axis=1)
    return np.ascontiguousarray(np.concatenate([line, rest])[None], np.float32)


def _anchor(layout: Layout, seed: int, truncation: float, index: int) -> F32:
    return keyed_truncated_normal(layout.latent, truncation, seed, _ANCHOR, index)


def patch_noise(layout: Layout, seed: int, patch: int) -> F32:
    """[1, patch_noise] for the patch that a voice makes as its number `patch`."""
    return keyed_normal(layout.patch_noise, seed, _PATCH_NOISE, patch)[None]


def still_heard(glides: Sequence[Glide], latent: int) -> tuple[Glide, ...]:
    """The glides that shape latents from `latent` on: the last finished one and all after it."""
    for index in range(len(glides) - 1, 0, -1):
        if latent - glides[index].start + 1 >= glides[index].length:
            return tuple(glides[index:])
    return tuple(glides)
