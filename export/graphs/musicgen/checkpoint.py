"""The checkpoint of a language model of sound, of ours or imported: codec, language model, and text encoder if any.

One safetensors file: tensors ``codec.*`` (`Encodec`), ``lm.*`` (`LM`), ``text.*`` (`T5Encoder`); metadata ``family``
(musicgen), ``configs`` (JSON of the sizes by the same prefixes), ``tokenizer`` (JSON of the library tokenizers, empty
without text) and ``notes`` (JSON: source, licence, delays, frames, guidance, text_length). As training writes it.
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

from export.errors import WeightsError
from training.models.encodec import Encodec, EncodecConfig
from training.models.musicgen import LM, MusicgenConfig
from training.models.t5 import T5Config, T5Encoder

__all__ = ["FAMILY", "CheckpointParts", "Sizes", "load_parts", "save_parts"]

FAMILY: Final = "musicgen"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of each part; None for no text encoder."""

    codec: EncodecConfig
    lm: MusicgenConfig
    text: T5Config | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, by the prefixes of a file."""
        text = {} if self.text is None else {"text": asdict(self.text)}
        return {"codec": asdict(self.codec), "lm": asdict(self.lm), **text}


@dataclass(frozen=True, slots=True)
class CheckpointParts:
    """All parts in evaluation mode, fp32; `tokenizer` is empty without `text`."""

    codec: Encodec
    lm: LM
    text: T5Encoder | None
    tokenizer: str
    notes: Mapping[str, Any]

    @property
    def sizes(self) -> Sizes:
        return Sizes(self.codec.config, self.lm.config, None if self.text is None else self.text.config)


def save_parts(
    path: Path,
    sizes: Sizes,
    weights: Mapping[str, Mapping[str, Tensor]],
    tokenizer: str,
    notes: Mapping[str, Any],
) -> None:
    """Write a checkpoint; `weights` by prefix, of any floating type."""
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, values in weights.items()
        for key, value in values.items()
    }
    about = {
        "family": FAMILY,
        "configs": json.dumps(sizes.as_dict(), sort_keys=True),
        "tokenizer": tokenizer,
        "notes": json.dumps(dict(notes), sort_keys=True),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(tensors, path, about)


def load_parts(path: Path) -> CheckpointParts:
    """Read what `save_parts`, or training, wrote.

    Raises:
        WeightsError: not such a file, or its weights do not fit.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            about = file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise WeightsError(f"{path} is not readable as a safetensors file ({error})") from None
    if about.get("family") != FAMILY:
        raise WeightsError(f"{path} is a checkpoint of '{about.get('family')}', not of {FAMILY}")
    try:
        configs, notes = json.loads(about["configs"]), json.loads(about["notes"])
        codec = Encodec(EncodecConfig(**{**configs["codec"], "ratios": tuple(configs["codec"]["ratios"])}))
        # Its values stay in the file until they are asked for: there is no room for a large model's twice.
        with torch.device("meta"):
            lm = LM(MusicgenConfig(**configs["lm"]))
        text = T5Encoder(T5Config(**configs["text"])) if "text" in configs else None
        tensors = safetensors.torch.load_file(path)
        for name, part in (("codec", codec), ("lm", lm), ("text", text)):
            if part is not None:
                _fill(part, tensors, f"{name}.")
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: what it says of itself and its weights do not fit: {error}") from None
    return CheckpointParts(
        codec.eval(), lm.eval(), None if text is None else text.eval(), about.get("tokenizer", ""), notes
    )


def _fill(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    mine = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    module.load_state_dict(mine, assign=isinstance(module, LM))
