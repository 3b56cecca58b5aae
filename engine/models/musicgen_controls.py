"""What can be turned while a language model of sound plays live, declared once: bridge and takes follow from it."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from engine.controls import Live
from engine.models.musicgen import MusicgenControls
from engine.music.conducting import CHARACTER

__all__ = ["CharacterControls", "MusicgenLiveControls", "WordedControls", "character_of", "live_controls"]

F32 = npt.NDArray[np.float32]

_PLAYS = "1: they play, -1: they do not; 0: as words say and what is heard suggests"


@dataclass(frozen=True, kw_only=True, slots=True)
class MusicgenLiveControls(MusicgenControls):
    """What every such model has."""

    freeze: Annotated[bool, Live(0, 1, "the last bar goes round; let go, it goes on when that has come round")] = False
    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0
    mute: Annotated[bool, Live(0, 1, "silent, but playing on")] = False


@dataclass(frozen=True, kw_only=True, slots=True)
class WordedControls(MusicgenLiveControls):
    """The same of a model that takes words."""

    text: Annotated[str, Live(0, 256, "words for what is to come; empty: none")] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacterControls(WordedControls):
    """The same of a model that is told who plays and how, beside words: one number each of `CHARACTER`."""

    drums: Annotated[float, Live(-1.0, 1.0, _PLAYS)] = 0.0
    bass: Annotated[float, Live(-1.0, 1.0, _PLAYS)] = 0.0
    chords: Annotated[float, Live(-1.0, 1.0, _PLAYS)] = 0.0
    arp: Annotated[float, Live(-1.0, 1.0, _PLAYS)] = 0.0
    techno: Annotated[float, Live(-1.0, 1.0, "1: techno, -1: ambient; 0: as words say")] = 0.0
    density: Annotated[float, Live(-1.0, 1.0, "from few notes to many; 0: as words say")] = 0.0
    brightness: Annotated[float, Live(-1.0, 1.0, "from dark to bright; 0: as words say")] = 0.0


def character_of(controls: object) -> F32 | None:
    """[len(CHARACTER)] that is told with each step, 0 where it is left to words; None where all is."""
    if not isinstance(controls, CharacterControls):
        return None
    row = np.array([getattr(controls, name) for name in CHARACTER], np.float32)
    return row if row.any() else None


def live_controls(drawing: MusicgenControls, *, worded: bool, character: int) -> MusicgenLiveControls:
    """The default controls of a voice whose codes are drawn by default like this.

    Args:
        character: numbers of it that the model is told.
    """
    known = CharacterControls if character == len(CHARACTER) else WordedControls
    kind = known if worded else MusicgenLiveControls
    return kind(temperature=drawing.temperature, top_k=drawing.top_k, top_p=drawing.top_p, guidance=drawing.guidance)
