"""Options of ``ripieno accompany``: flags as frozen values."""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bridge.settings import SettingsError
from engine.band.actions import BandSettings
from engine.band.controls import BandControls, band_settings, roles_of
from engine.band.names import PATTERN
from engine.controls import with_value
from engine.errors import ControlError
from engine.music.harmony import HarmonyError, parse_progression
from engine.music.roles import role_named
from engine.music.score import ROLES
from engine.music.units import TEMPO_BPM

__all__ = ["BandOptions", "controls_from", "options_from", "parser", "within"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BandOptions:
    """One performance of the band.

    Args:
        band: ``pattern``, or a bundle that can accompany.
        source, sink: MIDI input and output by part of their name; ``virtual`` for a port of our own; ``none``.
        follow: follow an incoming MIDI clock instead of the own clock.
        send_clock: send musical time as a MIDI clock.
        tempo: quarter notes a minute of the own clock.
        count_in: start with a bar of clicks (own clock only).
        thru: pass the player's keys on, on the channel of the player's role.
        programs: send a General MIDI program change for each role, at the start and when a role joins.
        sound: part of an audio output's name, ``default`` or ``null``: play there, too; empty: MIDI only.
        soundfont: file for `sound`; empty: the first that is found, where FluidSynth is installed, else plain tones.
        input_ms, output_ms: latency of the input and of the instrument at the output; both are compensated.
        controls: the controls at the start; they can be changed while the band plays.
        settings: of the accompanist; what `controls` declare is taken from there.
    """

    band: str = PATTERN
    source: str = "virtual"
    sink: str = "virtual"
    follow: bool = False
    send_clock: bool = False
    tempo: float = 120.0
    count_in: bool = True
    thru: bool = False
    programs: bool = True
    sound: str = ""
    soundfont: str = ""
    input_ms: float = 0.0
    output_ms: float = 0.0
    controls: BandControls = field(default_factory=BandControls)
    settings: BandSettings = field(default_factory=BandSettings)


def parser() -> argparse.ArgumentParser:
    """The flags of ``ripieno accompany``."""
    made = argparse.ArgumentParser(
        prog="ripieno accompany", description="Play a melody over MIDI; a band plays along, planned one bar ahead."
    )
    add = made.add_argument
    add(
        "--bundle",
        metavar="NAME",
        help="band: a getmusic bundle, pattern, or auto (default: the first getmusic bundle)",
    )
    add("--in", dest="source", default="virtual", metavar="PORT", help="part of an input's name, virtual, or none")
    add("--out", dest="sink", default="virtual", metavar="PORT", help="part of an output's name, virtual, or none")
    add("--clock", choices=("own", "midi"), default="own", help="the own clock (default), or a MIDI clock at the input")
    add("--send-clock", action="store_true", help="send a MIDI clock as well")
    add("--tempo", type=float, default=120.0, metavar="BPM", help="of the own clock; default 120")
    add(
        "--chords",
        default="",
        metavar="CHORDS",
        help="one a bar, such as 'Am F C G'; default: detected from your notes",
    )
    add("--split", type=int, metavar="KEY", help="keys below this MIDI pitch set the band's chord")
    add("--play", default="lead", type=_role, choices=ROLES, help="the role you play; default lead")
    add("--roles", default="", metavar="A,B", help="roles of the band; default: all but yours")
    add("--listen", type=int, metavar="BARS", help="bars before the band starts; default 0 with --chords, else 1")
    add("--no-count-in", dest="count_in", action="store_false", help="start without a bar of clicks")
    add("--thru", action="store_true", help="send your notes to the output, on the channel of your role")
    add("--sound", nargs="?", const="default", default="", metavar="DEVICE", help="play on an audio output, too")
    add(
        "--soundfont", default="", metavar="FILE", help="for --sound, with FluidSynth; default: the first that is found"
    )
    add("--dynamics", metavar="0..1", help="how far the band follows your loudness; default 0.5")
    add("--steps", metavar="N", help="network passes for a bar, if there is time; default 12")
    add(
        "--temperature",
        metavar="0..2",
        help="of the random choice: 0 the likeliest note, 1 as trained, more is less predictable; default 1",
    )
    add("--top-p", metavar="0..1", help="choose among the likeliest pitches with this total probability; default 1")
    add("--chord-pull", metavar="N", help="preference for chord tones, 0 none; default: set by the bundle")
    add("--density", default="", metavar="ROLE=SHARE,..", help="how much roles play, 0..1, such as bass=0.2,drum=0.5")
    add(
        "--register", default="", metavar="ROLE=PITCH,..", help="MIDI pitch around which a role plays, such as piano=72"
    )
    _add_ports(add)
    add("--seed", type=int, default=0)
    add("--seconds", type=float, default=math.inf, metavar="S", help="stop after this time")
    add("--plain", action="store_true", help="print lines instead of the display")
    add("--json", action="store_true", help="print events as JSON lines, read commands as JSON lines from stdin")
    return made


def _add_ports(add: Callable[..., object]) -> None:
    """The flags of what is at the ports: how late it is, and whether its sounds are chosen here."""
    add("--input-ms", type=float, default=0.0, metavar="MS", help="latency of your keyboard, compensated")
    add(
        "--output-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="latency of the instrument at the output: notes are sent earlier by it",
    )
    add(
        "--no-programs",
        dest="programs",
        action="store_false",
        help="send no General MIDI program changes: the instruments at the output keep their sounds",
    )


def options_from(args: argparse.Namespace) -> BandOptions:
    """Flags as options.

    Raises:
        SettingsError: a value out of range; says what is accepted.
    """
    try:
        progression = parse_progression(args.chords) if args.chords.strip() else ()
    except HarmonyError as error:
        raise SettingsError(str(error)) from None
    roles = [_role(role) for role in args.roles.split(",") if role]
    wrong = [role for role in roles if role not in ROLES or role == args.play]
    if wrong:
        raise SettingsError(
            f"roles takes names among {', '.join(r for r in ROLES if r != args.play)}; got {wrong[0]!r}"
        )
    controls = controls_from(args)
    try:
        within("tempo", args.tempo, *TEMPO_BPM)
        within("seed", args.seed, 0, 2**31 - 1)
        within("listen", args.listen or 0, 0, 1000)
        within("split", args.split or 0, 0, 127)
        within("input-ms", args.input_ms, 0.0, 500.0)
        within("output-ms", args.output_ms, 0.0, 500.0)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    warmup = args.listen if args.listen is not None else (0 if progression else 1)
    settings = BandSettings(progression=progression, split=args.split, warmup=warmup, seed=args.seed)
    return BandOptions(
        band=args.bundle or PATTERN,
        source=args.source,
        sink=args.sink,
        follow=args.clock == "midi",
        send_clock=args.send_clock,
        tempo=args.tempo,
        count_in=args.count_in,
        thru=args.thru,
        programs=args.programs,
        sound=args.sound,
        soundfont=args.soundfont,
        input_ms=args.input_ms,
        output_ms=args.output_ms,
        controls=controls,
        settings=band_settings(controls, settings),
    )


def controls_from(args: argparse.Namespace) -> BandControls:
    """The controls at the start, from the flags.

    Raises:
        SettingsError: a value out of range; says what is accepted.
    """
    controls = BandControls()
    for path, value in _given(args):
        try:
            controls = with_value(controls, path, value)
            roles_of(controls)
        except ControlError as error:
            raise SettingsError(f"{' '.join(path)}: {error}") from None
    return controls


def _given(args: argparse.Namespace) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, value) of each control that a flag sets."""
    yield ("player",), args.play
    yield ("targets",), args.roles
    for name in ("dynamics", "steps", "temperature", "top_p", "chord_pull"):
        if getattr(args, name) is not None:
            yield (name,), getattr(args, name)
    for name in ("density", "register"):
        for part in getattr(args, name).split(",") if getattr(args, name) else ():
            role, _, value = part.partition("=")
            yield (name, _role(role)), value.strip()


def _role(word: str) -> str:
    """The role that a word names; another word as it is, to be refused where roles are checked."""
    return role_named(word) or word.strip()


def within(name: str, value: float, low: float, high: float) -> float:
    """`value`, if it is in its range; otherwise ValueError with the accepted range."""
    if not low <= value <= high:
        raise ValueError(f"{name} takes {low:g}..{high:g}, got {value:g}")
    return value
