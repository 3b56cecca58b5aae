"""``ripieno live`` as a process, and a socket to talk to it."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import psutil
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from engine.controls import Value

__all__ = ["ROOT", "Memory", "Said", "Show", "packet"]

ROOT: Final = Path(__file__).resolve().parents[3]

_PATIENCE_S: Final = 30.0
_ROOM: Final = 1 << 22  # bytes of answers that may wait


def packet(address: str, *values: Value | bytes) -> bytes:
    """An OSC message, as python-osc makes it."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    made: bytes = builder.build().dgram
    return made


@dataclass(frozen=True, slots=True)
class Said:
    """A message from the program, and when it was here."""

    at_s: float
    address: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Memory:
    """Of all processes together, in MB (10^6 bytes).

    Args:
        rss: resident, pages that several share counted for each of them.
        pss: resident, shared pages divided among those who share them.
        uss: what would come back if they ended.
    """

    rss: float
    pss: float
    uss: float
    processes: int


class Show:
    """One run of the program.

    Threads: a thread of its own takes what comes, unread; everything else by one thread.

    Args:
        environment: of the process; it says which JACK server.
        folder: of the take and the log.
        bundle: what plays.
        arguments: more flags.
    """

    def __init__(
        self, environment: Mapping[str, str], folder: Path, bundle: str, arguments: Sequence[str] = ()
    ) -> None:
        self.folder, self.bundle = folder, bundle
        self._log = folder / "live.log"
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = _free_port()
        self._raw: list[tuple[float, bytes]] = []
        self._ended = threading.Event()
        self._command = [
            sys.executable, "ripieno.py", "live", "--bundle", bundle, "--device", "jack", "--midi-in", "none",
            "--osc", f"127.0.0.1:{self.port}", "--reply", str(self._socket.getsockname()[1]),
            "--session", str(folder), "--progression", "Am F C G", "--plain", *arguments,
        ]  # fmt: skip
        self._environment = dict(environment)
        self._thread = threading.Thread(target=self._receive, name="answers", daemon=True)
        self.began_s = 0.0
        self.voice = ""

    def __enter__(self) -> Self:
        self._thread.start()
        with self._log.open("wb") as log:
            self.began_s = time.perf_counter()
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def end(self) -> int:
        """Ask it to end, as Ctrl-C does; gives its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(_PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def faults(self) -> int:
        """Python errors in what the program has printed so far."""
        return self.log().count("Traceback")

    def log(self) -> str:
        """What the program has printed so far."""
        return self._log.read_text("utf-8", "replace")

    # talking

    def send(self, address: str, *values: Value | bytes) -> float:
        """Send a message; gives the moment just before."""
        data = packet(address, *values)
        now_s = time.perf_counter()
        self.send_raw(data)
        return now_s

    def send_raw(self, data: bytes) -> None:
        """Send a packet as it is."""
        self._socket.sendto(data, ("127.0.0.1", self.port))

    def mark(self) -> int:
        """How much was said so far; `said` and `wait` go on from here."""
        return len(self._raw)

    def said(self, address: str, since: int = 0) -> Iterator[Said]:
        """What was said at addresses that begin so."""
        begin = address.encode()
        for at_s, data in self._raw[since:]:
            if data.startswith(begin):
                message = OscMessage(data)
                yield Said(at_s, message.address, tuple(message.params))

    def wait(
        self, address: str, since: int, right: Callable[[Said], bool] = bool, within_s: float = _PATIENCE_S
    ) -> Said:
        """The first message at `address` that is right.

        Raises:
            TimeoutError: none came; the end of the program's log is told.
        """
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            begun = self.mark()
            for each in self.said(address, since):
                if right(each):
                    return each
            since = begun
            time.sleep(0.002)
        raise TimeoutError(f"no {address} within {within_s:g} s; the program said: ...{self.log()[-600:]}")

    def status(self) -> dict[str, Any]:
        """Answers to ``/status``."""
        return self._facts("/status", "voice_state")

    def counters(self) -> dict[str, int]:
        """Answers to ``/errors``."""
        return self._facts("/errors", "dropped")

    def wait_playing(self, within_s: float = 60.0) -> None:
        """Until its voice plays; its name is `voice` from then on.

        Raises:
            TimeoutError: it does not.
        """
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if self.process.poll() is not None:
                raise TimeoutError(f"the program has ended: {self.log()[-600:]}")
            try:
                status = self._facts("/status", "voice_state", 1.0)
            except (TimeoutError, OSError):
                continue
            if status["voice_state"] == "playing":
                self.voice = str(status["voice"])
                return
            time.sleep(0.1)
        raise TimeoutError(f"it does not play: {self.log()[-600:]}")

    def take(self) -> Path:
        """The take that it writes."""
        return max(self.folder.glob("take-*.jsonl"), key=lambda path: path.stat().st_mtime)

    # its processes

    def tree(self) -> list[psutil.Process]:
        """The program and all that it started."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def voice_process(self) -> psutil.Process:
        """The child that makes the sound: it was spawned, and is not the one that talks to PortAudio."""
        spawned = [child for child in self.tree()[1:] if "spawn_main" in " ".join(child.cmdline())]
        voices = [c for c in spawned if "libportaudio" not in Path(f"/proc/{c.pid}/maps").read_text("utf-8")]
        if len(voices) != 1:
            raise RuntimeError(f"one voice's process expected, found {len(voices)}")
        return voices[0]

    def resident_mb(self) -> float:
        """Resident memory of all its processes, in MB (10^6 bytes); quick to ask."""
        total = 0
        for process in self.tree():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / 1e6

    def memory(self) -> Memory:
        """Of all its processes now. It takes long, and holds up what they allocate meanwhile: ask at the end."""
        rows = []
        for process in self.tree():
            try:
                rows.append(process.memory_full_info())
            except psutil.NoSuchProcess:
                continue
        rss, pss, uss = (sum(getattr(row, name) for row in rows) / 1e6 for name in ("rss", "pss", "uss"))
        return Memory(rss, pss, uss, len(rows))

    def _facts(self, address: str, last: str, within_s: float = _PATIENCE_S) -> dict[str, Any]:
        since = self.mark()
        self.send(address)
        self.wait(f"{address}/{last}", since, within_s=within_s)
        return {re.sub(".*/", "", each.address): each.values[0] for each in self.said(f"{address}/", since)}

    def _receive(self) -> None:
        self._socket.settimeout(0.1)
        while not self._ended.is_set():
            try:
                data = self._socket.recv(65_535)
            except OSError:  # nothing came; or nobody listens there yet
                continue
            self._raw.append((time.perf_counter(), data))


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
