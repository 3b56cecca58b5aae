"""EnCodec over its graphs: sound to codes and back, all at once or piece by piece with the same result.

Frames are of `Codec.hop` samples. A codec that is not causal uses some future frames: `look_ahead` of them are
kept back while a stream runs and come out when it ends. Everything a stream needs to continue is in its state, whose
size does not grow; a state may be copied, and both copies continue alike.

Source: Défossez et al., "High Fidelity Neural Audio Compression", 2022; which frames hear which follows from the
kernels and strides of its convolutions (see ``export.graphs.encodec``).
"""

import copy
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.errors import BundleError, ShapeError
from engine.graphs.graph import Graph, State
from engine.models.encodec.facts import EncodecFacts
from engine.music.arrays import F32, I64
from engine.music.audio import Audio
from engine.protocols.codec import check_codes

__all__ = ["DECODER", "ENCODER", "Codec", "DecodeState", "EncodeState"]


DECODER: Final = ("latent", "upsample")
ENCODER: Final = ("downsample", "memory", "quantise")
"""Roles of the graphs; a bundle without the second cannot listen."""

_PIECE: Final = 50  # frames that whole sounds are taken in at a time, so that their length needs no memory
_BESIDE: Final = 2  # pieces of a whole sound that are listened to at once: most of encoding, and it needs no memory


@dataclass(slots=True)
class _Tail:
    """The newest of a stream's columns: those that something still to be made will hear."""

    columns: npt.NDArray[Any]  # [B, rows, n]
    first: int = 0  # number of the first of them in the stream

    @property
    def end(self) -> int:
        return self.first + int(self.columns.shape[2])

    def add(self, more: npt.NDArray[Any]) -> None:
        self.columns = np.concatenate([self.columns, more], axis=2)

    def let_go(self, before: int) -> None:
        """Forget columns before a number."""
        if before > self.first:
            self.columns = self.columns[:, :, before - self.first :].copy()
            self.first = before

    def padded(
        self, start: int, stop: int, end: int | None, sides: tuple[int, int], reflect: bool
    ) -> tuple[npt.NDArray[Any], F32]:
        """Columns `start` to `stop`, and [n] which of them are real.

        Before the stream's beginning, and behind its `end`, stand the columns next to it backwards, or nothing. What is
        too short for its `sides` to be turned round is taken to be longer by columns that are not real.
        """
        places = np.arange(start, stop)
        length = max(stop, 1) if end is None else end
        if reflect:
            if end is not None:
                length = max(end, max(sides) + 1)
            places = np.abs(places)
            places = np.where(places >= length, 2 * length - 2 - places, places)
        real = (places >= 0) & (places < (length if end is None else end))
        held = np.clip(places - self.first, 0, max(0, self.columns.shape[2] - 1))
        return self.columns[:, :, held], real.astype(np.float32)


@dataclass(slots=True)
class DecodeState:
    """A stream of codes on its way to sound."""

    codes: _Tail
    latents: _Tail
    memory: State
    sounded: int = 0

    def fork(self) -> "DecodeState":
        """An independent copy."""
        return copy.deepcopy(self)


@dataclass(slots=True)
class EncodeState:
    """A stream of sound on its way to codes."""

    audio: _Tail
    made: _Tail
    memory: State
    remembered: int = 0
    coded: int = 0

    def fork(self) -> "EncodeState":
        """An independent copy."""
        return copy.deepcopy(self)


class Codec:
    """The codec of a bundle.

    Threads: methods may be called from several threads, each with its own state.

    Args:
        graphs: by role; `DECODER`, and `ENCODER` if it is to listen.
    Raises:
        ManifestError: what the graphs say of themselves is missing or makes no sense.
    """

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        self._graphs = dict(graphs)
        facts = EncodecFacts.from_mapping(graphs["latent"].manifest.facts)
        self.sample_rate, self.channels, self.hop = facts.sample_rate, facts.channels, facts.hop
        self.codebooks, self.entries, self.look_ahead = facts.codebooks, facts.entries, facts.look_ahead
        self._memory = facts.memory
        self._near = (facts.codes_before, facts.codes_after)
        self._wide = (facts.latents_before, facts.latents_after)
        self._reflect = facts.reflect
        # All of what such a codec pads with lies before: one frame is too short to be turned round.
        self._two_at_least = facts.reflect and facts.causal

    @property
    def listens(self) -> bool:
        """Whether there is an encoder."""
        return set(ENCODER) <= set(self._graphs)

    def begin_decode(self, batch: int = 1) -> DecodeState:
        """The state of `batch` streams that begin together."""
        codes = np.zeros((batch, self.codebooks, 0), np.int64)
        latents = np.zeros((batch, self._memory, 0), np.float32)
        return DecodeState(_Tail(codes), _Tail(latents), self._graphs["latent"].empty_state(B=batch))

    def decode_step(self, state: DecodeState, codes: I64, *, last: bool = False) -> Audio:
        """The sound that is complete after these codes.

        Args:
            codes: [B, K, n], n of 0 or more.
            last: the stream ends here: all that is left comes out.
        Returns:
            [B, channels, m], m = hop * (frames complete now); louder than 1 at times.
        Raises:
            ShapeError: codes of another shape, or codes that there are not.
        """
        check_codes(self, codes, state.codes.columns.shape[0])
        state.codes.add(codes)
        self._latents(state, last)
        before, after = self._wide
        ready = state.latents.end if last else state.latents.end - after
        first, batch = state.sounded, codes.shape[0]
        if ready <= first:
            return np.zeros((batch, self.channels, 0), np.float32)
        start, stop = max(0, first - before), min(state.latents.end, ready + after)
        part = state.latents.columns[:, :, start - state.latents.first : stop - state.latents.first]
        audio = self._graphs["upsample"].run({"latents": np.ascontiguousarray(part)})["audio"]
        state.sounded = ready
        state.latents.let_go(max(0, ready - before))
        made: Audio = audio[:, :, (first - start) * self.hop : (ready - start) * self.hop]
        return made

    def _latents(self, state: DecodeState, last: bool) -> None:
        """Codes to latents, as far as they can be known."""
        before, after = self._near
        end = state.codes.end
        begun = state.latents.end
        # What is turned round at the beginning must have come.
        waits = self._reflect and begun == 0 and end <= before and not last
        ready = begun if waits else end if last else max(begun, end - after)
        if ready <= begun:
            return
        known = end if last else None
        padded, real = state.codes.padded(begun - before, ready + after, known, self._near, self._reflect)
        made = self._graphs["latent"].run({"codes": padded, "real": real}, state.memory)
        state.latents.add(made["latents"])
        state.codes.let_go(max(0, ready - before) if ready > before else 0)

    def decode(self, codes: I64) -> Audio:
        """Sound [B, channels, hop * T] of codes [B, K, T], all of them."""
        state = self.begin_decode(codes.shape[0])
        parts = [self.decode_step(state, codes[:, :, at : at + _PIECE]) for at in range(0, codes.shape[2], _PIECE)]
        parts.append(self.decode_step(state, codes[:, :, :0], last=True))
        return np.concatenate(parts, axis=2)

    def begin_encode(self, batch: int = 1) -> EncodeState:
        """The state of `batch` streams of sound that begin together.

        Raises:
            BundleError: there is no encoder.
        """
        if not self.listens:
            raise BundleError("this bundle has no encoder, so it cannot continue sound; export the model again")
        audio = np.zeros((batch, self.channels * self.hop, 0), np.float32)
        made = np.zeros((batch, self._memory, 0), np.float32)
        return EncodeState(_Tail(audio), _Tail(made), self._graphs["memory"].empty_state(B=batch))

    def encode_step(self, state: EncodeState, audio: Audio, *, last: bool = False) -> I64:
        """The codes that are complete after this sound.

        Args:
            audio: [B, channels, n], n a multiple of `hop`.
            last: the stream ends here: all that is left comes out.
        Returns:
            [B, K, frames complete now].
        Raises:
            ShapeError: sound of another shape, or not of whole frames.
        """
        state.audio.add(self._columns(audio, state.audio.columns.shape[0]))
        self._remember(state, last)
        return self._quantised(state, last)

    def _columns(self, audio: Audio, batch: int) -> F32:
        """[B, channels * hop, T]: a column is a frame of all channels."""
        if audio.ndim != 3 or audio.shape[:2] != (batch, self.channels) or audio.shape[2] % self.hop:
            raise ShapeError(f"the encoder takes [{batch}, {self.channels}, n * {self.hop}], got {list(audio.shape)}")
        frames = audio.reshape(batch, self.channels, -1, self.hop).transpose(0, 1, 3, 2)
        return frames.reshape(batch, self.channels * self.hop, -1)

    def _quantised(self, state: EncodeState, last: bool) -> I64:
        """Codes of what is remembered, as far as they can be known."""
        before, after = self._near
        end, first = state.made.end, state.coded
        waits = self._reflect and first == 0 and end <= before and not last
        ready = first if waits else end if last else end - after
        if ready <= first:
            return np.zeros((state.made.columns.shape[0], self.codebooks, 0), np.int64)
        known = end if last else None
        padded, real = state.made.padded(first - before, ready + after, known, self._near, self._reflect)
        codes: I64 = self._graphs["quantise"].run({"frames": padded, "real": real})["codes"]
        state.coded = ready
        state.made.let_go(max(0, ready - before) if ready > before else 0)
        return codes

    def _remember(self, state: EncodeState, last: bool) -> None:
        """Sound to what the memory makes of it, as far as it can be known."""
        before, after = self._wide
        first = state.remembered
        ready = state.audio.end if last else state.audio.end - after
        if ready <= first or (self._two_at_least and state.audio.end == 1 and not last):
            return
        frames = self._listened(state.audio.columns, first - state.audio.first, ready - state.audio.first)
        state.made.add(self._graphs["memory"].run({"frames": frames}, state.memory)["made"])
        state.remembered = ready
        state.audio.let_go(max(0, ready - before))

    def _listened(self, columns: F32, first: int, ready: int) -> F32:
        """[B, rows, ready - first] of the columns from `first` to `ready`, of which those around them are heard."""
        before, after = self._wide
        start, stop = max(0, first - before), min(columns.shape[2], ready + after)
        part = columns[:, :, start:stop]
        if self._two_at_least and part.shape[2] == 1:
            part = np.concatenate([part, np.zeros_like(part)], axis=2)  # a sound of one frame: silence follows
        batch = part.shape[0]
        sound = part.reshape(batch, self.channels, self.hop, -1).transpose(0, 1, 3, 2).reshape(batch, self.channels, -1)
        frames = self._graphs["downsample"].run({"audio": np.ascontiguousarray(sound)})["frames"]
        return np.ascontiguousarray(frames[:, :, first - start : ready - start])

    def encode(self, audio: Audio) -> I64:
        """Codes [B, K, T] of sound [B, channels, N], N a multiple of `hop`, all of it."""
        state = self.begin_encode(audio.shape[0])
        columns = self._columns(audio, audio.shape[0])
        count = columns.shape[2]

        def listened(first: int) -> F32:
            return self._listened(columns, first, min(first + _PIECE, count))

        codes = []
        with ThreadPoolExecutor(_BESIDE, "encode") as pool:
            for frames in pool.map(listened, range(0, count, _PIECE)):
                state.made.add(self._graphs["memory"].run({"frames": frames}, state.memory)["made"])
                codes.append(self._quantised(state, last=False))
        codes.append(self._quantised(state, last=True))
        return np.concatenate(codes, axis=2)
