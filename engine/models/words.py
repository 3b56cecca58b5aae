"""The words that a text encoder of whole words knows: to tell people what a text prompt can ask for."""

import json
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["KnownWords", "known_words"]

_FILLING: Final = frozenset(
    (
        "and", "back", "bpm", "four", "in", "just", "laid", "mid", "music", "no", "of", "on", "only", "out", "tempo",
        "the", "track", "with", "without",
    )
)  # fmt: skip
_SHOWN: Final = 40


@dataclass(frozen=True, slots=True)
class KnownWords:
    """A vocabulary.

    Args:
        words: in small letters, numbers and names of keys among them.
        pattern: regular expression of one word.
    """

    words: frozenset[str]
    pattern: str

    def unknown(self, text: str) -> tuple[str, ...]:
        """The words of a text that are not known, in order, each once."""
        return tuple(dict.fromkeys(word for word in re.findall(self.pattern, text.lower()) if word not in self.words))

    def advice(self, text: str) -> str:
        """A sentence about what is not known of a text; empty if all of it is."""
        unknown = self.unknown(text)
        if not unknown:
            return ""
        plain = sorted(word for word in self.words if word.isalpha() and len(word) > 1 and word not in _FILLING)
        return f"this model does not know {', '.join(unknown)}; it knows {', '.join(plain[:_SHOWN])}" + (
            f" and {len(plain) - _SHOWN} more" if len(plain) > _SHOWN else ""
        )


def known_words(tokenizer: str) -> KnownWords | None:
    """The vocabulary of a tokenizer (JSON of the library tokenizers); None if it cuts texts into parts of words."""
    try:
        made = json.loads(tokenizer)
        if made["model"]["type"] != "WordLevel":
            return None
        pattern = made["pre_tokenizer"]["pattern"]["Regex"]
        return KnownWords(
            frozenset(word for word in made["model"]["vocab"] if word[0] != "<"), re.compile(pattern).pattern
        )
    except (ValueError, KeyError, TypeError, re.error):
        return None
