"""A vocabulary of words for a text encoder of ours, which then is a small T5 encoder (`training.models.t5`).

A text becomes numbers as T5's tokenizer would make them: ``[L]`` pieces and a mask, so that whoever runs one runs the
other. Number 0 fills up, number 1 stands for every unknown word.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from engine.music.arrays import I64

__all__ = ["PAD", "UNKNOWN", "WordVocabulary"]

PAD: Final = 0
UNKNOWN: Final = 1
_SPECIAL: Final = ("<pad>", "<unk>")


@dataclass(frozen=True)
class WordVocabulary:
    """Words in the order of their numbers, which begin at 2.

    Args:
        words: in small letters.
        pattern: regular expression of one word.
    """

    words: tuple[str, ...]
    pattern: str

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate((*_SPECIAL, *self.words))}

    def __len__(self) -> int:
        return len(_SPECIAL) + len(self.words)

    def numbers(self, text: str, length: int) -> I64:
        """``[length]``: the numbers of a text's words, cut off or filled up with 0."""
        found = re.findall(self.pattern, text.lower())[:length]
        row = np.full(length, PAD, np.int64)
        row[: len(found)] = [self._numbers.get(word, UNKNOWN) for word in found]
        return row

    def unknown(self, text: str) -> Sequence[str]:
        """Unknown words of a text, in order."""
        return [word for word in re.findall(self.pattern, text.lower()) if word not in self._numbers]

    def tokenizer(self) -> str:
        """The same as the JSON of a `tokenizers` tokenizer, which adds nothing at either end."""
        return json.dumps(
            {
                "version": "1.0",
                "truncation": None,
                "padding": None,
                "added_tokens": [],
                "normalizer": {"type": "Lowercase"},
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": self.pattern},
                    "behavior": "Removed",
                    "invert": True,
                },
                "post_processor": None,
                "decoder": None,
                "model": {"type": "WordLevel", "vocab": self._numbers, "unk_token": _SPECIAL[UNKNOWN]},
            }
        )

    @classmethod
    def read(cls, tokenizer: str) -> "WordVocabulary":
        """From what `tokenizer` gave.

        Raises:
            ValueError: it is another kind of tokenizer.
        """
        try:
            told = json.loads(tokenizer)
            numbers, pattern = told["model"]["vocab"], told["pre_tokenizer"]["pattern"]["Regex"]
            words = sorted(numbers, key=lambda word: int(numbers[word]))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a tokenizer of whole words ({error!r})") from None
        if tuple(words[: len(_SPECIAL)]) != _SPECIAL or sorted(numbers.values()) != list(range(len(words))):
            raise ValueError("not a tokenizer of whole words: its numbers have gaps, or 0 and 1 are words")
        return cls(tuple(words[len(_SPECIAL) :]), pattern)
