"""The band without weights plays the chords it is told, in its bar, the same for the same seed."""

from dataclasses import replace

import pytest

from engine.band.patterns import PatternBand
from engine.music.harmony import Chord, parse_progression
from engine.music.score import ROLES, Note
from engine.protocols.accompanist import BAR_TICKS, BarRequest

REQUEST = BarRequest(
    number=3,
    bar=5,
    first=3,
    tracks={},
    known=0,
    targets=ROLES[1:],
    chords=tuple(row * 4 for row in parse_progression("C G Am F")),
    tempo_bpm=120.0,
    deadline_s=0.0,
    seed=1,
)


def test_every_role_plays_the_chord_and_the_bass_its_root() -> None:
    for seed in range(20):
        made = PatternBand().make(replace(REQUEST, seed=seed))
        assert (made.number, made.bar, len(made.bars)) == (3, 5, 2)
        for bar, classes, root in zip(made.bars, ({9, 0, 4}, {5, 9, 0}), (9, 5), strict=True):
            assert set(bar) == set(ROLES[1:])
            for role in ("bass", "guitar", "piano", "string"):
                assert {note.pitch % 12 for note in bar[role]} <= classes
                assert all(0 <= note.start < BAR_TICKS for note in bar[role])
            assert bar["bass"][0].pitch % 12 == root


def test_same_seed_same_bar_and_other_seeds_others() -> None:
    assert PatternBand().make(REQUEST).bars == PatternBand().make(REQUEST).bars
    assert len({repr(PatternBand().make(replace(REQUEST, seed=seed)).bars) for seed in range(20)}) > 5


def test_chord_that_changes_within_the_bar_is_followed() -> None:
    chords = parse_progression("C | G | Am Am F F | C")
    rows = tuple(row if len(row) == 4 else row * 4 for row in chords)
    for seed in range(20):
        string = PatternBand().make(replace(REQUEST, chords=rows, seed=seed)).bars[0]["string"]
        assert {note.start for note in string} == {0, BAR_TICKS // 2}


@pytest.mark.parametrize("chords", [None, parse_progression("N")[0][0]])
def test_without_a_chord_only_the_drums_play(chords: Chord | None) -> None:
    made = PatternBand().make(replace(REQUEST, chords=((chords,) * 4,) * 4))
    assert [set(bar) for bar in made.bars] == [{"drum"}, {"drum"}]


def test_only_wanted_roles_play() -> None:
    assert set(PatternBand().make(replace(REQUEST, targets=("bass", "drum"))).bars[0]) == {"bass", "drum"}


def test_busy_player_is_left_room() -> None:
    melody = tuple(Note(step * 240, 72, 240) for step in range(16))
    busy = replace(REQUEST, tracks={"lead": melody}, known=3840)
    fewer = [len(PatternBand().make(replace(busy, seed=s)).bars[0]["piano"]) for s in range(20)]
    usual = [len(PatternBand().make(replace(REQUEST, seed=s)).bars[0]["piano"]) for s in range(20)]
    assert sum(fewer) < sum(usual)


def test_less_is_left_out_where_less_is_wanted_the_strongest_columns_last() -> None:
    few = PatternBand().make(replace(REQUEST, density={"drum": 0.0625, "bass": 0.0})).bars[0]
    assert {note.start for note in few["drum"]} == {0}
    assert not few["bass"]
    assert PatternBand().make(replace(REQUEST, density={"drum": 1.0})).bars == PatternBand().make(REQUEST).bars
