"""The band on stage: is every bar there in time, is every note where it belongs, does it follow a clock?

``python -m tests.measure.band [NAME ...] [--bundle house] [--minutes 10] [--json OUT]`` runs ``ripieno accompany`` as a
process on a real JACK server (its dummy driver), plays to it over JACK-MIDI, hears to the sample what it plays, and
prints one JSON row a figure: name, value, unit, wanted, machine, command. Every NAME is a part; all are run without.
"""

import argparse
import json
import math
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.measure.helpers.company import Company, hanging, onset_errors_ms
from tests.measure.helpers.jackd import Jackd
from tests.measure.helpers.midijack import Heard

__all__ = ["PARTS", "main"]

_BAR: Final = 1920
_BEAT: Final = 480
_JITTER_S: Final = 0.003
_MELODY: Final = (69, 72, 76, 74, 72, 71, 69, 64)  # A minor, in eighths


@dataclass(slots=True)
class Hall:
    """What every part works with."""

    server: Jackd
    bundle: str
    minutes: float
    command: str
    extra: tuple[str, ...] = ()
    part: str = ""
    rows: list[dict[str, object]] = field(default_factory=list)

    def row(self, name: str, value: float | int, unit: str = "", wanted: str = "") -> None:
        """Tell one figure."""
        row: dict[str, object] = {
            "name": f"{self.part}/{name}",
            "value": round(float(value), 3) if isinstance(value, float) else int(value),
            "unit": unit,
            "wanted": wanted,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "command": self.command,
        }
        self.rows.append(row)
        print(json.dumps(row), flush=True)

    def spread(self, name: str, values: Sequence[float], wanted: str = "") -> None:
        """Median, p99 and worst of errors by their size, and the mean with its sign."""
        if not values:
            raise ValueError(f"nothing was heard for {name}")
        size = np.abs(values)
        self.row(f"{name}_mean", float(np.mean(values)), "ms")
        self.row(f"{name}_p50", float(np.percentile(size, 50)), "ms")
        self.row(f"{name}_p99", float(np.percentile(size, 99)), "ms", wanted)
        self.row(f"{name}_worst", float(size.max()), "ms")
        self.row(f"{name}_count", len(values), "notes")

    def company(self, *arguments: str) -> Company:
        """A run of the program."""
        return Company(self.server, ["--bundle", self.bundle, "--chords", "Am F C G", *self.extra, *arguments])


def melody(time_of: Callable[[float], float], first: int, last: int, chance: random.Random) -> list[Heard]:
    """What a player plays in bars `first` to `last`: eighths, some left out, a little early or late."""
    messages = []
    for bar in range(first, last):
        for step in range(8):
            if chance.random() < 0.3:
                continue
            at_s = time_of(bar * _BAR + step * _BEAT / 2) + chance.gauss(0.0, 0.008)
            pitch = _MELODY[(step + 3 * bar) % 8]
            messages.append((at_s, bytes((0x90, pitch, chance.randrange(60, 110)))))
            messages.append((at_s + 0.2, bytes((0x80, pitch, 0))))
    return sorted(messages)


def steady(hall: Hall) -> None:
    """Minutes at 120 BPM with a scripted player."""
    seconds = 60.0 * hall.minutes
    with hall.company("--tempo", "120") as company:
        at_s, tick, speed = company.pulse()

        def time_of(place: float) -> float:
            return at_s + (place - tick) / speed

        bars = int(seconds / 2.0)
        company.witness.schedule(melody(time_of, 1, bars + 1, random.Random(1)))
        company.witness.wait(time_of((bars + 1) * _BAR))
        status = company.end()
        heard, planned = company.witness.heard(), company.told("planned")
        rows = [row for row in planned if 1 <= row["bar"] <= bars]
        hall.row("bars", len(rows), "bars", str(bars))
        for source in ("reserve", "repeat", "pad", "silence"):
            hall.row(f"fallback_{source}", sum(row["source"] == source for row in rows), "bars", "0")
        hall.row("dropped", len(company.told("dropped")), "answers", "0")
        ahead = [row["ahead_ms"] for row in rows]
        hall.row("ahead_ms_least", float(min(ahead)), "ms", "> 0")
        made = [1000.0 * row["seconds"] for row in rows if row["source"] == "made"]
        if made:
            hall.row("job_ms_p50", float(np.percentile(made, 50)), "ms")
            hall.row("job_ms_p99", float(np.percentile(made, 99)), "ms")
        errors, missing = onset_errors_ms(heard, rows, time_of)
        hall.spread("onset_error_ms", errors, "<= 3")
        hall.row("notes_missing", missing, "notes", "0")
        late = [ms for row in company.told("standing") for ms in row["late_ms"]]
        hall.spread("sent_late_ms", late)
        hall.row("losses", company.told("standing")[-1]["out"]["losses"], "of the port", "0")
        _tell_notes(hall, heard, status)


def _tell_notes(hall: Hall, heard: Sequence[Heard], status: int) -> None:
    ons, offs, left = hanging(heard)
    hall.row("note_ons", ons, "notes")
    hall.row("note_offs", offs, "notes", str(ons))
    hall.row("hanging", left, "keys", "0")
    hall.row("exit_status", status, "", "0")


class Beats:
    """Musical time of a clock that another machine sends: constant, then a ramp, then constant."""

    def __init__(self, begin_s: float, low: float, high: float, hold_s: float, ramp_s: float, seconds: float) -> None:
        grid = np.arange(0.0, seconds, 0.0005)
        tempo = low + (high - low) * np.clip((grid - hold_s) / ramp_s, 0.0, 1.0)
        self._beats = np.concatenate([[0.0], np.cumsum(0.5 * (tempo[1:] + tempo[:-1]) / 60.0 * 0.0005)])
        self._times, self.begin_s = grid, begin_s

    def time_of(self, tick: float) -> float:
        """When a tick is."""
        return self.begin_s + float(np.interp(tick / _BEAT, self._beats, self._times))

    @property
    def clocks(self) -> int:
        """How many there are."""
        return int(self._beats[-1] * 24)


def clock(hall: Hall) -> None:
    """A MIDI clock with 3 ms of jitter, a ramp from 110 to 140 BPM, and a second without clocks."""
    _follow(hall, "ramp", Beats, drop=(math.inf, math.inf))


def dropout(hall: Hall) -> None:
    """The same, with a second of silence and a tenth of one lost at each later bar."""
    _follow(hall, "dropout", Beats, drop=(20.0, 21.0))


def _follow(hall: Hall, name: str, beats_of: Callable[..., Beats], drop: tuple[float, float]) -> None:
    seconds = min(90.0, max(40.0, 60.0 * hall.minutes))
    chance = random.Random(7)
    with hall.company("--clock", "midi", "--listen", "1") as company:
        company.until(lambda: any("is ready" in str(row.get("line")) for row in list(company.rows)), "the band")
        beats = beats_of(time.perf_counter() + 1.0, 110.0, 140.0, 12.0, 0.4 * seconds, seconds)
        messages: list[Heard] = [(beats.begin_s - 0.01, b"\xfa")]
        last_s = beats.begin_s - 0.005
        for index in range(beats.clocks):
            due_s = beats.time_of(index * 20)
            last_s = max(last_s + 0.0002, due_s + chance.uniform(-_JITTER_S, _JITTER_S))
            if not drop[0] <= due_s - beats.begin_s < drop[1]:
                messages.append((last_s, b"\xf8"))
        messages.append((last_s + 0.02, b"\xfc"))
        company.witness.schedule(messages)
        company.witness.schedule(melody(beats.time_of, 0, beats.clocks // 96, random.Random(2)))
        company.witness.wait(last_s + 1.0)
        status = company.end()
        heard = company.witness.heard()
        rows = [row for row in company.told("planned") if 2 <= row["bar"] < beats.clocks // 96]
        hall.row(f"{name}_bars", len(rows), "bars", str(beats.clocks // 96 - 2))
        hall.row(f"{name}_fallbacks", sum(row["source"] != "made" for row in rows), "bars", "0")
        lines, _ = onset_errors_ms(heard, rows, beats.time_of, lines=True)
        hall.spread(f"{name}_bar_line_error_ms", lines, "<= 5")
        errors, missing = onset_errors_ms(heard, rows, beats.time_of)
        hall.spread(f"{name}_onset_error_ms", errors)
        hall.row(f"{name}_notes_missing", missing, "notes", "0")
        _tell_notes(hall, heard, status)


def source(hall: Hall) -> None:
    """The MIDI clock that the band sends, against its own time."""
    with hall.company("--tempo", "120", "--send-clock", "--no-count-in") as company:
        at_s, tick, speed = company.pulse()
        company.witness.wait(time.perf_counter() + 30.0)
        status = company.end()
        heard = company.witness.heard()
        times = np.array([when for when, message in heard if message == b"\xf8"])
        places = (tick + (times - at_s) * speed) / 20.0
        hall.spread("clock_error_ms", list(1000.0 * 20.0 / speed * (places - np.round(places))), "<= 3")
        hall.row("clocks_missing", int(np.sum(np.diff(np.round(places)) - 1)), "clocks", "0")
        _tell_notes(hall, heard, status)


def stops(hall: Hall) -> None:
    """Stop, panic, jump, another tempo, then every way to end: nothing hangs."""
    ends: Mapping[str, Callable[[Company], int]] = {
        "interrupt": lambda company: company.end(signal.SIGINT),
        "terminate": lambda company: company.end(signal.SIGTERM),
        "kill": lambda company: company.end(signal.SIGKILL),
    }
    for name, end in ends.items():
        with hall.company("--tempo", "150", "--no-count-in") as company:
            company.pulse()
            for words in ({"tempo": 90}, {"panic": 1}, {"locate": 12}, {"stop": 1}, {"start": 1}, {"tempo": 240}):
                time.sleep(2.2)
                company.order(**words)
            time.sleep(3.3)
            status = end(company)
            time.sleep(1.0)
            ons, offs, left = hanging(company.witness.heard())
            hall.row(f"{name}_ons", ons, "notes", "> 0")
            hall.row(f"{name}_offs", offs, "notes", str(ons))
            hall.row(f"{name}_hanging", left, "keys", "0")
            hall.row(f"{name}_status", status)


PARTS: Final[Mapping[str, Callable[[Hall], None]]] = {
    "steady": steady, "clock": clock, "dropout": dropout, "source": source, "stops": stops,
}  # fmt: skip
"""Every part by its name, in the order in which all are run."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts; 0 done, 1 one could not be measured, 2 not understood."""
    parser = argparse.ArgumentParser(prog="python -m tests.measure.band", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="NAME", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--bundle", default="house", metavar="NAME", help="who plays")
    parser.add_argument("--minutes", type=float, default=10.0, help="of steady")
    parser.add_argument("--jack", default="-R -S", metavar="FLAGS", help="jackd's; default -R -S")
    parser.add_argument("--period", type=int, default=128, help="JACK's, in samples at 48 kHz")
    parser.add_argument("--with", dest="extra", default="", metavar="FLAGS", help="further flags of accompany")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all rows here, too")
    args = parser.parse_args(argv)
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown or args.minutes <= 0.0:
        parser.error(f"parts are {', '.join(PARTS)}, minutes more than 0; got {' '.join(unknown)}")
    failed, rows = 0, list[dict[str, Any]]()
    with tempfile.TemporaryDirectory(prefix="band-") as folder:
        server = Jackd(Path(folder), tuple(args.jack.split()), period=args.period)
        server.start()
        try:
            command = " ".join(["python -m tests.measure.band", *(sys.argv[1:] if argv is None else argv)])
            hall = Hall(server, args.bundle, args.minutes, f"{command} ({server.command})", tuple(args.extra.split()))
            for name in args.parts or PARTS:
                hall.part = name
                try:
                    PARTS[name](hall)
                except (TimeoutError, RuntimeError, ValueError, OSError) as error:
                    failed += 1
                    print(f"{name} could not be measured: {type(error).__name__}: {error}", file=sys.stderr)
            rows = hall.rows
        finally:
            server.stop()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
