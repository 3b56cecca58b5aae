"""What a session and a voice's worker say to each other: orders in, reports out; small, frozen, picklable."""

from dataclasses import dataclass
from typing import TypeGuard

from engine.conductor import Conductor
from engine.errors import ControlError
from engine.messages.session import (
    Beats,
    Branch,
    Choose,
    ClearChord,
    ClearProgression,
    Command,
    Commit,
    Continue,
    Keys,
    Locate,
    Progression,
    Rewind,
    SetChord,
    Tempo,
)
from engine.music.harmony import parse_chord, parse_progression, recognise

__all__ = [
    "AT_ONCE",
    "Began",
    "Broken",
    "Made",
    "Order",
    "OrderRefused",
    "Ready",
    "Report",
    "Took",
    "applies_within_chunk",
    "conduct",
    "conducts",
    "needs_preparation",
]

AT_ONCE = -1.0
"""An order's sample when it is to take effect as soon as it can."""

_CONDUCTING = (Tempo, Beats, Locate, SetChord, Progression, ClearChord, ClearProgression, Keys)


@dataclass(frozen=True, slots=True)
class Order:
    """A command on its way to a worker.

    Args:
        number: what `Session.post` gave for it; 0 for the session's own.
        sample: the session's sample from which it holds, maybe between two; `AT_ONCE`.
    """

    number: int
    sample: float
    command: Command


@dataclass(frozen=True, slots=True)
class Ready:
    """The streamer is open and warm, `seconds` after the worker began.

    Args:
        controls: those it begins with.
        identity: of its weights (see `engine.bundles.opening.identity_of`).
        continues: whether it can continue a prompt (see `engine.protocols.streamer.CanContinue`).
    """

    controls: object
    sample_rate: int
    chunk: int
    seconds: float
    identity: str = ""
    continues: bool = False


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker has ended: `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Took:
    """An order was obeyed before chunk `chunk`; it takes effect from `sample` on."""

    number: int
    chunk: int
    sample: int
    order: Order


@dataclass(frozen=True, slots=True)
class OrderRefused:
    """An order could not be obeyed: `reason`. Nothing has changed."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """The continuation requested by an order is ready: after `seconds`, from a prompt of `prompt_s` seconds."""

    number: int
    seconds: float
    prompt_s: float


@dataclass(frozen=True, slots=True)
class Began:
    """A run of sound without a gap begins with chunk `chunk`, at the session's sample `at`."""

    chunk: int
    at: int


Report = Ready | Broken | Took | OrderRefused | Made | Began


def conducts(command: Command) -> bool:
    """Whether a command changes the conductor, and so concerns every voice."""
    return isinstance(command, _CONDUCTING)


def needs_preparation(command: Command) -> TypeGuard[Continue | Rewind]:
    """Whether a command is made ready beside the sound first, and lands when it is due."""
    return isinstance(command, Continue | Rewind)


def applies_within_chunk(command: Command) -> TypeGuard[Commit | Branch | Choose]:
    """Whether a command is carried out at its very sample, within a chunk."""
    return isinstance(command, Commit | Branch | Choose)


def conduct(conductor: Conductor, command: Command, sample: float) -> None:
    """Change the conductor as a command says, from `sample` on; the same in every process.

    Raises:
        HarmonyError: a chord or progression that cannot be understood.
        ControlError: the command does not conduct.
    """
    match command:
        case Tempo(bpm=bpm):
            conductor.set_tempo(bpm, sample)
        case Beats(count=count):
            conductor.set_meter(count, sample)
        case Locate(bar=bar):
            conductor.locate(float(bar * conductor.bar_ticks_at(sample)), sample)
        case SetChord(name=name):
            conductor.set_chord(parse_chord(name) if name.strip() else None, sample)
        case Progression(chords=text):
            bars = parse_progression(text) if text.strip() else ()
            # A bar line is a float: a hair before it counts as on it.
            conductor.set_progression(bars, conductor.bar_at(sample + 1.0)[0], sample)
        case ClearChord():
            conductor.set_chord(None, sample)
        case ClearProgression():
            conductor.set_progression((), 0, sample)
        case Keys(pitches=pitches):
            chord = recognise(pitches)
            if chord is not None:
                conductor.set_chord(chord, sample)
        case _:
            raise ControlError(f"{type(command).__name__} does not conduct")
