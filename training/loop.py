"""The one loop: steps, averages, checkpoints, reports; on a processor, one accelerator, or several by torchrun.

Everything a step depends on is a pure function of (seed, step, process) or is in the checkpoint, so a run that was
killed and resumed gives, on the same machine, the weights of the run that was not.
"""

import contextlib
import os
import random
import signal
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from training import checkpoint as files
from training.config import Recipe, describe
from training.report import Report
from training.task import Batch, Stepper, Task, TrainingError

if TYPE_CHECKING:
    from lightning.fabric import Fabric

__all__ = ["Outcome", "batch_rng", "fit", "noise_seed"]

_BAD_STEPS = 20  # steps in a row with gradients that are not numbers, after which a run is lost


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Args:
        step: steps done.
        checkpoint: where they are saved.
        finished: all steps of the recipe are done.
        skipped: updates left out because a gradient was not a number.
    """

    step: int
    checkpoint: Path
    finished: bool
    skipped: int


def batch_rng(seed: int, step: int, process: int) -> np.random.Generator:
    """Random numbers for the batch of a step in one process."""
    return np.random.default_rng(np.random.SeedSequence([seed, step, process]))


def noise_seed(seed: int, step: int, process: int) -> int:
    """Seed of the generator on the device during a step, 0..2^63 - 1."""
    words = np.random.SeedSequence([seed, step, process, 1])
    return int(words.generate_state(1, np.uint64)[0] >> np.uint64(1))


class _Weights(nn.Module):
    """The weights of one optimiser, as Fabric takes them.

    A loss passes through `forward` before its gradients are taken: this is where the strategy learns which weights the
    loss depends on, so that it averages their gradients over processes while it goes backward. Networks themselves
    stay as they are: a task may call any of their methods, and update several optimisers from one forward pass.
    """

    def __init__(self, optimiser: Optimizer) -> None:
        super().__init__()
        self.weights = nn.ParameterList(p for group in optimiser.param_groups for p in group["params"])

    def forward(self, loss: Tensor) -> Tensor:
        """The loss as it is."""
        return loss


class _LoopStep(Stepper):
    """The stepper of one process; lives as long as the run."""

    def __init__(self, recipe: Recipe, fabric: "Fabric", optimisers: Mapping[str, Optimizer]) -> None:
        self._recipe, self._fabric, self._optimisers = recipe, fabric, optimisers
        self._rates = {name: [group["lr"] for group in each.param_groups] for name, each in optimisers.items()}
        self._weights = {name: fabric.setup_module(_Weights(each)) for name, each in optimisers.items()}
        self.device = fabric.device
        self.generator = torch.Generator(fabric.device)
        self.step = 0
        self.norms: dict[str, Tensor] = {}
        self.skipped = self._bad = 0

    def begin(self, step: int) -> None:
        """Set learning rates and random numbers for `step`."""
        self.step = step
        self.generator.manual_seed(noise_seed(self._recipe.seed, step, self._fabric.global_rank))
        scale = self._recipe.optim.scale(step, self._recipe.steps)
        for name, optimiser in self._optimisers.items():
            for group, rate in zip(optimiser.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * scale

    def update(self, losses: Mapping[str, Tensor]) -> None:
        parameters = {name: list(self._weights[name].parameters()) for name in losses}
        with torch.autocast(self.device.type, enabled=False):
            for index, (name, loss) in enumerate(losses.items()):
                more = index + 1 < len(losses)
                self._fabric.backward(self._weights[name](loss), inputs=parameters[name], retain_graph=more)
        norms = {}
        for name in losses:
            limit = self._recipe.optim.clip or float("inf")
            norms[name] = torch.nn.utils.clip_grad_norm_(parameters[name], limit)
        self.norms.update(norms)
        if all(bool(torch.isfinite(norm)) for norm in norms.values()):
            self._bad = 0
            for name in losses:
                self._optimisers[name].step()
        else:
            self._count_bad(losses)
        for name in losses:
            self._optimisers[name].zero_grad(set_to_none=True)
        # Autocast keeps weights it has rounded until it ends; a second update must not meet those of the first.
        torch.clear_autocast_cache()

    def mean(self, value: Tensor) -> float:
        if self._fabric.world_size > 1:
            shared = self._fabric.all_reduce(value.detach().clone(), reduce_op="mean")
            assert isinstance(shared, Tensor)
            value = shared
        return float(value.detach())

    def _count_bad(self, losses: Mapping[str, Tensor]) -> None:
        self.skipped += 1
        self._bad += 1
        if self._bad >= _BAD_STEPS:
            values = ", ".join(f"{name} {float(loss.detach()):.3g}" for name, loss in losses.items())
            raise TrainingError(
                f"step {self.step}: {self._bad} updates in a row had gradients that are not numbers ({values}); "
                "resume from an earlier checkpoint with a lower optim.lr, or set optim.clip"
            )


class _Feed:
    """Batches in order of steps, made ahead of time by threads."""

    def __init__(self, task: Task, seed: int, rank: int, workers: int, first: int, last: int) -> None:
        self._task, self._seed, self._rank, self._next, self._last = task, seed, rank, first, last
        self._pool = ThreadPoolExecutor(workers, "batch") if workers else None
        self._ahead: deque[Future[Batch]] = deque()
        self._depth = 2 * workers

    def _make(self, step: int) -> Batch:
        return self._task.batch(step, batch_rng(self._seed, step, self._rank))

    def take(self, step: int) -> Batch:
        """The batch of `step`; steps are asked for one after the other."""
        if self._pool is None:
            return self._make(step)
        while len(self._ahead) <= self._depth and self._next < self._last:
            self._ahead.append(self._pool.submit(self._make, self._next))
            self._next += 1
        return self._ahead.popleft().result()

    def close(self) -> None:
        """Drop batches that were made ahead."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Note the first SIGINT or SIGTERM, to be polled between steps; the second acts at once."""
    asked = False

    def ask(number: int, _frame: object) -> None:
        nonlocal asked
        asked = True
        for each, handler in before.items():
            signal.signal(each, handler)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _fabric(recipe: Recipe, accelerator: str) -> "Fabric":
    from lightning.fabric import Fabric

    precision = recipe.precision
    if precision == "auto":
        usable = accelerator != "cpu" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        precision = "bf16-mixed" if usable else "32-true"
    # torchrun says by these how many processes there are here and in all.
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, world // local),
        # Which weights a loss depends on may change from step to step.
        strategy="ddp_find_unused_parameters_true" if world > 1 else "auto",
        precision=precision,
    )
    fabric.launch()
    return fabric


class _Run:
    """One run of one process: what `fit` sets up, and its steps."""

    def __init__(self, recipe: Recipe, out: Path, fabric: "Fabric") -> None:
        self.recipe, self.out, self.fabric = recipe, out, fabric
        seed = recipe.seed
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - for other people's code; ours draws from generators
        torch.manual_seed(seed)
        self.task = recipe.task.build(recipe)
        self.modules = self.task.modules()
        self.optimisers = self.task.optimisers()
        for module in (*self.modules.values(), *self.task.frozen().values()):
            module.to(fabric.device)
        for module in self.task.frozen().values():
            module.eval().requires_grad_(False)
        averaged = {name: deepcopy(self.modules[name]) for name in self.task.averaged()}
        self.averages = {name: module.eval().requires_grad_(False) for name, module in averaged.items()}
        self.stepper = _LoopStep(recipe, fabric, self.optimisers)

    @property
    def folder(self) -> Path:
        """Where checkpoints are."""
        return self.out / "checkpoints"

    def resume(self) -> int:
        """Load the newest checkpoint; returns the steps done, 0 without one."""
        path = files.latest(self.folder)
        if path is None:
            return 0
        saved = files.load(path)
        files.load_modules(self._kept(), saved.weights, str(path))
        for name, optimiser in self.optimisers.items():
            files.load_optimiser(name, optimiser, saved.optimisers)
        self.task.load_state(saved.about["state"])
        self.stepper.skipped = int(saved.about["skipped"])
        own = {k.split(".", 1)[1]: v for k, v in saved.random.items() if k.startswith(f"{self.fabric.global_rank}.")}
        if own:
            files.load_random(own)
        return saved.step

    def _kept(self) -> dict[str, nn.Module]:
        return self.modules | {f"{name}@average": average for name, average in self.averages.items()}

    def save(self, step: int) -> Path:
        """Keep everything, and publish the weights in the task's own form."""
        states = files.random_tensors()
        if self.fabric.world_size > 1:
            gathered = {name: self.fabric.all_gather(value) for name, value in states.items()}
            states = {
                f"{rank}.{name}": value[rank]
                for name, value in gathered.items()
                if isinstance(value, Tensor)
                for rank in range(self.fabric.world_size)
            }
        else:
            states = {f"0.{name}": value for name, value in states.items()}
        path = self.folder / f"step-{step:09d}"
        if self.fabric.is_global_zero:
            tensors: dict[str, Tensor] = {}
            for name, optimiser in self.optimisers.items():
                tensors |= files.optimiser_tensors(name, optimiser)
            about = {
                "state": dict(self.task.state()),
                "skipped": self.stepper.skipped,
                "recipe": describe(self.recipe),
            }
            weights = files.module_tensors(self._kept())
            files.save(self.folder, files.Checkpoint(step, weights, tensors, states, about), self.recipe.keep)
            self.publish()
        self.fabric.barrier()
        return path

    def publish(self) -> None:
        """Write the weights in the task's own form, all files or none."""
        with tempfile.TemporaryDirectory(dir=self.out, prefix=".publish-") as draft:
            self.task.publish(Path(draft), self.averages)
            for path in sorted(Path(draft).iterdir()):
                path.replace(self.out / path.name)

    def turn(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Train once and move the averages."""
        self.stepper.begin(step)
        for module in self.modules.values():
            module.train()
        device = self.fabric.device
        moved = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        with self.fabric.autocast():
            values = self.task.training_step(moved, self.stepper)
        share = 1.0 - self.recipe.optim.average
        with torch.no_grad():
            for name, average in self.averages.items():
                for old, new in zip(average.parameters(), self.modules[name].parameters(), strict=True):
                    old.lerp_(new, share)
                for held, seen in zip(average.buffers(), self.modules[name].buffers(), strict=True):
                    held.copy_(seen)
        return values

    def look(self, step: int, report: Report | None) -> None:
        """Evaluate and make previews when they are due; random states stay as they were."""
        if report is None:
            return
        kept = files.random_tensors()
        for module in self.modules.values():
            module.eval()
        with torch.no_grad():
            if _due(step, self.recipe.evaluate_every, self.recipe.steps) and (
                values := self.task.evaluate(self.averages)
            ):
                report.numbers(step, values, "evaluate")
            if _due(step, self.recipe.preview_every, self.recipe.steps):
                preview = self.task.preview(step, self.averages)
                if preview is not None:
                    report.preview(step, preview)
        files.load_random(kept)


def _due(step: int, every: int, steps: int) -> bool:
    return every > 0 and (step % every == 0 or step == steps)


def fit(
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    until: int | None = None,
    accelerator: str = "auto",
    quiet: bool = False,
    curves: bool = True,
) -> Outcome:
    """Run a recipe, or resume it.

    Args:
        recipe: what to train.
        out: folder of the run: checkpoints, curves, previews, and the published weights.
        resume: continue from the newest checkpoint in `out`, if there is one.
        until: stop (and save) after this many steps although the recipe has more.
        accelerator: "auto", "cpu" or "cuda".
        quiet: nothing on the terminal.
        curves: TensorBoard files, where it is installed.
    Raises:
        CheckpointError: a checkpoint in `out` cannot be read or written, or there is one and `resume` is False.
        TrainingError: gradients have not been numbers for many steps.
    """
    fabric = _fabric(recipe, accelerator)
    run = _Run(recipe, out, fabric)
    if not resume and files.latest(run.folder) is not None:
        raise files.CheckpointError(f"{out} already holds a run: resume it, or choose another folder")
    start = run.resume() if resume else 0
    last = min(recipe.steps, recipe.steps if until is None else until)
    with contextlib.ExitStack() as stack:
        report = None
        if fabric.is_global_zero:
            report = stack.enter_context(Report(out, start, recipe.steps, quiet=quiet, curves=curves))
            report.say(f"training on {fabric.device}, {fabric.world_size} process(es), from step {start}")
        run.task.prepare(fabric.device)
        fabric.barrier()
        asked = stack.enter_context(_interruptible())
        feed = _Feed(run.task, recipe.seed, fabric.global_rank, recipe.data.workers, start, last)
        stack.callback(feed.close)
        step, saved = _steps(run, feed, report, start, last, asked)
    path = run.folder / f"step-{step:09d}" if saved == step else run.save(step)
    if step == start and fabric.is_global_zero:
        run.publish()  # nothing was left to do, but what is published may have taken another form since
    return Outcome(step, path, step >= recipe.steps, run.stepper.skipped)


def _steps(
    run: _Run, feed: _Feed, report: Report | None, start: int, last: int, asked: Callable[[], bool]
) -> tuple[int, int]:
    """Train from `start` to `last` or until asked to stop; returns steps done, and steps at the newest checkpoint."""
    recipe, step, saved = run.recipe, start, start if start else -1
    while step < last:
        values = run.turn(step, feed.take(step))
        step += 1
        if report is not None:
            report.advance(step)
            if _due(step, recipe.log_every, recipe.steps):
                numbers = {name: float(value.detach()) for name, value in values.items()}
                norms = {f"gradient_{name}": float(value) for name, value in run.stepper.norms.items()}
                report.numbers(step, numbers | norms | {"skipped": float(run.stepper.skipped)})
        run.look(step, report)
        stop = _agree(run.fabric, asked())
        if stop or step == last or (recipe.save_every and step % recipe.save_every == 0):
            run.save(step)
            saved = step
        if stop:
            if report is not None:
                report.say(f"stopped after step {step} and saved; resume to continue")
            break
    return step, saved


def _agree(fabric: "Fabric", asked: bool) -> bool:
    """Whether any process was asked to stop: all must stop at the same step."""
    if fabric.world_size == 1:
        return asked
    total = fabric.all_reduce(torch.tensor(float(asked), device=fabric.device), reduce_op="sum")
    assert isinstance(total, Tensor)
    return bool(total.item() > 0)
