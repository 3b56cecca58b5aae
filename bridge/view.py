"""The terminal display: a table redrawn live, or plain lines where there is no terminal."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import TracebackType
from typing import Any, Final, Self

from bridge.picture import LivePicture
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
_LIMITS_DB: Final = 0.5  # less is not worth a lamp


def meter(level_db: float, width: int = _METER) -> str:
    """A level meter of `width` characters for -60..0 dB."""
    filled = round(width * min(1.0, max(0.0, 1.0 - level_db / _FLOOR_DB)))
    return "█" * filled + "·" * (width - filled)


def sentence(event: Event) -> str | None:
    """An event as one line of text; None for events that only the table shows."""
    match event:
        case Applied(command=command, sample=sample, latency_ms=latency, voice=voice):
            return f"{_words(command)} {voice} at sample {sample}, latency {latency:.0f} ms"
        case Failed(command=command, reason=reason):
            return f"refused {_words(command)}: {reason}"
        case Cover(voice=voice):
            return f"{voice} is late: repeating its last bar until it catches up (a larger --fill-ms helps)"
        case Thawed(voice=voice, samples=samples):
            return f"{voice} has caught up, after {samples} samples of repeated sound"
        case VoiceUp(voice=voice, bundle=bundle, seconds=seconds, restarted=restarted):
            return f"{voice} is {'restarted' if restarted else 'ready'} ({_short(bundle)}), loaded in {seconds:.2f} s"
        case VoiceDown(voice=voice, reason=reason):
            return f"{voice} has stopped working ({reason}); restarting it"
        case Swapped(voice=voice, bundle=bundle, sample=sample):
            return f"{voice} switched to {_short(bundle)} at sample {sample}"
        case Recorded(path=path, samples=samples):
            return f"recorded {samples} samples to {path}"
        case Prepared(voice=voice, seconds=seconds):
            return f"{voice}: continuation ready after {seconds:.2f} s"
        case InfillDone(variation=variation, path=path, notes=notes):
            return f"infill {variation}: {notes} new notes, written to {path}"
        case _:
            return None


def _short(bundle: str) -> str:
    """The name of a bundle's folder."""
    return bundle.replace("\\", "/").rsplit("/", 1)[-1]


def _words(command: object) -> str:
    if isinstance(command, Set):
        return f"{'/'.join(command.path)} {command.value:g}" if not isinstance(command.value, str) else (
            f"{'/'.join(command.path)} {command.value}"
        )  # fmt: skip
    if isinstance(command, Continue):
        return " ".join(["continue", *(word for word in (command.source, command.text) if word)])
    name = type(command).__name__.lower()
    values = [getattr(command, f.name) for f in fields(command) if f.name != "voice"]  # type: ignore[arg-type]
    return " ".join([name, *(str(value) for value in values if value != "")])


class PlainView:
    """One line per event, and one line of figures every ten seconds.

    Args:
        write: receives each line.
    """

    def __init__(self, write: Callable[[str], None] = print) -> None:
        self._write = write
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def say(self, line: str) -> None:
        """Print a message."""
        self._write(line)

    def show(self, events: Sequence[Event]) -> None:
        """Print the events, except commands that took effect."""
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
            f"{v.voice} {v.level_db:.0f} dB, {v.fill_ms:.0f} ms buffered, {v.realtime:.0f}x real time, late {v.late}"
            for v in seen.voices
        )
        coming_in = f", input {seen.input_db:.0f} dB" if seen.input_db > _SILENT_DB else ""
        limiting = f", limiter -{seen.limiter_db:.0f} dB" if seen.limiter_db >= _LIMITS_DB else ""
        level = f"{seen.level_db:.0f} dB{limiting}{coming_in}"
        return f"bar {seen.bar}, {seen.tempo_bpm:g} bpm, {level}, underruns {seen.underruns}; {voices}"


class LiveView(LivePicture):
    """A table redrawn eight times a second.

    Threads: any may call `say` and `show`; rich draws in a thread of its own.

    Args:
        counters: returns the counts of the OSC server.
    """

    def __init__(self, counters: Callable[[], Mapping[str, int]]) -> None:
        self._counters = counters
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._lock = threading.Lock()
        self._seen: Telemetry | None = None
        super().__init__(_REFRESH_HZ)  # draws at once

    def say(self, line: str) -> None:
        """Show a message below the table until newer ones replace it."""
        with self._lock:
            self._lines.append(line)

    def show(self, events: Sequence[Event]) -> None:
        """Show the events in the table or below it."""
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
        if seen.limiter_db >= _LIMITS_DB:
            head.append(f"   limiter -{seen.limiter_db:.1f} dB", style="bold red")
        if seen.input_db > _SILENT_DB:
            head.append(f"\n{'in':>45} {meter(seen.input_db)} {seen.input_db:6.1f} dB")
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("voice", "bundle", "level", "", "buffer", "speed", "late", "cpu"):
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
            _short(voice.bundle),
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
