"""Roles as MIDI: their channels, their programs, and the count-in on the drum channel."""

from collections.abc import Callable, Iterable
from typing import Final

from bridge.midi.output_commands import Book, Raw
from engine.band.ledger import Booking
from engine.music.units import TICKS_PER_BEAT
from engine.protocols.accompanist import BEATS, CHANNELS, PROGRAMS

__all__ = ["channels_of", "count_in", "programs_of"]

_CLICK, _CLICK_TICKS, _CLICK_VELOCITY = 37, 120, (110, 80)  # side stick; velocity of the bar's first beat, the others
_PROGRAM: Final = 0xC0


def channels_of(roles: Iterable[str]) -> tuple[int, ...]:
    """MIDI channels of roles, 0..15, ascending, each once."""
    return tuple(sorted({CHANNELS[role] for role in roles}))


def programs_of(roles: Iterable[str]) -> Raw:
    """A program change for each role on its channel."""
    return Raw(tuple(bytes((_PROGRAM | CHANNELS[role], PROGRAMS[role])) for role in roles))


def count_in(first: float, next_id: Callable[[], int]) -> Book:
    """A bar of clicks from tick `first` on."""
    starts = [first + beat * TICKS_PER_BEAT for beat in range(BEATS)]
    velocities = (_CLICK_VELOCITY[0], *(_CLICK_VELOCITY[1],) * (BEATS - 1))
    return Book(
        tuple(
            Booking(next_id(), start, start + _CLICK_TICKS, CHANNELS["drum"], _CLICK, velocity)
            for start, velocity in zip(starts, velocities, strict=True)
        )
    )
