"""The rings between a sound device's process and its parent."""

import numpy as np
import pytest

from bridge.audio.port import PortError
from bridge.audio.rings import CAPACITY, CaptureRing, PlaybackRing
from engine.audio import circular
from engine.processes import ChildProcess
from tests import children


def test_playback_keeps_sound_whole_across_the_seam() -> None:
    ring = PlaybackRing()
    rng = np.random.default_rng(1)
    written: list[np.ndarray] = []
    played = 0
    for _ in range(300):
        part = rng.standard_normal((int(rng.integers(1, 1000)), 2)).astype(np.float32)
        ring.write(part)
        written.append(part)
        all_of_it = np.concatenate(written)
        where = np.arange(played, len(all_of_it)) % CAPACITY
        np.testing.assert_array_equal(ring.sound[where], all_of_it[played:])
        played = max(played, len(all_of_it) - 700)
        ring.played(played)
        assert ring.fill() == len(all_of_it) - played
    assert len(np.concatenate(written)) > 2 * CAPACITY


def test_playback_refuses_more_than_it_holds() -> None:
    ring = PlaybackRing()
    ring.write(np.zeros((CAPACITY, 2), np.float32))
    with pytest.raises(PortError, match="shorter lead"):
        ring.write(np.zeros((1, 2), np.float32))


def test_capture_keeps_sound_whole_across_the_seam() -> None:
    ring, rng = CaptureRing(), np.random.default_rng(1)
    assert ring.placed is None
    written = read = 0
    everything = rng.standard_normal((3 * CAPACITY, 2)).astype(np.float32)
    while written < len(everything):
        part = everything[written : written + int(rng.integers(1, 3_000))]
        where = np.arange(written, written + len(part)) % CAPACITY
        ring.sound[where] = part
        written += len(part)
        ring.captured(written)
        while len(got := ring.read(700)):
            np.testing.assert_array_equal(got, everything[read : read + len(got)])
            read += len(got)
        assert read == written == ring.taken


def test_frames_are_not_captured_before_they_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = CaptureRing()
    ring.sound[:500] = 0.5
    seen: list[int] = []

    def look() -> None:
        seen.append(ring.cells.peek(ring._CAPTURED))

    monkeypatch.setattr(circular, "fence", look)
    ring.captured(500)
    assert seen == [0], "what was recorded lies there before anybody may see that it does"
    assert ring.read(999).all()
    assert ring.taken == 500


def test_the_place_of_frames_is_free_only_when_they_have_been_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = CaptureRing()
    ring.sound[:500] = 0.5
    ring.captured(500)
    get = ring._frames.get
    free: list[int] = []

    def slow(first: int, samples: int, out: np.ndarray) -> np.ndarray:
        free.append(ring.taken)
        return get(first, samples, out)

    monkeypatch.setattr(ring._frames, "get", slow)
    assert (ring.read(300) == 0.5).all()
    assert (ring.read(300) == 0.5).all()
    assert (free, ring.taken) == ([0, 300], 500)


def test_what_is_written_is_played_only_when_it_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PlaybackRing()
    put = ring._frames.put
    playable: list[int] = []

    def slow(first: int, audio: np.ndarray) -> None:
        playable.append(ring.written)
        put(first, audio)

    monkeypatch.setattr(ring._frames, "put", slow)
    ring.write(np.ones((300, 2), np.float32))
    ring.write(np.ones((300, 2), np.float32))
    assert (playable, ring.written) == ([0, 300], 600)


@pytest.mark.parametrize("width", [1, 2])
def test_frames_cross_the_border_of_processes_whole_and_in_order(width: int) -> None:
    """Up through one ring and back through the other, three times around."""
    out, back = PlaybackRing(), CaptureRing()
    out.width = back.width = width
    child = ChildProcess(children.echoes_frames, out, back, name="echo")
    try:
        total = 3 * CAPACITY
        sound = np.arange(total * width, dtype=np.float32).reshape(total, width)
        written = taken = 0
        while taken < total:
            if written < total and out.fill() + 2048 <= CAPACITY:
                out.write(sound[written : written + 2048])
                written += 2048
            got = back.read(4096)
            assert np.array_equal(got, sound[taken : taken + len(got)])
            taken += len(got)
            assert child.alive
    finally:
        child.close(wait_s=10.0)
    assert (out.fill(), out.underruns, back.overruns, back.placed) == (0, 1, 2, -5)
