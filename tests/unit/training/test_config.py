"""Recipes are checked when made, changed by name, and written down whole."""

import json
from dataclasses import FrozenInstanceError
from itertools import pairwise

import pytest

from tests.unit.training.toy import Toy, toy_recipe
from training.config import Data, Optim, RecipeError, describe, with_values


def test_values_are_set_by_path_and_type() -> None:
    changed = with_values(
        toy_recipe(),
        ["optim.lr=3e-4", "steps=12", "optim.betas=0.9, 0.99", "data.folder=/music", "data.genres=ambient",
         "task.width=16", "precision=bf16-mixed", "optim.critic_lr=1e-3"],
    )  # fmt: skip
    assert changed.optim == Optim(lr=3e-4, critic_lr=1e-3, betas=(0.9, 0.99), average=0.9, decay=4)
    assert (changed.steps, changed.precision, changed.task) == (12, "bf16-mixed", Toy(width=16))
    assert changed.data == Data(folder="/music", genres=("ambient",), workers=0)
    assert with_values(changed, ["optim.critic_lr=none"]).optim.critic_lr is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("optim.lr", "path=value"),
        ("optim.rate=1", "'rate' should be one of lr"),
        ("optim.lr.x=1", "nothing below it"),
        ("optim.lr=fast", "like float"),
        ("steps=1.5", "like int"),
        ("steps=0", "wanted 1"),
        ("optim.lr=-1", "wanted 0"),
        ("optim.betas=0.9", "2 values"),
        ("data.genres=polka", "one of techno, ambient"),
        ("data.genres=", "wanted one of them"),
        ("precision=8", "one of auto"),
        ("optim=1", "write a recipe"),
        ("data.valid=1.5", r"wanted 0.0..0.9"),
    ],
)
def test_what_cannot_be_set_says_what_can(setting: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        with_values(toy_recipe(), [setting])


def test_recipes_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        toy_recipe().steps = 3  # type: ignore[misc]


def test_rate_rises_holds_and_falls() -> None:
    optim = Optim(warmup=4, decay=10)
    scales = [optim.scale(step, 100) for step in range(100)]
    assert scales[:4] == [0.25, 0.5, 0.75, 1.0]
    assert scales[4:91] == [1.0] * 87
    assert all(a > b for a, b in pairwise(scales[90:]))
    assert 0.0 < scales[99] < 0.03
    assert [Optim().scale(step, 10) for step in (0, 9)] == [1.0, 1.0]


def test_description_is_json_and_names_kinds() -> None:
    told = json.loads(json.dumps(describe(toy_recipe())))
    assert told["kind"] == "Recipe"
    assert told["task"] == {"kind": "Toy", "width": 8, "fail_at": -1, "bad_from": -1}
    assert told["optim"]["betas"] == [0.5, 0.999]
