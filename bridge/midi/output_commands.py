"""What whoever owns an output of notes is told, a MIDI port or a synthesizer, and how a ledger does it."""

from dataclasses import dataclass

from engine.band.ledger import Booking, Due, Ledger
from engine.music.pulse import Pulse

__all__ = [
    "Book", "Halt", "Hush", "Order", "Panic", "Raw", "Release", "Roll", "Strike", "Tempo", "Withdraw", "carried_out",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Book:
    """Play these at their ticks."""

    notes: tuple[Booking, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Forget what would start at `tick` or later, on these channels or on all."""

    tick: float
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Tempo:
    """Musical time from now on; None: it stands still."""

    pulse: Pulse | None


@dataclass(frozen=True, slots=True)
class Roll:
    """Send a clock from this tick on, if a clock is sent at all."""

    tick: float


@dataclass(frozen=True, slots=True)
class Halt:
    """End the clock, if there is one."""


@dataclass(frozen=True, slots=True)
class Hush:
    """End all notes, forget all that is booked."""


@dataclass(frozen=True, slots=True)
class Panic:
    """As `Hush`, and tell every used channel to be silent."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A key that is passed on as it is played."""

    id: int
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Release:
    """The end of a struck key."""

    id: int
    channel: int
    pitch: int


@dataclass(frozen=True, slots=True)
class Raw:
    """Messages that are no notes (programs, controllers), sent at once and again whenever the port comes back."""

    messages: tuple[bytes, ...]


Order = Book | Withdraw | Tempo | Roll | Halt | Hush | Panic | Strike | Release | Raw


def carried_out(order: Order, ledger: Ledger, now_s: float) -> list[Due]:
    """What leaves at once when a ledger has been told; nothing for orders that concern a clock."""
    match order:
        case Book(notes):
            ledger.book(notes)
        case Withdraw(tick, channels):
            ledger.withdraw(tick, channels)
        case Strike(id, channel, pitch, velocity):
            return ledger.strike(id, channel, pitch, velocity, now_s)
        case Release(id, channel, pitch):
            return ledger.let_go(id, channel, pitch, now_s)
        case Hush():
            return ledger.hush(now_s)
        case Panic():
            return ledger.finish(now_s, panic=True)
        case Raw(messages):
            return [Due(now_s, message) for message in messages]
    return []
