"""The AudioPort protocol as checks, held against every port there is."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.audio.opening import open_port
from bridge.audio.port import BLOCK, AudioPort
from engine.music.audio import Audio
from tests.realtime.jack import JackServer


class Source:
    """Silence that remembers who asked for how much, and fails when told to."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.threads: set[int] = set()
        self.fails = False

    def __call__(self, frames: int) -> Audio:
        self.asked.append(frames)
        self.threads.add(threading.get_ident())
        if self.fails:
            raise RuntimeError("told to")
        return np.zeros((2, frames), np.float32)


@pytest.fixture(scope="module")
def jack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JackServer]:
    server = JackServer(Path(tmp_path_factory.mktemp("jack")))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["null", "jack"])
def port(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[AudioPort]:
    if request.param == "jack":
        server: JackServer = request.getfixturevalue("jack")
        monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    opened = open_port(request.param)
    yield opened
    opened.stop()


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10.0
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def test_what_the_source_must_know_is_known_before_it_is_asked(port: AudioPort) -> None:
    assert port.name
    assert port.sample_rate == 48_000
    assert 0.0 <= port.latency_s < 0.5
    assert port.stats.frames == 0


def test_source_is_asked_in_whole_blocks_from_one_thread_at_the_device_s_pace(port: AudioPort) -> None:
    source = Source()
    began = time.perf_counter()
    port.start(source)
    assert until(lambda: port.stats.frames >= 24_000)
    passed = time.perf_counter() - began
    assert set(source.asked) == {BLOCK}
    assert len(source.threads) == 1
    assert threading.get_ident() not in source.threads
    ahead = port.latency_s + 2 * BLOCK / port.sample_rate + 0.05
    assert 24_000 / port.sample_rate <= passed + ahead


def test_nothing_is_asked_before_start_or_after_stop(port: AudioPort) -> None:
    source = Source()
    time.sleep(0.05)
    assert not source.asked
    port.start(source)
    assert until(lambda: len(source.asked) > 3)
    port.stop()
    asked = len(source.asked)
    time.sleep(0.05)
    assert len(source.asked) == asked
    assert port.stats.frames == sum(source.asked)


def test_stop_twice_and_stop_without_start_are_fine(port: AudioPort) -> None:
    port.stop()
    port.stop()
    assert port.stats.frames == 0


def test_source_that_fails_is_told_and_the_port_goes_on(port: AudioPort) -> None:
    source = Source()
    source.fails = True
    port.start(source)
    assert until(lambda: port.stats.faults > 2)
    said = port.poll()
    assert len([line for line in said if "told to" in line]) == 1
    source.fails = False
    before = port.stats
    assert until(lambda: port.stats.frames > before.frames + 10 * BLOCK)
    assert port.stats.faults <= before.faults + 1
    assert port.poll() == []
