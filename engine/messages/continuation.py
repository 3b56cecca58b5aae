"""Commands and events of continuing sound; `engine.messages.session` exports them with all others."""

from dataclasses import dataclass
from typing import Annotated, Any

from engine.controls import Live, Value

__all__ = ["Branch", "Choose", "Commit", "Continue", "Prepared", "Rewind", "changed_controls"]

_AS_SET = "below 0: keep the control's present value"
_SEED = "same seed, same continuation; below 0: a new one each time"


@dataclass(frozen=True, kw_only=True, slots=True)
class Continue:
    """Continue the live input, the mix or a sound file: prepared at once, audible from the given time.

    Args:
        file_hash, melody_hash: sha256 of the files, set by the session once it has written or found them.
        heard_until: sample of the session at which the prompt ends; -1 for a file, whose prompt is its end.
        aim: sample of the session from which the continuation is expected to sound.
    """

    voice: str = ""
    source: Annotated[
        str,
        Live(0, 128, "prompt: input, output, or a sound file in the session folder; empty: input if there is one"),
    ] = ""
    seconds: Annotated[float, Live(0.0, 60.0, "length of the prompt; 0: the longest the model takes", "s")] = 6.0
    bars: Annotated[int, Live(0, 64, "length of the prompt in bars; 0: use seconds")] = 0
    text: Annotated[str, Live(0, 256, "text prompt; empty: keep the control's present value")] = ""
    melody: Annotated[str, Live(0, 128, "sound file in the session folder whose melody to follow; empty: none")] = ""
    length: Annotated[float, Live(0.0, 3600.0, "length of the continuation; 0: endless", "s")] = 0.0
    length_bars: Annotated[int, Live(0, 1024, "length of the continuation in bars; 0: use length")] = 0
    temperature: Annotated[float, Live(-1.0, 4.0, _AS_SET)] = -1.0
    top_k: Annotated[int, Live(-1, 65535, _AS_SET)] = -1
    guidance: Annotated[float, Live(-1.0, 20.0, _AS_SET)] = -1.0
    seed: Annotated[int, Live(-1, 2**31 - 1, _SEED)] = -1
    free: Annotated[bool, Live(0, 1, "1: ignore the chords detected in the prompt; used only where none are set")] = (
        False
    )
    file_hash: str = ""
    melody_hash: str = ""
    heard_until: int = -1
    aim: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rewind:
    """Return to the voice's state some bars ago and play a different continuation from there, in time."""

    voice: str = ""
    bars: Annotated[int, Live(1, 64, "bars to go back")] = 1
    seed: Annotated[int, Live(-1, 2**31 - 1, _SEED)] = -1
    aim: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Store the voice's present state for several continuations from it; the first is the one that sounds."""

    voice: str = ""
    futures: Annotated[int, Live(1, 64, "number of continuations to choose from")] = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Choose:
    """Play one of the continuations of the stored state."""

    voice: str = ""
    future: Annotated[int, Live(1, 64, "number of the continuation; the first is 1")] = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """Internal to the session: the continuation of command `number` sounds from here on, with these controls."""

    voice: str = ""
    number: int = 0
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """The continuation of command `number` is ready: preparing took `seconds`, from a prompt of `prompt_s` seconds."""

    number: int
    voice: str
    seconds: float
    prompt_s: float


def changed_controls(command: Continue | Rewind | Branch | Choose | Commit) -> tuple[tuple[str, Value], ...]:
    """Controls that change when the command's continuation starts to sound: (name, value)."""
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
