"""The band in the terminal: this bar, the next one and counts as a picture, as lines, or as lines of JSON."""

import json
import math
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self, TextIO

from bridge.midi.out import OutStats
from bridge.picture import LivePicture
from engine.band.actions import SOURCES, BandSettings, Bar, Dropped, Planned
from engine.music.score import Note
from engine.music.units import TICKS_PER_BEAT
from engine.protocols.accompanist import BAR_TICKS, COLUMN_TICKS, COLUMNS

__all__ = ["BandStatus", "BandView", "JsonView", "LinesView", "PictureView", "chord_names", "strip"]

_EVERY_S: Final = 10.0
_REFRESH_HZ: Final = 12
_LINES: Final = 6
_REST, _ONSET, _HELD = "·", "█", "▬"


@dataclass(frozen=True, slots=True)
class BandStatus:
    """The state of the band now.

    Args:
        at_s: when, perf_counter seconds.
        tick: musical time then; -inf while it stands still.
        tempo_bpm: quarter notes a minute; 0 while musical time stands still.
        now, coming: the plan of this bar and of the next, and its source; None where there is none.
        counts: bars by source, late and failed answers.
        out: counts of the output.
        late_s: seconds by which each note-on since the last status left late.
    """

    at_s: float
    tick: float
    tempo_bpm: float
    now: tuple[Bar, str] | None
    coming: tuple[Bar, str] | None
    counts: Mapping[str, int]
    out: OutStats
    late_s: Sequence[float]

    @property
    def fallbacks(self) -> int:
        """Bars that were not made in time and were replaced."""
        return sum(self.counts[source] for source in SOURCES[1:])


class BandView(Protocol):
    """Shows what the band does. All calls come from the band's thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def say(self, line: str) -> None:
        """Show a line for people."""
        ...

    def show_plan(self, news: Planned | Dropped) -> None:
        """Show the plan of a bar, or that an answer was not used."""
        ...

    def show_status(self, status: BandStatus) -> None:
        """Show the state; called many times a second."""
        ...


def strip(notes: Sequence[Note], *, drums: bool = False) -> str:
    """Sixteen characters for the columns of a bar: rests, onsets and (except for drums) held notes."""
    cells = [_REST] * COLUMNS
    for note in notes:
        first = note.start // COLUMN_TICKS
        last = first if drums else min(COLUMNS - 1, (note.end - 1) // COLUMN_TICKS)
        for column in range(first + 1, last + 1):
            if cells[column] == _REST:
                cells[column] = _HELD
        cells[first] = _ONSET
    return "".join(cells)


def chord_names(news: Planned) -> str:
    """The chords of a bar, each named where it begins; ``-`` where none is known."""
    names: list[str] = []
    for chord in news.chords:
        name = "-" if chord is None else str(chord)
        if not names or names[-1] != name:
            names.append(name)
    return " ".join(names)


class LinesView:
    """One line a bar, and one with counts every ten seconds."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()
        self._late: deque[float] = deque(maxlen=100_000)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def say(self, line: str) -> None:
        """Print it."""
        print(line, flush=True)

    def show_plan(self, news: Planned | Dropped) -> None:
        """One line."""
        if isinstance(news, Dropped):
            self.say(f"bar {news.bar}: an answer was dropped ({news.why})")
            return
        played = ", ".join(f"{role} {len(notes)}" for role, notes in news.tracks.items())
        source = "" if news.source == "made" else f" [{news.source}]"
        self.say(
            f"bar {news.bar}{source} {chord_names(news)}: {played or 'silence'}; {1000 * news.ahead_s:.0f} ms ahead"
        )

    def show_status(self, status: BandStatus) -> None:
        """Print the counts, every ten seconds."""
        self._late.extend(status.late_s)
        if time.monotonic() - self._last_s < _EVERY_S:
            return
        self._last_s = time.monotonic()
        self.say(f"{status.tempo_bpm:.1f} bpm, {_figures(status)}, {_lateness(self._late)}")


def _figures(status: BandStatus) -> str:
    out = status.out
    return (
        f"{status.counts['made']} bars made, {status.fallbacks} fallbacks, {status.counts['late']} late; "
        f"{out.ons} notes sent, {out.stale} dropped, {out.sounding} sounding"
    )


def _lateness(late_s: Sequence[float]) -> str:
    if not late_s:
        return "no note yet"
    rows = sorted(late_s)
    return (
        f"sent {1000 * rows[(len(rows) - 1) // 2]:.1f} ms late, p99 {1000 * rows[round(0.99 * (len(rows) - 1))]:.1f} ms"
    )


class JsonView:
    """One JSON object a line, with an ``event``: say, planned, dropped, standing (the status, every second).

    Args:
        out: where lines are written; standard output if not given.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = sys.stdout if out is None else out
        self._last_s = -math.inf
        self._late: list[float] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._last_s = -math.inf

    def say(self, line: str) -> None:
        """``{"event": "say", "line": ...}``"""
        self._write({"event": "say", "line": line})

    def show_plan(self, news: Planned | Dropped) -> None:
        """Notes are [start, pitch, length, velocity], starts in ticks from the bar line."""
        if isinstance(news, Dropped):
            self._write({"event": "dropped", "bar": news.bar, "why": news.why})
            return
        tracks = {
            role: [[n.start, n.pitch, n.length, n.velocity] for n in notes] for role, notes in news.tracks.items()
        }
        self._write({
            "event": "planned", "bar": news.bar, "source": news.source, "tracks": tracks,
            "chords": [None if chord is None else str(chord) for chord in news.chords],
            "ahead_ms": round(1000.0 * news.ahead_s, 1), "seconds": round(news.seconds, 4), "steps": news.steps,
        })  # fmt: skip

    def show_status(self, status: BandStatus) -> None:
        """Once a second: the tick at a time of perf_counter, and the counts."""
        self._late += status.late_s
        now_s = time.perf_counter()
        if now_s - self._last_s < 1.0:
            return
        self._last_s = now_s
        moving = math.isfinite(status.tick)
        self._write({
            "event": "standing", "at_s": status.at_s, "tick": status.tick if moving else None,
            "tempo": status.tempo_bpm, "counts": dict(status.counts), "out": asdict(status.out),
            "late_ms": [round(1000.0 * late, 3) for late in self._late],
        })  # fmt: skip
        self._late.clear()

    def _write(self, row: Mapping[str, Any]) -> None:
        self._out.write(json.dumps(row) + "\n")  # at once: another thread's line must not come between
        self._out.flush()


class PictureView(LivePicture):
    """This bar and the next as strips of sixteen columns, redrawn twelve times a second.

    Args:
        settings: its targets are drawn, in this order.
    """

    def __init__(self, settings: BandSettings) -> None:
        self._settings = settings
        self._status: BandStatus | None = None
        self._chord: dict[int, str] = {}
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._late: deque[float] = deque(maxlen=10_000)
        super().__init__(_REFRESH_HZ)  # draws at once

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        super().__exit__(kind, error, at)
        if self._status is not None:
            print(_figures(self._status), flush=True)

    def say(self, line: str) -> None:
        """Show a line below the picture; the latest six stay."""
        self._lines.append(line)

    def show_plan(self, news: Planned | Dropped) -> None:
        """Show the chords in the picture's head; a dropped answer as a line."""
        if isinstance(news, Dropped):
            self.say(f"bar {news.bar}: an answer was dropped ({news.why})")
            return
        self._chord = {bar: name for bar, name in self._chord.items() if bar >= news.bar - 2} | {
            news.bar: chord_names(news)
        }

    def show_status(self, status: BandStatus) -> None:
        """Keep the state for the next drawing."""
        self._status = status
        self._late.extend(status.late_s)

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        seen = self._status
        lines = [Text(line, style="dim") for line in list(self._lines)]
        if seen is None or not math.isfinite(seen.tick):
            return Group(Text("waiting for the clock ..."), *lines)
        bar, inside = divmod(seen.tick, BAR_TICKS)
        bar, column = int(bar), int(inside // COLUMN_TICKS)
        head = Text(
            f" bar {bar:>4}   beat {inside / TICKS_PER_BEAT + 1:4.1f}   {seen.tempo_bpm:6.1f} bpm", style="bold"
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("")
        table.add_column(Text(f"now   {self._chord.get(bar, '')} {_source(seen.now)}"), min_width=COLUMNS)
        table.add_column(Text(f"next  {self._chord.get(bar + 1, '')} {_source(seen.coming)}"), min_width=COLUMNS)
        for role in self._settings.targets:
            now, coming = (
                strip(row[0].get(role, ()), drums=role == "drum") if row is not None else " " * COLUMNS
                for row in (seen.now, seen.coming)
            )  # fmt: skip
            text = Text(now, style="green")
            text.stylize("reverse", column, column + 1)
            table.add_row(f" {role:<7}", text, Text(coming, style="cyan"))
        return Group(head, table, Text(f" {_figures(seen)}; {_lateness(self._late)}", style="dim"), *lines)


def _source(row: tuple[Bar, str] | None) -> str:
    return "" if row is None or row[1] == "made" else f"[{row[1]}]"
