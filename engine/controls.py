"""Live controls, declared once: a field is a control, its path is its address, its annotation its range and meaning.

Everything else (OSC addresses, checks, documentation, the offline ``--set``) is derived from these declarations.
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from engine.errors import ControlError

__all__ = ["Control", "Live", "Value", "accept", "describe", "get_value", "parameters", "walk", "with_value"]

Value = int | float | bool | str
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Live:
    """What an annotation says of a value that can be changed while sound plays.

    Args:
        low, high: inclusive range of a number; the longest length of a text.
        meaning: one phrase for people.
        unit: such as ``s``, ``dB``, ``bpm``; empty for none.
        choices: the allowed texts, if only some are.
    """

    low: float
    high: float
    meaning: str
    unit: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Control:
    """One declared value: its path below its owner, its type, its annotation and its present value."""

    path: tuple[str, ...]
    kind: type
    live: Live
    value: Value


@cache
def _declared(owner: type) -> tuple[tuple[str, type, Live | None], ...]:
    """(field, type, annotation or None for a group) of a dataclass, in order."""
    hints = get_type_hints(owner, include_extras=True)
    rows: list[tuple[str, type, Live | None]] = []
    for field in fields(owner):
        hint = hints[field.name]
        if get_origin(hint) is Annotated:
            kind, *notes = get_args(hint)
            live = next((note for note in notes if isinstance(note, Live)), None)
            if live is not None:
                rows.append((field.name, kind, live))
        elif isinstance(hint, type) and is_dataclass(hint):
            rows.append((field.name, hint, None))
    return tuple(rows)


def parameters(owner: type) -> tuple[tuple[str, type, Live], ...]:
    """(name, type, annotation) of a dataclass's annotated fields in order: a command's arguments."""
    return tuple((name, kind, live) for name, kind, live in _declared(owner) if live is not None)


def walk(controls: object, prefix: tuple[str, ...] = ()) -> Iterator[Control]:
    """Every control of a (nested) dataclass, depth first, in order of declaration."""
    owner: Any = type(controls)
    for name, kind, live in _declared(owner):
        value = getattr(controls, name)
        if live is None:
            yield from walk(value, (*prefix, name))
        else:
            yield Control((*prefix, name), kind, live, value)


def describe(live: Live, kind: type) -> str:
    """The accepted values in words: ``0..1``, ``one of a, b``, ``a text of at most 64 characters``."""
    if kind is bool:
        return "0 or 1"
    if live.choices:
        return "one of " + ", ".join(live.choices)
    if kind is str:
        return f"a text of at most {int(live.high)} characters"
    low, high = (round(live.low), round(live.high)) if kind is int else (f"{live.low:g}", f"{live.high:g}")
    return f"{low}..{high}" + (f" {live.unit}" if live.unit else "")


def accept(kind: type, live: Live, got: object) -> Value:
    """Check one value from outside and give it its declared type.

    Lenient where senders are limited (Pure Data sends every number as a 32-bit float): a float is taken for an int and
    rounded, any number for a bool, and what rounds to a bound as a 32-bit float for the bound. Strict in all else.

    Raises:
        ControlError: wrong type, not finite, or out of range; the text says what is wanted and what was got.
    """
    wanted = describe(live, kind)
    if kind is str:
        if not isinstance(got, str) or len(got) > live.high or (live.choices and got not in live.choices):
            raise ControlError(f"takes {wanted}, got {_short(got)}")
        return got
    if isinstance(got, str):
        got = _number(got)
    if not isinstance(got, int | float) or not math.isfinite(got):
        raise ControlError(f"takes {wanted}, got {_short(got)}")
    if kind is bool:
        return bool(got)
    number = round(got) if kind is int else _at_bound(live, float(got))
    if not live.low <= number <= live.high:
        raise ControlError(f"takes {wanted}, got {_short(got)}")
    return number


def _at_bound(live: Live, number: float) -> float:
    """The bound itself if `number` is the bound as a 32-bit float: 0.01 arrives as 0.0099999998."""
    return next((float(bound) for bound in (live.low, live.high) if _float32(number) == _float32(bound)), number)


def _float32(number: float) -> float:
    """The nearest 32-bit float."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])
    except OverflowError:
        return math.copysign(math.inf, number)


def _number(text: str) -> object:
    """The number a text spells (command lines and files send texts), or the text itself."""
    words = {"true": 1, "on": 1, "yes": 1, "false": 0, "off": 0, "no": 0}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return float(text)
    except ValueError:
        return text


def _short(got: object) -> str:
    text = repr(got)
    return text if len(text) <= 60 else text[:57] + "..."


def get_value(controls: object, path: tuple[str, ...]) -> Value:
    """The present value of one control.

    Raises:
        ControlError: no control has this path.
    """
    for control in walk(controls):
        if control.path == path:
            return control.value
    raise ControlError(f"no control {'/'.join(path)}; there are: {', '.join('/'.join(c.path) for c in walk(controls))}")


def with_value(controls: C, path: tuple[str, ...], got: object) -> C:
    """A copy of `controls` in which the control at `path` has the accepted value of `got`.

    Raises:
        ControlError: no control has this path, or the value cannot be taken.
    """
    owner: Any = type(controls)
    rows: Mapping[str, tuple[type, Live | None]] = {n: (k, v) for n, k, v in _declared(owner)}
    if not path or path[0] not in rows:
        get_value(controls, path)
        raise ControlError(f"no control {'/'.join(path)}")
    kind, live = rows[path[0]]
    value: Any
    if live is None:
        value = with_value(getattr(controls, path[0]), path[1:], got)
    elif len(path) > 1:
        raise ControlError(f"no control {'/'.join(path)}; {path[0]} has no parts")
    else:
        value = accept(kind, live, got)
    changed: C = replace(cast(Any, controls), **{path[0]: value})
    return changed
