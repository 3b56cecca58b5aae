"""Commands and events of a continuation; `engine.messages.session` offers them with all others."""

from dataclasses import dataclass
from typing import Annotated, Any

from engine.controls import Live, Value

__all__ = ["Branch", "Choose", "Commit", "Continue", "Prepared", "Rewind", "changed_controls"]

_AS_SET = "below 0: as the control says"


@dataclass(frozen=True, kw_only=True, slots=True)
class Continue:
    """Go on with what was just heard, in its vein: prepared at once, heard at the given time.

    Args:
        file_hash, melody_hash: sha256 of the files, once the session has written or found them.
        heard_until: the session's sample at which what is heard ends; -1 for a file, which ends where it is gone on.
        aim: the session's sample from which it is expected to sound.
    """

    voice: str = ""
    source: Annotated[str, Live(0, 128, "input, output, or a sound file of the session folder; empty: as can be")] = ""
    seconds: Annotated[float, Live(0.0, 60.0, "how much of it is heard; 0: as much as can be", "s")] = 6.0
    bars: Annotated[int, Live(0, 64, "bars that are heard instead of seconds; 0: seconds")] = 0
    text: Annotated[str, Live(0, 256, "words; empty: as the control says")] = ""
    melody: Annotated[str, Live(0, 128, "sound file of the session folder whose melody is followed; empty: none")] = ""
    length: Annotated[float, Live(0.0, 3600.0, "of new sound; 0: endless", "s")] = 0.0
    length_bars: Annotated[int, Live(0, 1024, "bars of new sound instead of seconds; 0: seconds")] = 0
    temperature: Annotated[float, Live(-1.0, 4.0, _AS_SET)] = -1.0
    top_k: Annotated[int, Live(-1, 65535, _AS_SET)] = -1
    guidance: Annotated[float, Live(-1.0, 20.0, _AS_SET)] = -1.0
    seed: Annotated[int, Live(-1, 2**31 - 1, "same seed, same future; below 0: another each time")] = -1
    free: Annotated[bool, Live(0, 1, "not over the chords that are heard in it, where none are given")] = False
    file_hash: str = ""
    melody_hash: str = ""
    heard_until: int = -1
    aim: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewind:
    """Go back by some bars and take another way from there, in time."""

    voice: str = ""
    bars: Annotated[int, Live(1, 64, "how far to go back")] = 1
    seed: Annotated[int, Live(-1, 2**31 - 1, "same seed, same future; below 0: another each time")] = -1
    aim: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Keep this point, for several futures from it; what sounds is the first of them."""

    voice: str = ""
    futures: Annotated[int, Live(1, 64, "how many there are to choose from")] = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Choose:
    """Play one of the futures of the point that was kept, from there on."""

    voice: str = ""
    future: Annotated[int, Live(1, 64, "which, the first is 1")] = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """The session's own: the future that was asked for as `number` is heard from here on, with these controls."""

    voice: str = ""
    number: int = 0
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What was asked for as `number` can be heard: `seconds` after it was begun, with `heard` seconds of sound."""

    number: int
    voice: str
    seconds: float
    heard: float


def changed_controls(command: Continue | Rewind | Branch | Choose | Commit) -> tuple[tuple[str, Value], ...]:
    """Controls that change when what a command asks for is heard: (name, value)."""
    match command:
        case Commit(values=values):
            return tuple((str(name), value) for name, value in values)
        case Branch():
            return ()
        case Continue(text=text, temperature=temperature, top_k=top_k, guidance=guidance):
            numbers = {"temperature": temperature, "top_k": top_k, "guidance": guidance}
            rows = [("text", text)] if text else []
            return (*rows, *((name, value) for name, value in numbers.items() if value >= 0), ("freeze", False))
        case _:
            return (("freeze", False),)
