"""Foot switches: MIDI messages that send OSC messages, such as ``cc64=/musicgen/continue bar``. No clock, no I/O."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.osc.space import AddressSpace, Refused, Routed
from engine.errors import ControlError, EngineError
from engine.messages.session import Command, When

if TYPE_CHECKING:
    from bridge.midi.ports import MidiListener

__all__ = ["Asked", "PedalBoard", "Pedals", "pedals_of", "press"]

_KINDS: Final[Mapping[str, int]] = {"note": 0x90, "cc": 0xB0, "program": 0xC0}
_BINDING: Final = re.compile(r"\s*(note|cc|program)\s*(\d{1,3})\s*=\s*(/\S+)\s*(.*)", re.DOTALL)
_DOWN: Final = 64  # of a controller: from the middle on a pedal is down


@dataclass(frozen=True, slots=True)
class Asked:
    """An OSC message: its address and values."""

    address: str
    args: tuple[str | int | float, ...] = ()


def pedals_of(texts: Sequence[str]) -> "Pedals":
    """Pedals from bindings such as ``cc64=/musicgen/continue bar``, ``note36=/musicgen/choose 2``, ``program3=/panic``.

    Raises:
        ControlError: a binding with a wrong form.
    """
    bound = {}
    for text in texts:
        found = _BINDING.fullmatch(text)
        try:
            words = shlex.split(found[4]) if found else []
        except ValueError:  # a quotation without end
            found = None
        if found is None or int(found[2]) > 127:
            raise ControlError(
                f"got the pedal {text!r}, wanted note, cc or program, a number 0..127, = and an OSC message, such as "
                f'"cc64=/musicgen/continue bar"'
            )
        bound[_KINDS[found[1]], int(found[2])] = Asked(found[3], tuple(_value(word) for word in words))
    return Pedals(bound)


def _value(word: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


class Pedals:
    """The messages that are pedals, on any channel, and which of them are down.

    Args:
        bound: OSC message by (status without channel, number).
    """

    def __init__(self, bound: Mapping[tuple[int, int], Asked]) -> None:
        self._bound = dict(bound)
        self._down: set[tuple[int, int]] = set()

    def __bool__(self) -> bool:
        return bool(self._bound)

    def feed(self, message: Sequence[int]) -> tuple[bool, Asked | None]:
        """Whether a message is from a pedal, and the pedal's OSC message if it presses the pedal."""
        kind = message[0] & 0xF0 if message else 0
        if kind == 0x80:
            kind = 0x90  # a note-off belongs to its note-on
        if len(message) < (2 if kind == 0xC0 else 3) or (kind, message[1]) not in self._bound:
            return False, None
        pedal = kind, message[1]
        down = kind == 0xC0 or (message[0] & 0xF0 != 0x80 and message[2] >= (_DOWN if kind == 0xB0 else 1))
        pressed = down and (pedal not in self._down or kind != 0xB0)
        (self._down.add if down else self._down.discard)(pedal)
        return True, self._bound[pedal] if pressed else None

    def release_all(self) -> None:
        """Release all pedals: the port is lost."""
        self._down.clear()


def press(
    asked: Asked, space: AddressSpace, post: Callable[[Command, When], object], say: Callable[[str], None]
) -> None:
    """Carry out a pedal's OSC message as if it had arrived over OSC; a refusal goes to `say`."""
    for each in space.route(asked.address, asked.args):
        try:
            if isinstance(each, Routed):
                post(each.command, each.when)
            elif isinstance(each, Refused):
                say(f"pedal: {each.address} takes {each.wanted}, got {each.got}")
        except EngineError as error:
            say(f"pedal: {error}")


class PedalBoard:
    """A listener in front of another one: takes pedals, passes everything else on.

    Args:
        ask: takes the OSC message of a pressed pedal; must not wait.
    """

    def __init__(self, pedals: Pedals, ask: Callable[[Asked], object], behind: "MidiListener") -> None:
        self._pedals, self._ask, self._behind = pedals, ask, behind

    def receive(self, message: Sequence[int], at_s: float) -> None:
        """Take one message that arrived at `at_s`."""
        taken, asked = self._pedals.feed(message)
        if asked is not None:
            self._ask(asked)
        if not taken:
            self._behind.receive(message, at_s)

    def check_timeout(self, now_s: float) -> None:
        """Pass the time on."""
        self._behind.check_timeout(now_s)

    def release_all(self) -> None:
        """Release all pedals and keys: the port is lost."""
        self._pedals.release_all()
        self._behind.release_all()
