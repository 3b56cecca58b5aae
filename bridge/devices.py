"""``ripieno devices``: the audio and MIDI devices of this machine, by the names that ``ripieno live`` accepts."""

import argparse
import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from bridge.audio.port import PortError
from bridge.audio.scan import HOW_TO_GET_INPUT, HOW_TO_GET_SOUND, Device, inputs, outputs
from bridge.midi.sources import MidiSource, midi_sources

__all__ = ["devices_main", "quiet", "survey"]

T = TypeVar("T")


def devices_main(argv: Sequence[str]) -> int:
    """List the devices; where there are none of a kind, a line says why. Always 0."""
    parser = argparse.ArgumentParser(
        prog="ripieno devices",
        description="List audio outputs, audio inputs and MIDI inputs. ripieno live takes any part of a name.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    args = parser.parse_args(argv)
    (audio, audio_why), (heard, heard_why), (midi, midi_why) = survey(outputs), survey(inputs), survey(midi_sources)
    notes = [
        *([audio_why or f"no audio output: {HOW_TO_GET_SOUND}"] if not audio else []),
        *([f"no audio input: {HOW_TO_GET_INPUT}"] if not heard and not heard_why else []),
        *([midi_why or "no MIDI input: connect a keyboard, or use --midi-in virtual"] if not midi else []),
    ]
    if args.json:
        rows = {"audio": _audio_rows(audio), "inputs": _audio_rows(heard), "midi": [asdict(s) for s in midi]}
        print(json.dumps({**rows, "notes": notes}, indent=2))
    else:
        _show(audio, heard, midi, notes)
    return 0


def survey(look: Callable[[], list[T]]) -> tuple[list[T], str]:
    """The devices that `look` finds; if the system cannot be asked at all, the reason."""
    try:
        with quiet():
            return look(), ""
    except PortError as error:
        return [], str(error)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress what C libraries write to stderr. For single-threaded commands only: stderr belongs to the process."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _audio_rows(audio: Sequence[Device]) -> list[dict[str, Any]]:
    return [
        {
            "hostapi": device.hostapi,
            "name": device.name,
            "channels": device.channels,
            "sample_rate": device.sample_rate,
            "latency_ms": round(1000.0 * device.latency_s, 2),
            "default": device.chosen,
        }
        for device in audio
    ]


def _show(audio: Sequence[Device], heard: Sequence[Device], midi: Sequence[MidiSource], notes: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    for kind, devices in (("audio output", audio), ("audio input", heard)):
        if not devices:
            continue
        table = Table(kind, "host API", box=box.SIMPLE)
        for title in ("channels", "rate", "latency", "default"):
            table.add_column(title, justify="right")
        for device in devices:
            table.add_row(
                escape(device.name),
                escape(device.hostapi),
                str(device.channels),
                f"{device.sample_rate} Hz",
                f"{1000.0 * device.latency_s:.1f} ms",
                "yes" if device.chosen else "",
            )
        console.print(table)
    if midi:
        table = Table("MIDI input", "system", box=box.SIMPLE)
        for source in midi:
            table.add_row(escape(source.name), escape(source.api))
        console.print(table)
    for note in notes:
        console.print(note, markup=False)
