"""What a step trains on depends on the seed, the step and the process, in every task, and never on held-out music."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import training.tasks
from tests.unit.training.band import write_store
from tests.unit.training.models.test_musika_live import TOY
from tests.unit.training.tasks import test_encodec, test_getmusic, test_musicgen, test_tasks
from training.config import Data, Recipe
from training.data.grids import Grids
from training.data.store import Store
from training.loop import batch_rng, noise_seed
from training.models.encodec import Encodec, init_weights
from training.models.musicgen_files import CODEC_FILE, save_codec
from training.task import Batch, Task
from training.tasks.encodec import TrainCodec
from training.tasks.getmusic import LiveBand
from training.tasks.getmusic_published import PublishedBand
from training.tasks.latent_gan import LatentGan
from training.tasks.musicgen import TrainLM
from training.tasks.musika_live import LiveAutoencoder, LiveGan

BATCH = 4


def musika(name: str) -> Callable[[Path], Recipe]:
    def make(folder: Path) -> Recipe:
        settings = test_tasks.settings(name, test_tasks.whole(folder))
        return test_tasks.recipe(settings, folder, batch=BATCH)

    return make


def latent_gan(folder: Path) -> Recipe:
    return test_tasks.recipe(LatentGan(start=test_tasks.whole(folder), small=True), folder, batch=BATCH)


def live_autoencoder(folder: Path) -> Recipe:
    return Recipe(task=LiveAutoencoder(model=TOY, frames=6), data=Data(pieces=3, bars=1), steps=9, batch=BATCH)


def live_gan(folder: Path) -> Recipe:
    recipe = live_autoencoder(folder)
    recipe.task.build(recipe).publish(folder, {})
    task = LiveGan(autoencoder=str(folder), frames=12)
    return Recipe(task=task, data=Data(pieces=3, bars=1), steps=9, batch=BATCH)


def language_model(folder: Path) -> Recipe:
    torch.manual_seed(0)
    codec = Encodec(test_musicgen.CODEC)
    init_weights(codec)
    codec.quantiser.books.normal_()
    save_codec(folder / CODEC_FILE, codec, {"licence": "MIT"})
    return test_musicgen._recipe(folder, folder / CODEC_FILE, batch=BATCH)


RECIPES: Mapping[str, tuple[Callable[[Path], Recipe], str]] = {
    "Level1Magnitude": (musika("ae1"), "audio"),
    "Level1Sound": (musika("ae2"), "audio"),
    "Level2Latents": (musika("ae3"), "audio"),
    "Level2Sound": (musika("ae4"), "audio"),
    LatentGan.__name__: (latent_gan, "real"),
    LiveAutoencoder.__name__: (live_autoencoder, "tones"),
    LiveGan.__name__: (live_gan, "latents"),
    TrainCodec.__name__: (test_encodec._recipe, "audio"),
    TrainLM.__name__: (language_model, "codes"),
    LiveBand.__name__: (lambda folder: test_getmusic.live_recipe(write_store(folder), batch=BATCH), "tokens"),
    PublishedBand.__name__: (lambda folder: test_getmusic.published_recipe(write_store(folder), batch=BATCH), "grid"),
}
"""By the name of a task's settings: a small recipe, and the tensor of a batch that holds the music."""


@pytest.fixture(scope="module", params=sorted(RECIPES))
def task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, str]:
    make, music = RECIPES[request.param]
    torch.manual_seed(0)
    recipe = make(tmp_path_factory.mktemp("batches"))
    built = recipe.task.build(recipe)
    built.prepare(torch.device("cpu"))
    return built, music


def same(one: Batch, two: Batch) -> bool:
    assert set(one) == set(two)
    return all(torch.equal(one[name], two[name]) for name in one)


def test_every_task_is_held_to_it() -> None:
    found = set()
    for module in pkgutil.iter_modules(training.tasks.__path__):
        for name, value in vars(importlib.import_module(f"training.tasks.{module.name}")).items():
            if inspect.isclass(value) and hasattr(value, "build") and value.__module__.startswith("training.tasks"):
                found.add(name)
    assert found == set(RECIPES)


def test_music_depends_on_seed_step_and_process(task: tuple[Task, str]) -> None:
    built, music = task

    def batch(seed: int, step: int, process: int) -> Batch:
        return built.batch(step, batch_rng(seed, step, process))

    first = batch(3, 5, 0)
    assert same(first, batch(3, 5, 0))
    for other in (batch(4, 5, 0), batch(3, 6, 0), batch(3, 5, 1)):
        assert first[music].shape != other[music].shape or not torch.equal(first[music], other[music])
    items = first[music]
    assert any(not torch.equal(items[0], item) for item in items[1:]), "all items of a batch are the same"


def noting(method: Callable[..., Any], read: set[Any]) -> Callable[..., Any]:
    """`method`, and what its first argument names is in `read` afterwards."""

    def noted(piece: Any, *more: Any) -> Any:
        read.add(getattr(piece, "checksum", piece))
        return method(piece, *more)

    return noted


def test_training_reads_no_held_out_piece(task: tuple[Task, str], monkeypatch: pytest.MonkeyPatch) -> None:
    built, _ = task
    held, read = set[Any](), set[Any]()
    for name, value in list(vars(built).items()):
        if isinstance(value, Store):
            held = {entry.checksum for entry in value.held_out}
            monkeypatch.setattr(value, "whole", noting(value.whole, read))
        elif isinstance(value, Grids):
            held = set(value.pieces(held_out=True))
            monkeypatch.setattr(value, "window", noting(value.window, read))
        elif name == "_held":
            held = {repr(each.piece) for each in value}
            read |= {repr(each.piece) for each in vars(built)["_pieces"]}
            monkeypatch.setattr(built, "_held", [])
    for step in range(12):
        built.batch(step, batch_rng(0, step, 0))
    assert held
    assert read
    assert not held & read


def test_random_numbers_of_a_step_depend_on_seed_step_and_process() -> None:
    cases = [(3, 5, 0), (4, 5, 0), (3, 6, 0), (3, 5, 1)]
    assert len({noise_seed(*case) for case in cases}) == len(cases)
    assert len({batch_rng(*case).random() for case in cases}) == len(cases)
    assert noise_seed(*cases[0]) == noise_seed(*cases[0])
