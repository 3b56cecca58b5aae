"""Live input through a real JACK server on its dummy driver: what is heard is whole, and lies where it was heard."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from bridge.audio.clocks import Sounding
from bridge.audio.input import AudioInput
from bridge.audio.monitor import Monitor
from bridge.audio.null import NullPort
from bridge.audio.opening import open_input, open_port
from bridge.audio.port import AudioPort, DuplexInput, PortError
from engine.audio.input import InputHistory
from engine.music.audio import Audio
from engine.session.session import Session, VoiceSpec
from tests.realtime.jack import JackServer, breaks, needs

TONE_HZ = 997.0


@pytest.fixture
def jack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    needs("jack_connect")
    server = JackServer(tmp_path)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    server.start()
    yield server
    server.stop()


class Ends:
    """Ports and inputs that are stopped when the test ends, whatever happens, the latest first."""

    def __init__(self) -> None:
        self._open: list[AudioPort | AudioInput] = []

    def port(self, **asked: object) -> AudioPort:
        opened = open_port("jack", **asked)  # type: ignore[arg-type]
        self._open.append(opened)
        return opened

    def add(self, opened: AudioInput) -> AudioInput:
        self._open.append(opened)
        return opened

    def stop(self) -> None:
        for each in reversed(self._open):
            each.stop()


@pytest.fixture
def ends(jack: JackServer) -> Iterator[Ends]:
    opened = Ends()
    yield opened
    opened.stop()


class Sine:
    """An endless sine, right inverted."""

    def __init__(self, rate: int) -> None:
        self._w, self._n = 2.0 * np.pi * TONE_HZ / rate, 0

    def __call__(self, frames: int) -> Audio:
        phase = self._w * ((self._n + np.arange(frames)) % (1 << 30))
        self._n += frames
        left = (0.5 * np.sin(phase)).astype(np.float32)
        return np.stack([left, -left])


class Clicks:
    """A single sample every tenth of a second, at known frames."""

    every = 4_800

    def __init__(self) -> None:
        self.position = 0

    def __call__(self, frames: int) -> Audio:
        out = np.zeros((2, frames), np.float32)
        first, self.position = self.position, self.position + frames
        out[:, -first % self.every :: self.every] = 0.5
        return out


def until(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Wait for something to be so."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


def connect(jack: JackServer, *pairs: tuple[str, str]) -> None:
    for source, sink in pairs:
        done = subprocess.run(
            ["jack_connect", source, sink], capture_output=True, text=True, timeout=20, env=jack.environment()
        )
        assert done.returncode == 0, done.stderr + done.stdout


def added(jack: JackServer, before: list[str], kind: str, count: int = 2) -> list[str]:
    """The ports of a kind that are there now and were not before."""
    found: list[str] = []

    def look() -> bool:
        found[:] = [port for port in jack.ports() if port not in before and kind in port]
        return len(found) >= count

    assert until(look)
    return found[:count]


def silence(frames: int) -> Audio:
    return np.zeros((2, frames), np.float32)


def test_a_sine_that_another_program_plays_is_heard_whole(jack: JackServer, ends: Ends) -> None:
    """Beside a busy thread of our own: the stream is in C, in another process."""
    listener, hearing = ends.port(beside=DuplexInput(name="jack")), InputHistory(jack.rate, 5.0)
    ours = jack.ports()
    player = ends.port()
    assert listener.input is not None
    assert player.input is None
    assert listener.input.sample_rate == jack.rate
    theirs = added(jack, ours, ":out")
    player.start(Sine(jack.rate))
    listener.start(silence)
    listener.input.start(hearing.write)
    connect(jack, *zip(theirs, [port for port in ours if ":in" in port], strict=True))
    busy = threading.Event()
    thread = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(busy.is_set, True)])
    thread.start()
    try:
        assert until(lambda: hearing.received > 3 * jack.rate)
    finally:
        busy.set()
        thread.join()
    assert until(lambda: breaks(hearing.last(2 * jack.rate)[0], TONE_HZ, jack.rate) == 0)
    heard = hearing.last(jack.rate)
    assert np.abs(heard[0]).max() == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(heard[1], -heard[0], atol=1e-6)
    stats = listener.input.stats
    assert (hearing.gaps, hearing.mended, stats.overruns, stats.faults, stats.jumps) == (0, 0, 0, 0, 0)


def test_what_we_play_into_our_own_input_is_heard_where_it_sounded(jack: JackServer, ends: Ends) -> None:
    """A cable from our output to our input: every click at its own sample, but for what the driver says of itself."""
    port, hearing, clicks = ends.port(beside=DuplexInput(name="jack")), InputHistory(jack.rate, 10.0), Clicks()
    names = jack.ports()
    assert port.input is not None
    port.start(clicks)
    port.input.start(hearing.write)
    outs, ins = ([name for name in names if kind in name] for kind in (":out", ":in"))
    connect(jack, *zip(outs, ins, strict=True))
    assert until(lambda: hearing.received > 3 * jack.rate)
    end = hearing.end
    heard = np.flatnonzero(np.abs(hearing.last(2 * jack.rate, end)[0]) > 0.25) + end - 2 * jack.rate
    assert len(heard) in (19, 20, 21)
    apart = (heard + clicks.every // 2) % clicks.every - clicks.every // 2
    assert len(set(apart.tolist())) == 1  # to the sample, the same for all
    lead_s = port.latency_s - 0.03
    told = port.input.latency_s + lead_s
    period_s = 128 / jack.rate  # a cable within one program takes a turn of the server
    assert abs(int(apart[0])) <= (told + 3 * period_s) * jack.rate + 1


def test_an_input_in_its_own_process_is_heard_whole_and_in_its_place(jack: JackServer, ends: Ends) -> None:
    """Two streams, placed by their time alone: clicks lie where they sounded, within the lead and a little."""
    before = jack.ports()
    port, hearing, clicks = ends.port(), InputHistory(jack.rate, 10.0), Clicks()
    outs = added(jack, before, ":out")
    mark = (0, 0.0)

    def source(frames: int) -> Audio:
        nonlocal mark
        mark = clicks.position, time.perf_counter()
        return clicks(frames)

    port.start(source)
    sounding = Sounding(lambda: mark, jack.rate, lambda: port.latency_s - 256 / jack.rate)
    before = jack.ports()
    listener = ends.add(open_input("jack", sample_rate=jack.rate, sample_at=sounding.latest_sample_at))
    ins = added(jack, before, ":in")
    listener.start(hearing.write)
    connect(jack, *zip(outs, ins, strict=True))
    assert until(lambda: hearing.received > 5 * jack.rate)
    end = hearing.end
    sound = hearing.last(2 * jack.rate, end)[0]
    heard = np.flatnonzero((np.abs(sound) > 0.2) & (np.abs(sound) >= np.abs(np.roll(sound, 1)))) + end - len(sound)
    assert len(heard) >= 19
    apart = (heard + clicks.every // 2) % clicks.every - clicks.every // 2
    assert np.abs(np.median(apart)) < 0.03 * jack.rate
    if not (listener.stats.device_flags or port.stats.device_flags):  # otherwise the server itself has skipped time
        assert np.abs(apart).max() < 0.03 * jack.rate
        assert np.ptp(apart) < 0.005 * jack.rate


@pytest.mark.parametrize("rate", [44_100, 96_000])
def test_a_session_at_another_rate_hears_the_same_sine(rate: int, jack: JackServer, ends: Ends) -> None:
    before = jack.ports()
    player = ends.port()
    outs = added(jack, before, ":out")
    player.start(Sine(jack.rate))
    began, hearing = time.perf_counter(), InputHistory(rate, 10.0)
    before = jack.ports()
    listener = ends.add(
        open_input("jack", sample_rate=rate, sample_at=lambda at_s: (at_s - began + 1.0) * rate, channels=(1, 1))
    )
    assert listener.sample_rate == jack.rate  # JACK has one rate, and it is not ours
    ins = added(jack, before, ":in", 1)
    listener.start(hearing.write)
    connect(jack, (outs[0], ins[0]))
    assert until(lambda: hearing.received > 3 * rate)

    def whole() -> bool:
        """The latest second is one sine: one narrow peak, at its frequency and level."""
        heard = hearing.last(rate)[0].astype(np.float64)
        level = np.abs(np.fft.rfft(heard * np.hanning(rate)))  # one bin a hertz
        right = abs(int(level.argmax()) - TONE_HZ) <= 1.0 and abs(np.abs(heard).max() - 0.5) < 0.02
        return bool(right and (level > 0.01 * level.max()).sum() < 12)

    assert until(whole)  # a server that is late skips a cycle now and then


def test_a_server_that_ends_and_returns_is_heard_again(jack: JackServer, ends: Ends) -> None:
    port, hearing = ends.port(beside=DuplexInput(name="jack")), InputHistory(jack.rate, 10.0)
    alone = ends.add(open_input("jack", sample_rate=jack.rate, sample_at=lambda at_s: at_s * jack.rate))
    other = InputHistory(jack.rate, 10.0)
    assert port.input is not None
    port.start(silence)
    port.input.start(hearing.write)
    alone.start(other.write)
    assert until(lambda: hearing.received > 0 and other.received > 0)
    jack.stop()
    assert until(lambda: port.stats.losses == 1 and alone.stats.losses == 1)
    jack.start()
    said: dict[str, list[str]] = {"beside": [], "alone": []}

    def back() -> bool:
        said["beside"] += port.poll()
        said["alone"] += alone.poll()
        return all(any("is back" in line for line in lines) for lines in said.values())

    assert until(back), said
    assert all(any("has gone" in line for line in lines) for lines in said.values())
    before = hearing.received, other.received
    assert until(lambda: hearing.received > before[0] + jack.rate and other.received > before[1] + jack.rate)
    assert port.input.stats.losses >= 1
    assert hearing.gaps >= 1  # what was played meanwhile was not heard
    assert hearing.missed > 0


def test_a_session_hears_itself(jack: JackServer, ends: Ends) -> None:
    """Mix and input of one session: its own voice comes back through the cable at its own samples."""
    with Session(jack.rate, voices=(VoiceSpec(name="tone"),)) as session:
        port = ends.port(beside=DuplexInput(name="jack"))
        names = jack.ports()
        assert port.input is not None
        sounds: list[Audio] = []

        def source(frames: int) -> Audio:
            sounds.append(session.read(frames))
            return sounds[-1]

        port.start(source)
        port.input.start(session.hear)
        outs, ins = ([name for name in names if kind in name] for kind in (":out", ":in"))
        connect(jack, *zip(outs, ins, strict=True))
        assert until(lambda: session.hearing.level > -60.0)
        since = session.hearing.end
        assert until(lambda: session.hearing.end > since + 2 * jack.rate)
        port.stop()
        heard = session.hearing.last(jack.rate, since + 2 * jack.rate)[0]
        mix = np.concatenate(sounds, axis=1)[0]
    first = since + jack.rate
    shifts = range(-1_500, 1_500)
    at = first + np.array(shifts)[:, None] + np.arange(0, jack.rate, 97)[None]
    errors = np.abs(mix[at] - heard[::97][None]).mean(axis=1)
    best = shifts[int(errors.argmin())]
    assert errors.min() < 1e-4
    assert abs(best) <= 0.02 * jack.rate


def test_the_monitor_plays_what_is_heard_whole(jack: JackServer, ends: Ends, tmp_path: Path) -> None:
    listener, hearing, read = ends.port(beside=DuplexInput(name="jack")), InputHistory(jack.rate, 5.0), Clicks()
    hearing.turn(("monitor",), 0.0, 0)
    names = jack.ports()
    player = ends.port()
    theirs = added(jack, names, ":out")
    assert listener.input is not None

    def quiet(frames: int) -> Audio:
        return read(frames) * np.float32(0.0)

    monitor = Monitor(quiet, hearing, lambda: read.position)
    player.start(Sine(jack.rate))
    listener.start(monitor)
    listener.input.start(hearing.write)
    outs, ins = ([name for name in names if kind in name] for kind in (":out", ":in"))
    connect(jack, *zip(theirs, ins, strict=True))
    assert until(lambda: hearing.level > -7.0)
    sound = np.zeros((2, 0), np.float32)

    def whole() -> bool:
        nonlocal sound
        sound = jack.record(outs, 1, tmp_path / "monitored.wav")
        return breaks(sound[0], TONE_HZ, jack.rate) == 0 and np.abs(sound).max() > 0.1

    assert until(whole)
    assert np.abs(sound[0]).max() == pytest.approx(0.5, abs=1e-3)
    np.testing.assert_allclose(sound[1], -sound[0], atol=1e-6)


def test_an_unknown_input_is_refused_by_name(jack: JackServer) -> None:
    with pytest.raises(PortError, match=r"no audio input is called 'no such card'.*JACK Audio Connection Kit: system"):
        open_input("no such card", sample_rate=48_000, sample_at=lambda at_s: None)
    with pytest.raises(PortError, match=r"channels 1\.\.2"):
        open_input("jack", sample_rate=48_000, sample_at=lambda at_s: None, channels=(7, 8))


def test_an_input_that_is_another_device_is_not_opened_beside_the_output(jack: JackServer, ends: Ends) -> None:
    assert ends.port(beside=DuplexInput(name="no such card")).input is None
    assert NullPort().input is None
