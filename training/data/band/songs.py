"""A piece by its number: tune, style, key, tempo, who plays what. The same seed and number give the same song."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from engine.music.score import ROLES, Score
from training.data.arrange.arrange import Arrangement, arrange
from training.data.arrange.songs import write_song
from training.data.arrange.styles import STYLES, draw_programs
from training.data.band.soundfonts import FONTS
from training.data.band.synthesizer import SYNTHESIZED
from training.data.band.tune_books import HELD_OUT, BandTune, TuneBook
from training.data.pieces import side_of

__all__ = ["BandSong", "draw_song", "piece_streams"]

_SECONDS: Final = (45.0, 95.0)
_OWN: Final = 0.55  # share of pieces in 4/4 that our own writers write where there are other tunes
_ELECTRONIC: Final = ("techno", "house", "synthpop", "chiptune", "trap", "drum_and_bass", "ambient", "hiphop", "disco")
_SPARSE: Final = 0.34  # share of pieces with one to three players
_SMALL: Final = (
    ("piano",), ("piano",), ("guitar",), ("guitar",), ("drum",), ("bass",), ("string",), ("string", "lead"),
    ("piano", "lead"), ("guitar", "lead"), ("bass", "drum"), ("piano", "bass"), ("guitar", "bass"), ("piano", "string"),
    ("piano", "bass", "drum"), ("guitar", "bass", "drum"), ("lead", "bass", "drum"), ("piano", "bass", "lead"),
    ("guitar", "piano", "lead"), ("lead",),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class BandSong:
    """All that is decided before anybody plays.

    Args:
        number, seed: of the piece, and of its corpus.
        held_out: whether it is kept from training; so are its tune and its style seed in every piece.
        tune: uid of the tune.
        licence: of the tune's notes.
        style_seed: of the arranger.
        room: name of the sound font.
        swing: place of the second of two notes, 0.5 straight.
        band: all six parts as arranged.
        score: a track for each role that plays.
        synthesized: roles that our own synthesizer plays, the others are the font's.
    """

    number: int
    seed: int
    held_out: bool
    tune: str
    licence: str
    style_seed: int
    room: str
    swing: float
    band: Arrangement
    score: Score
    synthesized: frozenset[str]

    @property
    def beat_quarters(self) -> float:
        """Quarter notes in a beat as it is felt: 1, and 1.5 in 6/8."""
        return self.band.grid.pulse / 4.0

    @property
    def bar_quarters(self) -> float:
        """Quarter notes in a bar."""
        return self.band.grid.steps / 4.0

    @property
    def bars(self) -> int:
        """Length in bars."""
        return len(self.band.levels)


def piece_streams(seed: int, number: int) -> list[np.random.Generator]:
    """Random streams of one piece: song, performance, mix, captions."""
    return [np.random.default_rng(child) for child in np.random.SeedSequence([seed, number]).spawn(4)]


def draw_song(seed: int, number: int, book: TuneBook) -> BandSong:
    """The song of a piece.

    Args:
        seed: of the corpus.
        number: 0 or greater.
        book: where tunes by people come from.
    """
    rng = piece_streams(seed, number)[0]
    held_out = bool(rng.random() < HELD_OUT)
    style = str(rng.choice(sorted(STYLES)))
    tempo = _tempo(style, rng)
    quarters = STYLES[style].grid.steps / 4.0
    bars = max(8, 4 * round(float(rng.uniform(*_SECONDS)) * tempo / 60.0 / quarters / 4.0))
    players = _players(rng)
    tune = book.draw(rng, bars, held_out) if STYLES[style].meter == "4/4" and rng.random() >= _OWN else None
    band, style_seed = _arranged(tune, style, bars, tempo, players, held_out, rng)
    players = _with_help(band, players)
    played = tuple(track for track in band.score.tracks if track.name in players and track.notes)
    synthesized = _synthesized(style, rng)
    played = tuple(replace(t, program=SYNTHESIZED[t.name]) if t.name in synthesized else t for t in played)
    swing = band.swing + (float(rng.normal(0.0, 0.015)) if band.swing > 0.5 else 0.0)
    return BandSong(
        number=number,
        seed=seed,
        held_out=held_out,
        tune=tune.uid if tune else f"own/{style}/{style_seed}",
        licence=tune.licence if tune else "MIT",
        style_seed=style_seed,
        room=str(rng.choice(sorted(FONTS))),
        swing=round(min(max(swing, 0.5), 0.68), 3),
        band=band,
        score=replace(band.score, tracks=played),
        synthesized=synthesized & {track.name for track in played},
    )


def _tempo(style: str, rng: np.random.Generator) -> float:
    """Mostly from the style's own range, now and then any tempo from 60 to 200, which players ask for, too."""
    low, high = STYLES[style].tempo
    if rng.random() < 0.12:
        low, high = 60, 200
    return float(round(float(rng.uniform(low, high)), 1))


def _synthesized(style: str, rng: np.random.Generator) -> frozenset[str]:
    """In a third of the pieces of electronic styles, the roles that the synthesizer plays: all, or half of them."""
    if style not in _ELECTRONIC or rng.random() >= 0.35:
        return frozenset()
    share = float(rng.choice([0.5, 1.0]))
    return frozenset(role for role in ROLES if rng.random() < share)


def _players(rng: np.random.Generator) -> tuple[str, ...]:
    """Roles that may play: a third of pieces have one to three, the others lack one now and then."""
    if rng.random() < _SPARSE:
        return _SMALL[int(rng.integers(len(_SMALL)))]
    missing = [role for role in ROLES if rng.random() < 0.14]
    return tuple(role for role in ROLES if role not in missing[:2])


def _arranged(
    tune: BandTune | None,
    style: str,
    bars: int,
    tempo: float,
    players: tuple[str, ...],
    held_out: bool,
    rng: np.random.Generator,
) -> tuple[Arrangement, int]:
    """An arrangement in which these players have something to do, by a style seed of the right side of the split."""
    best: tuple[int, Arrangement, int] | None = None
    for _ in range(6 if len(players) <= 3 else 2):
        style_seed = int(rng.integers(2**31))
        while side_of(f"{style}/{style_seed}", HELD_OUT) != held_out:
            style_seed = int(rng.integers(2**31))
        full = float(rng.uniform(0.45, 0.95)) if len(players) <= 3 else None
        if tune is None:
            made = write_song(style, style_seed, bars=bars, density=full, tempo_bpm=tempo)
        else:
            programs = draw_programs(STYLES[style], style_seed)
            piano = tune.piano if rng.random() < 0.4 else None
            made = arrange(
                tune.lead, tune.chords, style, style_seed,
                density=full, tempo_bpm=tempo, piano_track=piano, programs=programs,
            )  # fmt: skip
        empty = _empty(made, players)
        if best is None or empty < best[0]:
            best = (empty, made, style_seed)
        if empty <= 1:
            break
    assert best is not None
    return best[1], best[2]


def _empty(band: Arrangement, players: tuple[str, ...]) -> int:
    """Bars in which none of these players sounds."""
    return sum(not set(players) & set(levels) for levels in band.levels)


def _with_help(band: Arrangement, players: tuple[str, ...]) -> tuple[str, ...]:
    """The players, with one more where they leave several bars empty: the one that fills most of them."""
    if _empty(band, players) <= 2:
        return players
    others = [role for role in ("piano", "guitar", "string", "bass") if role not in players]
    return (*players, min(others, key=lambda role: _empty(band, (*players, role))))
