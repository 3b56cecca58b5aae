"""Usual playing: a stretch that goes round, chosen by seed near the lead that is there."""

import base64

import numpy as np
import pytest

from engine.errors import ManifestError
from engine.models.getmusic.defaults import PlayingDefaults, played
from engine.music.bandfeatures import STRETCH, packed, unpacked
from engine.music.score import ROLES
from engine.music.vocabulary import PAD, Dictionary
from tests.tiny_getmusic import dictionary_text

WORDS = Dictionary.read(dictionary_text())


def rows(count: int) -> np.ndarray:
    """Stretch n has lead density n / 100; every bar is another."""
    made = np.full((count, STRETCH, 2, len(ROLES)), 0.5, np.float32)
    made[:, :, 0, 0] = np.arange(count)[:, None] / 100
    made[:, :, 0, 1] = np.arange(STRETCH) / 10
    return made


def test_only_the_roles_asked_for_are_told_and_bars_go_round() -> None:
    defaults = PlayingDefaults.from_fact(packed(rows(3)))
    assert defaults is not None
    density, register = defaults.choose({"bass"}, 96, seed=1, first_bar=STRETCH - 2, lead=None)
    assert density.shape == register.shape == (6, 96)
    assert np.allclose(density[1, ::16], [0.6, 0.7, 0.0, 0.1, 0.2, 0.3], atol=1e-3)
    assert (register[1] == 0.5).all()
    assert (density[[0, 2, 3, 4, 5]] == -1).all()
    assert (register[[0, 2, 3, 4, 5]] == -1).all()


def test_a_stretch_whose_lead_is_like_the_one_there_is_chosen_by_seed() -> None:
    defaults = PlayingDefaults(rows(100))
    chosen = {round(float(defaults.choose({"lead"}, 16, seed=s, lead=(0.9, 0.5))[0][0, 0]), 2) for s in range(60)}
    assert len(chosen) > 10
    assert min(chosen) >= 0.52
    assert {float(defaults.choose({"lead"}, 16, seed=7, lead=(0.2, 0.5))[0][0, 0]) for _ in range(3)} == {
        float(defaults.choose({"lead"}, 16, seed=7, lead=(0.2, 0.5))[0][0, 0])
    }


def test_another_stretch_follows_and_where_one_begins_to_count_changes_nothing() -> None:
    defaults = PlayingDefaults(rows(100))
    whole, _ = defaults.choose({"lead"}, 4 * STRETCH * 16, seed=5, lead=None)
    sections = whole[0].reshape(4, -1)
    assert (sections == sections[:, :1]).all()
    assert len(set(sections[:, 0].tolist())) > 1
    late, _ = defaults.choose({"lead"}, STRETCH * 16, seed=5, first_bar=STRETCH - 2, lead=None)
    assert (late == whole[:, (STRETCH - 2) * 16 : (2 * STRETCH - 2) * 16]).all()


def test_packing_keeps_what_is_told_of_a_bar() -> None:
    sixteenths = (np.arange(17) / 16).astype(np.float32)
    assert (unpacked(packed(sixteenths)) == sixteenths).all()
    assert unpacked(packed(np.array([-1.0, 0.3], np.float32))) == pytest.approx([-1.0, 0.3], abs=1 / 480)


def test_bundles_need_not_say_and_must_not_say_nonsense() -> None:
    assert PlayingDefaults.from_fact(None) is None
    beyond = base64.b64encode(bytes([250] * STRETCH * 2 * 6)).decode()
    for wrong in ([], [1, 2, 3], "", "much", "müch", packed(rows(2)[0][0]), beyond):
        with pytest.raises(ManifestError, match="export it again"):
            PlayingDefaults.from_fact(wrong)


def test_what_a_row_plays_is_its_density_and_its_register() -> None:
    row = np.full(32, PAD)
    assert played(row, WORDS, "lead") is None
    row[[0, 8]] = WORDS.ranges["lead"].start + np.array([60, 72])
    assert played(row, WORDS, "lead") == pytest.approx((2 / 32, 66 / 127))
