"""Words for a language model of sound: a tokenizer and the graph of a text encoder, of T5's make."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.errors import BundleError
from engine.graphs.graph import Graph
from engine.models.words import known_words
from engine.music.arrays import F32

__all__ = ["TOKENIZER", "TextEncoder", "read_tokenizer"]


TOKENIZER: Final = "tokenizer.json"
"""File of a bundle that says how its text encoder cuts texts into pieces."""

_LONGEST: Final = 256  # pieces of a text that are heard
_MAX_TOKENIZER: Final = 16 << 20  # bytes


def read_tokenizer(folder: Path, sha256: str) -> str:
    """The tokenizer of a bundle, as JSON.

    Raises:
        BundleError: it is missing, or not the one that the bundle was exported with.
    """
    path = folder / TOKENIZER
    try:
        if path.stat().st_size > _MAX_TOKENIZER:
            raise BundleError(f"{path} is larger than any tokenizer; fetch or export the bundle again")
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); fetch or export the bundle again") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise BundleError(f"{path} is not the tokenizer that its bundle was exported with; fetch the bundle again")
    return content.decode("utf-8")


class TextEncoder:
    """Texts to vectors.

    Threads: `vectors` may be called from several threads.

    Args:
        graph: inputs ``pieces`` int64 and ``mask`` float32 [B, L], output ``vectors`` [B, L, width].
        tokenizer: JSON of the library tokenizers.
        length: pieces to which every text is filled up or cut; 0 for as many as it has.
    Raises:
        BundleError: the tokenizer cannot be read.
    """

    def __init__(self, graph: Graph, tokenizer: str, length: int = 0) -> None:
        from tokenizers import Tokenizer

        self._graph, self._length = graph, length
        self.known = known_words(tokenizer)
        """Its vocabulary; None if it cuts texts into parts of words."""
        try:
            self._tokenizer: Any = Tokenizer.from_str(tokenizer)
        except Exception as error:  # the library raises bare exceptions
            raise BundleError(f"the bundle's tokenizer cannot be read ({str(error)[:100]}); export it again") from None
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length=length or _LONGEST)

    def vectors(self, text: str) -> tuple[F32, F32]:
        """[1, L, width] of a text, and [1, L], 1 where there is text; L is at least 1."""
        pieces = list(self._tokenizer.encode(text).ids)
        mask = np.zeros((1, self._length or max(1, len(pieces))), np.float32)
        mask[0, : len(pieces)] = 1.0
        row = np.zeros(mask.shape, np.int64)
        row[0, : len(pieces)] = pieces
        made: F32 = self._graph.run({"pieces": row, "mask": mask})["vectors"]
        return made, mask
