"""What a bundle of a language model of sound says about it: written by export, read by the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import ManifestError
from engine.graphs.facts import FactReader
from engine.models.encodec.facts import EncodecFacts
from engine.models.mdct_codec.facts import KIND, MdctCodecFacts

__all__ = ["MusicgenFacts"]

_FAMILY: Final = "musicgen"
_MOST: Final = (1 << 16) - 1
_LONGEST_DELAY: Final = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicgenFacts:
    """Sizes and defaults.

    Args:
        codec: of its codec.
        delays: steps by which each codebook comes later.
        window: frames of context that the model was trained with. keep: of these a next window begins with.
        streams: codec streams, 2 for stereo.
        rotary: whether positions are relative, so that the oldest steps can be evicted; else a window begins anew.
        guidance, temperature, top_k: how codes are drawn by default.
        text_length: pieces to which texts are padded, 0 for none.
        chroma: classes of a melody, 0 for none. chroma_frames: columns that a melody is padded to.
        features: numbers that a step is given of beat, bar and chord.
        guided: the last of them, which guidance applies to as it does to words; 0 where a model was not trained without
            them.
        character: the last of these, which words fill in.
        tokenizer: sha256 of the bundle's tokenizer; empty where it takes no words.
    """

    codec: EncodecFacts | MdctCodecFacts
    delays: tuple[int, ...]
    window: int
    keep: int
    streams: int
    rotary: bool
    guidance: float
    temperature: float = 1.0
    top_k: int = 250
    text_length: int
    chroma: int
    chroma_frames: int
    features: int
    guided: int
    character: int
    tokenizer: str = ""

    @property
    def latest(self) -> int:
        """The greatest delay: steps after its first code that a frame is whole."""
        return max(self.delays)

    @property
    def worded(self) -> bool:
        """Whether it takes words."""
        return bool(self.tokenizer)

    @property
    def latency_frames(self) -> dict[str, int]:
        """Parts of the time from the draw of a frame's first code to its sound, in frames."""
        return {"last codebook": self.latest, "decoder's look-ahead": self.codec.look_ahead}

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "MusicgenFacts":
        """Read what a manifest says.

        Raises:
            ManifestError: a fact is missing, of the wrong type, or they do not fit together.
        """
        read = FactReader(_FAMILY, facts)
        read.counts("latency_frames")
        return _checked(
            cls(
                codec=_codec_facts(facts),
                delays=read.wholes("delays", 0, _LONGEST_DELAY),
                window=read.whole("window", 2, _MOST),
                keep=read.whole("keep", 1, _MOST),
                streams=read.whole("streams", 1, _MOST),
                rotary=read.flag("rotary"),
                guidance=read.real("guidance"),
                temperature=read.real("temperature", default=1.0),
                top_k=read.whole("top_k", default=250),
                text_length=read.whole("text_length", 0, _MOST),
                chroma=read.whole("chroma", 0, _MOST),
                chroma_frames=read.whole("chroma_frames", 0, _MOST),
                features=read.whole("features", 0, _MOST),
                guided=read.whole("guided", 0, _MOST),
                character=read.whole("character", 0, _MOST),
                tokenizer=read.text("tokenizer", default=""),
            )
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values for a manifest."""
        return {
            **self.codec.to_mapping(),
            "frame_rate": self.codec.sample_rate / self.codec.hop,
            "delays": list(self.delays),
            "window": self.window,
            "keep": self.keep,
            "streams": self.streams,
            "rotary": self.rotary,
            "guidance": self.guidance,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "text_length": self.text_length,
            "chroma": self.chroma,
            "chroma_frames": self.chroma_frames,
            "features": self.features,
            "guided": self.guided,
            "character": self.character,
            "latency_frames": self.latency_frames,
            "tokenizer": self.tokenizer,
        }


def _codec_facts(facts: Mapping[str, Any]) -> EncodecFacts | MdctCodecFacts:
    """Facts of one codec or the other; an EnCodec's do not say which."""
    return MdctCodecFacts.from_mapping(facts) if facts.get("codec") == KIND else EncodecFacts.from_mapping(facts)


def _checked(facts: MusicgenFacts) -> MusicgenFacts:
    if not facts.character <= facts.guided <= facts.features:
        raise ManifestError(
            f"{_FAMILY}: of {facts.features} features {facts.guided} cannot be guided and {facts.character} filled in "
            "by words; export the model again"
        )
    if not facts.latest < facts.keep < facts.window:
        raise ManifestError(
            f"{_FAMILY}: a window of {facts.window} frames cannot keep {facts.keep}; export the model again"
        )
    return facts
