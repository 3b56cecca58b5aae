"""Settings of a session, from flags and one TOML file, as frozen values; unknown keys are errors."""

import sys
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from bridge.midi.maps import map_of
from bridge.midi.pedals import pedals_of
from engine.errors import ControlError, EngineError
from engine.music.harmony import HarmonyError, parse_progression
from engine.music.units import TEMPO_BPM

__all__ = ["Settings", "SettingsError", "from_file", "host_and_port", "shown_address", "with_values"]


_RENAMED = {"heard_s": "input_history_s"}
"""Settings by their former names, which still work."""


class SettingsError(EngineError, ValueError):
    """A setting that cannot be used: change the flag or the line that the message names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """One session.

    Args:
        bundles: bundles to play, one voice each; empty: the starter voice.
        device: audio output: part of its name, ``null`` for none; None: the system's default output.
        channels: output channels for left and right, counted from 1.
        rate: sample rate in Hz; None: the device's.
        osc: address and port to receive OSC at, UDP and TCP.
        reply: port on this machine that gets all replies and events, as well as the sender.
        oscquery: port of the OSCQuery page; None: no page.
        session: folder for takes and recordings; None: a new one in ``takes``.
        input: live input: part of its name, ``default``, ``file:PATH``, or ``none``.
        input_channels: input channels for left and right, counted from 1; the same one twice for a mono input.
        input_gain: dB. input_monitor: level in dB of the input in the output mix; None: off.
        input_offset_ms: latency of the input that its driver does not report.
        input_history_s: seconds of live input kept in memory, 5..120.
        midi_in: MIDI input: part of its name, ``none`` for none; None: the first one.
        maps: controllers that move controls, such as ``cc1=/musika/gain[-30..0]``.
        pedals: OSC messages sent by MIDI controllers or notes, such as ``cc64=/musicgen/continue bar``.
        seed: of the voices. tempo: of the transport, quarter notes per minute. progression: chords, one per bar.
        band: band that plays along: ``pattern``, ``auto`` or a bundle that can accompany; empty: no band.
        band_out: the band's MIDI output: part of its name, ``virtual`` for a port named Ripieno, ``none``.
        band_sound: the band's notes are also played in the mix. soundfont: file for it; empty: the first one found.
        fill_ms: buffer of each voice, 5..2000. lead_ms: buffer of the audio output, 5..500.
        play: voices play from the start.
        record: file in the session folder to record to from the start.
        plain: print lines instead of the live display.
    Raises:
        SettingsError: a value out of range.
    """

    bundles: tuple[str, ...] = ()
    device: str | None = None
    channels: tuple[int, ...] = (1, 2)
    rate: int | None = None
    osc: str = "127.0.0.1:9000"
    reply: int = 9001
    oscquery: int | None = None
    session: str | None = None
    input: str = "none"
    input_channels: tuple[int, ...] = (1, 2)
    input_gain: float = 0.0
    input_monitor: float | None = None
    input_offset_ms: float = 0.0
    input_history_s: float = 30.0
    midi_in: str | None = None
    pedals: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()
    seed: int = 0
    tempo: float = 120.0
    progression: str = ""
    band: str = ""
    band_out: str = "virtual"
    band_sound: bool = False
    soundfont: str = ""
    fill_ms: float = 60.0
    lead_ms: float = 30.0
    play: bool = True
    record: str | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        _within("rate", self.rate or 48_000, 8_000, 192_000)
        _within("tempo", self.tempo, *TEMPO_BPM)
        _within("seed", self.seed, 0, 2**31 - 1)
        _within("fill_ms", self.fill_ms, 5.0, 2_000.0)
        _within("lead_ms", self.lead_ms, 5.0, 500.0)
        _within("reply", self.reply, 0, 65_535)
        _within("oscquery", self.oscquery or 0, 0, 65_535)
        _within("input_gain", self.input_gain, -60.0, 24.0)
        _within("input_monitor", self.input_monitor or 0.0, -60.0, 0.0)
        _within("input_offset_ms", self.input_offset_ms, -500.0, 500.0)
        _within("input_history_s", self.input_history_s, 5.0, 120.0)
        for name, channels in (("channels", self.channels), ("input_channels", self.input_channels)):
            if len(channels) != 2 or min(channels) < 1:
                raise SettingsError(f"{name} takes two numbers from 1, such as 1,2; got {channels}")
        host_and_port(self.osc)
        try:
            pedals_of(self.pedals)
            for text in self.maps:
                map_of(text)
            if self.progression.strip():
                parse_progression(self.progression)
        except (ControlError, HarmonyError) as error:
            raise SettingsError(str(error)) from None


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise SettingsError(f"{name} takes {low:g}..{high:g}, got {value:g}")


def host_and_port(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``[IPV6]:PORT``, ``:PORT`` or ``PORT`` as a pair; without a host, only this machine can send.

    Raises:
        SettingsError: no port in 0..65535.
    """
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"osc takes HOST:PORT such as 127.0.0.1:9000, got '{text}'")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return host or "127.0.0.1", int(port)


def shown_address(host: str, port: int) -> str:
    """``HOST:PORT`` as it is written in an option or a URL, brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def from_file(path: Path) -> Settings:
    """Settings from a TOML file whose keys are the fields of `Settings`.

    Raises:
        SettingsError: the file cannot be read, is not TOML, or has an unknown key or a value out of range.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"cannot read {path} ({error.strerror}); check the file name") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    try:
        return with_values(Settings(), values)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """`settings` with the given values; a former name is accepted, with a note on stderr.

    Raises:
        SettingsError: an unknown key, or a value of the wrong type or range.
    """
    for old in set(values) & set(_RENAMED):
        print(f"the setting {old} is now called {_RENAMED[old]}; the old name still works", file=sys.stderr)
    values = {_RENAMED.get(name, name): value for name, value in values.items()}
    hints = get_type_hints(Settings)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise SettingsError(f"unknown setting '{unknown[0]}'; known are {', '.join(f.name for f in fields(Settings))}")
    return replace(settings, **{name: _typed(name, hints[name], value) for name, value in values.items()})


def _typed(name: str, kind: Any, value: Any) -> Any:
    """`value` if it has the declared type; whole numbers are accepted for floats, lists for tuples."""
    origin, options = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _typed(name, options[0], value)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise SettingsError(f"{name} takes a list, got {value!r}")
        return tuple(_typed(name, options[0], item) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise SettingsError(f"{name} takes {kind.__name__}, got {value!r}")
    return value
