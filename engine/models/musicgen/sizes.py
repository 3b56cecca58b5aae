"""The facts of a language model together with the sizes that only its graph can say."""

from dataclasses import dataclass, fields
from typing import Any, Final

from engine.errors import ManifestError
from engine.graphs.graph import Graph
from engine.models.musicgen.facts import MusicgenFacts

__all__ = ["LmFacts", "facts_of"]

_MOST: Final = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class LmFacts(MusicgenFacts):
    """Facts of a bundle and sizes of its graph ``lm``.

    Args:
        layers, heads, codebooks, entries: of the graph.
        prefix: whether conditions stand before the sequence.
    """

    layers: int
    heads: int
    codebooks: int
    entries: int
    prefix: bool


def facts_of(lm: Graph) -> LmFacts:
    """The facts of a graph ``lm``.

    Raises:
        ManifestError: one is missing or makes no sense, or the graph's sizes do not fit them.
    """
    facts = MusicgenFacts.from_mapping(lm.manifest.facts)
    shapes = {name: port.shape for name, port in {**lm.inputs, **lm.outputs}.items()}
    codes, logits, cache = (shapes.get(name, ()) for name in ("codes", "logits", "k.0"))
    if len(codes) != 3 or len(logits) != 3 or len(cache) != 4:
        raise ManifestError("the language model's graph lacks codes, logits or a cache; export the model again")
    codebooks = _size(codes[1])
    if len(facts.delays) != codebooks or codebooks % facts.streams:
        raise ManifestError(
            f"{len(facts.delays)} delays and {facts.streams} streams do not fit {codebooks} codebooks; "
            "export the model again"
        )
    return LmFacts(
        **{field.name: getattr(facts, field.name) for field in fields(MusicgenFacts)},
        layers=sum(name.startswith("k.") for name in lm.inputs),
        heads=_size(cache[1]),
        codebooks=codebooks,
        entries=_size(logits[2]),
        prefix="prefix" in lm.inputs,
    )


def _size(value: Any) -> int:
    if type(value) is not int or not 0 < value < _MOST:
        raise ManifestError("the language model's graph has free sizes that must be fixed; export the model again")
    return value
