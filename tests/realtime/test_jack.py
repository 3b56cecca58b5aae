"""Sound and MIDI through a real JACK server on its dummy driver."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.audio.opening import open_port
from bridge.audio.port import AudioPort, NoDeviceError, PortError
from bridge.audio.scan import outputs
from bridge.devices import survey
from bridge.midi.ports import open_keys
from engine.messages.session import Keys, Set
from engine.music.audio import Audio
from tests.realtime.jack import JackServer, breaks

TONE_HZ = 997.0


class Sine:
    """An endless sine, right inverted."""

    def __init__(self, rate: int) -> None:
        self._w, self._n = 2.0 * np.pi * TONE_HZ / rate, 0

    def __call__(self, frames: int) -> Audio:
        phase = self._w * ((self._n + np.arange(frames)) % (1 << 30))
        self._n += frames
        left = (0.5 * np.sin(phase)).astype(np.float32)
        return np.stack([left, -left])


@pytest.fixture
def jack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    server = JackServer(tmp_path)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def port(jack: JackServer) -> Iterator[AudioPort]:
    opened = open_port("jack")
    yield opened
    opened.stop()


def until(true: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def test_sine_comes_out_whole_beside_a_busy_thread(jack: JackServer, port: AudioPort, tmp_path: Path) -> None:
    assert port.sample_rate == jack.rate
    assert 0.03 <= port.latency_s < 0.2
    busy = threading.Event()

    def work() -> None:
        while not busy.is_set():
            sum(range(1000))

    thread = threading.Thread(target=work)
    port.start(Sine(jack.rate))
    thread.start()
    try:
        assert until(lambda: port.stats.frames > jack.rate // 2)
        heard = jack.record(jack.outputs(), 2, tmp_path / "heard.wav")
    finally:
        busy.set()
        thread.join()
    assert heard.shape[1] == 2 * jack.rate
    assert np.abs(heard[0]).max() == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(heard[1], -heard[0], atol=1e-6)
    assert breaks(heard[0], TONE_HZ, jack.rate) == 0
    assert port.stats.underruns == 0
    assert port.stats.faults == 0


def test_starved_ring_is_counted_and_comes_back(jack: JackServer, port: AudioPort, tmp_path: Path) -> None:
    """The source sleeps longer than the lead: one underrun, then the sound goes on."""
    sine, naps = Sine(jack.rate), [0.3]

    def source(frames: int) -> Audio:
        if sine._n > jack.rate // 2 and naps:
            time.sleep(naps.pop())
        return sine(frames)

    port.start(source)
    assert until(lambda: port.stats.underruns > 0)
    assert port.stats.underruns == 1
    assert any("underrun" in line for line in port.poll())
    heard = jack.record(jack.outputs(), 1, tmp_path / "heard.wav")
    assert np.abs(heard[0]).max() == pytest.approx(0.5, abs=1e-3)
    assert breaks(heard[0], TONE_HZ, jack.rate) == 0


def test_server_that_ends_and_returns_is_survived(jack: JackServer, port: AudioPort, tmp_path: Path) -> None:
    port.start(Sine(jack.rate))
    assert until(lambda: port.stats.frames > 0)
    jack.stop()
    assert until(lambda: port.stats.losses == 1)
    before = port.stats.frames
    time.sleep(0.5)
    assert port.stats.frames - before >= 0.3 * jack.rate  # time goes on
    jack.start()
    said: list[str] = []
    assert until(lambda: any("is back" in line for line in (said.extend(port.poll()), said)[1]))
    assert any("has gone" in line for line in said)
    heard = jack.record(jack.outputs(), 1, tmp_path / "heard.wav")
    assert breaks(heard[0, jack.rate // 2 :], TONE_HZ, jack.rate) == 0
    assert np.abs(heard[0, jack.rate // 2 :]).max() == pytest.approx(0.5, abs=1e-3)


def test_channels_are_swapped_and_mixed_as_asked(jack: JackServer, tmp_path: Path) -> None:
    for channels, left in (((2, 1), -1.0), ((2, 2), 0.0)):
        opened = open_port("jack: system", channels=channels)
        opened.start(lambda frames: np.stack([np.full(frames, 0.5, np.float32), np.full(frames, 0.25, np.float32)]))
        try:
            heard = jack.record(jack.outputs(), 1, tmp_path / f"{channels}.wav")[:, jack.rate // 2 :]
        finally:
            opened.stop()
        expected = (0.25, 0.5) if left else (0.0, 0.375)
        np.testing.assert_allclose(heard.mean(axis=1), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"sample_rate": 44_100}, "48000 Hz"),
        ({"channels": (3, 4)}, "1..2"),
        ({"name": "no such card"}, "JACK Audio Connection Kit: system"),
    ],
)
def test_what_the_server_refuses_is_said(jack: JackServer, asked: dict[str, object], words: str) -> None:
    with pytest.raises(PortError, match=words.replace(".", r"\.")):
        open_port(**{"name": "jack", **asked})


def test_rate_is_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = JackServer(tmp_path, rate=44_100, period=256)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    server.start()
    try:
        opened = open_port("jack")
        assert opened.sample_rate == 44_100
        opened.stop()
    finally:
        server.stop()


def test_no_server_is_no_device(jack: JackServer) -> None:
    jack.stop()
    if survey(outputs)[0]:
        pytest.skip("this machine has a sound card of its own")
    with pytest.raises(NoDeviceError, match="JACK"):
        open_port()


class Keyboard:
    """A JACK client with one MIDI output."""

    def __init__(self) -> None:
        rtmidi = pytest.importorskip("rtmidi", exc_type=ImportError)
        if rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
            pytest.skip("python-rtmidi was built without JACK")
        self.out = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="keyboard")

    def press(self, *pitches: int) -> None:
        for pitch in pitches:
            self.out.send_message([0x90, pitch, 100])

    def __enter__(self) -> "Keyboard":
        return self

    def __exit__(self, *raised: object) -> None:
        self.out.delete()


def test_keys_come_through_and_are_let_go_when_the_keyboard_goes(jack: JackServer) -> None:
    posted: list[Keys | Set] = []
    with Keyboard() as keyboard:
        keyboard.out.open_virtual_port("keys")
        opened = open_keys("keyboard", posted.append)
        sent_s = time.perf_counter()
        # Pressed until seen: a starved server drops what is sent in a cycle that it skips.
        pressed = until(lambda: (keyboard.press(60, 64, 67), Keys((60, 64, 67)) in posted)[1])
        arrived_s = opened.stats.last_s
    try:
        assert pressed
        assert sent_s <= arrived_s <= time.perf_counter()
        assert until(lambda: posted[-1] == Keys(()))
        assert opened.stats.losses == 1
        said: list[str] = []
        with Keyboard() as keyboard:
            keyboard.out.open_virtual_port("keys")
            assert until(lambda: any("is back" in line for line in (said.extend(opened.poll()), said)[1]))
            assert until(lambda: (keyboard.press(72), posted[-1] == Keys((72,)))[1])
    finally:
        opened.stop()
    assert posted[-1] == Keys(())


def test_port_of_our_own_can_be_played_to(jack: JackServer) -> None:
    posted: list[Keys | Set] = []
    opened = open_keys("virtual", posted.append)
    try:
        with Keyboard() as keyboard:
            names = keyboard.out.get_ports()
            keyboard.out.open_port(next(i for i, name in enumerate(names) if "Ripieno" in name))
            keyboard.press(60)
            assert until(lambda: posted == [Keys((60,))])
    finally:
        opened.stop()
