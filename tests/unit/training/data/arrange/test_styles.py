"""Styles have meters, swing, instruments and patterns of the right length."""

import pytest

from engine.music.score import ROLES
from training.data.arrange.drums import FILLS
from training.data.arrange.harmony import FAMILIES
from training.data.arrange.styles import GRID_STYLES, STYLES, draw_programs, read_styles


def test_there_are_styles_of_every_meter_and_of_both_kinds_of_swing() -> None:
    assert len(STYLES) >= 26
    assert {style.meter for style in STYLES.values()} == {"4/4", "3/4", "6/8", "2/4"}
    assert {style.swing_unit for style in STYLES.values() if style.swing > 0.5} == {8, 16}
    assert all(0.5 <= style.swing <= 0.67 for style in STYLES.values())
    named = {"rock", "funk", "reggae", "bossa", "jazz", "blues", "waltz", "jazz_waltz", "ballad_68", "polka", "hiphop"}
    named |= {"house", "techno", "drum_and_bass", "ambient", "film", "folk_guitar", "chiptune", "samba", "soul"}
    assert named | {"country", "disco", "metal", "lofi"} <= set(STYLES)


def test_grids_are_made_from_the_first_styles_which_are_in_four() -> None:
    assert len(GRID_STYLES) == 18
    assert all(STYLES[name].meter == "4/4" for name in GRID_STYLES)


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_style_names_what_there_is(style) -> None:
    assert style.harmony in FAMILIES
    assert set(style.fills) <= set(FILLS)
    assert set(style.programs) == set(ROLES)
    assert 40 <= style.tempo[0] < style.tempo[1] <= 200
    assert any(style.bass)
    assert any(style.piano) or any(style.guitar)


def test_programs_are_drawn_from_the_styles_own_by_seed() -> None:
    style = STYLES["soul"]
    drawn = [draw_programs(style, seed) for seed in range(30)]
    assert all(each[role] in style.programs[role] for each in drawn for role in ROLES)
    assert {each["lead"] for each in drawn} == set(style.programs["lead"])
    assert draw_programs(style, 3) == drawn[3]


@pytest.mark.parametrize(
    "line", ["meter 3/4\nbass main R...............", "programs lead 128", "programs drum 7", "shuffle 0.6"]
)
def test_what_no_style_has_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="wanted"):
        read_styles(f"style x 60 90\n{line}\n")
