"""Sound on its way from a voice to the mixer: absolute sample positions, one writer, one reader, shared memory.

Position p of a ring is sample p of the session, for ever; the ring keeps the latest `capacity` of them. Because
positions are absolute, a late writer cannot shift anything: what it writes sounds where it belongs, or not at all.
"""

import os
from multiprocessing.shared_memory import SharedMemory
from typing import Final

import numpy as np
import numpy.typing as npt

from engine.audio.circular import CircularBuffer, Positions
from engine.errors import ControlError, ShapeError
from engine.music.audio import Audio

__all__ = ["SNAPSHOT_BYTES", "Ring"]

SNAPSHOT_BYTES: Final = 8 << 20
"""Greatest pickled state that is kept for a restart."""

# Header cells, positions and counts first, float64 after. Each cell has one writer.
_WRITE, _START, _COMMITTED, _READ, _BEAT, _SLOT, _LENGTHS, _CHUNKS = 0, 1, 2, 3, 4, 5, 6, 8
_REALTIME, _CPU, _STEP_PEAK, _LATE = 0, 1, 2, 3
_HEADER_BYTES: Final = 256
_CELLS_BYTES: Final = 128


def _reserve(memory: SharedMemory, size: int) -> None:
    """Have the system set the memory aside now: where it is promised only, writing it later ends the program."""
    handle = getattr(memory, "_fd", -1)
    if hasattr(os, "posix_fallocate") and handle >= 0:
        os.posix_fallocate(handle, 0, size)


class Ring:
    """A voice's audio queue, its vital signs, and the snapshot from which it can be started again.

    Threads and processes: `write`, `jump`, `commit`, `beat`, `publish`, `save` by the voice's worker only; `read` and
    `set_read` by the mixer only; the properties and `load` by anybody. Nothing waits; what is seen in which order is
    said in `engine.audio.circular`.

    Args:
        capacity: samples kept.
        memory: a shared memory block to live in; None for a ring within one process.
        owner: whether `close` also removes the block.
    """

    def __init__(self, capacity: int, memory: SharedMemory | None = None, *, owner: bool = True) -> None:
        self.capacity = capacity
        self._memory, self._owner = memory, owner
        if memory is None:
            self._snapshot: bytes | memoryview = b""
            cells = memoryview(bytearray(_HEADER_BYTES))
            self._sound = CircularBuffer.zeros(capacity)
        else:
            whole = memoryview(memory.buf or b"")
            end = _HEADER_BYTES + 8 * capacity
            cells = whole[:_HEADER_BYTES]
            self._sound = CircularBuffer(np.ndarray((2, capacity), np.float32, buffer=whole[_HEADER_BYTES:end]))
            self._snapshot = whole[end : end + 2 * SNAPSHOT_BYTES]
        self._cells = Positions(cells[:_CELLS_BYTES])
        self._float: npt.NDArray[np.float64] = np.ndarray(16, np.float64, buffer=cells, offset=_CELLS_BYTES)
        self._local: tuple[int, bytes] | None = None

    @classmethod
    def shared(cls, capacity: int) -> "Ring":
        """A new ring that another process can attach by `name`; the creator must `close` it.

        Raises:
            ControlError: there is no room for it.
        """
        size = _HEADER_BYTES + 8 * capacity + 2 * SNAPSHOT_BYTES
        try:
            memory = SharedMemory(create=True, size=size)
            try:
                _reserve(memory, size)
            except OSError:
                memory.close()
                memory.unlink()
                raise
        except OSError as error:
            raise ControlError(
                f"no shared memory for a voice: wanted {size >> 20} MiB ({error.strerror or error}); unload a voice, "
                "or make room in /dev/shm"
            ) from None
        return cls(capacity, memory)

    @classmethod
    def attach(cls, name: str, capacity: int) -> "Ring":
        """The ring of that name, made by a parent process.

        Raises:
            FileNotFoundError: there is none (any more).
        """
        return cls(capacity, SharedMemory(name=name), owner=False)

    @property
    def name(self) -> str:
        """What `attach` wants; empty for a ring within one process."""
        return "" if self._memory is None else self._memory.name

    # positions

    @property
    def written(self) -> int:
        """The position after the last sample written."""
        return self._cells.read(_WRITE)

    @property
    def start(self) -> int:
        """The first position of the present run of samples without a gap."""
        return self._cells.read(_START)

    @property
    def committed(self) -> int:
        """Sound before this position can no longer be changed by a command: it is made, or being made."""
        return self._cells.read(_COMMITTED)

    @property
    def read_position(self) -> int:
        """The position the mixer reads next."""
        return self._cells.read(_READ)

    def holds(self, first: int, samples: int) -> bool:
        """Whether positions first..first + samples are there to be read, and not yet overwritten."""
        written = self._cells.read(_WRITE)  # before `start`: the writer moves `start` first when it jumps
        start = max(self._cells.peek(_START), written - self.capacity)
        return start <= first and first + samples <= written

    def jump(self, position: int) -> None:
        """Leave a gap: the next sample written sounds at `position`, which is not before `written`."""
        written = self._cells.peek(_WRITE)
        if position < written:
            raise ShapeError(f"a ring goes forward only: at {written}, asked to jump to {position}")
        for cell in (_START, _WRITE, _COMMITTED):
            self._cells.publish(cell, position)

    def write(self, audio: Audio) -> None:
        """Append [2, N]."""
        first = self._cells.peek(_WRITE)
        self._sound.put(first, audio)
        self._cells.publish(_WRITE, first + audio.shape[1])

    def read(self, first: int, samples: int) -> Audio:
        """A copy [2, samples]; ask `holds` before."""
        return self._sound.get(first, samples)

    def set_read(self, position: int) -> None:
        self._cells.publish(_READ, position)

    def commit(self, position: int) -> None:
        self._cells.publish(_COMMITTED, position)

    # vital signs

    @property
    def beats(self) -> int:
        """A count that rises while the worker lives."""
        return self._cells.peek(_BEAT)

    @property
    def realtime(self) -> float:
        """Seconds of sound made per second of work, lately."""
        return float(self._float[_REALTIME])

    @property
    def cpu(self) -> float:
        """Share of one core, lately."""
        return float(self._float[_CPU])

    @property
    def step_peak_s(self) -> float:
        """The longest recent step, in seconds of work."""
        return float(self._float[_STEP_PEAK])

    @property
    def late(self) -> int:
        """Chunks that were ready after their time."""
        return int(self._float[_LATE])

    def beat(self) -> None:
        self._cells.count(_BEAT)

    def publish(self, *, realtime: float, cpu: float, step_peak_s: float, late: int) -> None:
        self._float[_REALTIME], self._float[_CPU] = realtime, cpu
        self._float[_STEP_PEAK], self._float[_LATE] = step_peak_s, late

    # snapshot

    def save(self, chunk: int, state: bytes) -> bool:
        """Keep a pickled state, taken before chunk `chunk`; False if it is too big.

        There are two slots and the older is overwritten, so a writer killed on the way spoils nothing.
        """
        if self._memory is None:
            self._local = chunk, state
            return True
        if len(state) > SNAPSHOT_BYTES:
            return False
        slot = 1 - self._cells.peek(_SLOT) % 2
        memoryview(self._snapshot)[slot * SNAPSHOT_BYTES : slot * SNAPSHOT_BYTES + len(state)] = state
        self._cells.publish(_LENGTHS + slot, len(state))
        self._cells.publish(_CHUNKS + slot, chunk)
        self._cells.publish(_SLOT, 2 + slot)
        return True

    def load(self) -> tuple[int, bytes] | None:
        """(chunk, pickled state) saved last, if any."""
        if self._memory is None:
            return self._local
        slot = self._cells.read(_SLOT) - 2
        if slot < 0:
            return None
        length = self._cells.peek(_LENGTHS + slot)
        kept = bytes(self._snapshot[slot * SNAPSHOT_BYTES : slot * SNAPSHOT_BYTES + length])
        return self._cells.peek(_CHUNKS + slot), kept

    def close(self) -> None:
        """Let go of shared memory, which must not be in use; the ring is empty afterwards."""
        memory, self._memory = self._memory, None
        if memory is None:
            return
        # A block can be unmapped only when no array lies in it any more.
        self._cells, self._float = Positions.local(16), np.zeros(16, np.float64)
        self._sound, self._snapshot = CircularBuffer.zeros(1), b""
        memory.close()
        if self._owner:
            memory.unlink()
