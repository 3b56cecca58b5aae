"""The process that owns an output, turn by turn, with a driver that is called by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bridge.audio import card
from bridge.audio.child import Opened
from bridge.audio.rings import CaptureRing, PlaybackRing

RATE = 48_000


class Driver:
    """An rtmixer stream without a device: `call_back` plays from the ring that is being played."""

    samplerate, active = RATE, True

    def __init__(self) -> None:
        self.actions: list[Any] = []
        self.begun = 0
        self.sound: list[np.ndarray] = []
        self._queue: Any = None

    def play_ringbuffer(self, queue: Any, channels: tuple[int, ...]) -> object:
        self._queue = queue
        self.begun += 1
        self.actions.append(self.begun)
        return self.begun

    def fetch_and_reset_stats(self) -> object:
        return self.actions.append("stats") or "stats"

    def call_back(self, frames: int) -> None:
        """As rtmixer's: a ring that holds less than is wanted ends the playing, after what it held."""
        if not self.begun or self.begun not in self.actions:
            return
        data = np.zeros((frames, 2), np.float32)
        got = self._queue.readinto(data)
        self.sound.append(data[:got])
        if got < frames:
            self.actions.remove(self.begun)


class Line:
    """A parent that hangs up after so many looks."""

    hung_up = False

    def poll(self) -> bool:
        return self.hung_up


def run(ring: PlaybackRing, script: list[Callable[[Driver], object]], monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Take turns; between two of them the next of `script` happens. The last hangs up."""
    driver, line, left = Driver(), Line(), list(script)

    def between(_seconds: float) -> None:
        if left:
            left.pop(0)(driver)
        line.hung_up = not left

    monkeypatch.setattr(card.time, "sleep", between)
    monkeypatch.setattr(card, "_SLOW_S", 0.0)
    opened = Opened(name="by hand", sample_rate=RATE, width=2, latency_s=0.0)
    stream = card._Stream(mixer=driver, channels=(1, 2), recorded=(), opened=opened)
    card._play(stream, ring, None, CaptureRing(), line)  # type: ignore[arg-type]
    return driver


def ones(frames: int) -> np.ndarray:
    return np.ones((frames, 2), np.float32)


def test_sound_begins_with_a_fade_once_the_prefill_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PlaybackRing()
    ring.prefill(1_000)
    driver = run(
        ring,
        [
            lambda _: ring.write(ones(900)),
            lambda driver: driver.call_back(100),
            lambda _: ring.write(ones(300)),
            lambda _: None,
            lambda driver: driver.call_back(900),
            lambda _: None,
        ],
        monkeypatch,
    )
    (played,) = driver.sound
    assert played[0, 0] == 0.0
    assert np.all(np.diff(played[:480, 0]) > 0.0)
    assert np.all(played[480:] == 1.0)
    assert (ring.fill(), ring.underruns) == (300, 0)


def test_running_empty_is_counted_and_sound_returns_with_a_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PlaybackRing()
    ring.prefill(500)
    driver = run(
        ring,
        [
            lambda _: ring.write(ones(600)),
            lambda _: None,
            lambda driver: driver.call_back(700),
            lambda _: None,
            lambda _: ring.write(ones(600)),
            lambda _: None,
            lambda driver: driver.call_back(500),
            lambda _: None,
        ],
        monkeypatch,
    )
    assert ring.underruns == 1
    first, again = driver.sound
    assert (len(first), len(again)) == (600, 500)
    assert again[0, 0] == 0.0
    assert again[-1, 0] == 1.0
    assert ring.fill() == 100


def test_the_end_of_a_closed_ring_is_no_underrun_and_nothing_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ring = PlaybackRing()
    ring.prefill(500)
    driver = run(
        ring,
        [
            lambda _: ring.write(ones(600)),
            lambda _: ring.close(),
            lambda driver: driver.call_back(700),
            lambda _: ring.write(ones(600)),
            lambda _: None,
            lambda driver: driver.call_back(100),
        ],
        monkeypatch,
    )
    assert ring.underruns == 0
    assert driver.begun == 1
