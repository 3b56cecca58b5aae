"""Checkpoints of codecs and language models, our own and imported: safetensors files that say what they are.

`CODEC_FILE` holds a codec. `MUSICGEN_FILE` holds all that it takes to play, so that nothing can be mixed up: tensors
``codec.*`` (see `training.models.codecs`), ``lm.*`` (`LM`) and, if it takes words, ``text.*`` (`T5Encoder`). Metadata,
all texts:

- ``family``: encodec or musicgen.
- ``configs``: JSON, the sizes by the same prefixes.
- ``tokenizer``: JSON of a `tokenizers` tokenizer, empty without a text encoder (musicgen only).
- ``notes``: JSON: source, licence, and of a musicgen ``delays``, ``frames`` (context of training), ``keep``,
  ``streams``, ``guidance``, ``temperature``, ``top_k``, ``text_length`` (pieces to which every text is padded: the
  zeros behind it are attended to), ``guided``, and ``features`` (names and counts of a step's features).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from training.models.codecs import SoundCodec, SoundCodecConfig, build_codec, config_from_dict, config_to_dict
from training.models.musicgen import LM, MusicgenConfig
from training.models.t5 import T5Config, T5Encoder
from training.models.words import WordVocabulary

__all__ = [
    "CODEC_FILE",
    "MUSICGEN_FILE",
    "MusicgenParts",
    "Sizes",
    "load_codec",
    "load_musicgen",
    "save_codec",
    "save_musicgen",
    "save_weights",
]

CODEC_FILE: Final = "encodec.safetensors"
MUSICGEN_FILE: Final = "musicgen.safetensors"
_CODEC, _MUSICGEN = "encodec", "musicgen"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of each part; None for no text encoder."""

    codec: SoundCodecConfig
    lm: MusicgenConfig
    text: T5Config | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by the prefixes of a file."""
        text = {} if self.text is None else {"text": asdict(self.text)}
        return {"codec": config_to_dict(self.codec), "lm": asdict(self.lm), **text}

    @classmethod
    def from_dict(cls, configs: Mapping[str, Any]) -> "Sizes":
        """Read what `as_dict` gave; KeyError or TypeError if it is something else."""
        return cls(
            config_from_dict(configs["codec"]),
            MusicgenConfig(**configs["lm"]),
            T5Config(**configs["text"]) if "text" in configs else None,
        )


@dataclass(frozen=True, slots=True)
class MusicgenParts:
    """All parts of a language model of sound, in evaluation mode; `tokenizer` (JSON) is empty without `text`."""

    codec: SoundCodec
    lm: LM
    text: T5Encoder | None
    tokenizer: str
    notes: Mapping[str, Any]

    @property
    def sizes(self) -> Sizes:
        return Sizes(self.codec.config, self.lm.config, None if self.text is None else self.text.config)

    @property
    def text_encoder(self) -> T5Encoder:
        """The text encoder of a model that takes words.

        Raises:
            ValueError: it takes none.
        """
        if self.text is None:
            raise ValueError("this checkpoint has no text encoder; choose one that takes words")
        return self.text

    @property
    def vocabulary(self) -> WordVocabulary:
        """The words of one of our own models.

        Raises:
            ValueError: its tokenizer is of another kind, or it has none.
        """
        return WordVocabulary.read(self.tokenizer)


def save_codec(
    path: Path, codec: SoundCodec, notes: Mapping[str, Any], weights: Mapping[str, Tensor] | None = None
) -> None:
    """Write a codec.

    Args:
        notes: plain JSON. weights: others than its own, such as their running average.
    """
    _write(path, _CODEC, {"codec": weights or codec.state_dict()}, {"codec": config_to_dict(codec.config)}, notes)


def save_musicgen(path: Path, made: MusicgenParts) -> None:
    """Write all parts of a language model."""
    parts: dict[str, nn.Module | None] = {"codec": made.codec, "lm": made.lm, "text": made.text}
    weights = {name: part.state_dict() for name, part in parts.items() if part is not None}
    save_weights(path, made.sizes, weights, made.tokenizer, made.notes)


def save_weights(
    path: Path, sizes: Sizes, weights: Mapping[str, Mapping[str, Tensor]], tokenizer: str, notes: Mapping[str, Any]
) -> None:
    """Write the weights of a language model, where its networks need not be built; `weights` by prefix."""
    _write(path, _MUSICGEN, weights, sizes.as_dict(), notes, tokenizer=tokenizer)


def _write(
    path: Path,
    family: str,
    parts: Mapping[str, Mapping[str, Tensor]],
    configs: Mapping[str, Any],
    notes: Mapping[str, Any],
    **more: str,
) -> None:
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, values in parts.items()
        for key, value in values.items()
    }
    about = {
        "family": family,
        "configs": json.dumps(configs, sort_keys=True),
        "notes": json.dumps(dict(notes), sort_keys=True),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors, path, about | more)


def load_codec(path: Path) -> tuple[SoundCodec, Mapping[str, Any]]:
    """A codec in evaluation mode, out of either kind of file, and its notes.

    Raises:
        ValueError: not such a file, or its weights do not fit.
    """
    about, configs, tensors = _read(path, (_CODEC, _MUSICGEN))
    try:
        codec = build_codec(config_from_dict(configs["codec"]))
        _fill(codec, tensors, "codec")
        return codec.eval(), json.loads(about["notes"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: what it says of itself and its weights do not fit: {error}") from None


def load_musicgen(path: Path) -> MusicgenParts:
    """All parts of a language model, of ours or imported.

    Raises:
        ValueError: not such a file, or its weights do not fit.
    """
    about, configs, tensors = _read(path, (_MUSICGEN,))
    try:
        sizes = Sizes.from_dict(configs)
        codec = build_codec(sizes.codec)
        # Its values are taken over from the file, not copied: there is no room for a large model's twice.
        with torch.device("meta"):
            lm = LM(sizes.lm)
        text = None if sizes.text is None else T5Encoder(sizes.text)
        for name, part in (("codec", codec), ("lm", lm), ("text", text)):
            if part is not None:
                _fill(part, tensors, name)
        notes = json.loads(about["notes"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: what it says of itself and its weights do not fit: {error}") from None
    text = None if text is None else text.eval()
    return MusicgenParts(codec.eval(), lm.eval(), text, about.get("tokenizer", ""), notes)


def _read(path: Path, families: tuple[str, ...]) -> tuple[dict[str, str], dict[str, Any], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = file.metadata() or {}
        if about.get("family") not in families:
            raise ValueError(f"{path} is a checkpoint of '{about.get('family')}', not of {' or '.join(families)}")
        configs, tensors = json.loads(about.get("configs", "{}")), safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is not readable as such a checkpoint ({error})") from None
    return about, configs, tensors


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    mine = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    module.load_state_dict(mine, assign=isinstance(module, LM))
