"""A task small enough to train in a test: a two-network game with noise, buffers and state of its own."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from training.config import Data, Optim, Recipe
from training.task import Batch, Preview, Stepper, Task


@dataclass(frozen=True, kw_only=True)
class Toy:
    """Settings; `fail_at` raises at a step, `bad_from` gives losses that are not numbers from a step on."""

    width: int = 8
    fail_at: int = -1
    bad_from: int = -1

    def build(self, recipe: Recipe) -> "ToyTask":
        return ToyTask(self, recipe)


class ToyTask(Task):
    def __init__(self, settings: Toy, recipe: Recipe) -> None:
        self.settings, self.items = settings, recipe.batch
        self.maker = nn.Sequential(nn.Linear(4, settings.width), nn.BatchNorm1d(settings.width), nn.SiLU())
        self.maker.append(nn.Linear(settings.width, 4))
        self.judge = nn.Sequential(nn.Linear(4, settings.width), nn.Dropout(0.2), nn.Linear(settings.width, 1))
        self.fixed = nn.Linear(4, 4)
        self.drift = 0.0
        self.made: list[int] = []
        self._optimisers: dict[str, Optimizer] = {
            "maker": Adam(self.maker.parameters(), recipe.optim.lr, recipe.optim.betas, recipe.optim.eps),
            "judge": Adam(self.judge.parameters(), recipe.optim.lr, recipe.optim.betas, recipe.optim.eps),
        }

    def modules(self) -> dict[str, nn.Module]:
        return {"maker": self.maker, "judge": self.judge}

    def frozen(self) -> dict[str, nn.Module]:
        return {"fixed": self.fixed}

    def optimisers(self) -> dict[str, Optimizer]:
        return self._optimisers

    def averaged(self) -> tuple[str, ...]:
        return ("maker",)

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        self.made.append(step)
        return {"x": torch.from_numpy(rng.standard_normal((self.items, 4)).astype(np.float32))}

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        if stepper.step == self.settings.fail_at:
            raise RuntimeError("killed")
        noise = torch.randn(self.items, 4, generator=stepper.generator)
        target = self.fixed(batch["x"]) * (1.0 + self.drift)
        made = self.maker(batch["x"]) + 0.1 * noise
        # Global generators too: a task may use a library that draws from them.
        game = self.judge(made).mean() + random.random() + float(np.random.rand()) + torch.rand(())  # noqa: NPY002
        loss = (made - target).square().mean() + 0.01 * game
        if 0 <= self.settings.bad_from <= stepper.step:
            loss = loss * float("nan")
        stepper.update({"maker": loss, "judge": self.judge(target).mean() - game})
        self.drift += float(loss.detach()) * 1e-3
        return {"loss": loss}

    def state(self) -> dict[str, float]:
        return {"drift": self.drift}

    def load_state(self, state: Mapping[str, float]) -> None:
        self.drift = state["drift"]

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview:
        torch.rand(3)  # a preview may draw; training must not notice
        time = np.arange(8000, dtype=np.float32) / 8000
        return Preview(8000, {"tone": np.stack([np.sin(2764.0 * time)] * 2).astype(np.float32)})

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        torch.rand(3)
        return {"weight": float(next(averages["maker"].parameters()).detach().abs().mean())}

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        torch.save(averages["maker"].state_dict(), folder / "maker.pt")


def toy_recipe(settings: Toy | None = None, **changes: object) -> Recipe:
    """Six steps of the toy, nothing on the side."""
    values: dict[str, object] = {
        "task": settings or Toy(), "steps": 6, "batch": 5, "precision": "32-true", "save_every": 0, "log_every": 1,
        "preview_every": 0, "evaluate_every": 0, "data": Data(workers=0), "optim": Optim(lr=1e-2, average=0.9, decay=4),
    }  # fmt: skip
    return Recipe(**(values | changes))  # type: ignore[arg-type]
