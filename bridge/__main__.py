"""``ripieno live`` and ``ripieno addresses``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bridge.settings import Settings, SettingsError, from_file, with_values
from bridge.terminal import TerminalLines
from bridge.voices import FIRST_VOICE, voices_of
from engine.errors import EngineError
from engine.processes import ENDING_SIGNALS, catch_signals


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ripieno live",
        description="Play voices on an audio output, controlled over OSC and MIDI. Ctrl-C stops.",
        epilog="ripieno devices lists device names, ripieno bundles lists voices, docs/live.md explains each option.",
    )
    add = parser.add_argument
    add(
        "--bundle",
        dest="bundles",
        action="append",
        nargs="+",
        metavar="NAME",
        help=f"bundles to play, one voice each; default: {FIRST_VOICE}",
    )
    add("--device", metavar="NAME", help="audio output: part of its name, or null for none; default: the system's")
    add("--channels", metavar="A,B", help="output channels for left and right, counted from 1; default 1,2")
    add("--rate", type=int, metavar="HZ", help="sample rate; default: the device's")
    add("--osc", metavar="HOST:PORT", help="address and port to receive OSC at; default 127.0.0.1:9000")
    add("--reply", type=int, metavar="PORT", help="port on this machine that also gets all replies; default 9001")
    add("--oscquery", type=int, metavar="PORT", help="serve the address tree as OSCQuery at this port; default: off")
    add("--session", metavar="DIR", help="folder for takes and recordings; default: a new one in takes/")
    add("--input", metavar="NAME", help="live input: part of its name, default, file:PATH, or none (the default)")
    add("--input-channels", metavar="A,B", help="input channels for left and right, counted from 1; default 1,2")
    add("--input-gain", type=float, metavar="DB", help="level of the live input, -60..24; default 0")
    add("--input-monitor", type=float, metavar="DB", help="mix the input into the output, -60..0; default: off")
    add("--input-offset-ms", type=float, metavar="MS", help="input latency the driver does not report; default 0")
    add("--input-history-s", type=float, metavar="S", help="seconds of live input kept in memory, 5..120; default 30")
    add("--heard-s", type=float, help=argparse.SUPPRESS)  # the name until version 0.1
    add("--midi-in", metavar="NAME", help="MIDI input: part of its name, or none; default: the first one")
    add(
        "--pedal",
        dest="pedals",
        action="append",
        metavar="X=MESSAGE",
        help="send an OSC message on a MIDI controller or note, such as 'cc64=/musicgen/continue bar'; repeatable",
    )
    add(
        "--map",
        dest="maps",
        action="append",
        metavar="CC=CONTROL",
        help="move a control by a MIDI controller, such as 'cc1=/musika/gain[-30..0]' (cc1.3: channel 3); repeatable",
    )
    add("--seed", type=int, help="seed of the voices: same seed, same music; default 0")
    add("--tempo", type=float, metavar="BPM", help="tempo at the start, 20..400; default 120")
    add("--progression", metavar="CHORDS", help="chords, one per bar, repeated, such as 'Am F C G'")
    add("--band", metavar="NAME", help="band to play along: a getmusic bundle, pattern, or auto; default: none")
    add("--band-out", metavar="PORT", help="the band's MIDI output: part of its name, virtual (the default), or none")
    add("--band-sound", action="store_true", default=None, help="also play the band's notes in the mix")
    add("--soundfont", metavar="FILE", help="for --band-sound, needs FluidSynth; default: the first one found")
    add("--fill-ms", type=float, metavar="MS", help="buffer of each voice, 5..2000; default 60")
    add("--lead-ms", type=float, metavar="MS", help="buffer of the audio output, 5..500; default 30")
    add("--record", metavar="FILE", help="record from the start to this .wav or .flac file in the session folder")
    add("--no-play", dest="play", action="store_false", default=None, help="start silent; /VOICE/play starts a voice")
    add("--plain", action="store_true", default=None, help="print lines instead of the live display")
    add("--config", type=Path, metavar="FILE", help="TOML file with the same settings; flags override it")
    return parser


def settings_from(argv: Sequence[str]) -> Settings:
    """Settings from the flags; what they leave out comes from the file of ``--config``, then from the defaults.

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
    """Play until Ctrl-C, SIGTERM, or the end of the terminal."""
    from bridge.app import App
    from bridge.view import LiveView, PlainView

    settings = settings_from(argv)
    asked = catch_signals(*ENDING_SIGNALS)
    app = App(settings)
    lines = TerminalLines()
    plain = settings.plain or sys.stdout is None or not sys.stdout.isatty()
    view = PlainView(lines.write) if plain else LiveView(lambda: app.server.counters if app.server is not None else {})
    app.say, app.show = view.say, view.show
    with view:
        app.open()
        try:
            app.run(asked.is_set)
        finally:
            app.close()
    take = app.session.take
    kept = take is not None and take.is_file() and take.stat().st_size > 0  # not kept where the disk was full
    lines.write(f"stopped; take: {take}" if kept else "stopped; no take was written")
    lines.close()
    return 0


def addresses_main(argv: Sequence[str]) -> int:
    """Print the OSC addresses of a session with these voices, a band and a live input, as Markdown."""
    parser = argparse.ArgumentParser(prog="ripieno addresses", description="List the OSC addresses as Markdown.")
    parser.add_argument("bundles", nargs="*", metavar="BUNDLE", help=f"voices of the session; default: {FIRST_VOICE}")
    args = parser.parse_args(argv)
    from bridge.osc.space import AddressSpace
    from engine.audio.input import InputControls
    from engine.band.controls import BandControls

    rows = voices_of(Settings(bundles=tuple(args.bundles)))
    voices = {name: info.controls for name, info in rows}
    print(AddressSpace(voices, BandControls(), InputControls()).as_markdown())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(addresses_main(sys.argv[2:]) if sys.argv[1:2] == ["addresses"] else live_main(sys.argv[1:]))
    except EngineError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
