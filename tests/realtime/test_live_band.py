"""The band inside the real ``ripieno live``, through a real JACK server: with the voices, and never a hanging note."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from tests.realtime.jack import JackServer, needs
from tests.realtime.midi import Ear, until

ROOT = Path(__file__).resolve().parents[2]
OUT, IN = "Ripieno band:out", "Ripieno:keys"


class Live:
    """``ripieno live`` with a voice and a band, in a process of its own, and all that it tells."""

    def __init__(self, folder: Path, *flags: str) -> None:
        words = ["live", "--bundle", "tone", "--band", "house", "--osc", "127.0.0.1:0", "--reply", "0", "--plain"]
        self.lines: list[str] = []
        self.told: list[tuple[str, list[Any]]] = []
        self.process = subprocess.Popen(
            [sys.executable, "ripieno.py", *words, "--session", str(folder), *flags],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ),
        )  # fmt: skip
        self._readers = [threading.Thread(target=self._read, daemon=True)]
        self._readers[0].start()
        assert until(lambda: self._port() or self.process.poll() is not None, 30.0), self.lines
        assert self._port(), self.lines
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self._readers.append(threading.Thread(target=self._hear, daemon=True))
        self._readers[1].start()
        self.ask("/reply/to", self.socket.getsockname()[1])

    def ask(self, address: str, *values: object) -> None:
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        self.socket.sendto(builder.build().dgram, ("127.0.0.1", self._port()))

    def plans(self) -> list[list[Any]]:
        """[bar, source, chords, notes, ahead_ms] so far."""
        return [values for address, values in list(self.told) if address == "/event/band_plan"]

    def fact(self, name: str) -> Any:
        """What ``/status`` tells of it."""
        self.told.clear()
        self.ask("/status")
        assert until(lambda: any(address == f"/status/{name}" for address, _ in list(self.told)), 5.0), name
        return next(values[0] for address, values in list(self.told) if address == f"/status/{name}")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._readers[0].join(5.0)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.socket.sendto(b"", self.socket.getsockname())  # wakes who listens
        self._readers[1].join(5.0)
        self.socket.close()

    def _port(self) -> int:
        found = re.search(r"OSC at 127\.0\.0\.1:(\d+)", "".join(self.lines))
        return int(found.group(1)) if found else 0

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)

    def _hear(self) -> None:
        while data := self.socket.recv(65_535):
            message = OscMessage(data)
            self.told.append((message.address, list(message.params)))


@pytest.fixture
def jack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JackServer]:
    needs("jackd", "jack_lsp")
    server = JackServer(tmp_path)
    monkeypatch.setenv("JACK_DEFAULT_SERVER", server.name)
    monkeypatch.setenv("JACK_NO_START_SERVER", "1")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def ears(jack: JackServer) -> Iterator[list[Ear]]:
    """Closed after the program has ended: while notes still arrive, closing one can wait for its own callback."""
    made: list[Ear] = []
    yield made
    for ear in made:
        ear.close()


@pytest.fixture
def live(ears: list[Ear], tmp_path: Path) -> Iterator[Live]:
    started = Live(tmp_path, "--midi-in", "virtual", "--tempo", "200", "--progression", "Am F C G")
    try:
        yield started
    finally:
        started.close()


@pytest.mark.slow
def test_band_plays_with_the_voices_and_every_note_ends_at_panic_and_at_the_end(live: Live, ears: list[Ear]) -> None:
    import rtmidi

    ears.append(Ear(OUT))
    ear = ears[0]
    keys = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="hands")
    try:
        assert until(lambda: len(live.plans()) >= 4), live.lines
        assert until(lambda: ear.ons() > 20)
        plans = live.plans()
        bars = {values[0]: values for values in plans}
        assert all(chords == ("Am", "F", "C", "G")[bar % 4] for bar, (_, _, chords, *_) in bars.items())
        sources = [values[1] for values in bars.values()]
        assert sources.count("made") > len(sources) / 2, sources  # a machine without time falls back now and then
        notes = [values for address, values in live.told if address == "/event/band_note"]
        assert 0 < sum(values[3] for values in plans[:-1]) <= len(notes)

        live.ask("/transport/tempo", 240.0)
        live.ask("/band/targets", "bass,drum")
        live.ask("/band/density/bass", 0.0625)
        assert until(lambda: ("/changed", ["/band/density/bass", 0.0625]) in live.told)
        time.sleep(2.5)
        last = live.plans()[-2][0]  # of the latest, notes may still be on their way
        roles = [v[1] for address, v in list(live.told) if address == "/event/band_note" and v[0] == last]
        assert set(roles) == {"bass", "drum"}
        assert roles.count("bass") == 1

        if not until(lambda: IN in keys.get_ports()) and any("has gone" in line for line in live.lines):
            pytest.skip("JACK shut its clients out: this machine had no time for them")
        assert IN in keys.get_ports(), live.lines
        keys.open_port(keys.get_ports().index(IN))
        time.sleep(0.5)  # a wire carries nothing before JACK has redrawn its graph
        for pitch in (62, 66, 69):
            keys.send_message((0x90, pitch, 90))
        assert until(lambda: live.plans()[-1][2] == "D", 5.0), live.plans()[-1]

        live.ask("/panic")
        assert until(lambda: not +ear.sounding(), 3.0)
        time.sleep(0.1)
        count = ear.ons()
        assert live.fact("band_state") == "resting"
        time.sleep(1.5)
        assert ear.ons() == count
        live.ask("/band/start")
        assert until(lambda: ear.ons() > count + 5)
        live.process.send_signal(signal.SIGINT)
        assert live.process.wait(20.0) == 0
        time.sleep(0.3)
        assert not +ear.sounding()
    finally:
        keys.delete()
    assert not any("Traceback" in line for line in live.lines)


@pytest.mark.slow
def test_nothing_sounds_on_when_the_program_is_killed_or_told_to_rest(live: Live, ears: list[Ear]) -> None:
    ears.append(Ear(OUT))
    ear = ears[0]
    assert until(lambda: ear.ons() > 10), live.lines
    # An ear that comes late hears ends of notes whose beginnings it missed: only what is above zero hangs.
    live.ask("/transport/beats", 3)
    assert until(lambda: not +ear.sounding() and any("only in 4/4" in line for line in live.lines), 5.0)
    live.ask("/transport/beats", 4)
    count = ear.ons()
    assert until(lambda: ear.ons() > count + 10)
    live.ask("/transport/locate", 40)
    assert until(lambda: any(values[0] >= 41 for values in live.plans()))
    live.ask("/band/stop")
    assert until(lambda: not +ear.sounding(), 3.0)
    live.ask("/band/load", "tone")
    assert until(lambda: any(address == "/error" and "cannot accompany" in str(v) for address, v in live.told))
    live.ask("/band/start")
    count = ear.ons()
    assert until(lambda: ear.ons() > count + 10)
    live.process.send_signal(signal.SIGKILL)
    live.process.wait(10.0)
    assert until(lambda: not +ear.sounding(), 5.0)
