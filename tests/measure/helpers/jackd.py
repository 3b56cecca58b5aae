"""A JACK server on its dummy driver, and a client's view of its ports and xruns."""

import ctypes
import ctypes.util
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

__all__ = ["INPUT", "OUTPUT", "Jackd", "Wires"]

INPUT: Final = 1
OUTPUT: Final = 2
"""JackPortFlags of jack/types.h."""

_NO_START, _SERVER_NAME = 1, 4  # JackOptions of jack/types.h
_START_S: Final = 10.0


class Jackd:
    """``jackd -d dummy -r 48000 -p 128`` under a name of its own.

    Args:
        folder: where its log goes.
        flags: for jackd, before the driver: ``-r`` without real-time scheduling, ``-S`` waiting for its clients.
    """

    def __init__(self, folder: Path, flags: Sequence[str] = ("-r",), *, rate: int = 48_000, period: int = 128) -> None:
        self.rate, self.period = rate, period
        self.name = f"stage-{os.getpid()}-{time.monotonic_ns()}"
        self.log = folder / f"{self.name}.log"
        self._command = ["jackd", *flags, "-n", self.name, "-d", "dummy", "-r", str(rate), "-p", str(period)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> str:
        """What is run, for people."""
        return " ".join(self._command)

    def start(self) -> None:
        """Run it until its ports are there.

        Raises:
            RuntimeError: it does not start; the end of its log says why.
        """
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            time.sleep(0.1)
            # Told by its environment: the option -s of jack_lsp writes one byte past the name.
            seen = subprocess.run(["jack_lsp"], capture_output=True, text=True, timeout=20, env=self.environment())
            if "system:playback_2" in seen.stdout:
                return
        self.stop()
        raise RuntimeError(f"jackd does not run: {self.log.read_text()[-300:]}")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def environment(self) -> dict[str, str]:
        """Makes it the default server of a process."""
        return {**os.environ, "JACK_DEFAULT_SERVER": self.name, "JACK_NO_START_SERVER": "1"}


class Wires:
    """A client that connects others' ports and hears of xruns; it has no ports and no part in the cycle.

    Threads: `xruns` is counted by a thread of libjack; everything else by one thread of the owner.

    Raises:
        RuntimeError: no libjack, or the server does not answer.
    """

    def __init__(self, server: str) -> None:
        self._jack = _library()
        status = ctypes.c_int()
        self._client = ctypes.c_void_p(
            self._jack.jack_client_open(b"wires", _NO_START | _SERVER_NAME, ctypes.byref(status), server.encode())
        )
        if not self._client:
            raise RuntimeError(f"JACK server {server} does not answer (status {status.value:#x})")
        self.xruns = 0
        self._heard = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._xrun)  # kept: libjack only borrows it
        self._jack.jack_set_xrun_callback(self._client, self._heard, None)
        self._jack.jack_activate(self._client)

    def ports(self, pattern: str, flags: int) -> list[str]:
        """Names that match a regular expression, in the server's order."""
        found = self._jack.jack_get_ports(self._client, pattern.encode(), None, flags)
        names: list[str] = []
        while found and (name := found[len(names)]) is not None:
            names.append(name.decode())
        if found:
            self._jack.jack_free(found)
        return names

    def connect(self, source: str, sink: str) -> None:
        """Connect two ports; nothing happens if they are, or if one has gone."""
        self._jack.jack_connect(self._client, source.encode(), sink.encode())

    def disconnect(self, source: str, sink: str) -> None:
        """Part two ports; nothing happens if they are parted."""
        self._jack.jack_disconnect(self._client, source.encode(), sink.encode())

    def close(self) -> None:
        """Leave the server."""
        if self._client:
            self._jack.jack_client_close(self._client)
            self._client = ctypes.c_void_p()

    def _xrun(self, _: Any) -> int:
        self.xruns += 1
        return 0


def _library() -> Any:
    """libjack with the signatures used here."""
    name = ctypes.util.find_library("jack")
    if name is None:
        raise RuntimeError("no libjack on this machine (on Debian: jackd2)")
    jack: Any = ctypes.CDLL(name)
    jack.jack_client_open.restype = ctypes.c_void_p
    jack.jack_client_open.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p]
    jack.jack_get_ports.restype = ctypes.POINTER(ctypes.c_char_p)
    jack.jack_get_ports.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong]
    jack.jack_free.argtypes = [ctypes.c_void_p]
    jack.jack_set_xrun_callback.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    for name in ("jack_activate", "jack_client_close"):
        getattr(jack, name).argtypes = [ctypes.c_void_p]
    for name in ("jack_connect", "jack_disconnect"):
        getattr(jack, name).argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    return jack
