"""What a step trains on depends on the seed, the step and the process, in every task, and never on held-out music."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
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
    recipe = replace(recipe, data=replace(recipe.data, pieces=6))  # some of them on either side
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


def noted(method: Callable[..., Any], read: list[tuple[Any, ...]]) -> Callable[..., Any]:
    """`method`, whose arguments are in `read` afterwards: the piece, and the place in it if it is one of them."""

    def call(piece: Any, *place: Any) -> Any:
        read.append((getattr(piece, "checksum", piece), *place))
        return method(piece, *place)

    return call


def watched(built: Task, monkeypatch: pytest.MonkeyPatch) -> tuple[set[Any], list[tuple[Any, ...]]]:
    """The held-out pieces of a task, and a list that grows by each piece that is read."""
    held, read = set[Any](), list[tuple[Any, ...]]()
    for name, value in list(vars(built).items()):
        if isinstance(value, Store):
            held = {entry.checksum for entry in value.held_out}
            monkeypatch.setattr(value, "whole", noted(value.whole, read))
        elif isinstance(value, Grids):
            held = set(value.pieces(held_out=True))
            monkeypatch.setattr(value, "window", noted(value.window, read))
        elif name == "_held":
            held = {repr(each.piece) for each in value}
            read += [(repr(each.piece),) for each in vars(built)["_pieces"]]
            monkeypatch.setattr(built, "_held", [])
    return held, read


def test_training_reads_no_held_out_piece(task: tuple[Task, str], monkeypatch: pytest.MonkeyPatch) -> None:
    held, read = watched(task[0], monkeypatch)
    for step in range(12):
        task[0].batch(step, batch_rng(0, step, 0))
    assert held
    assert read
    assert not held & {piece for piece, *_ in read}


def test_the_pieces_that_are_read_depend_on_the_seed(task: tuple[Task, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only what is done with them afterwards, such as gains and masks."""
    built, _ = task
    if not any(isinstance(value, Store | Grids) for value in vars(built).values()):
        return  # its pieces are in memory, and its batches hold nothing but them
    _, read = watched(built, monkeypatch)
    orders = []
    for seed in range(4):
        read.clear()
        for step in range(6):
            built.batch(step, batch_rng(seed, step, 0))
        orders.append(tuple(read))
    assert len(set(orders)) == len(orders)


def test_random_numbers_of_a_step_depend_on_seed_step_and_process() -> None:
    cases = [(3, 5, 0), (4, 5, 0), (3, 6, 0), (3, 5, 1)]
    assert len({noise_seed(*case) for case in cases}) == len(cases)
    assert len({batch_rng(*case).random() for case in cases}) == len(cases)
    assert noise_seed(*cases[0]) == noise_seed(*cases[0])
