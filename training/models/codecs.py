"""The codecs that language models and generators are trained over, as one: built and rebuilt by their sizes."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from training.models.encodec import Encodec, EncodecConfig
from training.models.mdct_codec import MdctCodec, MdctCodecConfig

__all__ = ["SoundCodec", "SoundCodecConfig", "build_codec", "config_from_dict", "config_to_dict"]

SoundCodec = Encodec | MdctCodec
SoundCodecConfig = EncodecConfig | MdctCodecConfig
_MDCT = "mdct"


def build_codec(config: SoundCodecConfig) -> SoundCodec:
    """A codec of these sizes, whose weights are to be loaded or trained."""
    return MdctCodec(config) if isinstance(config, MdctCodecConfig) else Encodec(config)


def config_to_dict(config: SoundCodecConfig) -> dict[str, Any]:
    """Plain values, which say what kind of codec it is; an EnCodec is what says nothing."""
    return ({"kind": _MDCT} if isinstance(config, MdctCodecConfig) else {}) | asdict(config)


def config_from_dict(values: Mapping[str, Any]) -> SoundCodecConfig:
    """Read what `config_to_dict` gave; TypeError if it is something else."""
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return MdctCodecConfig(**plain) if plain.pop("kind", "") == _MDCT else EncodecConfig(**plain)
