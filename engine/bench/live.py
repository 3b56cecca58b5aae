"""``python -m engine.bench.live BUNDLE``: measure a language model as a live voice; prints one JSON value.

Runs a whole session in real time, read as a sound card would read it: the voice is asked several times to continue its
own last six seconds, then plays on undisturbed. Reported are the time from each command to the first new sample at the
output, the speed at which chunks are made, underruns and their times, and the memory of the voice's process.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engine.errors import BundleError
from engine.messages.session import Applied, Continue, Failed, Prepared, Telemetry, VoiceDown, VoiceUp
from engine.session.session import Session, VoiceSpec

__all__ = ["main"]

_RATE: Final = 48000
_BLOCK: Final = 256
_CONTEXT_S: Final = 6.0
_PAUSE_S: Final = 1.0  # between two continuations
_LOAD_S: Final = 180.0
_ANSWER_S: Final = 60.0


class _Hall:
    """A session that is read in real time."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[Any] = []
        self.realtime: list[float] = []
        self.underruns: list[float] = []
        """Seconds of sound at which each was reported."""
        self.behind_s = 0.0
        """How far the reader itself was behind at most: what it missed then no sound card would have missed."""
        self._begun_s = time.perf_counter()

    def read(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Read on for some time, or until something has happened."""
        session, end = self.session, self.session.position + round(seconds * _RATE)
        while session.position < end and not until():
            session.read(_BLOCK)
            for event in session.poll():
                if not isinstance(event, Telemetry):
                    self.events.append(event)
                    continue
                more = event.underruns - len(self.underruns)
                self.underruns += [round(session.position / _RATE, 1)] * more
                self.realtime += [
                    v.realtime for v in event.voices if v.realtime and v.realtime not in self.realtime[-1:]
                ]
            left_s = self._begun_s + session.position / _RATE - time.perf_counter()
            self.behind_s = max(self.behind_s, -left_s)
            time.sleep(max(0.0, left_s))

    def wait(self, kind: type[Any], number: int = 0, seconds: float = _ANSWER_S) -> Any:
        """The first event of a kind, about a command if there is one.

        Raises:
            BundleError: it did not come, or something failed.
        """

        def found() -> list[Any]:
            return [e for e in self.events if isinstance(e, kind) and (not number or e.number == number)]

        failed: list[Failed] = []

        def done() -> bool:
            failed.extend(event for event in self.events if isinstance(event, Failed))
            return bool(found() or failed)

        self.read(seconds, done)
        if failed or not found():
            raise BundleError(failed[0].reason if failed else f"no answer within {seconds:g} s")
        return found()[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the numbers."""
    parser = argparse.ArgumentParser(prog="python -m engine.bench.live", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", help="name or folder of a musicgen bundle")
    parser.add_argument("--runs", type=int, default=5, help="number of continuations; default 5")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds of sound after them; default 60")
    parser.add_argument("--threads", type=int, default=1, help="threads of the network; default 1")
    parser.add_argument("--fill-ms", type=float, default=60.0, help="buffer of the voice; default 60")
    parsed = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        voice = VoiceSpec(name="m", bundle=parsed.bundle, seed=1, options={"threads": parsed.threads})
        with Session(_RATE, voices=(voice,), folder=Path(folder), fill_ms=parsed.fill_ms, block=_BLOCK) as session:
            told = _measured(_Hall(session), parsed.runs, parsed.seconds)
    json.dump({**told, "threads": parsed.threads, "fill_ms": parsed.fill_ms, "seconds": parsed.seconds}, sys.stdout)
    return 0


def _measured(hall: _Hall, runs: int, seconds: float) -> Mapping[str, Any]:
    import psutil

    loaded = hall.wait(VoiceUp, seconds=_LOAD_S)
    process = psutil.Process(hall.session.players()["m"].pid)
    hall.read(_CONTEXT_S + _PAUSE_S)
    continue_ms, prepared_ms = [], []
    for run in range(runs):
        number = hall.session.post(Continue(voice="m", source="output", seconds=_CONTEXT_S, seed=run))
        prepared_ms.append(1000.0 * hall.wait(Prepared, number).seconds)
        continue_ms.append(hall.wait(Applied, number).latency_ms)
        hall.read(_PAUSE_S)
    begun_mb, alone_s = process.memory_info().rss / 2**20, hall.session.position / _RATE
    hall.realtime.clear()
    hall.read(seconds)
    return {
        "load_s": loaded.seconds, "continue_ms": continue_ms, "prepared_ms": prepared_ms,
        "realtime": hall.realtime or [0.0], "memory_mb": [begun_mb, process.memory_info().rss / 2**20],
        "underruns": len(hall.underruns), "underruns_at_s": hall.underruns, "alone_from_s": round(alone_s, 1),
        "reader_behind_ms": 1000.0 * hall.behind_s,
        "deaths": sum(isinstance(event, VoiceDown) for event in hall.events),
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
