"""What a musika-live bundle says about its networks: written by training's configuration, read by the streamer."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from engine.errors import ManifestError
from engine.graphs.facts import FactReader
from engine.music.conducting import CLOCK_FEATURES, FRAME_FEATURES, GATES

__all__ = ["MusikaLiveFacts"]

_FAMILY: Final = "musika_live"


@dataclass(frozen=True, kw_only=True, slots=True)
class MusikaLiveFacts:
    """Sizes of one musika-live bundle.

    Args:
        sample_rate: Hz. hop: samples of a step. subframes: decoder frames in a step.
        latent: channels of the latents, both sides together.
        style, coordinate: channels of the style vector and of the wandering coordinate.
        controls: what the generator takes beside them, in order.
        generator_noise: noise values of the generator for a step, one a layer. decoder_noise: of the decoder for a
            subframe and side.
        oscillator_hz: frequencies of the decoder's oscillators.
        frame_features, clock_features, gates: numbers of musical time and harmony that the graphs take.
        anchor_spacing: latent frames between two anchors of the coordinate.
        truncation: limit of style and coordinate by default, in standard deviations.
    """

    sample_rate: int
    hop: int
    subframes: int
    latent: int
    style: int
    coordinate: int
    controls: tuple[str, ...]
    generator_noise: int
    decoder_noise: int
    oscillator_hz: tuple[float, ...]
    frame_features: int = FRAME_FEATURES
    clock_features: int = CLOCK_FEATURES
    gates: int = GATES
    anchor_spacing: int
    truncation: float

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "MusikaLiveFacts":
        """Read what a manifest says.

        Raises:
            ManifestError: a fact is missing or of the wrong type, or the graphs were made for other features than this
                version computes.
        """
        read = FactReader(_FAMILY, facts)
        for name, here in (("frame_features", FRAME_FEATURES), ("clock_features", CLOCK_FEATURES), ("gates", GATES)):
            if read.whole(name) != here:
                got = read.whole(name)
                raise ManifestError(
                    f"{_FAMILY}: graphs take {got} {name}, this version has {here}; export the model again"
                )
        return cls(
            sample_rate=read.whole("sample_rate", 1),
            hop=read.whole("hop", 1),
            subframes=read.whole("subframes", 1),
            latent=read.whole("latent", 1),
            style=read.whole("style", 1),
            coordinate=read.whole("coordinate", 1),
            controls=read.texts("controls"),
            generator_noise=read.whole("generator_noise"),
            decoder_noise=read.whole("decoder_noise"),
            oscillator_hz=read.reals("oscillator_hz"),
            anchor_spacing=read.whole("anchor_spacing", 1),
            truncation=read.real("truncation"),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        return {**asdict(self), "controls": list(self.controls), "oscillator_hz": list(self.oscillator_hz)}
