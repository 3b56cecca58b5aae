"""The ring between a voice and the mixer."""

import errno
import os
import sys

import numpy as np
import pytest

from engine.audio import circular
from engine.audio.ring import SNAPSHOT_BYTES, Ring
from engine.errors import ControlError, ShapeError


def ramp(first: int, samples: int) -> np.ndarray:
    return np.repeat(np.arange(first, first + samples, dtype=np.float32)[None], 2, axis=0)


def test_positions_are_absolute() -> None:
    ring = Ring(1024)
    ring.jump(5000)
    ring.write(ramp(5000, 300))
    assert (ring.start, ring.written) == (5000, 5300)
    assert np.array_equal(ring.read(5100, 100), ramp(5100, 100))


def test_holds_tells_what_can_be_read() -> None:
    ring = Ring(1024)
    ring.jump(100)
    ring.write(ramp(100, 50))
    assert ring.holds(100, 50)
    assert not ring.holds(99, 10)
    assert not ring.holds(100, 51)


def test_a_ring_does_not_hold_what_has_been_written_over() -> None:
    ring = Ring(64)
    for first in range(0, 100, 10):
        ring.write(ramp(first, 10))
    assert ring.holds(36, 64)
    assert not ring.holds(35, 1)
    assert np.array_equal(ring.read(36, 64), ramp(36, 64))


def test_samples_are_not_held_before_their_position_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer stopped between storing and publishing, as late as a machine may make it."""
    ring = Ring(256)
    ring.write(ramp(0, 100))
    seen: list[tuple[bool, bool]] = []

    def late() -> None:
        if not seen:
            seen.append((ring._sound.get(100, 50)[0, 49] == 149.0, False))
            seen[0] = (seen[0][0], ring.holds(100, 1))

    monkeypatch.setattr(circular, "fence", late)
    ring.write(ramp(100, 50))
    assert seen == [(True, False)], "the samples lie there, and nobody may read them yet"
    assert ring.holds(100, 50)


def test_a_jump_shows_its_beginning_before_its_position(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring(256)
    ring.write(ramp(0, 100))
    held: list[bool] = []
    inside: list[bool] = []

    def late() -> None:
        if not inside:
            inside.append(True)
            held.append(ring.holds(100, 20))
            inside.clear()

    monkeypatch.setattr(circular, "fence", late)
    ring.jump(150)
    assert held == [False, False, False], "at no moment is the gap taken for sound"


def test_what_was_written_before_a_gap_can_still_be_faded_out() -> None:
    ring = Ring(1024)
    ring.write(ramp(0, 200))
    ring.jump(400)
    assert not ring.holds(150, 10)
    assert np.array_equal(ring.read(150, 50), ramp(150, 50))


def test_time_goes_forward_only() -> None:
    ring = Ring(1024)
    ring.write(ramp(0, 100))
    with pytest.raises(ShapeError, match="forward"):
        ring.jump(99)


def test_two_views_of_shared_memory_see_the_same() -> None:
    ring = Ring.shared(1024)
    other = Ring.attach(ring.name, 1024)
    try:
        other.jump(10)
        other.write(ramp(10, 20))
        other.commit(40)
        other.beat()
        other.publish(realtime=2.5, cpu=0.25, step_peak_s=0.01, late=3)
        ring.set_read(12)
        assert (ring.start, ring.written, ring.committed, ring.beats) == (10, 30, 40, 1)
        assert (ring.realtime, ring.cpu, ring.step_peak_s, ring.late) == (2.5, 0.25, 0.01, 3)
        assert other.read_position == 12
        assert np.array_equal(ring.read(10, 20), ramp(10, 20))
    finally:
        other.close()
        ring.close()


def test_a_closed_ring_has_given_its_memory_back() -> None:
    ring = Ring.shared(256)
    name = ring.name
    ring.close()
    with pytest.raises(FileNotFoundError):
        Ring.attach(name, 256)
    ring.close()  # again is harmless


@pytest.mark.parametrize("shared", [False, True])
def test_the_latest_snapshot_is_kept(shared: bool) -> None:
    ring = Ring.shared(256) if shared else Ring(256)
    try:
        assert ring.load() is None
        for chunk in range(5):
            assert ring.save(chunk, bytes([chunk]) * (10 + chunk))
        assert ring.load() == (4, b"\x04" * 14)
    finally:
        ring.close()


def test_a_snapshot_too_big_leaves_the_one_before() -> None:
    ring = Ring.shared(256)
    try:
        ring.save(7, b"small")
        assert not ring.save(8, bytes(SNAPSHOT_BYTES + 1))
        assert ring.load() == (7, b"small")
    finally:
        ring.close()


def test_a_writer_killed_while_saving_spoils_nothing() -> None:
    ring = Ring.shared(256)
    try:
        ring.save(1, b"first")
        ring.save(2, b"second")
        # What a killed writer leaves: the older slot half overwritten, the switch not yet moved.
        slot = 1 - ring._cells.peek(5) % 2
        ring._snapshot[slot * SNAPSHOT_BYTES : slot * SNAPSHOT_BYTES + 3] = b"XXX"
        assert ring.load() == (2, b"second")
    finally:
        ring.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="only promised there")
def test_memory_is_set_aside_when_a_ring_is_made_and_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that is promised only ends the program at the first write, once /dev/shm is full."""
    ring = Ring.shared(1 << 16)
    blocks = os.stat(f"/dev/shm/{ring.name.lstrip('/')}").st_blocks if sys.platform == "linux" else 1 << 16
    ring.close()
    assert blocks * 512 >= 8 << 16

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = set(os.listdir("/dev/shm")) if sys.platform == "linux" else set()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(ControlError, match=r"No space left on device.*; unload a voice"):
        Ring.shared(1 << 16)
    assert sys.platform != "linux" or set(os.listdir("/dev/shm")) <= before
