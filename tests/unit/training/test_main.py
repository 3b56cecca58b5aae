"""The command runs recipes by name or file, and says by its exit status what went wrong."""

import importlib
from pathlib import Path

import pytest

from training.__main__ import find_recipe, main, recipe_names
from training.config import Optim, RecipeError
from training.models.musika import M22, M44
from training.tasks.autoencoder import Level1Magnitude, Level1Sound, Level2Latents, Level2Sound
from training.tasks.latent_gan import LatentGan

OWN = """
from tests.unit.training.toy import toy_recipe
RECIPE = toy_recipe()
"""


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_says_what_it_is_and_starts_from_one_that_exists(name: str) -> None:
    recipe = find_recipe(name)
    text = importlib.import_module(f"training.recipes.{name}").__doc__
    assert text is not None
    assert len(text.splitlines()[0]) > 20
    start = getattr(recipe.task, "start", "")
    if start:
        folder, before = Path(start).parts[:2]
        assert folder == "runs"
        assert before in recipe_names()


def test_official_recipes_have_the_published_sizes_and_settings() -> None:
    for size, model in (("44", M44), ("22", M22)):
        kinds = [type(find_recipe(f"musika{size}_ae{phase}").task) for phase in (1, 2, 3, 4)]
        assert kinds == [Level1Magnitude, Level1Sound, Level2Latents, Level2Sound]
        first = find_recipe(f"musika{size}_ae1").task
        assert isinstance(first, Level1Magnitude)
        assert first.model == model
        steps = [find_recipe(f"musika{size}_ae{phase}").steps for phase in (1, 2, 3, 4)]
        assert (steps[0] + steps[1], steps[2] + steps[3]) == (1_000_000, 400_000)
    gan = find_recipe("musika44_gan")
    assert (gan.batch, gan.steps * gan.batch) == (32, 250 * 300_000)
    assert gan.optim == Optim(lr=1e-4, betas=(0.5, 0.999), eps=1e-7, average=0.999)
    paper = find_recipe("musika22_gan")
    assert (paper.steps * paper.batch, paper.optim.betas) == (100 * 250_000, (0.9, 0.999))
    conditioned = find_recipe("musika44_conditioned_gan").task
    assert isinstance(conditioned, LatentGan)
    assert conditioned.conditions == ("density", "tempo")


def test_a_recipe_s_old_name_is_accepted_and_the_new_one_is_named(caplog: pytest.LogCaptureFixture) -> None:
    for size in ("musika22", "musika44", "tiny"):
        assert find_recipe(f"{size}_told_gan") is find_recipe(f"{size}_conditioned_gan")
    assert len(caplog.records) == 3
    assert "now called tiny_conditioned_gan" in caplog.text
    with pytest.raises(RecipeError, match="wanted one of"):
        find_recipe("none_told_gan")


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(recipe_names())
    assert main([]) == 2


def test_a_recipe_of_ones_own_runs_stops_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.py").write_text(OWN)
    command = [str(tmp_path / "own.py"), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*command, "--set", "optim.lr=1e-3", "--until", "2"]) == 0
    assert "2 steps done" in capsys.readouterr().err
    assert main(command) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert main([*command, "--resume", "--steps", "3"]) == 0
    assert "3 steps done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["nothing"], "wanted one of codec, encodec_32k"),
        (["missing.py"], "no such file"),
        (["tiny_ae1", "--set", "optim.rate=1"], "should be one of lr"),
        (["tiny_ae1", "--steps", "0"], "got steps 0"),
        (["tiny_ae2", "--set", "task.start=nowhere.safetensors"], "train the recipe before this one"),
    ],
)
def test_a_wrong_call_says_what_to_change(
    command: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", str(tmp_path / "run"), "--device", "cpu"]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_sound_fails_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    command = ["tiny_ae1", "--set", f"data.folder={folder}", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main(command) == 1
    assert "no sound files" in capsys.readouterr().err
