"""MusicGen's published weight names -> ours: the release's ``state_dict.bin`` and Hugging Face's safetensors.

Both hold the same numbers; Hugging Face keeps queries, keys and values apart and puts text encoder and codec beside the
language model. What belongs to neither side is an error.

Source: both programs' own files.
"""

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from export.errors import WeightsError
from export.rename.check_names import check_names

__all__ = ["from_hugging_face", "from_release", "parts_of"]

_RELEASE: Final = (
    (r"^emb\.(\d+)\.", r"embeddings.\1."),
    (r"^transformer\.layers\.", "blocks."),
    (r"\.self_attn\.in_proj_weight$", ".attention.qkv"),
    (r"\.self_attn\.out_proj\.", ".attention.out."),
    (r"\.cross_attention\.in_proj_weight$", ".cross.qkv"),
    (r"\.cross_attention\.out_proj\.", ".cross.out."),
    (r"\.linear1\.", ".up."),
    (r"\.linear2\.", ".down."),
    (r"^out_norm\.", "norm."),
    (r"^linears\.", "heads."),
    (r"^condition_provider\.conditioners\.description\.output_proj\.", "text."),
    (r"^condition_provider\.conditioners\.self_wav\.output_proj\.", "melody."),
)
_RELEASE_IDLE: Final = re.compile(r"^condition_provider\.conditioners\.self_wav\.chroma\.|^compression_model\.")

_HUGGING_FACE: Final = (
    (r"^decoder\.model\.decoder\.embed_tokens\.", "embeddings."),
    (r"^decoder\.model\.decoder\.layers\.", "blocks."),
    (r"^decoder\.model\.decoder\.layer_norm\.", "norm."),
    (r"^decoder\.lm_heads\.", "heads."),
    (r"^enc_to_dec_proj\.", "text."),
    (r"^audio_enc_to_dec_proj\.", "melody."),
    (r"\.self_attn\.out_proj\.", ".attention.out."),
    (r"\.encoder_attn\.out_proj\.", ".cross.out."),
    (r"\.self_attn_layer_norm\.", ".norm1."),
    (r"\.encoder_attn_layer_norm\.", ".norm_cross."),
    (r"\.final_layer_norm\.", ".norm2."),
    (r"\.fc1\.", ".up."),
    (r"\.fc2\.", ".down."),
)
_HUGGING_FACE_IDLE: Final = re.compile(r"\.embed_positions\.")
_PARTS: Final = re.compile(r"^(blocks\.\d+)\.(self_attn|encoder_attn)\.([qkv])_proj\.weight$")


def parts_of(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """A Hugging Face file taken apart: ``lm``, ``text_encoder`` and ``audio_encoder``, the last two without prefix."""
    made: dict[str, dict[str, Tensor]] = {"lm": {}, "text_encoder": {}, "audio_encoder": {}}
    for name, value in weights.items():
        first, _, rest = name.partition(".")
        if first in ("text_encoder", "audio_encoder"):
            made[first][rest] = value
        else:
            made["lm"][name] = value
    return made


def from_release(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The release's weights under our names.

    Args:
        theirs: ``best_state`` of its file.
        ours: the state of an `LM` of the right sizes.
    Raises:
        WeightsError: a name on either side is left over, or a shape differs.
    """
    made = {_named(name, _RELEASE): value for name, value in theirs.items() if not _RELEASE_IDLE.match(name)}
    return check_names(made, ours, "a MusicGen checkpoint")


def from_hugging_face(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's weights (``lm`` of `parts_of`) under our names; raises as `from_release`."""
    made: dict[str, Tensor] = {}
    apart: dict[str, dict[str, Tensor]] = {}
    for name, value in theirs.items():
        if _HUGGING_FACE_IDLE.search(name):
            continue
        name = _named(name, _HUGGING_FACE)
        part = _PARTS.match(name)
        if part is None:
            made[name] = value
        else:
            whole = f"{part[1]}.{'attention' if part[2] == 'self_attn' else 'cross'}.qkv"
            apart.setdefault(whole, {})[part[3]] = value
    for name, rows in apart.items():
        if set(rows) != set("qkv"):
            raise WeightsError(f"of '{name}' only {', '.join(sorted(rows))} are there; fetch the file again")
        made[name] = torch.cat([rows["q"], rows["k"], rows["v"]])
    return check_names(made, ours, "a MusicGen checkpoint")


def _named(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, new in rules:
        name = re.sub(pattern, new, name)
    return name
