"""Events, refusals and values as OSC messages of ints, floats and strings.

The address of an event is its name, its values are its fields in order; so a new event needs no code here.
"""

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import Any

from bridge.osc.space import Refused, address_of
from bridge.osc.wire import Message
from engine.controls import Value
from engine.messages.session import Applied, Changed, Command, Event, Set, Telemetry

__all__ = ["error_message", "event_message", "failure", "telemetry_messages", "value_message"]


def value_message(address: str, value: Value) -> Message:
    """The reply to a query for a control's value."""
    return Message(address, (value,))


def error_message(refused: Refused) -> Message:
    """``/error`` for the sender of a refused message."""
    return Message("/error", (refused.address, refused.got, refused.wanted, refused.remedy))


def failure(command: Command, reason: str, sent: str = "") -> Refused:
    """The refusal of a command that was routed, but that the session could not carry out.

    Args:
        reason: as errors are worded: what is wrong, then, after the last semicolon, the remedy.
        sent: the arguments as they came; empty: those of the command that are not its defaults.
    """
    wrong, semicolon, remedy = reason.rpartition("; ")
    if not semicolon:
        wrong, remedy = reason, "nothing was changed"
    return Refused(address_of(command), sent or _values_of(command) or "nothing", wrong, remedy)


def event_message(event: Event) -> Message:
    """One event as ``/applied``, ``/changed`` or ``/event/NAME`` and its values."""
    match event:
        case Applied():
            address = address_of(event.command)
            return Message("/applied", (address, event.number, event.voice, event.sample, event.latency_ms))
        case Changed():
            return Message("/changed", ("/" + "/".join(event.path), event.value))
        case _:
            return Message(f"/event/{_name(type(event).__name__)}", tuple(_plain(event)))


def telemetry_messages(event: Telemetry) -> list[Message]:
    """The session's telemetry, then one message per voice."""
    told = [Message("/telemetry/session", tuple(_plain(event)))]
    return told + [Message("/telemetry/voice", tuple(_plain(voice))) for voice in event.voices]


def _plain(event: Any) -> Iterator[Value]:
    """The fields of an event that are numbers or texts."""
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, int | float | str):
            yield value


def _values_of(command: Command) -> str:
    if isinstance(command, Set):
        return str(command.value)
    given = (f for f in fields(command) if f.name != "voice" and getattr(command, f.name) != f.default)
    return " ".join(str(getattr(command, f.name)) for f in given)


@cache
def _name(kind: str) -> str:
    """``VoiceUp`` -> ``voice_up``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower()
