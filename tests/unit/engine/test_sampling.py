"""Draws are exact, belong to a place, and rests are decided apart from what sounds."""

import numpy as np
import pytest

from engine.errors import ShapeError
from engine.sampling import draw, draw_or_rest, nucleus, uniforms

LOGITS = np.log(np.array([0.1, 0.0625, 0.5, 0.3375]))
MANY = 20_000


def rows(logits: np.ndarray, count: int = MANY) -> np.ndarray:
    return np.repeat(np.asarray(logits, np.float32)[None], count, axis=0)


def shares(ids: np.ndarray, classes: int) -> np.ndarray:
    return np.bincount(ids, minlength=classes) / len(ids)


def test_numbers_belong_to_their_place() -> None:
    assert np.array_equal(uniforms(5, 3, 22, 0, 1, 7), uniforms(9, 3, 22, 0, 1, 7)[:5])
    places = [uniforms(4, *place) for place in ((3, 22, 0, 1, 7), (3, 22, 1, 1, 7), (4, 22, 0, 1, 7), (3, 21, 0, 1, 7))]
    assert len({tuple(row) for row in places}) == len(places)


def test_numbers_fill_the_interval_evenly() -> None:
    numbers = uniforms(MANY, 1, 22)
    assert numbers.min() >= 0.0
    assert numbers.max() < 1.0
    assert np.allclose(np.histogram(numbers, 10, (0, 1))[0] / MANY, 0.1, atol=0.01)
    assert len(np.unique(numbers)) == MANY, "48 bits hardly ever meet, 24 would"


def test_classes_come_as_often_as_they_should() -> None:
    drawn = draw(rows(LOGITS), uniforms(MANY, 1, 22))
    assert np.allclose(shares(drawn.ids, 4), np.exp(LOGITS), atol=0.012)
    assert np.allclose(drawn.log_p, LOGITS[drawn.ids], atol=1e-6)
    assert np.allclose(drawn.entropy, -(np.exp(LOGITS) * LOGITS).sum(), atol=1e-6)


def test_a_draw_is_the_inverse_of_the_cumulative_sum_to_the_last_digit() -> None:
    edges = np.array([0.0, 0.1 - 1e-9, 0.1 + 1e-9, 0.1625 + 1e-9, 0.6625 - 1e-9, 0.6625 + 1e-9, 1 - 2**-48])
    assert draw(np.repeat(LOGITS[None], 7, axis=0), edges).ids.tolist() == [0, 0, 1, 2, 2, 3, 3]


def test_what_is_forbidden_never_comes() -> None:
    logits = np.array([-np.inf, 0.0, -np.inf, 1.0, -np.inf])
    edges = np.array([0.0, 0.5, 1.0 - 2.0**-48])
    assert set(draw(np.repeat(logits[None], 3, axis=0), edges).ids) <= {1, 3}


def test_a_row_does_not_depend_on_its_company() -> None:
    rng = np.random.default_rng(0)
    logits, u = rng.standard_normal((50, 300)).astype(np.float32), uniforms(50, 9, 22)
    together = draw(logits, u, temperature=0.8, top_p=0.9).ids
    alone = [int(draw(logits[i : i + 1], u[i : i + 1], temperature=0.8, top_p=0.9).ids[0]) for i in range(50)]
    assert together.tolist() == alone


def test_temperature_sharpens_and_zero_takes_the_likeliest() -> None:
    u = uniforms(MANY, 2, 22)
    wanted = np.exp(LOGITS / 0.5) / np.exp(LOGITS / 0.5).sum()
    assert np.allclose(shares(draw(rows(LOGITS), u, temperature=0.5).ids, 4), wanted, atol=0.012)
    assert set(draw(rows(LOGITS), u, temperature=0.0).ids) == {2}


def test_a_nucleus_is_the_smallest_set_that_reaches_the_share() -> None:
    p = np.exp(LOGITS)[None]
    assert (nucleus(p, 0.5) > 0).tolist() == [[False, False, True, False]]
    assert (nucleus(p, 0.51) > 0).tolist() == [[False, False, True, True]]
    assert (nucleus(p, 0.9) > 0).tolist() == [[True, False, True, True]]
    assert (nucleus(p, 1.0) > 0).all()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.3, 1.0), (1.0, 0.3), (0.0, 1.0)])
def test_rests_come_as_often_however_the_rest_is_shaped(temperature: float, top_p: float) -> None:
    u = uniforms(2 * MANY, 3, 22).reshape(MANY, 2)
    drawn = draw_or_rest(rows(LOGITS), u, temperature=temperature, top_p=top_p)
    assert np.mean(drawn.ids == 3) == pytest.approx(0.3375, abs=0.012)


def test_plain_draws_with_rests_are_draws() -> None:
    u = uniforms(2 * MANY, 4, 22).reshape(MANY, 2)
    assert np.allclose(shares(draw_or_rest(rows(LOGITS), u).ids, 4), np.exp(LOGITS), atol=0.012)


def test_limits_change_what_sounds_but_not_how_often() -> None:
    u = uniforms(2 * MANY, 5, 22).reshape(MANY, 2)
    drawn = draw_or_rest(rows(LOGITS), u, allowed=np.array([True, True, False]))
    assert np.allclose(shares(drawn.ids, 4), [0.6625 * 0.1 / 0.1625, 0.6625 * 0.0625 / 0.1625, 0, 0.3375], atol=0.012)
    assert set(draw_or_rest(rows(LOGITS), u, allowed=np.zeros(3, np.bool_)).ids) == {3}


def test_leaning_moves_what_sounds_but_not_how_often() -> None:
    u = uniforms(2 * MANY, 7, 22).reshape(MANY, 2)
    drawn = draw_or_rest(rows(LOGITS), u, lean=np.array([0.0, 0.0, -2.0]))
    weights = np.exp(LOGITS[:3] + np.array([0.0, 0.0, -2.0]))
    assert np.allclose(shares(drawn.ids, 4), [*(0.6625 * weights / weights.sum()), 0.3375], atol=0.012)


def test_a_bias_thins_and_thickens() -> None:
    u = uniforms(2 * MANY, 6, 22).reshape(MANY, 2)
    odds = 0.3375 * np.e / (0.3375 * np.e + 0.6625)
    assert np.mean(draw_or_rest(rows(LOGITS), u, bias=1.0).ids == 3) == pytest.approx(odds, abs=0.012)
    assert set(draw_or_rest(rows(LOGITS), u, bias=np.inf).ids) == {3}
    assert 3 not in draw_or_rest(rows(LOGITS), u, bias=-np.inf).ids


def test_nothing_to_draw_is_no_error() -> None:
    assert draw(np.zeros((0, 4), np.float32), np.zeros(0)).ids.shape == (0,)
    assert draw_or_rest(np.zeros((0, 4), np.float32), np.zeros((0, 2))).ids.shape == (0,)


@pytest.mark.parametrize(
    ("logits", "u", "temperature", "top_p"),
    [
        (np.full((1, 3), -np.inf), np.zeros(1), 1.0, 1.0),
        (np.full((1, 3), np.nan), np.zeros(1), 1.0, 1.0),
        (np.zeros((2, 3)), np.zeros(1), 1.0, 1.0),
        (np.zeros((1, 3)), np.zeros(1), -0.1, 1.0),
        (np.zeros((1, 3)), np.zeros(1), float("nan"), 1.0),
        (np.zeros((1, 3)), np.zeros(1), 1.0, 0.0),
    ],
)
def test_impossible_draws_are_refused(logits: np.ndarray, u: np.ndarray, temperature: float, top_p: float) -> None:
    with pytest.raises(ShapeError):
        draw(logits, u, temperature=temperature, top_p=top_p)
