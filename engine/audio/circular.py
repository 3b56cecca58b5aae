"""Circular buffers: the latest samples of an endless stream, passed from one writer to its readers without waiting.

One rule of order holds for every buffer of the project:

- Whoever stores samples publishes the position after them: samples first, then `fence`, then the position.
- Whoever reads a position may then touch samples: the position first, then `fence`, then the samples.

A reader gives space back by the same rule: it copies samples, then publishes how far it has come; the writer reads that
position, then overwrites. `Positions.publish` and `Positions.read` are this rule, and nothing else crosses a border.

Why a fence: x86 keeps stores in order, and loads. ARM, POWER and RISC-V do not: without one, a reader there may see a
position before the samples that it stands for. Neither Python nor numpy has a fence, but every lock is made of two
halves: nothing moves down past a release, and nothing moves up past an acquire. A release followed by an acquire, of a
lock that no other thread knows, lets nothing past in either direction and never waits.

Sources:
    Arm Architecture Reference Manual, B2.3: a store-release is ordered before every later load-acquire (RCsc). CASA,
    LDAXR and LDADDL, which locks use, are of this kind; only LDAPR is not. ARMv7 has DMB in both halves, POWER LWSYNC
    in the release, RISC-V FENCE RW,W.
    CPython's locks: semaphores or mutexes of the C library on POSIX, of Windows there; PyMutex from 3.13 on.
Assumed of the machine, and not promised by any language:
    that locks are made of such instructions, as they are in glibc, musl, macOS and Windows; and that an aligned store
    of 64 bits is seen whole, which needs a 64-bit processor (onnxruntime runs on no other).
"""

import threading
from typing import Final, Self

import numpy as np

from engine.errors import ShapeError
from engine.music.audio import Audio

__all__ = ["CircularBuffer", "Positions", "fence"]

_CELL_BYTES: Final = 8


class _PrivateLock(threading.local):
    """A lock for each thread, held between fences."""

    def __init__(self) -> None:
        lock = threading.Lock()
        self.acquire, self.release = lock.acquire, lock.release
        self.acquire()


_PRIVATE: Final = _PrivateLock()


def fence() -> None:
    """No load or store of this thread moves past this point, in either direction. Never waits."""
    private = _PRIVATE
    try:
        private.release()
    except RuntimeError:  # an interrupt came between the two lines last time
        private.acquire()
        private.release()
    private.acquire()


class Positions:
    """64-bit positions and counts, at places called cells. Each cell has one writer, any number of readers.

    Args:
        memory: at least 8 bytes for each cell, aligned to 8; shared with another process or not.
    """

    def __init__(self, memory: memoryview | bytearray) -> None:
        self._cells = memoryview(memory).cast("B").cast("q")

    @classmethod
    def local(cls, cells: int) -> Self:
        """So many cells within this process, all 0."""
        return cls(bytearray(_CELL_BYTES * cells))

    def publish(self, cell: int, position: int) -> None:
        """Move a position: who reads it sees all that this thread has stored before, and has done with it."""
        fence()
        self._cells[cell] = position

    def read(self, cell: int) -> int:
        """A position of another: what it stands for may be touched from here on."""
        position = self._cells[cell]
        fence()
        return position

    def peek(self, cell: int) -> int:
        """A cell that this thread itself writes, or a count for people: says nothing about anything else."""
        return self._cells[cell]

    def count(self, cell: int, more: int = 1) -> None:
        """Add to a count for people."""
        self._cells[cell] += more


class CircularBuffer:
    """The latest samples of an endless stream [C, N], addressed by absolute position: p lies at p modulo the capacity.

    It keeps no position itself and orders nothing: that is what `Positions` are for. A reader must stay clear of the
    oldest samples while a writer is at work.

    Args:
        data: [C, capacity] float32, the memory to live in; in any order, so that it may be shared as [capacity, C].
    """

    def __init__(self, data: Audio) -> None:
        self.data = data
        self.capacity = data.shape[1]

    @classmethod
    def zeros(cls, capacity: int) -> Self:
        """A stereo buffer of its own, silent."""
        return cls(np.zeros((2, capacity), np.float32))

    def parts(self, first: int, samples: int) -> tuple[slice, slice]:
        """Where positions first..first + samples lie in `data`: up to its end, and from its beginning on."""
        at = first % self.capacity
        head = min(samples, self.capacity - at)
        return slice(at, at + head), slice(0, samples - head)

    def put(self, first: int, audio: Audio) -> None:
        """Write [C, N] at position `first`.

        Raises:
            ShapeError: other channels, or more samples than the capacity.
        """
        data, samples = self.data, audio.shape[1]
        if audio.shape[0] != data.shape[0] or samples > self.capacity:
            raise ShapeError(
                f"a buffer of {self.capacity} samples takes [{data.shape[0]}, N] of at most as many, got {audio.shape}"
            )
        head, tail = self.parts(first, samples)
        if not tail.stop:
            data[:, head] = audio
            return
        seam = samples - tail.stop
        data[:, head] = audio[:, :seam]
        data[:, tail] = audio[:, seam:]

    def get(self, first: int, samples: int, out: Audio | None = None) -> Audio:
        """A copy [C, samples] from position `first`; positions never written give what lies there, at first zeros.

        Args:
            out: [C, samples] to copy into; None: a new array.
        """
        data = self.data
        if out is None:
            out = np.empty((data.shape[0], samples), np.float32)
        head, tail = self.parts(first, samples)
        if not tail.stop:
            out[:] = data[:, head]
            return out
        seam = samples - tail.stop
        out[:, :seam] = data[:, head]
        out[:, seam:] = data[:, tail]
        return out

    def clear(self, first: int, samples: int) -> None:
        """Zeros at positions first..first + samples, at most the capacity of them."""
        for part in self.parts(first, min(samples, self.capacity)):
            self.data[:, part] = 0.0
