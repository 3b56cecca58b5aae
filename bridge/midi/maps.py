"""Controllers mapped to controls: ``cc1=/musika/density[0..1]``. No clock, no I/O."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bridge.midi.notes import Knobs
from engine.controls import Control
from engine.errors import ControlError
from engine.messages.session import Set

__all__ = ["ControllerMap", "MapText", "map_of", "maps_of"]

_NUMBER: Final = r"[-+]?\d+(?:\.\d+)?"
_MAP: Final = re.compile(
    rf"\s*cc(\d{{1,3}})(?:\.(\d{{1,2}}))?\s*=\s*(/[^\s\[\]]+)\s*(?:\[({_NUMBER})\.\.({_NUMBER})\])?\s*"
)
_EXAMPLE: Final = '"cc1=/musika/gain[-30..0]", or "cc1.3=/musika/gain" for channel 3 alone'
_MOST: Final = 128


@dataclass(frozen=True, slots=True)
class MapText:
    """A map as it is written: controller 0..127, MIDI channel 1..16 or None for all, address, range or None."""

    number: int
    channel: int | None
    address: str
    span: tuple[float, float] | None


def map_of(text: str) -> MapText:
    """A map from its text.

    Raises:
        ControlError: it has another form, or a number out of range.
    """
    found = _MAP.fullmatch(text)
    number, channel = (int(found[1]), int(found[2] or 1)) if found else (0, 0)
    if found is None or number > 127 or not 1 <= channel <= 16:
        raise ControlError(
            f"got the map {text!r}, wanted cc, a controller 0..127, maybe . and a channel 1..16, =, the address of a "
            f"control and maybe a range: write for example {_EXAMPLE}"
        )
    span = (float(found[4]), float(found[5])) if found[4] else None
    return MapText(number, channel if found[2] else None, found[3], span)


class ControllerMap:
    """One controller that moves one control.

    Args:
        text: which, over which range; a range may fall (``[1..0]``).
        control: what is moved; its path is complete.
    Raises:
        ControlError: the range is not within that of the control, or the control is not a number.
    """

    def __init__(self, text: MapText, control: Control) -> None:
        self._channel = text.channel
        live = control.live
        if control.kind is str and not live.choices:
            raise ControlError(f"got the map of cc{text.number} to {text.address}, a text: wanted a number or a choice")
        if text.span is not None:
            if control.kind not in (int, float) or not all(live.low <= end <= live.high for end in text.span):
                raise ControlError(
                    f"got the range {text.span[0]:g}..{text.span[1]:g} for {text.address}, wanted one within "
                    f"{live.low:g}..{live.high:g}: change it, or leave it out for all of it"
                )
            control = replace(control, live=replace(live, low=text.span[0], high=text.span[1]))
        self._knobs = Knobs({text.number: control})

    def feed(self, message: Sequence[int]) -> Set | None:
        """The control's new value, if the message moves this controller and the value has changed."""
        if self._channel is not None and message and message[0] & 0x0F != self._channel - 1:
            return None
        return self._knobs.feed(message)


def maps_of(texts: Sequence[str], control: Callable[[str], Control | None]) -> tuple[ControllerMap, ...]:
    """Maps from their texts; several may share a controller or a control.

    Args:
        control: gives the control at an address; None if there is none.
    Raises:
        ControlError: as `map_of` and `ControllerMap`; or no such control, or more than 128 maps.
    """
    if len(texts) > _MOST:
        raise ControlError(f"got {len(texts)} maps, wanted at most {_MOST}: leave some out")
    made = []
    for text in texts:
        parsed = map_of(text)
        found = control(parsed.address)
        if found is None:
            raise ControlError(
                f"got the map {text!r}, wanted the address of a control after =: docs/OSC.md lists them, and "
                "the voices and the band have to be loaded"
            )
        made.append(ControllerMap(parsed, found))
    return tuple(made)
