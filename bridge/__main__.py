"""``ripieno live`` and ``ripieno addresses``."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from bridge.settings import Settings, SettingsError, from_file, with_values
from engine.errors import EngineError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ripieno live", description="Play: voices, sound out, OSC and MIDI in.")
    add = parser.add_argument
    add("--bundle", dest="bundles", action="append", nargs="+", metavar="NAME", help="voices; default: the starter")
    add("--device", metavar="NAME", help="part of an output's name, or null; default: the system's")
    add("--channels", metavar="A,B", help="the device's channels for left and right, from 1")
    add("--rate", type=int, metavar="HZ", help="of the mix; default: the device's")
    add("--osc", metavar="HOST:PORT", help="where OSC is received; default 127.0.0.1:9000")
    add("--reply", type=int, metavar="PORT", help="where news go on this machine; default 9001")
    add("--oscquery", type=int, metavar="PORT", help="serve an OSCQuery page")
    add("--session", metavar="DIR", help="folder of takes and recordings; default: a new one under takes/")
    add("--input", metavar="NAME", help="what the band hears: part of an input's name, default, file:PATH, or none")
    add("--input-channels", metavar="A,B", help="the input's channels for left and right, from 1; default 1,2")
    add("--input-gain", type=float, metavar="DB", help="-60..24; default 0")
    add("--input-monitor", type=float, metavar="DB", help="hear the input in the output, too; beware of feedback")
    add("--input-offset-ms", type=float, metavar="MS", help="how much later it comes than its driver tells; default 0")
    add("--heard-s", type=float, metavar="S", help="how much of what was heard is kept, 5..120; default 30")
    add("--midi-in", metavar="NAME", help="part of a MIDI input's name, or none; default: the first there is")
    add("--pedal", dest="pedals", action="append", metavar="X=MESSAGE", help="such as 'cc64=/musicgen/continue bar'")
    add("--seed", type=int, help="of the voices")
    add("--tempo", type=float, metavar="BPM", help="default 120")
    add("--progression", metavar="CHORDS", help="chords, one a bar, such as 'Am F C G'")
    add("--band", metavar="NAME", help="a band plays along: a getmusic bundle, pattern, or auto; default: none")
    add("--band-out", metavar="PORT", help="the band's MIDI output, virtual, or none; default: virtual")
    add("--band-sound", action="store_true", default=None, help="hear the band here, too")
    add("--soundfont", metavar="FILE", help="for --band-sound, through FluidSynth; default: one that is found")
    add("--fill-ms", type=float, metavar="MS", help="sound each voice keeps ready; default 60")
    add("--lead-ms", type=float, metavar="MS", help="sound the device keeps ready; default 30")
    add("--record", metavar="FILE", help="record from the start, into the session's folder")
    add("--no-play", dest="play", action="store_false", default=None, help="wait for /VOICE/play")
    add("--plain", action="store_true", default=None, help="lines instead of the live view")
    add("--config", type=Path, metavar="FILE", help="TOML file with the same settings; flags go before it")
    return parser


def settings_from(argv: Sequence[str]) -> Settings:
    """Flags over the file over the defaults.

    Raises:
        SettingsError: a value that cannot be used.
    """
    given: dict[str, Any] = {k: v for k, v in vars(_parser().parse_args(argv)).items() if v is not None}
    path = given.pop("config", None)
    settings = Settings() if path is None else from_file(path)
    if "bundles" in given:
        given["bundles"] = [name for group in given["bundles"] for name in group]
    for name in ("channels", "input_channels"):
        if name in given:
            try:
                given[name] = [int(part) for part in given[name].split(",")]
            except ValueError:
                raise SettingsError(f"{name} takes two numbers such as 1,2; got {given[name]}") from None
    return with_values(settings, given)


def live_main(argv: Sequence[str]) -> int:
    """Play until Ctrl-C or SIGTERM."""
    from bridge.app import App
    from bridge.view import LiveView, PlainView

    settings = settings_from(argv)
    asked = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    app = App(settings)
    plain = settings.plain or not sys.stdout.isatty()
    view = PlainView(_line) if plain else LiveView(lambda: app.server.counters if app.server is not None else {})
    app.say, app.show = view.say, view.show
    with view:
        app.open()
        try:
            app.run(asked.is_set)
        finally:
            app.close()
    take = app.session.take
    kept = take is not None and take.is_file() and take.stat().st_size > 0  # nothing is, where the disk was full
    print(f"stopped; the take is in {take}" if kept else "stopped; no take was kept")
    return 0


def _line(text: str) -> None:
    print(text, flush=True)


def addresses_main(argv: Sequence[str]) -> int:
    """Print the OSC addresses of the voices that `ripieno live` would begin with, as markdown."""
    parser = argparse.ArgumentParser(prog="ripieno addresses", description="List the OSC addresses.")
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", help="default: the starter")
    args = parser.parse_args(argv)
    from bridge.app import voices_of
    from bridge.osc.space import AddressSpace

    rows = voices_of(Settings(bundles=tuple(args.bundles)))
    print(AddressSpace({name: info.controls for name, info in rows}).as_markdown())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(addresses_main(sys.argv[2:]) if sys.argv[1:2] == ["addresses"] else live_main(sys.argv[1:]))
    except EngineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
