"""The AudioInput protocol as checks, held against every input there is."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.audio.input import AudioInput
from bridge.audio.opening import open_input, open_port
from bridge.audio.port import DuplexInput
from engine.music.audio import Audio, write_audio
from tests.realtime.jack import JackServer

RATE = 48_000


class Listener:
    """Remembers what it was told, and fails when told to."""

    def __init__(self) -> None:
        self.conditions: list[tuple[int, tuple[int, ...]]] = []
        self.threads: set[int] = set()
        self.fails = False

    def __call__(self, audio: Audio, sample: int) -> None:
        self.conditions.append((sample, audio.shape))
        self.threads.add(threading.get_ident())
        assert audio.dtype == np.float32
        if self.fails:
            raise RuntimeError("told to")

    @property
    def samples(self) -> int:
        return sum(shape[1] for _, shape in self.conditions)


@pytest.fixture(scope="module")
def jack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JackServer]:
    server = JackServer(Path(tmp_path_factory.mktemp("jack")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["file", "device", "beside"])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AudioInput]:
    """A sound file, a device in a process of its own, and one in the stream of an output."""
    began = time.perf_counter()
    if request.param == "file":
        write_audio(tmp_path / "a.wav", np.full((2, 700), 0.5, np.float32), 44_100)
        name = f"file:{tmp_path / 'a.wav'}"
    else:
        server: JackServer = request.getfixturevalue("jack")
        monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
        name = "jack"
    if request.param != "beside":
        alone = open_input(name, sample_rate=RATE, sample_at=lambda at_s: (at_s - began) * RATE)
        yield alone
        alone.stop()
        return
    port = open_port("jack", beside=DuplexInput(name="jack"))
    port.start(lambda frames: np.zeros((2, frames), np.float32))
    assert port.input is not None
    yield port.input
    port.stop()


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20.0
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_what_people_want_to_know_is_known_before_it_starts(opened: AudioInput) -> None:
    assert opened.name
    assert opened.sample_rate in (44_100, 48_000)
    assert 0.0 <= opened.latency_s < 0.5
    assert opened.stats.samples == 0


def test_the_listener_is_told_all_that_comes_in_order_from_one_thread(opened: AudioInput) -> None:
    listener = Listener()
    opened.start(listener)
    assert until(lambda: opened.stats.samples >= RATE)
    opened.stop()
    assert len(listener.threads) == 1
    assert threading.get_ident() not in listener.threads
    assert {shape[0] for _, shape in listener.conditions} <= {1, 2}
    stats = opened.stats
    if not (stats.jumps or stats.overruns):  # otherwise a machine that stood still has torn it
        ends = [sample + shape[1] for sample, shape in listener.conditions]
        assert ends[:-1] == [sample for sample, _ in listener.conditions[1:]]
    assert stats.samples == listener.samples


def test_nothing_is_told_before_start_or_after_stop(opened: AudioInput) -> None:
    listener = Listener()
    time.sleep(0.05)
    assert not listener.conditions
    opened.start(listener)
    assert until(lambda: len(listener.conditions) > 3)
    opened.stop()
    told = len(listener.conditions)
    time.sleep(0.05)
    assert len(listener.conditions) == told


def test_stop_twice_and_stop_without_start_are_fine(opened: AudioInput) -> None:
    opened.stop()
    opened.stop()
    assert opened.stats.samples == 0


def test_a_listener_that_fails_is_told_and_the_input_goes_on(opened: AudioInput) -> None:
    listener = Listener()
    listener.fails = True
    opened.start(listener)
    assert until(lambda: opened.stats.faults > 2)
    assert len([line for line in opened.poll() if "told to" in line]) == 1
    listener.fails = False
    before = opened.stats
    told = len(listener.conditions)
    assert until(lambda: len(listener.conditions) > told + 5)
    assert opened.stats.faults <= before.faults + 1
    assert opened.poll() == []
