"""Circular buffers: sound whole across the seam, and the order in which samples and positions are seen."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import circular
from engine.audio.circular import CircularBuffer, Positions, fence
from engine.errors import ShapeError


def ramp(first: int, samples: int) -> np.ndarray:
    return np.repeat(np.arange(first, first + samples, dtype=np.float32)[None], 2, axis=0)


@pytest.mark.parametrize("interleaved", [False, True])
@given(sizes=st.lists(st.integers(0, 64), min_size=1, max_size=30), begin=st.integers(0, 1000))
def test_what_was_put_comes_back_across_the_seam(interleaved: bool, sizes: list[int], begin: int) -> None:
    memory = np.zeros((64, 2), np.float32)
    buffer = CircularBuffer(memory.T) if interleaved else CircularBuffer.zeros(64)
    at = begin
    for size in sizes:
        buffer.put(at, ramp(at, size))
        at += size
        kept = min(64, at - begin)
        np.testing.assert_array_equal(buffer.get(at - kept, kept), ramp(at - kept, kept))
        out = np.full((2, kept), -1.0, np.float32)
        assert buffer.get(at - kept, kept, out) is out
        np.testing.assert_array_equal(out, ramp(at - kept, kept))
    if interleaved and at - begin >= 64:
        np.testing.assert_array_equal(np.sort(memory[:, 0]), ramp(at - 64, 64)[0])


def test_more_than_it_holds_and_other_channels_are_refused() -> None:
    for wrong in (ramp(0, 65), ramp(0, 3)[:1]):
        with pytest.raises(ShapeError, match="64"):
            CircularBuffer.zeros(64).put(0, wrong)


def test_a_part_is_cleared_across_the_seam() -> None:
    buffer = CircularBuffer.zeros(64)
    buffer.put(0, ramp(1, 64))
    buffer.clear(60, 8)
    assert not buffer.get(60, 8).any()
    np.testing.assert_array_equal(buffer.get(4, 56), ramp(5, 56))
    buffer.clear(100, 1000)
    assert not buffer.data.any()


def test_a_copy_is_no_view() -> None:
    buffer = CircularBuffer.zeros(64)
    copy = buffer.get(0, 10)
    buffer.put(0, ramp(1, 10))
    assert not copy.any()


def test_positions_are_whole_64_bits_and_shared() -> None:
    memory = bytearray(32)
    mine, yours = Positions(memory), Positions(memory)
    for value in (0, 1, 2**31 + 7, 2**63 - 1, -(1 << 62)):
        mine.publish(2, value)
        assert (yours.read(2), yours.peek(2)) == (value, value)
    mine.count(1)
    mine.count(1, 4)
    assert [yours.peek(cell) for cell in (0, 1, 3)] == [0, 5, 0]


def test_a_position_is_published_after_the_fence_and_read_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of order itself: what a machine may do at a fence is done there by hand."""
    cells = Positions.local(1)
    seen: list[int] = []
    monkeypatch.setattr(circular, "fence", lambda: seen.append(cells.peek(0)))
    cells.publish(0, 7)
    assert seen == [0], "at its fence the old position is seen"
    monkeypatch.setattr(circular, "fence", lambda: cells._cells.__setitem__(0, 99))
    assert cells.read(0) == 7, "what changes at the fence comes too late for the position that was read"


def test_a_fence_releases_before_it_acquires(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only in this order does it hold back both what comes before and what comes after."""
    done: list[str] = []

    class Lock:
        def release(self) -> None:
            done.append("release")

        def acquire(self) -> None:
            done.append("acquire")

    monkeypatch.setattr(circular, "_PRIVATE", Lock())
    fence()
    assert done == ["release", "acquire"]


def test_a_fence_never_waits_for_another_thread_and_survives_an_interrupt() -> None:
    circular._PRIVATE.release()  # as an interrupt between its two halves leaves it
    fence()
    stop = threading.Event()

    def others() -> None:
        while not stop.is_set():
            fence()

    threads = [threading.Thread(target=others) for _ in range(3)]
    for thread in threads:
        thread.start()
    locks = set()
    for _ in range(2000):
        fence()
        locks.add(id(circular._PRIVATE.acquire.__self__))  # type: ignore[attr-defined]
    stop.set()
    for thread in threads:
        thread.join()
    assert len(locks) == 1


def test_a_reader_never_sees_samples_that_were_not_published() -> None:
    """A writer at full speed, a reader beside it: each sample that a position stands for is the right one."""
    buffer, cells, stop = CircularBuffer.zeros(1 << 12), Positions.local(2), threading.Event()

    def write() -> None:
        at = 0
        while not stop.is_set():
            if at + 256 - cells.read(1) <= buffer.capacity:
                buffer.put(at, ramp(at % (1 << 20), 256))
                at += 256
                cells.publish(0, at)
            else:
                time.sleep(0)

    thread = threading.Thread(target=write)
    thread.start()
    taken, wrong = 0, 0
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        samples = cells.read(0) - taken
        got = buffer.get(taken, samples)
        wrong += int(np.count_nonzero(got[0] != np.arange(taken, taken + samples) % (1 << 20)))
        taken += samples
        cells.publish(1, taken)
    stop.set()
    thread.join()
    assert taken > 10 * buffer.capacity
    assert wrong == 0
