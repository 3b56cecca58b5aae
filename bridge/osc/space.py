"""The address space: the meaning of each address, made from the controls of the voices and the tables of commands.

A message is routed to commands, queries or refusals; no message can raise an error. `bridge.osc.docs` makes OSCQuery
and docs/OSC.md from the same table.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from bridge.osc.docs import as_markdown, as_oscquery, main
from bridge.osc.pattern import is_pattern, matcher
from bridge.osc.table import BUILT_IN, OWN_ADDRESSES, OWN_BRANCHES, Method, accepted, methods_of, taken_as
from bridge.osc.wire import Code
from engine.controls import Control, Live, Value
from engine.errors import ControlError
from engine.messages.session import BAR, BEAT, NOW, SESSION_COMMANDS, VOICE_COMMANDS, Command, Load, Set, When

__all__ = ["AddressSpace", "Query", "Refused", "Routed", "address_of", "is_own"]

_SHOWN: Final = 100  # characters of a received value shown in a refusal
_WORDS: Final = {"now": NOW, "beat": BEAT, "bar": BAR}
_PATTERNS_KEPT: Final = 128
_SPELL: Final = "check the spelling; ripieno addresses lists all of them"
_WHEN: Final = ", then optionally a time: now, beat, bar, or at and a bar number"
_LAST_BAR: Final = 100_000
_LOAD: Final = next(name for name, kind in VOICE_COMMANDS.items() if kind is Load)
_NAME_MOST: Final = 32  # longest name of a voice
_ROUNDING: Final = 1e-6  # of 32-bit floats that were calculated with: 3 may arrive as 3.0000002
_COMMAND_NAMES: Final = {kind: name for name, kind in (*VOICE_COMMANDS.items(), *SESSION_COMMANDS.items())}


@dataclass(frozen=True, slots=True)
class Routed:
    """A command to post, and the time at which it takes effect."""

    address: str
    command: Command
    when: When
    got: str = field(default="", compare=False)
    """The arguments as they were sent, for a refusal later on."""


@dataclass(frozen=True, slots=True)
class Query:
    """A question for the value of the control at `path`."""

    address: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused message: the value received, the accepted range, the remedy."""

    address: str
    got: str
    wanted: str
    remedy: str


class AddressSpace:
    """Every address and its meaning.

    Threads: any; immutable except for its cache of patterns.

    Args:
        voices: name -> its controls, a frozen dataclass (see `engine.controls`).
        band: controls of the band, None without one. live_input: controls of the live input, None without one.
    Raises:
        ControlError: a voice's name cannot be part of an address, or is already used by the session.
    """

    def __init__(
        self, voices: Mapping[str, object], band: object | None = None, live_input: object | None = None
    ) -> None:
        self.voices = tuple(voices)
        self._methods = methods_of(voices, band, live_input)
        self._hit: dict[str, list[Method]] = {}

    def route(self, address: str, args: Sequence[object]) -> list[Routed | Query | Refused]:
        """Commands, queries or refusals of a message: several for a pattern, none for a released button. Never raises.

        Values may be followed by a time: ``now``, ``beat``, ``bar``, or ``at`` and a bar number.
        """
        method = self._methods.get(address)
        if method is not None:
            return _take(method, args)
        if not is_pattern(address):
            method = self._of_new_voice(address)
            return [self._unknown(address)] if method is None else _take(method, args)
        found = self._hit.get(address)
        if found is None:
            hits = matcher(address)
            if hits is None:
                return [Refused(_cut(address), _cut(address), "a pattern with closed brackets", "correct the pattern")]
            found = [method for name, method in self._methods.items() if hits(name)]
            if len(self._hit) >= _PATTERNS_KEPT:
                self._hit.clear()
            self._hit[address] = found
        if not found:
            return [Refused(_cut(address), _cut(address), "a pattern that matches an address", _SPELL)]
        return [each for method in found for each in _take(method, args)]

    def control(self, address: str) -> Control | None:
        """The control at an address, with its complete path; None if there is none."""
        method = self._methods.get(address)
        if method is None or method.kind != "control":
            return None
        _, kind, live = method.parameters[0]
        return Control(method.path, kind, live, live.low)

    def as_oscquery(self, values: Callable[[tuple[str, ...]], Value | None]) -> dict[str, Any]:
        """The tree as OSCQuery JSON; `values` gives the present value of a control's path, None if unknown."""
        return as_oscquery(self._methods, values)

    def as_markdown(self) -> str:
        """The tree as Markdown tables."""
        return as_markdown(self.voices, self._methods)

    def _of_new_voice(self, address: str) -> Method | None:
        """``/NAME/load`` for a valid name that no voice has yet: it makes a new voice."""
        parts = address.split("/")
        if len(parts) != 3 or parts[2] != _LOAD or parts[1] in self.voices or len(parts[1]) > _NAME_MOST:
            return None
        try:
            return methods_of({parts[1]: _Nothing()}).get(address)
        except ControlError:
            return None

    def _unknown(self, address: str) -> Refused:
        """A refusal that lists the alternatives at the deepest part of the address that exists."""
        parts = address.split("/")[:8]
        known = (*self._methods, *BUILT_IN)
        for depth in range(len(parts) - 1, 0, -1):
            base = "/".join(parts[:depth]) + "/"
            below = dict.fromkeys(name[len(base) :].split("/")[0] for name in known if name.startswith(base))
            if below:
                return Refused(
                    _cut(address), _cut(address), f"{_cut(base)} followed by one of " + ", ".join(below), _SPELL
                )
        return Refused(_cut(address), _shown([address or "nothing"]), "an address that begins with /", _SPELL)


@dataclass(frozen=True, slots=True)
class _Nothing:
    """The controls of a voice that does not exist yet."""


def address_of(command: Command) -> str:
    """The address of a command; ``/keys`` for the keys of a MIDI keyboard, which have no address."""
    if isinstance(command, Set):
        return "/" + "/".join(command.path)
    name = _COMMAND_NAMES.get(type(command), type(command).__name__.lower())
    voice = getattr(command, "voice", "")
    return f"/{voice}/{name}" if voice else f"/{name}"


def is_own(address: str) -> bool:
    """Whether the server itself sends this address: answering it could loop for ever between two servers."""
    return address in OWN_ADDRESSES or address.startswith(OWN_BRANCHES)


def _take(method: Method, args: Sequence[object]) -> list[Routed | Query | Refused]:
    if method.readable and not args:
        return [Query(method.address, method.path)]
    taken = _take_control(method, args) if method.kind == "control" else _take_values(method, args)
    return [replace(each, got=_shown(args)) if isinstance(each, Routed) else each for each in taken]


def _take_values(method: Method, args: Sequence[object]) -> list[Routed | Query | Refused]:
    """A command: with its arguments, or the press or release of a button."""
    values, when = _split_when(args)
    if isinstance(when, Refused):
        return [Refused(method.address, when.got, when.wanted, when.remedy)]
    if method.parameters and not _is_button(method, values):
        return [_take_command(method, values, when)]
    values = [value for value in values if value is not None]
    if not values:
        return [Routed(method.address, _command(method, {}), when)]
    pressed = values[0]
    if len(values) > 1 or not isinstance(pressed, int | float) or isinstance(pressed, Code) or pressed != pressed:
        return [
            Refused(
                method.address,
                _shown(values),
                f"no argument, or a number other than 0{_WHEN}",
                "send the address alone",
            )
        ]
    return [Routed(method.address, _command(method, {}), when)] if pressed else []


def _is_button(method: Method, values: Sequence[object]) -> bool:
    """Whether a single number is a button press or release: where all arguments are optional and the first is text."""
    text = method.required == 0 and method.parameters[0][1] is str
    return text and len(values) == 1 and isinstance(values[0], int | float)


def _take_control(method: Method, args: Sequence[object]) -> list[Routed | Query | Refused]:
    (_, kind, live) = method.parameters[0]
    values, when = ([args[0]], _when(args[1:])) if kind is str else _split_when(args)
    if isinstance(when, Refused):
        return [Refused(method.address, when.got, when.wanted, when.remedy)]
    if len(values) != 1:
        wanted = f"one value, {accepted(live, kind)}{_WHEN}"
        return [Refused(method.address, _shown(args), wanted, "send one value at a time")]
    try:
        return [Routed(method.address, Set(method.path, taken_as(kind, live, values[0])), when)]
    except ControlError:
        return [_refused(method, kind, live, values[0])]


def _take_command(method: Method, values: list[object], when: When) -> Routed | Refused:
    """A command with arguments; the words of a single text argument may arrive as one string or as several."""
    names = method.parameters
    if len(names) == 1 and names[0][1] is str and len(values) > 1:
        values = [" ".join(str(value) for value in values)] if all(map(_is_word, values)) else values
    if len(values) > len(names) or len(values) < method.required:
        wanted = " and ".join(f"{name} ({accepted(live, kind)})" for name, kind, live in names)
        return Refused(method.address, _shown(values), wanted + _WHEN, "send these arguments in this order")
    given: dict[str, Value] = {}
    for (name, kind, live), value in zip(names, values, strict=False):
        try:
            given[name] = _exact(kind, live, value)
        except ControlError:
            return _refused(method, kind, live, value)
    return Routed(method.address, _command(method, given), when)


def _split_when(args: Sequence[object]) -> tuple[list[object], When | Refused]:
    """The values of a message, and the time at its end."""
    for count in (2, 1):
        head, tail = args[: len(args) - count], args[len(args) - count :]
        if len(tail) == count and (tail[0] == "at" or (count == 1 and _is_when(tail[0]))):
            return list(head), _when(tail)
    return list(args), NOW


def _is_when(word: object) -> bool:
    return isinstance(word, str) and word in _WORDS


def _when(words: Sequence[object]) -> When | Refused:
    """A time from words: none, one of now, beat, bar, or at and a bar number."""
    if not words:
        return NOW
    if len(words) == 1 and isinstance(words[0], str) and words[0] in _WORDS:
        return _WORDS[words[0]]
    if len(words) == 2 and words[0] == "at":
        try:
            return When("at", int(_exact(int, Live(0, _LAST_BAR, "bar"), words[1])))
        except ControlError:
            pass
    return Refused(
        "", _shown(words), f"now, beat, bar, or at and a bar number 0..{_LAST_BAR}", "bars are counted from 0"
    )


def _exact(kind: type, live: Live, value: object) -> Value:
    """`accept` without rounding: bar 4.5 or 6.5 beats are a mistake, where the knob of a control is only in between."""
    taken = taken_as(kind, live, value)
    if kind is int and isinstance(value, float) and abs(value - round(value)) > _ROUNDING * max(1.0, abs(value)):
        raise ControlError(f"takes a whole number, got {value:g}")
    return taken


def _is_word(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _command(method: Method, given: Mapping[str, Value]) -> Command:
    """The command of a method, addressed to its voice if it has one."""
    owner: Any = method.command
    names = {field.name for field in fields(owner)}
    command: Command = owner(**({"voice": method.path[0]} if "voice" in names else {}), **given)
    return command


def _refused(method: Method, kind: type, live: Live, value: object) -> Refused:
    whole = "a whole number, " if kind is int else ""
    return Refused(method.address, _shown([value]), whole + accepted(live, kind), f"send another value: {live.meaning}")


def _shown(values: Sequence[object]) -> str:
    return _cut(" ".join(_cut(str(value)) for value in values[:16])) if values else "nothing"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


if __name__ == "__main__":
    raise SystemExit(main())
