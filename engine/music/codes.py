"""Codebook patterns: in which order a language model says the codes of several codebooks, both directions.

Codes are ``[K, T]``, K codebooks and T frames; a sequence is ``[K, S]``, S steps, of which step 0 says nothing. Where
a codebook has nothing to say at a step, the model's special code stands.

Source: Copet et al., "Simple and Controllable Music Generation", 2023, section 2.2 and its released patterns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from engine.errors import EngineError
from engine.music.arrays import I64, Mask

__all__ = ["MONO_DELAYS", "STEREO_DELAYS", "PatternError", "Plan", "coarse_first", "delayed", "flattened", "parallel"]


MONO_DELAYS: Final = (0, 1, 2, 3)
STEREO_DELAYS: Final = (0, 0, 1, 1, 2, 2, 3, 3)
"""Delays of the released models; codebooks of stereo ones are left 1, right 1, left 2, and so on."""


class PatternError(EngineError, ValueError):
    """Codes, delays or a sequence do not fit the pattern: the message says which size was wanted."""


@dataclass(frozen=True, eq=False)
class Plan:
    """When each code is said.

    Args:
        steps: [K, T] step 1..S - 1 of each code; no codebook says two at one step.
    Raises:
        PatternError: a step below 1, or two codes of one codebook at one step.
    """

    steps: I64

    def __post_init__(self) -> None:
        if self.steps.ndim != 2 or (self.steps.size and self.steps.min() < 1):
            raise PatternError(f"got steps of shape {self.steps.shape}, wanted [codebooks, frames] from 1 on")
        if any(len(np.unique(row)) != len(row) for row in self.steps):
            raise PatternError("got two codes of one codebook at one step, wanted one at most: check the delays")

    @property
    def codebooks(self) -> int:
        return int(self.steps.shape[0])

    @property
    def frames(self) -> int:
        return int(self.steps.shape[1])

    @cached_property
    def length(self) -> int:
        """S, step 0 included."""
        return int(self.steps.max(initial=0)) + 1

    @cached_property
    def said(self) -> Mask:
        """[K, S]: whether a codebook says something at a step."""
        mask = np.zeros((self.codebooks, self.length), np.bool_)
        np.put_along_axis(mask, self.steps, True, axis=1)
        return mask

    def sequence(self, codes: I64, special: int) -> I64:
        """[K, S] from codes [K, T]; `special` where nothing is said.

        Raises:
            PatternError: other codebooks or frames than planned.
        """
        if codes.shape != self.steps.shape:
            raise PatternError(f"got codes {list(codes.shape)}, wanted {list(self.steps.shape)}: plan for this length")
        out = np.full((self.codebooks, self.length), special, np.int64)
        np.put_along_axis(out, self.steps, codes, axis=1)
        return out

    def codes(self, sequence: I64) -> I64:
        """[K, T] from a sequence [K, S]; a longer sequence may be given.

        Raises:
            PatternError: too few steps, or other codebooks.
        """
        if sequence.shape[0] != self.codebooks or sequence.shape[1] < self.length:
            raise PatternError(f"got {list(sequence.shape)}, wanted {self.codebooks} codebooks, {self.length} steps")
        return np.take_along_axis(sequence, self.steps, axis=1)

    def first_unknown(self, known: int) -> int:
        """The first step at which a code of frame `known` or later is said: frames before it are a prompt.

        Codes of the prompt may come later still, in other codebooks: `unknown` tells which are to be drawn.
        """
        return int(self.steps[:, known:].min(initial=self.length))

    def unknown(self, known: int) -> Mask:
        """[K, S]: codes that are to be drawn when the first `known` frames are given."""
        mask = np.zeros((self.codebooks, self.length), np.bool_)
        np.put_along_axis(mask, self.steps[:, known:], True, axis=1)
        return mask


def delayed(frames: int, delays: Sequence[int] = MONO_DELAYS) -> Plan:
    """All codebooks of a frame, each by its own number of steps later.

    Raises:
        PatternError: no delays, or one below 0.
    """
    if not delays or min(delays) < 0:
        raise PatternError(f"got delays {list(delays)}, wanted one of 0 or more for each codebook")
    return Plan(1 + np.arange(frames, dtype=np.int64)[None] + np.array(delays, np.int64)[:, None])


def parallel(frames: int, codebooks: int) -> Plan:
    """All codebooks of a frame at one step."""
    return delayed(frames, (0,) * codebooks)


def flattened(frames: int, inner: Sequence[int]) -> Plan:
    """A frame in several steps: codebook k at step `inner`[k] of its frame.

    Args:
        inner: rising from 0 without gaps: (0, 1, 2, 3) says one codebook after the other, (0, 1, 1, 1) the first, then
            all others at once.
    Raises:
        PatternError: `inner` does not rise so.
    """
    if not inner or inner[0] != 0 or any(b - a not in (0, 1) for a, b in pairwise(inner)):
        raise PatternError(f"got inner steps {list(inner)}, wanted them to rise from 0 by 0 or 1")
    each = inner[-1] + 1
    return Plan(1 + each * np.arange(frames, dtype=np.int64)[None] + np.array(inner, np.int64)[:, None])


def coarse_first(frames: int, delays: Sequence[int]) -> Plan:
    """The first codebook of all frames, then all others, these by `delays` (one for each but the first) later.

    Not for streams: nothing is whole before everything is said.
    """
    fine = delayed(frames, delays).steps + frames
    return Plan(np.concatenate([1 + np.arange(frames, dtype=np.int64)[None], fine]))
