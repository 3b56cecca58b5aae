"""A JACK server without a sound card, and a look at what goes through it."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from engine.music.audio import Audio

__all__ = ["JackServer", "breaks", "needs"]


def needs(*programs: str) -> None:
    """Skip where a program is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed (on Debian: jackd2 and jack-example-tools)")


class JackServer:
    """jackd's dummy driver under a name of its own, the default of this process and its children while it is used.

    Synchronous (-S): a cycle waits for its clients, so that a busy machine makes it late instead of dropping sound.
    """

    def __init__(self, folder: Path, *, rate: int = 48_000, period: int = 128) -> None:
        needs("jackd", "jack_lsp")
        self.rate = rate
        self.name = f"ripieno-{os.getpid()}-{time.monotonic_ns()}"
        self._log = folder / "jackd.log"
        self._command = [
            "jackd",
            "--no-realtime",
            "-S",
            "-n",
            self.name,
            "-d",
            "dummy",
            "-r",
            str(rate),
            "-p",
            str(period),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        for _ in range(100):
            time.sleep(0.1)
            if self._process.poll() is not None:
                pytest.skip(f"jackd does not run here: {self._log.read_text()[-300:]}")
            if "system:playback_2" in self.ports():
                return
        pytest.fail("jackd has started and offers no ports")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def ports(self) -> list[str]:
        """Ports of all clients now."""
        done = subprocess.run(
            # Told by its environment: the option -s of jack_lsp writes one byte past the name.
            ["jack_lsp"],
            capture_output=True,
            text=True,
            timeout=20,
            env=self.environment(),
        )
        return done.stdout.split()

    def environment(self) -> dict[str, str]:
        return {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}

    def outputs(self) -> list[str]:
        """The two output ports of whoever plays to the speakers."""
        for _ in range(50):
            found = [port for port in self.ports() if ":out" in port]
            if len(found) >= 2:
                return found[:2]
            time.sleep(0.1)
        return pytest.fail(f"nobody plays: {self.ports()}")

    def record(self, ports: list[str], seconds: int, path: Path) -> Audio:
        """What these ports play, [2, N]."""
        needs("jack_rec")
        from engine.music.audio import read_audio

        done = subprocess.run(
            ["jack_rec", "-f", str(path), "-d", str(seconds), "-b", "32", "-B", "131072", *ports],
            capture_output=True, text=True, timeout=60, env=self.environment(),
        )  # fmt: skip
        assert "overruns" not in done.stderr + done.stdout, done.stderr
        return read_audio(path)[0]


def breaks(sound: Audio, frequency_hz: float, rate: int) -> int:
    """Places where [N] is not one sine of constant amplitude.

    Source:
        x[n] - 2 cos(w) x[n-1] + x[n-2] = 0 for every sine of frequency w, whatever its phase and amplitude.
    """
    w = 2.0 * np.pi * frequency_hz / rate
    x = sound.astype(np.float64)
    away = np.flatnonzero(np.abs(x[2:] - 2.0 * np.cos(w) * x[1:-1] + x[:-2]) > 1e-5)
    return int(np.count_nonzero(np.diff(away) > 2) + (len(away) > 0))
