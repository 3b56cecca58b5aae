"""T5's published weight names (Hugging Face) -> ours."""

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

from export.rename.check_names import check_names

__all__ = ["renamed"]

_RULES: Final = (
    (r"^shared\.", "embedding."),
    (r"^encoder\.block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.", "near."),
    (r"^encoder\.block\.(\d+)\.layer\.0\.SelfAttention\.", r"blocks.\1."),
    (r"^encoder\.block\.(\d+)\.layer\.0\.layer_norm\.", r"blocks.\1.norm1."),
    (r"^encoder\.block\.(\d+)\.layer\.1\.DenseReluDense\.", r"blocks.\1."),
    (r"^encoder\.block\.(\d+)\.layer\.1\.layer_norm\.", r"blocks.\1.norm2."),
    (r"^encoder\.final_layer_norm\.", "norm."),
)
_TWICE: Final = "encoder.embed_tokens.weight"
"""The embedding under a second name, in some files."""


def renamed(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their weights under our names; a decoder's are not wanted.

    Args:
        theirs: an encoder, or a whole T5. ours: the state of a `T5Encoder` of the right sizes.
    Raises:
        CheckpointError: a name on either side is left over, or a shape differs.
    """
    made: dict[str, Tensor] = {}
    for name, value in theirs.items():
        if name == _TWICE or name.startswith(("decoder.", "lm_head.")):
            continue
        for pattern, new in _RULES:
            name = re.sub(pattern, new, name)
        made[name] = value
    if "embedding.weight" not in made and _TWICE in theirs:
        made["embedding.weight"] = theirs[_TWICE]
    return check_names(made, ours, "a T5 encoder")
