"""OSC address patterns: ``*``, ``?``, ``[a-z]``, ``[!a-z]``, ``{this,that}``, each within one part of an address.

Matching keeps the set of places reached so far instead of trying them one by one, so no pattern can make it slow:
time is at most the product of the lengths.

Source: the OSC 1.0 specification, "OSC Message Dispatching and Pattern Matching".
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

__all__ = ["MAX_PATTERN", "is_pattern", "matcher"]

MAX_PATTERN: Final = 256  # characters; a longer one hits nothing

_WILD: Final = frozenset("*?[{")

Token = tuple[str, frozenset[str] | tuple[str, ...]]  # kind ("star", "in", "out", "texts") and what belongs to it


def is_pattern(address: str) -> bool:
    """Whether an address has a character that makes it a pattern."""
    return not _WILD.isdisjoint(address)


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], bool] | None:
    """A function that says whether an address is hit; None for a pattern that is broken or too long."""
    if len(pattern) > MAX_PATTERN:
        return None
    parts = [_tokens(part) for part in pattern.split("/")]
    if any(part is None for part in parts):
        return None

    def hits(address: str) -> bool:
        names = address.split("/")
        return len(names) == len(parts) and all(_hits(p or [], n) for p, n in zip(parts, names, strict=True))

    return hits


def _tokens(part: str) -> list[Token] | None:
    """One part of a pattern, taken apart; None if a bracket does not close."""
    tokens: list[Token] = []
    at = 0
    while at < len(part):
        char = part[at]
        close = part.find({"[": "]", "{": "}"}.get(char, char), at + 1)
        if char in "[{" and close < 0:
            return None
        inside = part[at + 1 : close]
        if char == "*":
            tokens.append(("star", ()))
        elif char == "?":
            tokens.append(("out", frozenset()))
        elif char == "[":
            negated = inside.startswith("!")
            tokens.append(("out" if negated else "in", _class(inside[1:] if negated else inside)))
        elif char == "{":
            tokens.append(("texts", tuple(inside.split(","))))
        else:
            tokens.append(("in", frozenset(char)))
        at = close + 1 if char in "[{" else at + 1
    return tokens


def _class(inside: str) -> frozenset[str]:
    """The ASCII characters that a class such as ``a-z_`` stands for."""
    chars: set[str] = set()
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            first, last = ord(inside[at]), min(ord(inside[at + 2]), 127)
            chars.update(map(chr, range(first, last + 1)))
            at += 3
        else:
            chars.add(inside[at])
            at += 1
    return frozenset(chars)


def _hits(tokens: list[Token], name: str) -> bool:
    places = {0}
    for kind, what in tokens:
        if kind == "star":
            places = set(range(min(places), len(name) + 1))
        elif kind == "texts":
            places = {p + len(text) for p in places for text in what if name.startswith(text, p)}
        else:
            places = {p + 1 for p in places if p < len(name) and (name[p] in what) == (kind == "in")}
        if not places:
            return False
    return len(name) in places
