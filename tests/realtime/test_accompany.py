"""The band through real JACK-MIDI: it joins in time, follows a clock, and leaves nothing sounding whatever happens."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bridge.audio.port import PortError
from bridge.midi.out import MidiOutput
from bridge.midi.output_commands import AllNotesOff, Book, SetPulse
from bridge.midi.sender import SenderSetup
from engine.band.ledger import Booking
from engine.music.pulse import Pulse
from tests.realtime.jack import JackServer, needs
from tests.realtime.midi import Ear, until

ROOT = Path(__file__).resolve().parents[2]
OUT, IN = "Ripieno band:out", "Ripieno:keys"


@pytest.fixture
def jack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    needs("jackd", "jack_lsp", "jack_connect")
    server = JackServer(tmp_path)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    server.start()
    yield server
    server.stop()


class Program:
    """``ripieno accompany --json`` as a process."""

    def __init__(self, *flags: str) -> None:
        self.rows: list[dict[str, Any]] = []
        words = ("accompany", "--json", "--bundle", "house", "--chords", "Am F C G", *flags)
        self.process = subprocess.Popen(
            [sys.executable, "ripieno.py", *words], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "CI": "true"},  # with this, pyfluidsynth prints what it has found
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            try:
                self.rows.append(json.loads(line))
            except ValueError:
                self.rows.append({"event": "not JSON", "line": line})

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(10.0)  # a pipe that is closed while somebody reads it makes the reader fail
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        for row in self.rows:  # shown where a test fails
            if row["event"] != "planned":
                print(row)
        assert not [row for row in self.rows if row["event"] == "not JSON"]

    def planned(self) -> list[dict[str, Any]]:
        return [row for row in list(self.rows) if row["event"] == "planned"]

    def order(self, **words: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        status = self.process.wait(15.0)
        time.sleep(0.5)
        return status


@pytest.fixture
def ear() -> Iterator[Callable[[str], Ear]]:
    made: list[Ear] = []

    def make(port: str) -> Ear:
        made.append(Ear(port))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_band_plays_bar_after_bar_and_any_end_leaves_nothing_sounding(
    jack: JackServer, ear: Callable[[str], Ear], number: int
) -> None:
    with Program("--tempo", "240", "--no-count-in") as program:
        heard = ear(OUT)
        assert until(lambda: len(program.planned()) >= 5)
        program.order(tempo=120)
        program.order(locate=8)
        assert until(lambda: any(row["bar"] == 9 for row in program.planned()))
        time.sleep(0.6)
        status = program.end(number)
    assert status == (0 if number != signal.SIGKILL else -signal.SIGKILL)
    assert heard.ons() > 20
    assert not heard.sounding()
    assert {row["source"] for row in program.planned()} == {"made"}
    last = [message for _, message in heard.heard[-2:]]
    assert [message[1] for message in last] == [64, 123]


@pytest.mark.slow
def test_band_follows_a_clock_and_stops_with_it(jack: JackServer, ear: Callable[[str], Ear]) -> None:
    import rtmidi

    with Program("--clock", "midi") as program:
        heard = ear(OUT)
        source = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="clock")
        try:
            assert until(lambda: IN in source.get_ports())
            source.open_port(source.get_ports().index(IN))
            assert until(lambda: any("is ready" in str(row.get("line")) for row in list(program.rows)))
            time.sleep(0.5)  # a wire carries nothing before JACK has redrawn its graph
            begin = time.perf_counter() + 0.1
            source.send_message(b"\xfa")
            for index in range(24 * 4 * 4):
                time.sleep(max(0.0, begin + index * 2.5 / 200.0 - time.perf_counter()))
                source.send_message(b"\xf8")
            assert heard.ons() > 20, program.rows[-3:]
            source.send_message(b"\xfc")
            assert until(lambda: not heard.sounding(), 3.0)
            count = heard.ons()
            time.sleep(1.5)
            assert heard.ons() == count
        finally:
            source.delete()
        tempos = [row["tempo"] for row in program.rows if row["event"] == "standing" and row["tempo"]]
        assert tempos[-1] == pytest.approx(200.0, rel=0.03)
        assert program.end(signal.SIGINT) == 0
    assert [row["bar"] for row in program.planned()][:3] == [1, 2, 3]


def chord(ids: Sequence[int], start: float, end: float) -> Book:
    return Book(tuple(Booking(n, start, end, 3, 60 + n % 12) for n in ids))


@pytest.mark.slow
def test_sender_that_dies_is_replaced_and_its_notes_are_ended(jack: JackServer, ear: Callable[[str], Ear]) -> None:
    output = MidiOutput(None, SenderSetup(channels=(3,), raw=(b"\xc3\x05",)))
    try:
        heard = ear(OUT)
        output.send(SetPulse(Pulse(time.perf_counter(), 0.0, 120.0)))
        output.send(chord((1, 4, 7), 100, 1e6))
        assert until(lambda: len(heard.sounding()) == 3)
        assert output._sender is not None
        os.kill(output._sender.pid, signal.SIGKILL)
        assert until(lambda: output.stats.losses == 1)
        assert until(lambda: any("is back" in line for line in output.poll()))
        again = ear(OUT)  # the wire went with the port
        output.send(chord((2,), 0, 1e6))
        assert until(lambda: output.send(AllNotesOff()))
        output.send(SetPulse(Pulse(time.perf_counter(), 0.0, 120.0)))
        output.send(chord((2,), 100, 400))
        assert until(lambda: again.ons() >= 1)
    finally:
        output.stop()
    assert not +again.sounding()


@pytest.mark.slow
def test_server_that_ends_is_noticed_and_awaited(jack: JackServer) -> None:
    output = MidiOutput(None)
    try:
        jack.stop()
        assert until(lambda: output.stats.losses == 1, 15.0)
        assert not output.send(chord((1,), 0, 10))
        jack.start()
        assert until(lambda: any("is back" in line for line in output.poll()), 20.0)
        assert output.send(AllNotesOff())
    finally:
        output.stop()


@pytest.mark.slow
def test_band_plays_to_a_sound_device_where_there_is_no_midi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    with Program("--sound", "null", "--out", "none", "--in", "none", "--tempo", "240", "--no-count-in") as program:
        assert until(lambda: len(program.planned()) >= 3)
        assert program.end(signal.SIGINT) == 0
    assert {row["source"] for row in program.planned()} == {"made"}


def test_output_that_is_not_there_is_refused_by_name(jack: JackServer) -> None:
    with pytest.raises(PortError, match="no MIDI output is called 'theremin'"):
        MidiOutput("theremin")
