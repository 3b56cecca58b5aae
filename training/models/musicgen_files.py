"""Checkpoints of our own codecs and language models: safetensors files that say what they are.

`CODEC_FILE` holds a codec. `MUSICGEN_FILE` holds all that it takes to play, so that nothing can be mixed up: tensors
``codec.*`` (`Encodec`), ``lm.*`` (`LM`) and ``text.*`` (`T5Encoder`). Metadata, all texts:

- ``family``: encodec or musicgen.
- ``configs``: JSON, the sizes by the same prefixes.
- ``tokenizer``: JSON of a `tokenizers` tokenizer (musicgen only).
- ``notes``: JSON: source, licence, and of a musicgen ``delays``, ``text_length`` (pieces to which every text is filled
  up: the zeros behind it are attended to) and ``features`` (names and counts of the conditions of a step).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
from torch import Tensor, nn

from training.models.encodec import Encodec, EncodecConfig
from training.models.musicgen import LM, MusicgenConfig
from training.models.t5 import T5Config, T5Encoder
from training.models.words import WordVocabulary

__all__ = ["CODEC_FILE", "MUSICGEN_FILE", "MusicgenParts", "load_codec", "load_musicgen", "save_codec", "save_musicgen"]

CODEC_FILE: Final = "encodec.safetensors"
MUSICGEN_FILE: Final = "musicgen.safetensors"


@dataclass(frozen=True, slots=True)
class MusicgenParts:
    """All parts of a language model of sound, in evaluation mode."""

    codec: Encodec
    lm: LM
    text: T5Encoder
    vocabulary: WordVocabulary
    notes: Mapping[str, Any]


def save_codec(
    path: Path, codec: Encodec, notes: Mapping[str, Any], weights: Mapping[str, Tensor] | None = None
) -> None:
    """Write a codec.

    Args:
        notes: plain JSON. weights: others than its own, such as their running average.
    """
    _write(path, "encodec", {"codec": weights or codec.state_dict()}, {"codec": asdict(codec.config)}, notes)


def save_musicgen(path: Path, made: MusicgenParts) -> None:
    """Write all parts of a language model."""
    parts: dict[str, Mapping[str, Tensor]] = {
        name: part.state_dict() for name, part in (("codec", made.codec), ("lm", made.lm), ("text", made.text))
    }
    configs = {
        "codec": asdict(made.codec.config),
        "lm": asdict(made.lm.config),
        "text": asdict(made.text.config),
    }
    _write(path, "musicgen", parts, configs, made.notes, tokenizer=made.vocabulary.tokenizer())


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


def load_codec(path: Path) -> tuple[Encodec, Mapping[str, Any]]:
    """A codec in evaluation mode, out of either kind of file, and its notes.

    Raises:
        ValueError: not such a file, or its weights do not fit.
    """
    about, configs, tensors = _read(path, ("encodec", "musicgen"))
    try:
        codec = Encodec(EncodecConfig(**_tuples(configs["codec"])))
        _fill(codec, tensors, "codec")
        return codec.eval(), json.loads(about["notes"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: what it says of itself and its weights do not fit: {error}") from None


def load_musicgen(path: Path) -> MusicgenParts:
    """All parts of a language model.

    Raises:
        ValueError: not such a file, or its weights do not fit.
    """
    about, configs, tensors = _read(path, ("musicgen",))
    try:
        codec = Encodec(EncodecConfig(**_tuples(configs["codec"])))
        lm, text = LM(MusicgenConfig(**configs["lm"])), T5Encoder(T5Config(**configs["text"]))
        for name, part in (("codec", codec), ("lm", lm), ("text", text)):
            _fill(part, tensors, name)
        vocabulary = WordVocabulary.read(about["tokenizer"])
        return MusicgenParts(codec.eval(), lm.eval(), text.eval(), vocabulary, json.loads(about["notes"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path}: what it says of itself and its weights do not fit: {error}") from None


def _read(path: Path, families: tuple[str, ...]) -> tuple[dict[str, str], dict[str, Any], dict[str, Tensor]]:
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = file.metadata() or {}
        if about.get("family") not in families:
            raise ValueError(f"{path} is a checkpoint of '{about.get('family')}', not of {' or '.join(families)}")
        return about, json.loads(about["configs"]), safetensors.torch.load_file(path)
    except (OSError, KeyError, safetensors.SafetensorError) as error:
        raise ValueError(f"{path} is not readable as such a checkpoint ({error})") from None


def _tuples(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    module.load_state_dict(
        {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
    )
