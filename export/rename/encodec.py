"""EnCodec's published weight names -> ours, for both layouts in which its weights go about.

Hugging Face: ``encoder.layers.3.conv.weight_v``, ``quantizer.layers.0.codebook.embed``. The release (also inside
MusicGen's ``compression_state_dict.bin``): ``encoder.model.3.conv.conv.weight_v``,
``quantizer.vq.layers.0._codebook.embed``. Weight normalisation is spelt in two ways by torch of two ages.

Source: both programs' own files; layer numbers are the same in all.
"""

import re
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from export.errors import WeightsError
from export.rename.check_names import check_names

__all__ = ["renamed"]

_RULES: Final = (
    (r"^(encoder|decoder)\.(layers|model)\.", r"\1."),
    (r"\.(conv|convtr)\.\1\.", r".conv."),  # the release wraps each convolution once more
    (r"\.conv\.norm\.|\.convtr\.norm\.", r".norm."),
    (r"\.weight_g$", ".parametrizations.weight.original0"),
    (r"\.weight_v$", ".parametrizations.weight.original1"),
)

_BOOK: Final = re.compile(r"^quantizer\.(?:vq\.)?layers\.(\d+)\.(?:_codebook|codebook)\.(\w+)$")
_OF_TRAINING: Final = frozenset({"inited", "cluster_size", "embed_avg"})
"""What codebooks are trained with and played without."""


def renamed(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their weights under our names.

    Args:
        theirs: a whole codec, either layout, without a prefix.
        ours: the state of an `Encodec` of the right sizes: what is wanted.
    Raises:
        WeightsError: a name on either side is left over, or a shape differs.
    """
    made: dict[str, Tensor] = {}
    books: dict[int, Tensor] = {}
    for name, value in theirs.items():
        book = _BOOK.match(name)
        if book is not None:
            if book[2] == "embed":
                books[int(book[1])] = value
            elif book[2] not in _OF_TRAINING:
                raise WeightsError(f"'{name}' is no part of a codebook that we know; is this an EnCodec checkpoint?")
            continue
        for pattern, new in _RULES:
            name = re.sub(pattern, new, name)
        made[name] = value
    if sorted(books) != list(range(len(books))):
        raise WeightsError(
            f"codebooks {sorted(books)} are there, wanted them from 0 without gaps; fetch the file again"
        )
    if books:
        made["quantiser.books"] = torch.stack([books[number] for number in range(len(books))])
    return check_names(made, ours, "an EnCodec checkpoint")
