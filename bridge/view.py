"""The terminal: a live picture of the performance, or plain lines where there is no terminal."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, Final, Self

from engine.messages.session import (
    Applied,
    Continue,
    Cover,
    Event,
    Failed,
    InfillDone,
    Prepared,
    Recorded,
    Set,
    Swapped,
    Telemetry,
    Thawed,
    VoiceDown,
    VoiceTelemetry,
    VoiceUp,
)

__all__ = ["LiveView", "PlainView", "meter", "sentence"]

_LINES: Final = 8
_REFRESH_HZ: Final = 8
_PLAIN_EVERY_S: Final = 10.0
_METER: Final = 24
_FLOOR_DB: Final = -60.0
_SILENT_DB: Final = -120.0


def meter(level_db: float, width: int = _METER) -> str:
    """A bar of `width` characters for -60..0 dB."""
    filled = round(width * min(1.0, max(0.0, 1.0 - level_db / _FLOOR_DB)))
    return "█" * filled + "·" * (width - filled)


def sentence(event: Event) -> str | None:
    """An event in words; None for those that are drawn instead."""
    match event:
        case Applied(command=command, sample=sample, latency_ms=latency, voice=voice):
            return f"{_words(command)} {voice} at sample {sample}, heard after {latency:.0f} ms"
        case Failed(command=command, reason=reason):
            return f"refused {_words(command)}: {reason}"
        case Cover(voice=voice):
            return f"{voice} is late: the last bar goes on"
        case Thawed(voice=voice, samples=samples):
            return f"{voice} is back after {samples} samples of cover"
        case VoiceUp(voice=voice, bundle=bundle, seconds=seconds, restarted=restarted):
            return f"{voice} {'is back' if restarted else 'plays'} ({bundle}), after {seconds:.2f} s"
        case VoiceDown(voice=voice, reason=reason):
            return f"{voice} is down ({reason}); starting it again"
        case Swapped(voice=voice, bundle=bundle, sample=sample):
            return f"{voice} changed over to {bundle} at sample {sample}"
        case Recorded(path=path, samples=samples):
            return f"recorded {samples} samples to {path}"
        case Prepared(voice=voice, seconds=seconds):
            return f"{voice} is ready to go on, after {seconds:.2f} s"
        case InfillDone(variation=variation, path=path, notes=notes):
            return f"fill {variation}: {notes} new notes, written to {path}"
        case _:
            return None


def _words(command: object) -> str:
    if isinstance(command, Set):
        return f"{'/'.join(command.path)} {command.value:g}" if not isinstance(command.value, str) else (
            f"{'/'.join(command.path)} {command.value}"
        )  # fmt: skip
    if isinstance(command, Continue):
        return " ".join(["continue", command.source or "what was heard", *([command.text] if command.text else [])])
    name = type(command).__name__.lower()
    values = [getattr(command, f.name) for f in fields(command) if f.name != "voice"]  # type: ignore[arg-type]
    return " ".join([name, *(str(value) for value in values if value != "")])


class PlainView:
    """One line an event, and one of figures every ten seconds.

    Args:
        write: takes each line.
    """

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self._write = write
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def say(self, line: str) -> None:
        """A line for people."""
        self._write(line)

    def show(self, events: Sequence[Event]) -> None:
        """Take the news; commands that came through are not worth a line here."""
        for event in events:
            if isinstance(event, Telemetry):
                if time.monotonic() - self._last >= _PLAIN_EVERY_S:
                    self._last = time.monotonic()
                    self._write(self._figures(event))
            elif not isinstance(event, Applied) and (words := sentence(event)) is not None:
                self._write(words)

    @staticmethod
    def _figures(seen: Telemetry) -> str:
        voices = "; ".join(
            f"{v.voice} {v.level_db:.0f} dB, {v.fill_ms:.0f} ms ahead, {v.realtime:.0f}x, late {v.late}"
            for v in seen.voices
        )
        heard = f", in {seen.input_db:.0f} dB" if seen.input_db > _SILENT_DB else ""
        level = f"{seen.level_db:.0f} dB{heard}"
        return f"bar {seen.bar}, {seen.tempo_bpm:g} bpm, {level}, underruns {seen.underruns}; {voices}"


class LiveView:
    """A picture redrawn eight times a second.

    Threads: any may call `say` and `show`; drawing is rich's own thread.

    Args:
        counters: gives the OSC receiver's counts.
    """

    def __init__(self, counters: Callable[[], Mapping[str, int]]) -> None:
        from rich.live import Live

        self._counters = counters
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._lock = threading.Lock()
        self._seen: Telemetry | None = None
        self._live = Live(get_renderable=self._draw, refresh_per_second=_REFRESH_HZ, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        """A line for people, kept above the picture's end until others push it out."""
        with self._lock:
            self._lines.append(line)

    def show(self, events: Sequence[Event]) -> None:
        """Take the news."""
        for event in events:
            if isinstance(event, Telemetry):
                self._seen = event
            elif (words := sentence(event)) is not None:
                self.say(words)

    def _draw(self) -> Any:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        seen = self._seen
        if seen is None:
            return Group(Text("loading ..."), *(Text(line, style="dim") for line in self._kept()))
        head = Text(
            f" bar {seen.bar:>4}   beat {seen.beat + 1:4.1f}   {seen.tempo_bpm:6.1f} bpm   {seen.chord or '-':<8} "
            f"{meter(seen.level_db)} {seen.level_db:6.1f} dB   underruns {seen.underruns}",
            style="bold",
        )
        if seen.input_db > _SILENT_DB:
            head.append(f"\n{'in':>45} {meter(seen.input_db)} {seen.input_db:6.1f} dB")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("voice", "bundle", "level", "", "ahead", "speed", "late", "cpu"):
            table.add_column(name, justify="left" if name in ("voice", "bundle", "level") else "right")
        for voice in seen.voices:
            table.add_row(*self._row(voice))
        counts = "  ".join(f"{name} {value}" for name, value in self._counters().items())
        lines = (Text(line, style="dim") for line in self._kept())
        return Group(head, table, Text(f" osc  {counts}", style="dim"), *lines)

    @staticmethod
    def _row(voice: VoiceTelemetry) -> list[str]:
        return [
            f" {voice.voice}" + ("" if voice.playing else " (stopped)"),
            voice.bundle.replace("\\", "/").rsplit("/", 1)[-1],
            meter(voice.level_db),
            f"{voice.level_db:.1f} dB",
            f"{voice.fill_ms:.0f} ms",
            f"{voice.realtime:.0f}x",
            str(voice.late),
            f"{100 * voice.cpu:.0f} %",
        ]

    def _kept(self) -> list[str]:
        with self._lock:
            return list(self._lines)
