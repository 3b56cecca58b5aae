"""The live input of a performance, with an input that is played by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.audio.input import InputStats, Listener
from bridge.audio.null import NullPort
from bridge.audio.port import DuplexInput, PortError
from bridge.live_input import beside, open_live_input
from bridge.settings import Settings
from engine.session.session import Session

RATE = 48_000


class Input:
    """An audio input that gives what a test gives."""

    name, sample_rate, latency_s = "by hand", 44_100, 0.01
    stats = InputStats(samples=1, overruns=2, device_flags=3, losses=4)

    def __init__(self) -> None:
        self.listener: Listener | None = None
        self.stopped = 0

    def start(self, listener: Listener) -> None:
        self.listener = listener

    def stop(self) -> None:
        self.stopped += 1

    def poll(self) -> list[str]:
        return ["a line"]


class Port(NullPort):
    """An output with an input beside it."""

    def __init__(self) -> None:
        super().__init__(sample_rate=RATE, realtime=False)
        self.input: Any = Input()


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(RATE, in_process=True) as opened:
        yield opened


def test_none_is_asked_for_unless_it_is(session: Session) -> None:
    assert open_live_input(Settings(), session, Port()) is None
    assert open_live_input(Settings(input=" None "), session, Port()) is None


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("none", None),
        ("file:a.wav", None),
        ("default", DuplexInput(name=None, channels=(2, 2))),
        (" scarlett ", DuplexInput(name="scarlett", channels=(2, 2))),
    ],
)
def test_an_output_is_asked_for_the_input_that_may_be_the_same_device(name: str, wanted: DuplexInput | None) -> None:
    assert beside(Settings(input=name, input_channels=(2, 2))) == wanted


def test_what_comes_in_is_heard_at_its_sample_less_what_the_driver_does_not_tell(session: Session) -> None:
    port = Port()
    opened_input = open_live_input(Settings(input="default", input_offset_ms=10.0, input_gain=-6.0), session, port)
    assert opened_input is not None
    opened_input.start()
    port.input.listener(np.full((1, 480), 0.5, np.float32), 4_800)
    assert session.hearing.end == 4_800 + 480 - 480
    assert session.hearing.last(1)[0, 0] == pytest.approx(0.5 * 10 ** (-6.0 / 20.0), rel=1e-3)
    opened_input.stop()
    assert port.input.stopped == 1


def test_it_is_told_of_in_figures(session: Session) -> None:
    port = Port()
    opened_input = open_live_input(Settings(input="default"), session, port)
    assert opened_input is not None
    opened_input.start()
    port.input.listener(np.full((1, RATE), 0.5, np.float32), 0)
    port.input.listener(np.full((1, 480), 2.0, np.float32), 2 * RATE)
    rows = dict(opened_input.status(-12.0))
    assert rows["input"] == "by hand"
    assert (rows["input_rate"], rows["input_latency_ms"], rows["input_db"]) == (44_100, 10.0, -12.0)
    assert (rows["input_s"], rows["input_gaps"], rows["input_clipped"]) == (1.01, 1, 1)
    assert (rows["input_overruns"], rows["input_flags"], rows["input_losses"]) == (2, 3, 4)
    assert list(opened_input.poll()) == ["a line"]


@pytest.mark.parametrize(("monitor", "heard"), [(None, False), (-6.0, True)])
def test_it_is_in_the_output_only_if_that_is_asked_for(monitor: float | None, heard: bool, session: Session) -> None:
    port = Port()
    opened_input = open_live_input(Settings(input="default", input_monitor=monitor), session, port)
    assert opened_input is not None
    position = 0

    def silence(frames: int) -> np.ndarray:
        nonlocal position
        session.read(frames)
        position += frames
        return np.zeros((2, frames), np.float32)

    port.start(opened_input.source(silence))
    opened_input.start()
    sounds = []
    for _ in range(100):
        port.input.listener(np.full((1, 256), 0.5, np.float32), position)
        sounds.append(port.advance(256))
    assert bool(np.abs(np.concatenate(sounds, axis=1)).max() > 0.1) is heard


def test_a_file_that_is_not_there_is_an_error_by_name(session: Session, tmp_path: Path) -> None:
    settings = Settings(input=f"file:{tmp_path / 'none.wav'}")
    with pytest.raises(PortError, match=r"none\.wav"):
        open_live_input(settings, session, NullPort(sample_rate=RATE, realtime=False))
