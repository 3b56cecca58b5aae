"""What changes while a language model plays: the keys and values of its past, and the codes themselves."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from engine.graphs.graph import Array, BoundGraph
from engine.music.arrays import F32, I64

__all__ = ["HEAD", "UNKNOWN", "Conditions", "KVCache", "MusicgenState"]


HEAD: Final = 64
"""Width of a head of attention."""
UNKNOWN: Final = -1
"""Stands for a code that is still to be drawn."""

_TURN: Final = 10_000.0  # base of rotary positions


@dataclass(frozen=True, slots=True)
class Conditions:
    """Conditions of a model besides its past: text and melody. Never changed, so states may share them.

    Args:
        arrays: inputs of the graph: keys and values of the condition, or what stands before the sequence.
        guided: whether there are two rows, with and without conditions.
        before: positions that it takes up before the sequence.
        alike: both rows are the same, as long as there are no conditions: only the first is worked out.
        character: [n] the last features of each step, as the words say.
        melody: [1, T, 12] classes of the melody among it, so that another text can be combined with it.
    """

    arrays: dict[str, Array]
    guided: bool
    before: int = 0
    alike: bool = False
    melody: Array | None = None
    character: Array | None = None

    @property
    def batch(self) -> int:
        """Rows that there is room for."""
        return 2 if self.guided else 1

    @property
    def rows(self) -> int:
        """Rows that are worked out."""
        return 1 if self.alike else self.batch


@dataclass(slots=True)
class KVCache:
    """Keys and values of the past steps, in memory that never moves.

    Args:
        arrays: ``k.i`` and ``v.i`` [B, heads, capacity, 64].
        logits: [B, K, entries] of what follows the last step.
        fed: steps so far.
    """

    arrays: dict[str, F32]
    logits: F32
    fed: int = 0
    # The graph on this memory and the small inputs of a step, made when first wanted: no part of what a cache is.
    bound: BoundGraph | None = field(default=None, repr=False, compare=False)
    feeds: dict[str, Array] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def empty(cls, layers: int, shape: tuple[int, int, int, int], codebooks: int, entries: int) -> "KVCache":
        # Zeros of the system are given when first written: room that is never used costs nothing.
        arrays = {f"{part}.{i}": np.zeros(shape, np.float32) for i in range(layers) for part in "kv"}
        return cls(arrays, np.zeros((shape[0], codebooks, entries), np.float32))

    @property
    def capacity(self) -> int:
        return int(next(iter(self.arrays.values())).shape[2])

    def fork(self, before: int) -> "KVCache":
        """An independent copy of what is filled; `before` positions belong to the condition."""
        used, arrays = before + self.fed, {}
        for name, value in self.arrays.items():
            arrays[name] = np.zeros(value.shape, np.float32)
            arrays[name][:, :, :used] = value[:, :, :used]
        return KVCache(arrays, self.logits.copy(), self.fed)

    def copy_unconditional(self, before: int) -> None:
        """Copy the past of the first row to the second."""
        used = before + self.fed
        for value in self.arrays.values():
            value[1, :, :used] = value[0, :, :used]
        self.logits[1] = self.logits[0]
        self.bound = None

    def evict(self, steps: int) -> None:
        """Forget the first steps; the others are turned to where they now stand (rotary positions only)."""
        half = HEAD // 2
        angles = -steps * _TURN ** (-np.arange(half) / half)
        cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        left = self.fed - steps
        for name, value in self.arrays.items():
            moved = value[:, :, steps : self.fed].copy()
            if name.startswith("k."):
                one, two = moved[..., :half].copy(), moved[..., half:].copy()
                moved[..., :half], moved[..., half:] = one * cos - two * sin, two * cos + one * sin
            value[:, :, :left] = moved
        self.fed = left

    def __getstate__(self) -> tuple[Any, ...]:
        return self.arrays, self.logits, self.fed

    def __setstate__(self, values: tuple[Any, ...]) -> None:
        self.arrays, self.logits, self.fed = values
        self.bound, self.feeds = None, {}


@dataclass(slots=True)
class MusicgenState:
    """One sequence in the making. Its size does not change.

    A step says a code of each codebook, of frames that lie its delay apart (see `engine.music.codes`). Steps are
    counted within a window, whose first frame is `origin`; step 0 says nothing.

    Args:
        codes: [K, columns]; column ``margin + t`` is frame t of the window; `UNKNOWN` what is still to be drawn, the
            special code where there is nothing.
        features: [steps, F] of each step of a conducted model.
        delays: [K] of the codebooks.
        steps: that are decided. floor: the first of them that can be taken back.
        given: frames of the prompt. end: frame at which the sequence ends; None for none.
        next_cache: filled with the next window ahead of time, so that the change costs no time; None: no such cache.
    """

    conditions: Conditions
    cache: KVCache
    codes: I64
    features: F32
    delays: I64
    seed: int = 0
    origin: int = 0
    steps: int = 1
    floor: int = 1
    given: int = 0
    end: int | None = None
    next_cache: KVCache | None = None

    @property
    def margin(self) -> int:
        """Columns of `codes` before the window's first frame."""
        return int(self.delays.max()) + 1

    @property
    def frames(self) -> int:
        """Frames that are whole, from the very beginning."""
        return max(0, self.origin + self.steps - 1 - int(self.delays.max()))

    @property
    def ended(self) -> bool:
        return self.end is not None and self.frames >= self.end

    def fork(self) -> "MusicgenState":
        """An independent copy: two futures of one past."""
        before = self.conditions.before
        return replace(
            self,
            cache=self.cache.fork(before),
            codes=self.codes.copy(),
            features=self.features.copy(),
            next_cache=None if self.next_cache is None else self.next_cache.fork(before),
        )
