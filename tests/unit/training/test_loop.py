"""A run that is killed and resumed is the run that was not; what goes wrong is said."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.unit.training import shared_run
from tests.unit.training.toy import Toy, ToyTask, toy_recipe
from training import checkpoint, loop
from training.checkpoint import CheckpointError
from training.config import Data, Optim
from training.loop import fit
from training.task import TrainingError

ROOT = Path(__file__).parents[3]


def run(recipe, out, **options):
    return fit(recipe, out, accelerator="cpu", quiet=True, curves=False, **options)


def assert_same(first: Path, second: Path) -> None:
    """Two checkpoints are equal to the last bit."""
    a, b = checkpoint.load(first), checkpoint.load(second)
    assert a.step == b.step
    assert a.about["state"] == b.about["state"]
    for name in ("weights", "optimisers", "random"):
        left, right = getattr(a, name), getattr(b, name)
        assert set(left) == set(right)
        for key in left:
            assert torch.equal(left[key], right[key]), (name, key)


@pytest.mark.parametrize("workers", [0, 2])
def test_three_steps_and_three_more_equal_six(tmp_path: Path, workers: int) -> None:
    recipe = toy_recipe(data=Data(workers=workers))
    straight = run(recipe, tmp_path / "a")
    first = run(recipe, tmp_path / "b", until=3)
    assert (first.step, first.finished) == (3, False)
    second = run(recipe, tmp_path / "b", resume=True)
    assert straight.finished
    assert second.finished
    assert_same(straight.checkpoint, second.checkpoint)
    weights = checkpoint.load(straight.checkpoint).weights
    assert not torch.equal(weights["maker.0.weight"], weights["maker@average.0.weight"])


def test_a_finished_run_that_is_resumed_publishes_again(tmp_path: Path) -> None:
    outcome = run(toy_recipe(), tmp_path / "a")
    (tmp_path / "a/maker.pt").unlink()
    assert run(toy_recipe(), tmp_path / "a", resume=True) == outcome
    average = checkpoint.load(outcome.checkpoint).weights["maker@average.0.weight"]
    assert torch.equal(torch.load(tmp_path / "a/maker.pt", weights_only=True)["0.weight"], average)


@pytest.mark.parametrize("killed", [1, 4, 5])
def test_a_run_killed_at_any_step_goes_on_from_its_last_checkpoint(tmp_path: Path, killed: int) -> None:
    straight = run(toy_recipe(), tmp_path / "a")
    with pytest.raises(RuntimeError, match="killed"):
        run(toy_recipe(Toy(fail_at=killed), save_every=2), tmp_path / "b")
    second = run(toy_recipe(save_every=2), tmp_path / "b", resume=True)
    assert_same(straight.checkpoint, second.checkpoint)


def test_averages_move_by_their_share_and_take_buffers_as_they_are(tmp_path: Path) -> None:
    outcome = run(toy_recipe(save_every=1, keep=9), tmp_path)
    before = None
    for path in sorted(outcome.checkpoint.parent.iterdir()):
        weights = checkpoint.load(path).weights
        assert torch.equal(weights["maker@average.1.running_mean"], weights["maker.1.running_mean"])
        average = weights["maker@average.0.weight"]
        if before is not None:
            torch.testing.assert_close(average, 0.9 * before + 0.1 * weights["maker.0.weight"])
        before = average
    assert before is not None


def test_each_step_has_the_learning_rate_of_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, rates = ToyTask.training_step, dict[int, list[float]]()

    def watched(self, batch, stepper):
        rates[stepper.step] = [group["lr"] for each in self.optimisers().values() for group in each.param_groups]
        return step(self, batch, stepper)

    monkeypatch.setattr(ToyTask, "training_step", watched)
    recipe = toy_recipe(optim=Optim(lr=1e-2, warmup=3, decay=3, fall="linear"))
    run(recipe, tmp_path, until=2)
    run(recipe, tmp_path, resume=True)
    wanted = [1 / 3, 2 / 3, 1.0, 1.0, 2 / 3, 1 / 3]
    assert sorted(rates) == list(range(6))
    for number, share in enumerate(wanted):
        assert rates[number] == pytest.approx([1e-2 * share] * 2), number


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_two_processes(out: Path) -> None:
    """What torchrun would start."""
    shared = {
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()),
        "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.unit.training.shared_run", str(out)]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, env=os.environ | shared | {"RANK": rank, "LOCAL_RANK": rank}, stderr=subprocess.PIPE
        )
        for rank in ("0", "1")
    ]
    errors = [process.communicate(timeout=300)[1].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(errors)


def test_two_processes_train_what_one_does_and_resume_as_one_does(tmp_path: Path) -> None:
    in_two_processes(tmp_path)
    one, two = checkpoint.load(shared_run.run(tmp_path / "one")), checkpoint.latest(tmp_path / "straight/checkpoints")
    assert two is not None
    assert_same(two, checkpoint.latest(tmp_path / "halves/checkpoints") or tmp_path)
    other = checkpoint.load(two)
    assert other.about["state"]["scale"] == pytest.approx(one.about["state"]["scale"], rel=1e-5)
    for name in ("weights", "optimisers"):
        left, right = getattr(one, name), getattr(other, name)
        assert set(left) == set(right)
        for key in left:
            torch.testing.assert_close(right[key], left[key], rtol=1e-4, atol=1e-6, msg=key)


def test_threads_looking_and_listening_change_nothing(tmp_path: Path) -> None:
    plain = run(toy_recipe(), tmp_path / "a")
    busy = toy_recipe(data=Data(workers=2), preview_every=2, evaluate_every=1, save_every=1, keep=2)
    other = run(busy, tmp_path / "b")
    assert_same(plain.checkpoint, other.checkpoint)
    assert sorted(p.name for p in (tmp_path / "b/checkpoints").iterdir()) == ["step-000000005", "step-000000006"]
    assert (tmp_path / "b/previews/step-000000004/tone.wav").stat().st_size > 8000
    assert (tmp_path / "b/previews/step-000000004/tone.png").read_bytes().startswith(b"\x89PNG")


def test_other_seeds_give_other_weights(tmp_path: Path) -> None:
    one, two = (run(toy_recipe(seed=seed), tmp_path / str(seed)) for seed in (1, 2))
    key = "maker.0.weight"
    assert not torch.equal(checkpoint.load(one.checkpoint).weights[key], checkpoint.load(two.checkpoint).weights[key])


def test_interrupt_saves_and_leaves_handlers_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = ToyTask.training_step

    def interrupted(self, batch, stepper):
        if stepper.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, stepper)

    straight = run(toy_recipe(), tmp_path / "a")
    handler = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(ToyTask, "training_step", interrupted)
    outcome = run(toy_recipe(), tmp_path / "b")
    assert (outcome.step, outcome.finished) == (3, False)
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.setattr(ToyTask, "training_step", step)
    assert_same(straight.checkpoint, run(toy_recipe(), tmp_path / "b", resume=True).checkpoint)


def test_metrics_of_an_attempt_that_was_lost_are_dropped(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        run(toy_recipe(Toy(fail_at=5), save_every=2), tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "lo')
    run(toy_recipe(), tmp_path, resume=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(line["loss"]) and line["gradient_maker"] > 0 for line in lines)


def test_weights_are_published_beside_checkpoints(tmp_path: Path) -> None:
    outcome = run(toy_recipe(), tmp_path)
    published = torch.load(tmp_path / "maker.pt")
    kept = checkpoint.load(outcome.checkpoint).weights
    assert torch.equal(published["0.weight"], kept["maker@average.0.weight"])
    assert not list(tmp_path.glob(".publish-*"))


def test_a_run_is_not_overwritten(tmp_path: Path) -> None:
    run(toy_recipe(), tmp_path, until=1)
    with pytest.raises(CheckpointError, match="already holds a run"):
        run(toy_recipe(), tmp_path)
    with pytest.raises(CheckpointError, match="do not fit"):
        run(toy_recipe(Toy(width=9)), tmp_path, resume=True)


def test_bad_gradients_are_skipped_then_reported(tmp_path: Path) -> None:
    outcome = run(toy_recipe(Toy(bad_from=4)), tmp_path / "a")
    assert outcome.skipped == 2
    good = run(toy_recipe(), tmp_path / "b", until=4)
    kept, wanted = (checkpoint.load(each.checkpoint).weights["judge.0.weight"] for each in (outcome, good))
    assert torch.equal(kept, wanted)
    with pytest.raises(TrainingError, match=r"lower optim\.lr"):
        run(toy_recipe(Toy(bad_from=0), steps=100), tmp_path / "c")


def test_feed_asks_for_every_step_once_and_not_beyond_the_end() -> None:
    task = ToyTask(Toy(), toy_recipe())
    feed = loop._Feed(task, 0, 0, 2, 3, 9)
    taken = [feed.take(step)["x"] for step in range(3, 9)]
    feed.close()
    assert sorted(task.made) == list(range(3, 9))
    for step, x in zip(range(3, 9), taken, strict=True):
        assert torch.equal(x, task.batch(step, loop.batch_rng(0, step, 0))["x"])
    again = loop._Feed(task, 0, 0, 0, 3, 9)
    assert all(torch.equal(again.take(step)["x"], x) for step, x in zip(range(3, 9), taken, strict=True))


def test_curves_are_written_where_tensorboard_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fit(toy_recipe(preview_every=6), tmp_path, accelerator="cpu", quiet=True)
    assert list((tmp_path / "curves").glob("events.*"))


def test_a_run_needs_no_sound_file_chart_or_terminal_library(tmp_path: Path) -> None:
    """Composed music trains where only torch, lightning, safetensors and numpy are installed."""
    script = f"""
import sys
import builtins
usual, absent = builtins.__import__, ("soundfile", "soxr", "librosa", "rich", "tensorboard", "PIL", "h5py")
def strict(name, globals=None, locals=None, fromlist=(), level=0):
    if name.split(".")[0] in absent and (globals or {{}}).get("__name__", "").startswith(("training", "engine")):
        raise ModuleNotFoundError(name)  # for our own code; torchmetrics and others import what they find
    return usual(name, globals, locals, fromlist, level)
builtins.__import__ = strict
from pathlib import Path
import training.__main__, training.evaluate.sound, training.report, training.tasks.latent_gan
training.report._installed = lambda name: False
from training.config import Data, Optim, Recipe
from training.loop import fit
from training.tasks.autoencoder import Level1Magnitude
from training.models.musika import MusikaConfig
model = MusikaConfig(sample_rate=8000, hop=64, level1=4, encoder=(8,), decoder=(8, 8, 8, 8))
data = Data(pieces=2, bars=1, cache={str(tmp_path / "cache")!r}, workers=0)
recipe = Recipe(task=Level1Magnitude(model=model), data=data, steps=2, batch=2, preview_every=2, evaluate_every=2)
assert fit(recipe, Path({str(tmp_path / "run")!r}), accelerator="cpu").finished
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "evaluate 2/2" in done.stderr
    assert (tmp_path / "run/previews/step-000000002/remade.png").exists()
