"""What whoever owns an output of notes is told, a MIDI port or a synthesizer, and how a ledger does it."""

from dataclasses import dataclass

from engine.band.ledger import Booking, DueMessage, Ledger
from engine.music.pulse import Pulse

__all__ = [
    "AllNotesOff",
    "AllSoundOff",
    "Book",
    "OutputCommand",
    "Raw",
    "Release",
    "SetPulse",
    "StartClock",
    "StopClock",
    "Strike",
    "Withdraw",
    "apply_to_ledger",
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
class SetPulse:
    """Musical time from now on; None: it stands still."""

    pulse: Pulse | None


@dataclass(frozen=True, slots=True)
class StartClock:
    """Send a clock from this tick on, if a clock is sent at all."""

    tick: float


@dataclass(frozen=True, slots=True)
class StopClock:
    """End the clock, if there is one."""


@dataclass(frozen=True, slots=True)
class AllNotesOff:
    """End all notes, forget all that is booked."""


@dataclass(frozen=True, slots=True)
class AllSoundOff:
    """As `AllNotesOff`, and tell every used channel to be silent."""


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


OutputCommand = Book | Withdraw | SetPulse | StartClock | StopClock | AllNotesOff | AllSoundOff | Strike | Release | Raw


def apply_to_ledger(command: OutputCommand, ledger: Ledger, now_s: float) -> list[DueMessage]:
    """What leaves at once when a ledger has been told; nothing for orders that concern a clock."""
    match command:
        case Book(notes):
            ledger.book(notes)
        case Withdraw(tick, channels):
            ledger.withdraw(tick, channels)
        case Strike(id, channel, pitch, velocity):
            return ledger.strike(id, channel, pitch, velocity, now_s)
        case Release(id, channel, pitch):
            return ledger.release(id, channel, pitch, now_s)
        case AllNotesOff():
            return ledger.all_notes_off(now_s)
        case AllSoundOff():
            return ledger.finish(now_s, panic=True)
        case Raw(messages):
            return [DueMessage(now_s, message) for message in messages]
    return []
