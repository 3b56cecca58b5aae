"""Pieces: what is promised of their draws, their chords and their onsets."""

from collections import Counter
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from engine.music.harmony import parse_progression
from training.data.compose import Piece, PieceError, Style, compose
from training.data.patterns import FILLS, active_steps
from training.data.piece import CHOICES, GENRES, TICKS_PER_BAR, TICKS_PER_STEP, Genre

CORPUS = {genre: [compose(seed, genre) for seed in range(60)] for genre in GENRES}
both_genres = pytest.mark.parametrize("genre", GENRES)


def onset_steps(piece: Piece, bar: int) -> set[int]:
    ticks = (hit.start_tick - bar * TICKS_PER_BAR for hit in piece.hits)
    return {tick // TICKS_PER_STEP for tick in ticks if 0 <= tick < TICKS_PER_BAR}


@both_genres
def test_the_same_seed_gives_the_same_piece_and_another_seed_another(genre: Genre) -> None:
    assert compose(5, genre) == compose(5, genre)
    assert compose(5, genre).hits != compose(6, genre).hits


@both_genres
def test_fixing_one_argument_leaves_the_other_draws_as_they_were(genre: Genre) -> None:
    drawn = compose(5, genre)
    fixed = compose(5, genre, tempo_bpm=100.0, density=0.5)
    assert (fixed.style, fixed.chords, fixed.brightness) == (drawn.style, drawn.chords, drawn.brightness)
    assert fixed.tempo_bpm == 100.0
    assert set(fixed.density) == {0.5}


@both_genres
def test_every_bar_has_what_a_model_is_told(genre: Genre) -> None:
    for piece in CORPUS[genre]:
        assert len(piece.chords) == len(piece.density) == len(piece.brightness) == piece.bars == 16
        assert 90.0 <= piece.tempo_bpm <= 150.0
        assert piece.duration_s == pytest.approx(16 * 4 * 60 / piece.tempo_bpm)
        assert all(1 <= len(chords) <= 4 for chords in piece.chords)


@both_genres
def test_onsets_are_four_a_bar_at_no_density_and_sixteen_at_full(genre: Genre) -> None:
    progression = parse_progression("Am F")
    for seed in range(8):
        counts = []
        for density in np.linspace(0.0, 1.0, 13):
            piece = compose(seed, genre, bars=2, density=float(density), chords=progression)
            steps = [onset_steps(piece, bar) for bar in range(2)]
            assert steps[0] == steps[1] == set(active_steps(float(density), piece.style.fill))
            counts.append(len(steps[0]))
        assert counts == list(range(4, 17))


@pytest.mark.parametrize("fill", range(len(FILLS)))
def test_more_density_only_adds_steps(fill: int) -> None:
    sets = [set(active_steps(density, fill)) for density in np.linspace(0.0, 1.0, 50)]
    assert all(fewer <= more for fewer, more in pairwise(sets))


@both_genres
def test_a_kick_marks_every_beat(genre: Genre) -> None:
    kick = {"techno": "kick", "ambient": "pulse"}[genre]
    for piece in CORPUS[genre][:10]:
        ticks = [hit.start_tick for hit in piece.hits if hit.instrument == kick]
        assert ticks == [480 * beat for beat in range(4 * piece.bars)]


@both_genres
def test_pitched_hits_belong_to_the_chord_of_their_tick(genre: Genre) -> None:
    for piece in CORPUS[genre]:
        for hit in piece.hits:
            if hit.pitch:
                assert hit.pitch % 12 in piece.chord_at(hit.start_tick).pitch_classes


@both_genres
def test_a_held_chord_sounds_at_every_tick_of_a_bar_with_changes(genre: Genre) -> None:
    piece = compose(0, genre, bars=1, chords=parse_progression("Am F C7 | G"), density=0.0)
    held = {"techno": "pad", "ambient": "warm"}[genre]
    for tick in range(0, TICKS_PER_BAR, 40):
        sounding = {
            hit.pitch % 12
            for hit in piece.hits
            if hit.instrument == held and hit.start_tick <= tick < hit.start_tick + hit.length_ticks
        }
        assert sounding == set(piece.chord_at(tick).pitch_classes)


def test_a_bar_without_a_chord_has_no_tones() -> None:
    for genre in GENRES:
        piece = compose(0, genre, bars=1, chords=parse_progression("N"), density=1.0)
        assert {hit.pitch for hit in piece.hits} == {0}


def test_roots_density_and_brightness_are_spread_evenly() -> None:
    pieces = [compose(seed, "techno") for seed in range(300)]
    roots = Counter(chords[0].root for piece in pieces for chords in piece.chords)
    assert min(roots.values()) > 0.7 * max(roots.values())
    for values in (
        [value for piece in pieces for value in piece.density],
        [value for piece in pieces for value in piece.brightness],
    ):
        shares = np.histogram(values, bins=10, range=(0.0, 1.0))[0] / len(values)
        assert shares.min() > 0.07
        assert shares.max() < 0.13


def test_some_pieces_change_chords_within_a_bar_and_some_leave_the_key() -> None:
    pieces = CORPUS["techno"] + CORPUS["ambient"]
    assert sum(any(len(chords) > 1 for chords in piece.chords) for piece in pieces) > 10
    scales = [set(piece.key.pitch_classes) for piece in pieces]
    free = [
        any(not set(chords[0].pitch_classes) <= scale for chords in piece.chords)
        for piece, scale in zip(pieces, scales, strict=True)
    ]
    assert 30 < sum(free) < 100


def test_style_vectors_are_in_range_and_tell_styles_apart() -> None:
    vectors = np.stack([piece.style.vector() for piece in CORPUS["techno"]])
    assert vectors.dtype == np.float32
    assert vectors.shape[1] == len(fields(Style)) - len(CHOICES) + sum(CHOICES.values())
    assert vectors.min() >= 0.0
    assert vectors.max() <= 1.0
    assert len(np.unique(vectors, axis=0)) == len(vectors)


def test_a_style_out_of_range_is_refused() -> None:
    style = CORPUS["techno"][0].style
    for change in ({"width": 1.5}, {"kick_tone": -0.1}, {"fill": 3}):
        with pytest.raises(PieceError, match=next(iter(change))):
            replace(style, **change)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"genre": "polka"}, "genre"),
        ({"bars": 0}, "bar"),
        ({"seed": -1}, "seed"),
        ({"tempo_bpm": 5.0}, "tempo"),
        ({"density": 1.2}, "density"),
        ({"brightness": [0.1, 0.2]}, "brightness"),
        ({"density": [float("nan")] * 4}, "density"),
        ({"chords": ()}, "chords"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict[str, object], word: str) -> None:
    given: dict[str, object] = {"seed": 0, "genre": "techno", "bars": 4} | arguments
    with pytest.raises(PieceError, match=word):
        compose(**given)
