"""What a Musika bundle says about its networks: written by export, read by the streamer.

Which conditions a generator takes, and in which order, is written by the training task and passed on by name. Bundles
that only count them (``condition``) mean the first of `CONDITIONS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from engine.errors import ManifestError
from engine.graphs.facts import FactReader

__all__ = ["CONDITIONS", "MusikaFacts", "NoiseLayer", "named_conditions"]

CONDITIONS: Final = ("density", "tempo")
"""What a generator may take beside anchors and style, in the order that a bundle which only counts them means."""

_FAMILY: Final = "musika"
_PATCH, _BLOCK = "patch", "block"
_TRUNCATION: Final = 2.0


def named_conditions(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The conditions of a generator by name, in the order of its channels.

    Args:
        names: as a checkpoint or bundle says; None if it only counts them.
        count: channels of the generator that carry conditions.
    Raises:
        ValueError: unknown names, or not as many as channels.
    """
    conditions = CONDITIONS[:count] if names is None else tuple(names)
    if len(conditions) != count or len(set(conditions)) < count or not set(conditions) <= set(CONDITIONS):
        raise ValueError(f"got conditions {conditions} for {count} channels, wanted {count} of {', '.join(CONDITIONS)}")
    return conditions


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseLayer:
    """Random numbers of one layer.

    Args:
        graph, layer: where they go. length: how many.
        per: drawn for each ``patch`` (both channels at once) or for each ``block`` of one channel.
    """

    graph: str
    layer: str
    length: int
    per: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaFacts:
    """Sizes of one Musika bundle.

    Args:
        variant: ``m44`` or ``m22``.
        sample_rate: Hz. hop: samples in a frame; the window is four hops.
        latent: width of one channel's latents, of anchors and of style.
        seq_len: latents in a patch. block: latents decoded together. block_frames: into so many frames.
        anchor_spacing: latents between anchors. first_position: of patch 0's first latent.
        mu, sigma: a magnitude in dB is sigma * value + mu. floor: power added to every bin.
        truncation: limit of anchors and style by default, in standard deviations.
        conditions: further inputs of the generator, of `CONDITIONS`.
        noise: in the order in which the graphs take it.
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
    truncation: float = _TRUNCATION
    conditions: tuple[str, ...] = ()
    noise: tuple[NoiseLayer, ...] = ()

    @property
    def chunk(self) -> int:
        """Samples that one block of latents becomes."""
        return self.block_frames * self.hop

    @property
    def latent_rate(self) -> float:
        """Latents a second."""
        return self.sample_rate * self.block / self.chunk

    @property
    def patch_noise(self) -> int:
        """Noise values for a patch."""
        return sum(layer.length for layer in self.noise if layer.per == _PATCH)

    @property
    def block_noise(self) -> int:
        """Noise values for a block of one channel."""
        return sum(layer.length for layer in self.noise if layer.per == _BLOCK)

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "MusikaFacts":
        """Read what a manifest says.

        Raises:
            ManifestError: a fact is missing, of the wrong type, or the sizes do not fit together.
        """
        read = FactReader(_FAMILY, facts)
        names = read.texts("conditions", CONDITIONS) if "conditions" in read else None
        try:
            conditions = named_conditions(names, read.whole("condition", 0, len(CONDITIONS)))
        except ValueError as error:
            raise ManifestError(f"{_FAMILY}: {error}; export the model again") from None
        seq_len, block = read.whole("seq_len", 1), read.whole("block", 1)
        if seq_len % block:
            raise ManifestError(
                f"{_FAMILY}: a patch of {seq_len} latents is no multiple of a block of {block}; export again"
            )
        return cls(
            variant=read.text("variant"),
            sample_rate=read.whole("sample_rate", 1),
            hop=read.whole("hop", 1),
            latent=read.whole("latent", 1),
            seq_len=seq_len,
            block=block,
            block_frames=read.whole("block_frames", 1),
            anchor_spacing=read.whole("anchor_spacing", 1),
            first_position=read.real("first_position"),
            mu=read.real("mu"),
            sigma=read.real("sigma"),
            floor=read.real("amplitude_floor"),
            truncation=read.real("truncation", default=_TRUNCATION),
            conditions=conditions,
            noise=tuple(_layer(row) for row in read.rows("noise")),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        return {
            "variant": self.variant,
            "sample_rate": self.sample_rate,
            "channels": 2,
            "hop": self.hop,
            "window": 4 * self.hop,
            "bins": 2 * self.hop + 1,
            "mu": self.mu,
            "sigma": self.sigma,
            "amplitude_floor": self.floor,
            "latent": self.latent,
            "seq_len": self.seq_len,
            "block": self.block,
            "block_frames": self.block_frames,
            "frames_per_latent": self.block_frames // self.block,
            "condition": len(self.conditions),
            **({"conditions": list(self.conditions)} if self.conditions else {}),
            "anchor_spacing": self.anchor_spacing,
            "first_position": self.first_position,
            "truncation": self.truncation,
            "noise": [asdict(layer) for layer in self.noise],
        }


def _layer(read: FactReader) -> NoiseLayer:
    return NoiseLayer(
        graph=read.text("graph", default=""),
        layer=read.text("layer", default=""),
        length=read.whole("length"),
        per=read.text("per", among=(_PATCH, _BLOCK)),
    )
