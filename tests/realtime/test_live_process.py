"""The real program, with a null device: it answers OSC, survives the death of a voice, and ends when asked."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 30.0


class Live:
    """``ripieno live`` in a process of its own, and a socket to talk to it."""

    def __init__(self, folder: Path) -> None:
        arguments = [
            "--bundle",
            "tone",
            "--device",
            "null",
            "--osc",
            "127.0.0.1:0",
            "--reply",
            "0",
            "--midi-in",
            "none",
        ]
        self.process = subprocess.Popen(
            [sys.executable, "ripieno.py", "live", *arguments, "--session", str(folder), "--progression", "Am F C G"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.lines: list[str] = []
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"OSC at 127\.0\.0\.1:(\d+)", line):
                break
        else:
            raise AssertionError("".join(self.lines))
        self.port = int(found.group(1))
        self.applied: list[str] = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(_PATIENCE_S)

    def ask(self, address: str, *values: object) -> None:
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        self.socket.sendto(builder.build().dgram, ("127.0.0.1", self.port))

    def answer(self, address: str) -> list[object]:
        """The arguments of the next message with this address."""
        while True:
            message = self.receive()
            if message.address == address:
                return list(message.params)

    def receive(self) -> OscMessage:
        """The next message of any kind."""
        message = OscMessage(self.socket.recv(65_535))
        if message.address == "/applied":
            self.applied.append(str(message.params[0]))
        return message

    def status(self) -> dict[str, object]:
        """One voice plays, so its state is the last of the answers."""
        self.ask("/status")
        rows: dict[str, object] = {}
        while "voice_state" not in rows:
            message = self.receive()
            if message.address.startswith("/status/"):
                rows[message.address.removeprefix("/status/")] = message.params[0]
        return rows

    def wait(self, **wanted: object) -> dict[str, object]:
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            status = self.status()
            if all(status.get(name) == value for name, value in wanted.items()):
                return status
            time.sleep(0.1)
        raise AssertionError(f"{status} never had {wanted}")

    def voice_process(self) -> psutil.Process:
        """The child that spends the most: the one that makes sound."""
        children = [c for c in psutil.Process(self.process.pid).children() if "spawn_main" in " ".join(c.cmdline())]
        return max(children, key=lambda child: child.cpu_times().user)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    started = Live(tmp_path)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.kill()
        started.process.wait()
        started.socket.close()
        if started.process.stdout is not None:
            started.process.stdout.close()


def test_it_plays_answers_recovers_and_ends(live: Live, tmp_path: Path) -> None:
    live.wait(state="playing")
    live.ask("/reply/to", live.socket.getsockname()[1])
    live.ask("/tone/gain", -6.0)
    applied = live.answer("/applied")
    assert applied[0] == "/tone/gain"
    live.ask("/tone/gain")
    assert live.answer("/tone/gain") == [pytest.approx(-6.0)]
    live.ask("/tone/gain", "loud")
    refused = live.answer("/error")
    assert refused[0] == "/tone/gain"
    live.ask("/transport/tempo", 132.0)
    live.wait(tempo=132.0)

    before = live.status()["sample"]
    os.kill(live.voice_process().pid, signal.SIGKILL)
    assert live.answer("/event/voice_down")[0] == "tone"
    assert live.answer("/event/voice_up")[0] == "tone"
    status = live.wait(state="playing", tempo=132.0)
    assert int(str(status["sample"])) > int(str(before))

    live.process.send_signal(signal.SIGINT)
    said, _ = live.process.communicate(timeout=_PATIENCE_S)
    assert live.process.returncode == 0, said
    assert "Traceback" not in said
    assert list(tmp_path.glob("take-*.jsonl"))


def test_a_voice_is_added_while_it_plays(live: Live) -> None:
    live.wait(state="playing")
    live.ask("/reply/to", live.socket.getsockname()[1])
    live.ask("/drone/load", "tone")
    up = live.answer("/event/voice_up")[0]
    if up == "tone":  # on a busy machine the first voice's own is told after it is heard to play
        up = live.answer("/event/voice_up")[0]
    assert up == "drone"
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        live.ask("/voices")
        if live.answer("/voices") == ["tone", "drone"]:
            break
    live.ask("/drone/gain", -6.0)
    while "/drone/gain" not in live.applied:
        live.receive()
    assert live.applied == ["/drone/load", "/drone/gain"]
    for number in range(2, 9):
        live.ask(f"/drone{number}/load", "tone")
    assert "8 voices" in str(live.answer("/error")[2])


def test_a_device_asked_for_by_name_is_not_replaced_by_none(tmp_path: Path) -> None:
    arguments = ["--device", "nothing-like-it", "--bundle", "tone", "--session", str(tmp_path), "--osc", "127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "ripieno.py", "live", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "JACK_NO_START_SERVER": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "audio output" in done.stderr or "PortAudio" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_is_one_clear_line(live: Live, tmp_path: Path) -> None:
    arguments = ["--bundle", "tone", "--device", "null", "--osc", f"127.0.0.1:{live.port}", "--session", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "ripieno.py", "live", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(live.port) in done.stderr


def test_an_unknown_bundle_is_one_clear_line(tmp_path: Path) -> None:
    arguments = ["--bundle", "nothing-like-it", "--device", "null", "--session", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "ripieno.py", "live", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "tone" in done.stderr
