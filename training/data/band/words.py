"""Plain words for a piece, or a stretch of it: many phrasings, a third of the facts left out at random."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.music.harmony import Key
from training.data.captions import key_name

__all__ = ["BandFacts", "band_caption"]

_KEPT: Final = 0.67
_TEMPOS: Final = (
    (76.0, ("slow", "very slow", "relaxed")),
    (100.0, ("laid back", "medium slow", "moderate")),
    (126.0, ("mid tempo", "medium", "steady")),
    (152.0, ("upbeat", "fast", "lively")),
    (999.0, ("very fast", "racing", "quick")),
)
_DENSITIES: Final = (
    (0.25, ("sparse", "calm", "minimal", "gentle")),
    (0.55, ()),
    (9.0, ("busy", "dense", "driving", "energetic")),
)
_LOUDNESSES: Final = ((-19.0, ("quiet", "soft")), (-12.5, ()), (9.0, ("loud", "powerful")))
_MODES: Final = {"major": ("happy", "bright", "hopeful"), "minor": ("sad", "dark", "melancholic", "moody")}
_METERS: Final = {
    (3, 4): ("in 3/4", "waltz time", "in three"), (6, 8): ("in 6/8", "six eight"), (2, 4): ("in 2/4",),
    (4, 4): ("in 4/4",),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class BandFacts:
    """What a caption may say.

    Args:
        styles: names of the style.
        instruments: for each part that plays, its names.
        tempo_bpm: beats a minute.
        key: of the piece.
        meter: beats and unit.
        density: 0..1.
        lufs: loudness.
        swing: 0.5 straight.
    """

    styles: Sequence[str]
    instruments: Sequence[Sequence[str]]
    tempo_bpm: float
    key: Key
    meter: tuple[int, int]
    density: float
    lufs: float
    swing: float


def band_caption(facts: BandFacts, rng: np.random.Generator) -> str:
    """Say about two thirds of it: a sentence, or words in a row."""

    def one(choices: Sequence[str]) -> str:
        return choices[int(rng.integers(len(choices)))]

    def some(choices: Sequence[str], chance: float = _KEPT) -> list[str]:
        return [one(choices)] if choices and rng.random() < chance else []

    moods = some(_band(_TEMPOS, facts.tempo_bpm), 0.5) + some(_band(_DENSITIES, facts.density))
    moods += some(_band(_LOUDNESSES, facts.lufs), 0.5) + some(_MODES.get(facts.key.mode, ()), 0.3)
    rng.shuffle(moods)
    moods = moods[:2]
    style = some(facts.styles, 0.8)
    names = list(dict.fromkeys(one(each) for each in facts.instruments))
    rng.shuffle(names)
    said = names if rng.random() < _KEPT else names[: int(rng.integers(0, len(names) + 1))]
    details = [one((f"{round(facts.tempo_bpm)} bpm", f"at {round(facts.tempo_bpm)} bpm"))] if rng.random() < 0.6 else []
    details += some((f"in {key_name(facts.key.tonic, facts.key.mode)}",), 0.45)
    details += some(_METERS.get(facts.meter, ()), 0.3 if facts.meter == (4, 4) else 0.8)
    details += some(("swung", "with a swing feel", "shuffled"), _KEPT) if facts.swing >= 0.56 else []
    rng.shuffle(details)
    return _phrase(moods, style, said, details, len(names) == 1, rng)


def _phrase(
    moods: list[str], style: list[str], said: list[str], details: list[str], solo: bool, rng: np.random.Generator
) -> str:
    if rng.random() < 0.25:
        tags = [*moods, *style, *said, *details]
        rng.shuffle(tags)
        return ", ".join(tags) or "music"
    if solo and said and rng.random() < 0.6:
        head = " ".join([*moods, *style, str(rng.choice(["solo", "just"])), *said])
        return ", ".join([head, *details])
    head = " ".join([*moods, *(style or ["music"])])
    return ", ".join([f"{head} with {_joined(said)}" if said else head, *details])


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _band(bands: Sequence[tuple[float, Sequence[str]]], value: float) -> Sequence[str]:
    return next(words for top, words in bands if value < top)
