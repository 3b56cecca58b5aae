"""A codec: sound to codes and back, whole or piece by piece with the same result."""

from typing import Any, Protocol, Self

from engine.errors import ShapeError
from engine.music.arrays import I64
from engine.music.audio import Audio

__all__ = ["CodecState", "StreamingCodec", "check_codes"]


class CodecState(Protocol):
    """A stream on its way; its size does not grow."""

    def fork(self) -> Self:
        """An independent copy; both continue alike."""
        ...


class StreamingCodec(Protocol):
    """A codec of a bundle.

    Threads: methods may be called from several threads, each with its own state.

    Attributes:
        sample_rate: Hz. channels: of the sound. hop: samples of a frame.
        codebooks: K, codes of a frame. entries: different codes of a codebook.
        look_ahead: frames after one that it needs to be complete.
    """

    sample_rate: int
    channels: int
    hop: int
    codebooks: int
    entries: int
    look_ahead: int

    @property
    def listens(self) -> bool:
        """Whether there is an encoder."""
        ...

    def begin_decode(self, batch: int = 1) -> Any:
        """The `CodecState` of `batch` streams of codes that begin together."""
        ...

    def decode_step(self, state: Any, codes: I64, *, last: bool = False) -> Audio:
        """The sound [B, channels, m] that is complete after codes [B, K, n]; `last`: all that is left."""
        ...

    def decode(self, codes: I64) -> Audio:
        """Sound [B, channels, hop * T] of codes [B, K, T], all of them."""
        ...

    def begin_encode(self, batch: int = 1) -> Any:
        """The `CodecState` of `batch` streams of sound that begin together."""
        ...

    def encode_step(self, state: Any, audio: Audio, *, last: bool = False) -> I64:
        """The codes [B, K, frames complete now] after sound [B, channels, n], n a multiple of `hop`."""
        ...

    def encode(self, audio: Audio) -> I64:
        """Codes [B, K, T] of sound [B, channels, N], N a multiple of `hop`, all of it."""
        ...


def check_codes(codec: StreamingCodec, codes: I64, batch: int) -> None:
    """Refuse what a codec cannot decode.

    Args:
        codes: wanted as [batch, K, n], each 0..entries - 1.
    Raises:
        ShapeError: codes of another shape, or codes that there are not.
    """
    if codes.ndim != 3 or codes.shape[:2] != (batch, codec.codebooks):
        raise ShapeError(f"the decoder takes codes [{batch}, {codec.codebooks}, n], got {list(codes.shape)}")
    if codes.size and not 0 <= codes.min() <= codes.max() < codec.entries:
        raise ShapeError(f"codes are 0..{codec.entries - 1}, got {codes.min()}..{codes.max()}")
