"""Commands to a band: one typed union from OSC message or JSON line to `Band`, and the queue they wait in."""

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Never, NoReturn, get_args

from engine.controls import with_value
from engine.errors import ControlError
from engine.messages.session import BandLoad, BandStart, BandStop, Locate, Panic, Set, Tempo

__all__ = [
    "BandCommand",
    "BandCommandQueue",
    "ClockCommand",
    "QueuedCommand",
    "parse_commands",
    "refuse",
]

ClockCommand = BandStart | BandStop | Tempo | Locate
"""What changes musical time."""

BandCommand = ClockCommand | BandLoad | Set | Panic
"""Everything that can be asked of a band. The path of a `Set` begins with ``band``."""

_SHOWN: Final = 80  # characters of a refused line that are shown again


def _set(row: Mapping[str, Any]) -> Set:
    if "value" not in row:
        raise ControlError('"set" needs a "value", such as {"set": "density/bass", "value": 0.2}')
    return Set(("band", *str(row["set"]).split("/")), row["value"])


_PARSERS: Final[Mapping[str, Callable[[Mapping[str, Any]], BandCommand]]] = {
    "panic": lambda row: Panic(),
    "set": _set,
    "load": lambda row: with_value(BandLoad(), ("name",), row["load"]),
    "stop": lambda row: BandStop(),
    "start": lambda row: BandStart(),
    "tempo": lambda row: with_value(Tempo(), ("bpm",), row["tempo"]),
    "locate": lambda row: with_value(Locate(), ("bar",), row["locate"]),
}


def parse_commands(line: str) -> tuple[BandCommand, ...]:
    """The commands of one JSON object, in the order in which they are applied.

    ``{"panic": 1}``, ``{"set": "density/bass", "value": 0.2}``, ``{"load": "auto"}``, ``{"stop": 1}``,
    ``{"start": 1}``, ``{"tempo": 90}`` (bpm), ``{"locate": 8}`` (bar); several keys in one object are several commands.

    Raises:
        ControlError: not a JSON object, an unknown key, or a value out of range. No command of the line is applied.
    """
    wanted = f'an object with one or more of {", ".join(_PARSERS)}, such as {{"tempo": 90}}'
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not row:
        raise ControlError(f"got {line.strip()[:_SHOWN]}, wanted {wanted}")
    unknown = [key for key in row if key not in _PARSERS and not (key == "value" and "set" in row)]
    if unknown:
        raise ControlError(f"got the unknown command {unknown[0]!r}, wanted {wanted}")
    try:
        return tuple(parse(row) for key, parse in _PARSERS.items() if key in row)
    except ControlError as error:
        raise ControlError(f"got {line.strip()[:_SHOWN]}: {error}") from None


def refuse(command: Never) -> NoReturn:
    """The last case of every `match` over commands: type checkers see that none is left out.

    Raises:
        ControlError: always; at run time something else than a band's command came.
    """
    got = type(command).__name__
    wanted = ", ".join(kind.__name__ for kind in get_args(BandCommand))
    raise ControlError(f"got {got}, which is no command for a band; wanted one of {wanted}")


@dataclass(frozen=True, slots=True)
class QueuedCommand:
    """A command and when it is to be applied.

    Args:
        tick: of musical time, before which it waits; None: apply at once.
        done: called once from the band's thread, with a reason if the command failed and with "" if it did not.
    """

    command: BandCommand
    tick: float | None = None
    done: Callable[[str], None] | None = None


class BandCommandQueue:
    """Commands from other threads, each until it is due. Threads: `put` any; `due` the band's."""

    def __init__(self) -> None:
        self._waiting: deque[QueuedCommand] = deque(maxlen=1000)

    def put(self, queued: QueuedCommand) -> None:
        """Add a command; of more than 1000 the oldest is dropped."""
        self._waiting.append(queued)

    def due(self, tick: float | None) -> list[QueuedCommand]:
        """Take the commands that are due at `tick` (None while musical time stands still), oldest first."""
        due: list[QueuedCommand] = []
        later: list[QueuedCommand] = []
        while self._waiting:
            queued = self._waiting.popleft()
            ready = queued.tick is None or (tick is not None and tick >= queued.tick)
            (due if ready else later).append(queued)
        self._waiting.extend(later)
        return due
