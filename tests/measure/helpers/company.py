"""A run of ``ripieno accompany`` on a JACK server: what it says, what it plays, and whether that is what it said."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.measure.helpers.jackd import Jackd
from tests.measure.helpers.midijack import Heard, MidiWitness

__all__ = ["IN", "OUT", "ROOT", "Company", "hanging", "onset_errors_ms"]

ROOT: Final = Path(__file__).resolve().parents[3]
IN: Final = "Ripieno:keys"
OUT: Final = "Ripieno band:out"
_CHANNELS: Final = {"lead": 0, "bass": 1, "guitar": 2, "piano": 3, "string": 4, "drum": 9}
_START_S: Final = 60.0
_NEAR_S: Final = 0.06


class Company:
    """The program, and a witness wired to both of its ports."""

    def __init__(self, server: Jackd, arguments: Sequence[str]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._witness = MidiWitness(server.name)
        self.process = subprocess.Popen(
            [sys.executable, "ripieno.py", "accompany", "--json", *arguments], cwd=ROOT, env=server.environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        self.until(lambda: any("MIDI in:" in str(row.get("line")) for row in list(self.rows)), "its ports")
        self.witness.connect(OUT, "witness:in")
        self.witness.connect("witness:out", IN)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.witness.close()

    @property
    def witness(self) -> MidiWitness:
        """What hears and plays."""
        return self._witness

    def order(self, **words: object) -> None:
        """Steer the program by a line of JSON."""
        if self.process.stdin is not None:
            self.process.stdin.write(json.dumps(words) + "\n")
            self.process.stdin.flush()

    def told(self, event: str) -> list[dict[str, Any]]:
        """Everything of one kind that it has said."""
        return [row for row in list(self.rows) if row["event"] == event]

    def until(self, true: Callable[[], bool], what: str, within_s: float = _START_S) -> None:
        """Wait for something to be so.

        Raises:
            TimeoutError: it is not.
        """
        end_s = time.monotonic() + within_s
        while not true():
            if time.monotonic() > end_s or self.process.poll() is not None:
                raise TimeoutError(f"no sign of {what}: {self.rows[-3:]}")
            time.sleep(0.02)

    def pulse(self) -> tuple[float, float, float]:
        """(time, tick, ticks a second) of a moment at which musical time went on."""
        row: dict[str, Any] = {}

        def seen() -> bool:
            rows = [row for row in self.told("standing") if row["tick"] is not None]
            row.update(rows[-1] if rows else {})
            return bool(rows)

        self.until(seen, "musical time")
        return row["at_s"], row["tick"], row["tempo"] * 8.0

    def end(self, number: int = signal.SIGINT) -> int:
        """Stop it; the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(20.0)
        self._reader.join(5.0)
        time.sleep(0.3)
        self.witness.heard()
        return status

    def child(self, name: str) -> list[int]:
        """Processes of the program whose command line names a function of ours."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == self.process.pid and name in (folder / "comm").read_text() + os.readlink(folder / "exe"):
                    found.append(int(folder.name))
            except (OSError, ValueError, IndexError):
                continue
        return sorted(found)

    def _read(self) -> None:
        for line in self.process.stdout or ():
            try:
                self.rows.append(json.loads(line))
            except ValueError:
                self.rows.append({"event": "garbled", "line": line})


def hanging(heard: Iterable[Heard]) -> tuple[int, int, int]:
    """(note-ons, note-offs, keys that still sound or were struck twice) of what a port has sent."""
    sounding: dict[tuple[int, int], int] = {}
    ons = offs = 0
    for _, message in heard:
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1] if len(message) > 1 else 0)
        if kind == 0x90 and message[2]:
            ons += 1
            sounding[key] = sounding.get(key, 0) + 1
        elif kind in (0x80, 0x90):
            offs += 1
            sounding[key] = sounding.get(key, 0) - 1
    return ons, offs, sum(count != 0 for count in sounding.values())


def onset_errors_ms(
    heard: Sequence[Heard],
    planned: Iterable[Mapping[str, Any]],
    time_of: Callable[[float], float],
    *,
    lines: bool = False,
) -> tuple[list[float], int]:
    """(how late each planned note was heard, ms; planned notes that were not heard).

    Args:
        planned: news of that kind.
        time_of: when a tick is.
        lines: only notes on bar lines.
    """
    ons: dict[tuple[int, int], list[float]] = {}
    for at_s, message in heard:
        if message[0] & 0xF0 == 0x90 and message[2]:
            ons.setdefault((message[0] & 0x0F, message[1]), []).append(at_s)
    errors, missing = [], 0
    for row in planned:
        for role, notes in row["tracks"].items():
            for start, pitch, *_ in notes:
                if lines and start:
                    continue
                due_s = time_of(row["bar"] * 1920 + start)
                near = [at_s - due_s for at_s in ons.get((_CHANNELS[role], pitch), ()) if abs(at_s - due_s) < _NEAR_S]
                if near:
                    errors.append(1000.0 * min(near, key=abs))
                else:
                    missing += 1
    return errors, missing
