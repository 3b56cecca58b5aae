"""What a bundle says about its codec: sizes of sound and codes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from engine.errors import ManifestError
from engine.graphs.facts import FactReader

__all__ = ["KIND", "MdctCodecFacts"]

KIND: Final = "mdct"
_CODEC: Final = "the codec"


@dataclass(frozen=True, kw_only=True, slots=True)
class MdctCodecFacts:
    """Sizes of one codec.

    Args:
        sample_rate: Hz. channels: of the sound, 2. hop: samples of a frame.
        block: samples by which sound leaves later than its codes came; `hop` or a whole fraction of it.
        codebooks: codes of a frame. entries: different codes of a codebook.
    """

    sample_rate: int
    channels: int
    hop: int
    block: int
    codebooks: int
    entries: int

    @property
    def look_ahead(self) -> int:
        """Frames after one that it needs to be complete: whole ones are given out."""
        return 1

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "MdctCodecFacts":
        """Read what a manifest says.

        Raises:
            ManifestError: a fact is missing, of the wrong type or out of range.
        """
        read = FactReader(_CODEC, facts)
        made = cls(
            sample_rate=read.whole("sample_rate", 1),
            channels=read.whole("channels", 2, 2),
            hop=read.whole("hop", 2),
            block=read.whole("block", 1),
            codebooks=read.whole("codebooks", 1),
            entries=read.whole("entries", 1),
        )
        if made.hop % made.block:
            raise ManifestError(f"{_CODEC}: blocks of {made.block} do not make frames of {made.hop}; export it again")
        return made

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        return {"codec": KIND, **asdict(self)}
