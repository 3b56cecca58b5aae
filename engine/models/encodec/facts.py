"""What a bundle says about its codec: sizes, and how many neighbouring frames each of its graphs needs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from engine.graphs.facts import FactReader

__all__ = ["EncodecFacts"]

_CODEC: Final = "the codec"


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodecFacts:
    """Sizes of one codec.

    Args:
        sample_rate: Hz. channels: of the sound. hop: samples of a frame.
        codebooks: codes of a frame. entries: different codes of a codebook.
        memory: width of the recurrent layers. memory_layers: how many of them.
        codes_before, codes_after: frames of codes that a latent frame depends on, beside its own.
        latents_before, latents_after: frames of latents that a frame of sound depends on, beside its own.
        causal: whether no frame depends on later ones.
        reflect: whether sound is mirrored at its ends; else it is silent there.
    """

    sample_rate: int
    channels: int
    hop: int
    codebooks: int
    entries: int
    memory: int
    memory_layers: int
    codes_before: int
    codes_after: int
    latents_before: int
    latents_after: int
    causal: bool
    reflect: bool

    @property
    def look_ahead(self) -> int:
        """Frames after one that it needs to be complete, in either direction."""
        return self.codes_after + self.latents_after

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "EncodecFacts":
        """Read what a manifest says.

        Raises:
            ManifestError: a fact is missing, of the wrong type or out of range.
        """
        read = FactReader(_CODEC, facts)
        return cls(
            sample_rate=read.whole("sample_rate", 1),
            channels=read.whole("channels", 1),
            hop=read.whole("hop", 1),
            codebooks=read.whole("codebooks", 1),
            entries=read.whole("entries", 1),
            memory=read.whole("memory", 1),
            memory_layers=read.whole("memory_layers", default=1),
            codes_before=read.whole("codes_before"),
            codes_after=read.whole("codes_after"),
            latents_before=read.whole("latents_before"),
            latents_after=read.whole("latents_after"),
            causal=read.flag("causal"),
            reflect=read.flag("reflect"),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        return asdict(self)
