"""Usual playing: a stretch that goes round, chosen by seed near the lead that is there."""

import numpy as np
import pytest

from engine.errors import ManifestError
from engine.models.getmusic_usual import BARS, Usual, played
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary
from tests.tiny_getmusic import dictionary_text

WORDS = Dictionary.read(dictionary_text())


def rows(count: int) -> np.ndarray:
    """Stretch n has lead density n / 100; every bar is another."""
    made = np.full((count, BARS, 2, len(ROLES)), 0.5, np.float32)
    made[:, :, 0, 0] = np.arange(count)[:, None] / 100
    made[:, :, 0, 1] = np.arange(BARS) / 10
    return made


def test_only_the_roles_asked_for_are_told_and_bars_go_round() -> None:
    usual = Usual.of({"usual": rows(3).tolist()})
    assert usual is not None
    density, register = usual.wishes({"bass"}, 96, seed=1, first_bar=2, lead=None)
    assert density.shape == register.shape == (6, 96)
    assert np.allclose(density[1, ::16], [0.2, 0.3, 0.0, 0.1, 0.2, 0.3])
    assert (register[1] == 0.5).all()
    assert (density[[0, 2, 3, 4, 5]] == -1).all()
    assert (register[[0, 2, 3, 4, 5]] == -1).all()


def test_a_stretch_whose_lead_is_like_the_one_there_is_chosen_by_seed() -> None:
    usual = Usual(rows(100))
    chosen = {round(float(usual.wishes({"lead"}, 16, seed=s, lead=(0.9, 0.5))[0][0, 0]), 2) for s in range(60)}
    assert len(chosen) > 10
    assert min(chosen) >= 0.76
    assert {float(usual.wishes({"lead"}, 16, seed=7, lead=(0.2, 0.5))[0][0, 0]) for _ in range(3)} == {
        float(usual.wishes({"lead"}, 16, seed=7, lead=(0.2, 0.5))[0][0, 0])
    }


def test_bundles_need_not_say_and_must_not_say_nonsense() -> None:
    assert Usual.of({}) is None
    for wrong in ([], [1, 2, 3], "much", rows(2).tolist()[0][0], np.full((1, BARS, 2, 6), 7.0).tolist(), [[None]]):
        with pytest.raises(ManifestError, match="export it again"):
            Usual.of({"usual": wrong})


def test_what_a_row_plays_is_its_density_and_its_register() -> None:
    row = np.full(32, PAD)
    assert played(row, WORDS, "lead") is None
    row[[0, 8]] = WORDS.ranges["lead"].start + np.array([60, 72])
    assert played(row, WORDS, "lead") == pytest.approx((2 / 32, 66 / 127))
