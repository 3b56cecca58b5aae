"""The table from which routing, OSCQuery and the reference page are derived: one `Method` per address."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.osc.wire import Character, Code
from engine.audio.input import INPUT
from engine.controls import Live, Value, accept, describe, parameters, walk
from engine.errors import ControlError
from engine.messages.session import (
    READABLE,
    SESSION_COMMANDS,
    VOICE_COMMANDS,
    BandLoad,
    Beats,
    Choose,
    Infill,
    Jump,
    Load,
    Progression,
    SetChord,
    Tempo,
)

__all__ = ["BUILT_IN", "OWN_ADDRESSES", "OWN_BRANCHES", "Method", "accepted", "methods_of", "taken_as"]

BUILT_IN: Final[Mapping[str, tuple[str, str]]] = {
    "/ping": ("anything", "Reply with `/pong` and the same arguments."),
    "/status": ("", "Reply with the state of the session: one message `/status/NAME value` per item."),
    "/voices": ("", "Reply with `/voices` and the names of all voices."),
    "/errors": ("", "Reply with `/errors/NAME count`: messages refused, malformed, dropped, and so on."),
    "/reply/to": (
        "PORT",
        "Also send replies and events to this port of the sender's machine; on this machine 9001 is set already.",
    ),
    "/reply/drop": ("PORT", "Stop sending to this port of the sender's machine."),
    "/telemetry": (
        "RATE_HZ 0..30",
        "Send telemetry to the sender and its reply ports, at most RATE_HZ times per second; 0 stops it.",
    ),
}
"""Addresses of the server itself: arguments, and what each does."""

OWN_ADDRESSES: Final = frozenset({"/error", "/applied", "/changed", "/pong"})
OWN_BRANCHES: Final = ("/event/", "/status/", "/errors/", "/telemetry/")
"""Addresses and prefixes that the server itself sends; it never answers a message that arrives at one of them."""

_NOT_IN_NAMES: Final = frozenset(" #*,/?[]{}")  # OSC 1.0: never in the name of a method
_REQUIRED: Final[Mapping[type, int]] = {
    Tempo: 1,
    Beats: 1,
    SetChord: 1,
    Progression: 1,
    Jump: 1,
    Load: 1,
    Infill: 2,
    BandLoad: 1,
    Choose: 1,
}  # arguments without a safe default


@dataclass(frozen=True, slots=True)
class Method:
    """One address.

    Args:
        kind: ``control``, ``voice`` (a command of one voice) or ``session``.
        path: parts of the address.
        parameters: (name, type, annotation) of each argument. required: how many of them must be given.
        meaning: one phrase for the documentation.
        default: of a control; None for a command.
        command: type of the command; None for a control.
        readable: its address without a value asks for the present one.
    """

    address: str
    kind: str
    path: tuple[str, ...]
    parameters: tuple[tuple[str, type, Live], ...]
    required: int
    meaning: str
    default: Value | None = None
    command: type | None = None
    readable: bool = False


def accepted(live: Live, kind: type) -> str:
    """The accepted values in words, as `engine.controls.describe`, but with all digits of a whole number."""
    if kind is int and not live.choices:
        return f"{int(live.low)}..{int(live.high)}" + (f" {live.unit}" if live.unit else "")
    return describe(live, kind)


def taken_as(kind: type, live: Live, got: object) -> Value:
    """`engine.controls.accept` for an OSC argument: a time, a colour or the character 1 is no number.

    Raises:
        ControlError: wrong type, not finite, or out of range.
    """
    if isinstance(got, Code) or (isinstance(got, Character) and kind is not str):
        raise ControlError(f"takes {accepted(live, kind)}, got {got!r}, which is no number")
    return accept(kind, live, str(got) if isinstance(got, Character) else got)


def methods_of(
    voices: Mapping[str, object], band: object | None = None, live_input: object | None = None
) -> dict[str, Method]:
    """Every address of the session, the voices, the band and the live input.

    Args:
        voices: name -> controls. band, live_input: controls of the band and of the live input, None without one.
    Raises:
        ControlError: a voice's name cannot be part of an address, or is already used by the session.
    """
    methods = [_command(tuple(name.split("/")), "session", kind) for name, kind in SESSION_COMMANDS.items()]
    taken = {method.path[0] for method in methods} | {
        name.split("/")[1] for name in (*BUILT_IN, *OWN_ADDRESSES, *OWN_BRANCHES)
    }
    taken.add(INPUT)
    methods += [] if band is None else _controls("band", band)
    methods += [] if live_input is None else _controls(INPUT, live_input)
    for voice, controls in voices.items():
        if not voice or not _NOT_IN_NAMES.isdisjoint(voice) or not voice.isascii() or not voice.isprintable():
            raise ControlError(f"a voice's name is ASCII without space or any of # * , / ? [ ] {{ }}, got {voice!r}")
        if voice in taken:
            raise ControlError(f"/{voice} is an address of the session; choose another name for the voice")
        methods += [_command((voice, name), "voice", kind) for name, kind in VOICE_COMMANDS.items()]
        methods += _controls(voice, controls)
    return {method.address: method for method in methods}


def _controls(owner: str, controls: object) -> list[Method]:
    return [
        Method(
            "/" + "/".join(control.path), "control", control.path, ((control.path[-1], control.kind, control.live),), 1,
            control.live.meaning, control.value, readable=True,
        )
        for control in walk(controls, (owner,))
    ]  # fmt: skip


def _command(path: tuple[str, ...], kind: str, command: type) -> Method:
    meaning = (command.__doc__ or "").strip().splitlines()[0]
    required = _REQUIRED.get(command, 0)
    readable = command in READABLE
    return Method(
        "/" + "/".join(path), kind, path, parameters(command), required, meaning, command=command, readable=readable
    )
