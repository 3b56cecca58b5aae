"""The facts of a GETMusic bundle: written by export, read by the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.graphs.facts import FactReader
from engine.music.keys import SHIFTS

__all__ = ["GetmusicFacts"]

_FAMILY: Final = "getmusic"
_KINDS: Final = ("official", "live")
_MOST_WARMTH: Final = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class GetmusicFacts:
    """Sizes and settings of one network.

    Args:
        dictionary: the text of its dictionary of tokens.
        context: the most columns of a grid that it sees. window: the last of them, in which cells may be open.
        kind: ``official``, the published network, or ``live``, ours.
        layers, heads, width: of the network. features: inputs per column besides the grid, 0 for none.
        lagged_chords: whether a bar carries the chords that the bar before it was detected to have.
        key_shift: how scores are transposed for it (see `engine.music.keys.key_shift`).
        defaults: packed densities and registers of real playing (see `engine.models.getmusic.defaults`); None for none.
            The manifest calls this fact ``usual``.
        warmth: the network's temperature where 1 is set, above 0 and at most 5.
    """

    dictionary: str
    context: int
    window: int
    kind: str = "official"
    layers: int = 0
    heads: int = 0
    width: int = 0
    features: int = 0
    lagged_chords: bool = False
    key_shift: str = "near"
    defaults: str | None = None
    warmth: float = 1.0

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "GetmusicFacts":
        """The facts of a manifest; the text of the dictionary is not parsed here.

        Raises:
            ManifestError: a fact is missing, of the wrong type or out of range.
        """
        read = FactReader(_FAMILY, facts)
        warmth = read.real("warmth", default=1.0)
        if not 0.0 < warmth <= _MOST_WARMTH:
            raise read.refused("warmth", f"a temperature above 0 and at most {_MOST_WARMTH:g}")
        return cls(
            dictionary=read.text("dictionary"),
            context=read.whole("context", 1),
            window=read.whole("window", 1),
            kind=read.text("kind", default="official", among=_KINDS),
            layers=read.whole("layers", default=0),
            heads=read.whole("heads", default=0),
            width=read.whole("width", default=0),
            features=read.whole("features", default=0),
            lagged_chords=read.flag("lagged_chords", default=False),
            key_shift=read.text("key_shift", default="near", among=SHIFTS),
            defaults=read.text("usual") if "usual" in read else None,
            warmth=warmth,
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        return {
            **({"usual": self.defaults} if self.defaults is not None else {}),
            **({"warmth": self.warmth} if self.warmth != 1.0 else {}),
            "kind": self.kind,
            "dictionary": self.dictionary,
            "layers": self.layers,
            "heads": self.heads,
            "width": self.width,
            "context": self.context,
            "window": self.window,
            "features": self.features,
            "lagged_chords": self.lagged_chords,
            "key_shift": self.key_shift,
        }
