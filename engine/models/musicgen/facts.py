"""What the graphs of a language model of sound say of themselves, checked once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import ManifestError
from engine.graphs.graph import Graph
from engine.graphs.manifest import Manifest

__all__ = ["MusicgenFacts", "facts_of", "latency_of"]

_MOST: Final = 1 << 16


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicgenFacts:
    """Sizes and habits.

    Args:
        delays: steps by which each codebook comes later.
        window: frames that the model has learned to hear at once. keep: of these it begins a next window with.
        streams: codec streams, 2 for stereo.
        rotary: old steps can be let go of; otherwise a window begins anew.
        guidance: how far to go away from what is said without conditions.
        text_length: pieces to which texts are filled up, 0 for none.
        chroma: classes of a melody, 0 for none. chroma_frames: columns that a melody is made to have.
        features: numbers that a step is told of beat, bar and chord.
        guided: the last of them, which guidance goes away from as it does from words; 0 where a model has not learned
            to do without them.
        character: the last of these, which words fill in.
        layers, heads, codebooks, entries: of the graph.
        prefix: whether conditions stand before the sequence.
    """

    delays: tuple[int, ...]
    window: int
    keep: int
    streams: int
    rotary: bool
    guidance: float
    text_length: int
    chroma: int
    chroma_frames: int
    features: int
    guided: int
    character: int
    layers: int
    heads: int
    codebooks: int
    entries: int
    prefix: bool

    @property
    def latest(self) -> int:
        """The greatest delay: steps after its first code that a frame is whole."""
        return max(self.delays)


def facts_of(lm: Graph) -> MusicgenFacts:
    """The facts of a graph ``lm``.

    Raises:
        ManifestError: one is missing or makes no sense.
    """
    manifest = lm.manifest
    layers = sum(name.startswith("k.") for name in lm.inputs)
    shapes = {name: port.shape for name, port in {**lm.inputs, **lm.outputs}.items()}
    codes, logits, cache = (shapes.get(name, ()) for name in ("codes", "logits", "k.0"))
    if len(codes) != 3 or len(logits) != 3 or len(cache) != 4:
        raise ManifestError("the language model's graph lacks codes, logits or a cache; export the model again")
    return _checked(
        MusicgenFacts(
            delays=tuple(_numbers(manifest, "delays")),
            window=_number(manifest, "window", 2),
            keep=_number(manifest, "keep", 1),
            streams=_number(manifest, "streams", 1),
            rotary=bool(manifest.fact("rotary")),
            guidance=_real(manifest, "guidance"),
            text_length=_number(manifest, "text_length", 0),
            chroma=_number(manifest, "chroma", 0),
            chroma_frames=_number(manifest, "chroma_frames", 0),
            features=_number(manifest, "features", 0),
            guided=_number(manifest, "guided", 0),
            character=_number(manifest, "character", 0),
            layers=layers,
            heads=_size(cache[1]),
            codebooks=_size(codes[1]),
            entries=_size(logits[2]),
            prefix="prefix" in lm.inputs,
        )
    )


def _checked(facts: MusicgenFacts) -> MusicgenFacts:
    if len(facts.delays) != facts.codebooks or facts.codebooks % facts.streams:
        raise ManifestError(
            f"{len(facts.delays)} delays and {facts.streams} streams do not fit {facts.codebooks} codebooks; "
            "export the model again"
        )
    if not facts.character <= facts.guided <= facts.features:
        raise ManifestError(
            f"of {facts.features} features {facts.guided} cannot be guided and {facts.character} filled in by words; "
            "export the model again"
        )
    if not facts.latest < facts.keep < facts.window:
        raise ManifestError(f"a window of {facts.window} frames cannot keep {facts.keep}; export the model again")
    return facts


def _number(manifest: Manifest, name: str, least: int) -> int:
    value = manifest.fact(name)
    if type(value) is not int or not least <= value < _MOST:
        raise ManifestError(f"fact '{name}' is {str(value)[:40]}, wanted a whole number from {least}; export again")
    return value


def _numbers(manifest: Manifest, name: str) -> list[int]:
    values = manifest.fact(name)
    if not isinstance(values, list) or not values or any(type(v) is not int or not 0 <= v < 64 for v in values):
        raise ManifestError(f"fact '{name}' is {str(values)[:40]}, wanted small whole numbers; export again")
    return values


def _real(manifest: Manifest, name: str) -> float:
    value = manifest.fact(name)
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ManifestError(f"fact '{name}' is {str(value)[:40]}, wanted a number; export again")
    return float(value)


def _size(value: Any) -> int:
    if type(value) is not int or not 0 < value < _MOST:
        raise ManifestError("the language model's graph has free sizes that must be fixed; export the model again")
    return value


def latency_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """Parts of the time from the draw of a frame's first code to its sound, in frames."""
    parts = facts.get("latency_frames")
    if not isinstance(parts, dict) or not all(type(value) is int for value in parts.values()):
        raise ManifestError("fact 'latency_frames' is missing or makes no sense; export the model again")
    return dict(parts)
