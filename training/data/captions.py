"""Words for a stretch of music from what is known of it: the same thing said in many ways, and not all of it each time.

Captions are small letters, words and numbers; `caption_words` lists all that can occur, which is the vocabulary that a
text encoder of ours begins with.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from engine.music.harmony import MODES
from training.data.described import PARTS, Attributes
from training.data.piece import Genre

__all__ = ["PATTERN", "caption", "caption_words", "key_name", "words_in"]

PATTERN: Final = r"\b[a-g][#b]? (?:major|minor)\b|[a-z]+|[0-9]+"
"""What a word is, in small letters: a key ("a minor" is one word, "a" another), letters, or a number."""

_NAMES: Final = ("c", "c#", "d", "eb", "e", "f", "f#", "g", "ab", "a", "bb", "b")
_TEMPOS_BPM: Final = range(90, 151)  # of composed pieces

_GENRES: Final[Mapping[Genre, Sequence[str]]] = {
    "techno": ("techno", "techno track", "electronic dance music", "club music", "four on the floor techno", "dance"),
    "ambient": ("ambient", "ambient music", "soundscape", "chill out", "calm electronic music", "ambient track"),
}
_TEMPOS: Final = (  # up to this many bpm
    (102.0, ("slow", "relaxed", "laid back")),
    (118.0, ("mid tempo", "moderate", "walking")),
    (132.0, ("upbeat", "steady", "moving")),
    (999.0, ("fast", "quick", "racing")),
)
_DENSITIES: Final = (  # up to this density; the middle is not worth a word
    (0.3, ("sparse", "minimal", "empty", "simple")),
    (0.65, ()),
    (1.1, ("busy", "dense", "driving", "energetic")),
)
_BRIGHTNESSES: Final = (
    (0.33, ("dark", "muffled", "warm", "mellow")),
    (0.66, ()),
    (1.1, ("bright", "crisp", "shining", "clear")),
)
_MODES: Final = {
    "major": ("happy", "cheerful", "hopeful", "positive"),
    "minor": ("sad", "melancholic", "serious", "moody"),
}
_PARTS: Final[Mapping[Genre, Mapping[str, Sequence[str]]]] = {
    "techno": {
        "drums": ("drums", "beat", "drum machine", "kick and hats", "percussion"),
        "bass": ("bass", "bassline", "synth bass"),
        "chords": ("chords", "synth chords", "stabs", "pads", "keys"),
        "arp": ("arpeggio", "arpeggios", "arp", "synth melody"),
    },
    "ambient": {
        "drums": ("drums", "soft drums", "pulse", "shaker", "percussion"),
        "bass": ("bass", "sub bass", "deep bass"),
        "chords": ("chords", "pads", "warm pads", "synth pad", "strings"),
        "arp": ("arpeggio", "bells", "arp", "bell melody"),
    },
}
_ALONE: Final = ("solo", "only", "just")
_WITHOUT: Final = ("no", "without")


def key_name(tonic: int, mode: str) -> str:
    """As in captions: "eb minor"."""
    return f"{_NAMES[tonic]} {mode}"


def words_in(text: str) -> list[str]:
    """The words of a text; what lies between them says nothing."""
    return re.findall(PATTERN, text.lower())


def caption(known: Attributes, rng: np.random.Generator) -> str:
    """Say some of it: a sentence, or words in a row."""

    def one(choices: Sequence[str]) -> str:
        return choices[int(rng.integers(len(choices)))]

    def some(chance: float, choices: Sequence[str]) -> list[str]:
        return [one(choices)] if choices and rng.random() < chance else []

    moods = some(0.5, _band(_DENSITIES, known.density)) + some(0.5, _band(_BRIGHTNESSES, known.brightness))
    if known.key is not None:
        moods += some(0.4, _MODES.get(known.key.mode, ()))
    moods += some(0.4, _band(_TEMPOS, known.tempo_bpm))
    rng.shuffle(moods)
    genre = some(0.85, _GENRES[known.genre])
    parts = _said_parts(known, rng)
    facts = [f"{round(known.tempo_bpm)} bpm"] if rng.random() < 0.6 else []
    if known.key is not None and known.key.mode in _MODES and rng.random() < 0.6:
        facts.append(f"in {key_name(known.key.tonic, known.key.mode)}")
    rng.shuffle(facts)
    if rng.random() < 0.3:
        tags = [*moods, *genre, *parts, *facts]
        rng.shuffle(tags)
        return ", ".join(tags)
    head = " ".join([*moods, *(genre or ["music"])])
    return ", ".join([f"{head} with {' and '.join(parts)}" if parts else head, *facts])


def _said_parts(known: Attributes, rng: np.random.Generator) -> list[str]:
    """Who plays, in any order; now and then that nobody else does, or who does not."""
    names = _PARTS[known.genre]

    def name(part: str) -> str:
        return names[part][int(rng.integers(len(names[part])))]

    if not known.parts or rng.random() < 0.15:
        return []
    said = [name(part) for part in known.parts]
    rng.shuffle(said)
    if len(said) == 1 and rng.random() < 0.5:
        return [f"{_ALONE[int(rng.integers(len(_ALONE)))]} {said[0]}"]
    absent = [part for part in PARTS if part not in known.parts]
    if absent and rng.random() < 0.4:
        part = absent[int(rng.integers(len(absent)))]
        said.append(f"{_WITHOUT[int(rng.integers(len(_WITHOUT)))]} {name(part)}")
    return said


def _band(bands: Sequence[tuple[float, Sequence[str]]], value: float) -> Sequence[str]:
    return next(words for top, words in bands if value < top)


def caption_words() -> tuple[str, ...]:
    """Every word that a caption can hold, sorted."""
    keys = [key_name(tonic, mode) for tonic in range(12) for mode in _MODES if mode in MODES]
    return tuple(sorted({*keys, *(word for text in _texts() for word in words_in(text))}))


def _texts() -> Iterator[str]:
    yield from ("music with and in bpm", *_ALONE, *_WITHOUT, *(str(bpm) for bpm in _TEMPOS_BPM))
    for names in (*_GENRES.values(), *_MODES.values()):
        yield from names
    for _, names in (*_TEMPOS, *_DENSITIES, *_BRIGHTNESSES):
        yield from names
    for parts in _PARTS.values():
        for names in parts.values():
            yield from names
