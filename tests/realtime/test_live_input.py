"""The real program with a live input: a sound file, heard, told of and turned over OSC; and what it refuses."""

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

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.music.audio import write_audio

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 30.0


class Live:
    """``ripieno live`` on the null device, and a socket to talk to it."""

    def __init__(self, folder: Path, *more: str) -> None:
        arguments = [
            "--bundle", "tone", "--device", "null", "--osc", "127.0.0.1:0", "--reply", "0", "--midi-in", "none",
            "--session", str(folder), "--plain",
        ]  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "ripieno.py", "live", *arguments, *more],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self._listening = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._listening.wait(_PATIENCE_S)
        found = re.search(r"OSC at 127\.0\.0\.1:(\d+)", "".join(self.lines))
        assert found, "".join(self.lines)
        self.port = int(found.group(1))
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(_PATIENCE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if "OSC at" in line:
                self._listening.set()
        self._listening.set()

    def ask(self, address: str, *values: object) -> None:
        builder = OscMessageBuilder(address)
        for value in values:
            builder.add_arg(value)
        self.socket.sendto(builder.build().dgram, ("127.0.0.1", self.port))

    def answer(self, address: str) -> list[object]:
        """The arguments of the next message with this address."""
        while True:
            message = OscMessage(self.socket.recv(65_535))
            if message.address == address:
                return list(message.params)

    def status(self) -> dict[str, object]:
        """One voice plays, so its state is the last of the answers."""
        self.ask("/status")
        rows: dict[str, object] = {}
        while "voice_state" not in rows:
            message = OscMessage(self.socket.recv(65_535))
            if message.address.startswith("/status/"):
                rows[message.address.removeprefix("/status/")] = message.params[0]
        return rows

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.socket.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    write_audio(tmp_path / "in.wav", np.full((1, 1_000), 0.5, np.float32), 44_100)
    started = Live(tmp_path, "--input", f"file:{tmp_path / 'in.wav'}", "--input-gain", "-6")
    yield started
    started.end()


def test_a_file_is_heard_told_of_and_turned(live: Live, tmp_path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (rows := live.status())["input_s"] < 1.0 or rows["input_db"] < -13.0:
        assert time.monotonic() < deadline, rows
    assert rows["input"] == f"file:{tmp_path / 'in.wav'}"
    assert rows["input_rate"] == 44_100
    assert rows["input_db"] == pytest.approx(-12.0, abs=0.5)
    assert (rows["input_losses"], rows["input_overruns"]) == (0, 0)
    live.ask("/input/gain")
    assert live.answer("/input/gain") == [pytest.approx(-6.0)]
    live.ask("/input/gain", -30.0)
    assert live.answer("/applied")[0] == "/input/gain"
    deadline = time.monotonic() + _PATIENCE_S
    while live.status()["input_db"] > -35.0:
        assert time.monotonic() < deadline
    live.ask("/telemetry", 20.0)
    session = live.answer("/telemetry/session")
    assert session[8] == pytest.approx(-36.0, abs=0.5)
    live.ask("/input/gain", 90.0)
    assert live.answer("/error")[0] == "/input/gain"
    live.ask("/reply/to", live.socket.getsockname()[1])
    live.ask("/record/start", "a.wav")
    while live.answer("/applied")[0] != "/record/start":
        pass
    live.ask("/record/stop")
    recorded = [live.answer("/event/recorded") for _ in range(2)]
    assert {Path(str(row[0])).name for row in recorded} == {"a.wav", "a-input.wav"}
    assert recorded[0][1] == recorded[1][1]
    live.process.send_signal(signal.SIGINT)
    assert live.process.wait(_PATIENCE_S) == 0
    live.end()
    said = "".join(live.lines)
    assert f"audio input: file:{tmp_path / 'in.wav'}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--input", "nothing-like-it"], "input"),
        (["--input", "file:nothing-like-it.wav"], "nothing-like-it.wav"),
        (["--input", "file:x", "--input-monitor", "6"], "input_monitor"),
    ],
)
def test_what_cannot_be_heard_is_one_clear_line(asked: list[str], words: str, tmp_path: Path) -> None:
    arguments = ["--bundle", "tone", "--device", "null", "--osc", "127.0.0.1:0", "--session", str(tmp_path), *asked]
    done = subprocess.run(
        [sys.executable, "ripieno.py", "live", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env={**os.environ, "JACK_NO_START_SERVER": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
