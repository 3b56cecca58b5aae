"""Output commands, for a MIDI port or a synthesizer, and how a note ledger carries them out."""

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
    """Play these notes at their ticks."""

    notes: tuple[Booking, ...]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Cancel notes that start at `tick` or later, on these channels or on all."""

    tick: float
    channels: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class SetPulse:
    """Set musical time; None: it stands still."""

    pulse: Pulse | None


@dataclass(frozen=True, slots=True)
class StartClock:
    """Start the MIDI clock at this tick, if one is sent."""

    tick: float


@dataclass(frozen=True, slots=True)
class StopClock:
    """Stop the MIDI clock, if one is sent."""


@dataclass(frozen=True, slots=True)
class AllNotesOff:
    """End all notes and cancel all booked ones."""


@dataclass(frozen=True, slots=True)
class AllSoundOff:
    """As `AllNotesOff`, then sustain off, all notes off and all sound off on every used channel."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A key that is struck now."""

    id: int
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True)
class Release:
    """A struck key is released."""

    id: int
    channel: int
    pitch: int


@dataclass(frozen=True, slots=True)
class Raw:
    """Messages other than notes (programs, controllers), sent at once and again whenever the port comes back."""

    messages: tuple[bytes, ...]


OutputCommand = Book | Withdraw | SetPulse | StartClock | StopClock | AllNotesOff | AllSoundOff | Strike | Release | Raw


def apply_to_ledger(command: OutputCommand, ledger: Ledger, now_s: float) -> list[DueMessage]:
    """Apply a command to a ledger; the messages to send at once. Commands for the clock do nothing."""
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
