"""Our codec over its graphs: sound to codes and back, all at once or piece by piece with the same result.

Frames are of `MdctCoder.hop` samples. Codes of a frame are known as soon as its sound is; the sound of a frame is
complete with the next frame's codes. Everything a stream needs to continue is in its state, whose size does not grow;
a state may be copied, and both copies continue alike.

Source: `training.models.mdct_codec`, whose cached layers the graphs hold.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.errors import BundleError, ShapeError
from engine.graphs.graph import Graph, State
from engine.models.mdct_codec.facts import MdctCodecFacts
from engine.music.arrays import F32, I64
from engine.music.audio import Audio
from engine.protocols.codec import check_codes

__all__ = ["DECODER", "ENCODER", "MdctCoder", "MdctDecodeState", "MdctEncodeState"]

DECODER: Final = ("decode",)
ENCODER: Final = ("encode",)
"""Roles of the graphs; a bundle without the second cannot listen."""

_PIECE: Final = 100  # frames that whole sounds are taken in at a time, so that their length needs no memory


@dataclass(slots=True)
class MdctDecodeState:
    """A stream of codes on its way to sound.

    Args:
        caches: of the graph.
        ready: [B, channels, n], sound of a frame that is not complete.
        skip: samples before the stream's beginning that are still to come.
    """

    caches: State
    ready: F32
    skip: int

    def fork(self) -> "MdctDecodeState":
        """An independent copy."""
        return copy.deepcopy(self)


@dataclass(slots=True)
class MdctEncodeState:
    """A stream of sound on its way to codes."""

    caches: State
    batch: int

    def fork(self) -> "MdctEncodeState":
        """An independent copy."""
        return copy.deepcopy(self)


class MdctCoder:
    """The codec of a bundle.

    Threads: methods may be called from several threads, each with its own state.

    Args:
        graphs: by role; `DECODER`, and `ENCODER` if it is to listen.
    Raises:
        ManifestError: what the graphs say of themselves is missing or makes no sense.
    """

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        self._decode, self._encode = graphs["decode"], graphs.get("encode")
        facts = MdctCodecFacts.from_mapping(self._decode.manifest.facts)
        self.sample_rate, self.channels, self.hop = facts.sample_rate, facts.channels, facts.hop
        self.codebooks, self.entries, self.look_ahead = facts.codebooks, facts.entries, facts.look_ahead
        self._block = facts.block

    @property
    def listens(self) -> bool:
        """Whether there is an encoder."""
        return self._encode is not None

    def begin_decode(self, batch: int = 1) -> MdctDecodeState:
        """The state of `batch` streams that begin together."""
        ready = np.zeros((batch, self.channels, 0), np.float32)
        return MdctDecodeState(self._decode.empty_state(B=batch), ready, self._block)

    def decode_step(self, state: MdctDecodeState, codes: I64, *, last: bool = False) -> Audio:
        """The sound that is complete after these codes.

        Args:
            codes: [B, K, n], n of 0 or more.
            last: the stream ends here: all that is left comes out, its last block fading out.
        Returns:
            [B, channels, m], m = hop * (frames complete now); louder than 1 at times.
        Raises:
            ShapeError: codes of another shape, or codes that there are not.
        """
        check_codes(self, codes, state.ready.shape[0])
        parts = [state.ready]
        if codes.shape[2]:
            audio = self._decode.run({"codes": codes}, state.caches)["audio"]
            cut = min(state.skip, audio.shape[2])
            state.skip -= cut
            parts.append(audio[:, :, cut:])
        if last and not state.skip:
            parts.append(self._tail(state))
        ready: Audio = np.concatenate(parts, axis=2)
        whole = ready.shape[2] // self.hop * self.hop
        state.ready = ready[:, :, whole:].copy()
        return np.ascontiguousarray(ready[:, :, :whole])

    def _tail(self, state: MdctDecodeState) -> F32:
        """[B, channels, block]: what the newest block says of the samples after it."""
        middle, side = state.caches["cache.0"][:, 0], state.caches["cache.0"][:, 1]
        tail: F32 = np.stack([middle + side, middle - side], axis=1)
        return tail

    def decode(self, codes: I64) -> Audio:
        """Sound [B, channels, hop * T] of codes [B, K, T], all of them."""
        state = self.begin_decode(codes.shape[0])
        parts = [self.decode_step(state, codes[:, :, at : at + _PIECE]) for at in range(0, codes.shape[2], _PIECE)]
        parts.append(self.decode_step(state, codes[:, :, :0], last=True))
        return np.concatenate(parts, axis=2)

    def begin_encode(self, batch: int = 1) -> MdctEncodeState:
        """The state of `batch` streams of sound that begin together.

        Raises:
            BundleError: there is no encoder.
        """
        return MdctEncodeState(self._listening().empty_state(B=batch), batch)

    def encode_step(self, state: MdctEncodeState, audio: Audio, *, last: bool = False) -> I64:
        """The codes of this sound.

        Args:
            audio: [B, channels, n], n a multiple of `hop`.
            last: the stream ends here; nothing is ever held back.
        Returns:
            [B, K, n / hop].
        Raises:
            ShapeError: sound of another shape, or not of whole frames.
        """
        if audio.ndim != 3 or audio.shape[:2] != (state.batch, self.channels) or audio.shape[2] % self.hop:
            raise ShapeError(
                f"the encoder takes [{state.batch}, {self.channels}, n * {self.hop}], got {list(audio.shape)}"
            )
        if not audio.shape[2]:
            return np.zeros((state.batch, self.codebooks, 0), np.int64)
        codes: I64 = self._listening().run({"audio": np.ascontiguousarray(audio, np.float32)}, state.caches)["codes"]
        return codes

    def encode(self, audio: Audio) -> I64:
        """Codes [B, K, T] of sound [B, channels, N], N a multiple of `hop`, all of it."""
        state, size = self.begin_encode(audio.shape[0]), _PIECE * self.hop
        pieces = range(0, max(1, audio.shape[2]), size)
        return np.concatenate([self.encode_step(state, audio[:, :, at : at + size]) for at in pieces], axis=2)

    def _listening(self) -> Graph:
        if self._encode is None:
            raise BundleError("this bundle has no encoder, so it cannot continue sound; export the model again")
        return self._encode
