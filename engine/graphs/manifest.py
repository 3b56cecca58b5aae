"""What a graph file says about itself: written by export, read here, defined once.

Kept as one JSON value of the ONNX metadata, so it can never be separated from its graph. It says only what the graph
cannot say itself (shapes and types are already there).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from engine.errors import ManifestError

__all__ = ["FORMAT", "METADATA_KEY", "Manifest"]

FORMAT: Final = 1
METADATA_KEY: Final = "ripieno"


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One graph of a bundle.

    Args:
        family: the model, a file name in ``engine.models`` (``musika``, ``musika_live``).
        role: the part of the model this graph is (``generator``, ``decoder``).
        bundle: id shared by the graphs that were exported together.
        build: how its weights are kept: ``fp32``, ``fp16`` or ``int8``.
        state: inputs that carry state; input ``h`` is fed from output ``h_next``.
        facts: plain JSON numbers, texts, lists that the model needs (sample rate, hop, noise layout).
        source: where the weights come from: recipe or url, with sha256.
        licence: under which the weights may be used.
        parity: greatest difference from torch on seeded inputs, relative to the output's standard deviation.
        format: version of this declaration.
    """

    family: str
    role: str
    bundle: str
    build: str = "fp32"
    state: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    parity: float = 0.0
    format: int = FORMAT

    def to_json(self) -> str:
        """One line of JSON, keys sorted, so equal manifests are equal texts."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ManifestError: not JSON, a key missing or unknown, or another format.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ManifestError(f"manifest is not JSON ({error}); export the model again") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            got = values.get("format") if isinstance(values, dict) else type(values).__name__
            raise ManifestError(f"manifest has format {got}, this version reads {FORMAT}; export the model again")
        try:
            manifest = cls(**{**values, "state": tuple(values.get("state", ()))})
        except TypeError as error:
            raise ManifestError(f"manifest does not fit ({error}); export the model again") from None
        return manifest

    def fact(self, name: str) -> Any:
        """One fact.

        Raises:
            ManifestError: it is not there.
        """
        if name not in self.facts:
            raise ManifestError(f"{self.family} {self.role}: fact '{name}' is missing; export the model again")
        return self.facts[name]
