"""GETMusic's trainings learn, resume exactly, publish what loads, and ask for what they should."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.music.bandfeatures import STRETCH, unpacked
from engine.music.midifile import read_midi
from tests.unit.training.band import dictionary, write_store
from training import checkpoint
from training.config import Data, Optim, Recipe
from training.data.band_batches import PartProfile, live_batch, stream_places, stream_view
from training.data.grids import Grids
from training.data.masks import Chances
from training.evaluate.band_play import past_view
from training.loop import fit
from training.models.getmusic import Cells, GetdiffConfig
from training.models.getmusic_files import load
from training.models.getmusic_live import GetmusicLive, GetmusicLiveConfig
from training.recipes.getmusic_official import RECIPE as OFFICIAL
from training.recipes.tiny_getmusic import RECIPE as TINY
from training.task import TrainingError
from training.tasks.getmusic import FILE, LiveBand
from training.tasks.getmusic_published import FILE as FULL_FILE
from training.tasks.getmusic_published import PublishedBand

WORDS = dictionary()
SMALL = GetmusicLiveConfig(cell=8, width=16, layers=2, heads=2, ff=32, dropout=0.0, window=32, context=64)


def live_recipe(store: Path, **more) -> Recipe:
    task = LiveBand(model=SMALL, store=str(store), bars=4)
    optim = Optim(lr=3e-3, betas=(0.9, 0.98), average=0.9)
    return Recipe(task=task, data=Data(workers=0), optim=optim, **{"steps": 6, "batch": 2, "log_every": 0, **more})


def published_recipe(store: Path, **more) -> Recipe:
    sizes = GetdiffConfig(cell=8, width=16, layers=1, heads=2, ff=32, dropout=0.0)
    task = PublishedBand(sizes=sizes, store=str(store), bars=4)
    return Recipe(task=task, data=Data(workers=0), optim=Optim(lr=3e-3), **{"steps": 6, "batch": 2, **more})


def run(recipe: Recipe, out: Path, **options):
    return fit(recipe, out, accelerator="cpu", quiet=True, curves=False, **options)


@pytest.mark.parametrize("make", [live_recipe, published_recipe])
def test_three_steps_and_three_more_equal_six(tmp_path: Path, make) -> None:
    store = write_store(tmp_path / "store")
    straight = run(make(store), tmp_path / "a")
    run(make(store), tmp_path / "b", until=3)
    second = run(make(store), tmp_path / "b", resume=True)
    a, b = checkpoint.load(straight.checkpoint), checkpoint.load(second.checkpoint)
    for name in ("weights", "optimisers", "random"):
        left, right = getattr(a, name), getattr(b, name)
        assert set(left) == set(right)
        assert all(torch.equal(left[key], right[key]) for key in left), name


def test_a_band_learns_what_the_store_plays(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    recipe = live_recipe(store, steps=150, batch=4, evaluate_every=15)
    recipe = replace(recipe, optim=replace(recipe.optim, lr=1e-2))
    run(recipe, tmp_path / "run")
    lines = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    held = [json.loads(line)["held_loss"] for line in lines if '"evaluate"' in line]
    assert held[-1] < 0.3 * held[0]


def test_what_is_published_loads_and_says_where_it_is_from(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    run(live_recipe(store, steps=1), tmp_path / "live")
    loaded = load(tmp_path / "live" / FILE)
    assert loaded.kind == "live"
    assert loaded.dictionary.text == WORDS.text
    assert loaded.notes["licence"] == "MIT; learned from pieces under CC0"
    assert unpacked(loaded.notes["usual"]).size == 1024 * STRETCH * 2 * 6
    assert loaded.notes["lagged_chords"] is False
    assert loaded.notes["key_shift"] == "near"
    run(published_recipe(store, steps=1), tmp_path / "full")
    assert load(tmp_path / "full" / FULL_FILE).kind == "official"


def test_previews_are_pictures_and_scores(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store")
    run(live_recipe(store, steps=2, preview_every=2), tmp_path / "run")
    folder = tmp_path / "run/previews/step-000000002"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["made_0.mid", "made_0.png", "made_1.mid", "made_1.png", "real_0.png", "real_1.png"]
    played = read_midi((folder / "made_0.mid").read_bytes())
    assert [track.name for track in played.tracks if track.drums] in ([], ["drum"])
    assert played.tempos[0].bpm == 100.0
    assert (folder / "made_0.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_measured_beside_simple_players(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", bars=24)
    recipe = live_recipe(store, steps=1)
    run(recipe, tmp_path / "run")
    tables = recipe.task.measure(tmp_path / "run")
    assert len(tables) == 2
    for table in tables:
        header, *lines = table.rows
        assert header[1:] == ("real", "network", "network, with levels", "copy bar", "chord random", "retrieved")
        by_name = {line[0]: line[1:] for line in lines}
        assert by_name["kl pitch"][0] == "0.000"
        assert all(len(line) == 7 for line in lines)
    with pytest.raises(TrainingError, match="holds no live network"):
        recipe.task.measure(tmp_path / "nowhere")


def test_windows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    recipe = live_recipe(write_store(tmp_path / "store"))
    with pytest.raises(TrainingError, match="multiple"):
        LiveBand(model=SMALL, store=str(tmp_path / "store"), bars=5).build(recipe)


def test_two_streams_say_what_past_and_window_say(tmp_path: Path) -> None:
    """What is trained is what plays: each window's logits equal those after a past read by itself."""
    torch.manual_seed(0)
    store = Grids(write_store(tmp_path))
    network = GetmusicLive(WORDS, replace(SMALL, context=128)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    rng = np.random.default_rng(0)
    drawn = [store.whole(index) for index in (2, 3)]
    arrays = live_batch(drawn, 32, WORDS, PartProfile(WORDS), Chances(), rng)
    batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
    tokens, given, t, features = (batch[name] for name in ("tokens", "given", "t", "features"))
    asked = np.zeros((2, 14, 224), bool)
    asked[:, :12, 96:] = True
    view = torch.from_numpy(stream_view(128, 32))
    places = torch.from_numpy(stream_places(128, 32))
    with torch.no_grad():
        both = network(tokens, given, t, features, places, view, Cells.of(asked))
        for number in range(1, 4):
            cut = slice(96 + 32 * number, 128 + 32 * number)
            past = network.past(tokens[:, :, : 32 * number], given[:, :, : 32 * number], features[:, :, : 32 * number])
            cells = Cells.of(asked[:, :, cut])
            for item in range(2):
                one = slice(item, item + 1)
                alone = network.window(
                    tokens[one, :, cut], given[one, :, cut], t[one, cut][:, 0], features[one, :, cut],
                    (past[0][one], past[1][one]), Cells.of(asked[one, :, cut]),
                )  # fmt: skip
                wanted = both["piano"].reshape(2, 128, -1)[item, 32 * number : 32 * number + 32]
                assert torch.allclose(alone["piano"], wanted, atol=1e-4)
            assert len(cells.pitch[0]) == 64


def test_the_plain_player_sees_what_the_window_sees() -> None:
    view = past_view(96, 32)
    assert view[64:].all()
    assert not view[:64, 64:].any()
    assert view[20, :32].all()
    assert not view[20, 32:].any()


def test_official_recipe_has_the_published_settings() -> None:
    optim = OFFICIAL.optim
    assert OFFICIAL.task.sizes == GetdiffConfig()
    assert OFFICIAL.task.bars * 16 == 512
    assert (OFFICIAL.batch, OFFICIAL.steps, OFFICIAL.precision) == (3, 300_000, "32-true")
    assert (optim.lr, optim.betas, optim.clip, OFFICIAL.task.weight_decay) == (1e-4, (0.9, 0.999), 0.5, 0.01)
    assert optim.scale(0, 300_000) * 1e-4 == pytest.approx(3e-6, rel=0.05)
    assert optim.scale(1000, 300_000) == pytest.approx(1.0, rel=1e-3)
    assert optim.scale(150_500, 300_000) == pytest.approx(0.5, rel=1e-3)
    assert optim.scale(299_999, 300_000) * 1e-4 == pytest.approx(1e-6)
    assert optim.average**100 == pytest.approx(0.90, abs=1e-4)


def test_tiny_recipe_is_tiny() -> None:
    network = GetmusicLive(WORDS, TINY.task.model)
    assert sum(p.numel() for p in network.parameters()) < 60_000
    assert TINY.steps <= 100
