"""A run that one process or several share: `python -m tests.unit.training.shared_run OUT`, as torchrun starts it.

The items of a step are the same however many processes share them, so the weights must be the same as well.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from training.config import Data, Optim, Recipe
from training.loop import fit
from training.task import Batch, Stepper, Task

ITEMS = 8


@dataclass(frozen=True, kw_only=True)
class Shared:
    """Settings of the task; a step's items are shared by `processes`."""

    processes: int

    def build(self, recipe: Recipe) -> "SharedTask":
        return SharedTask(self, recipe)


class SharedTask(Task):
    """A maker and a judge from one forward pass, and a layer that only even steps use."""

    def __init__(self, settings: Shared, recipe: Recipe) -> None:
        self.rank, self.items = int(os.environ.get("RANK", "0")), ITEMS // settings.processes
        self.maker = nn.ModuleDict({"always": nn.Linear(4, 4), "even": nn.Linear(4, 4)})
        self.judge = nn.Linear(4, 1)
        self.scale = 1.0
        self._optimisers: dict[str, Optimizer] = {
            name: Adam(module.parameters(), recipe.optim.lr) for name, module in self.modules().items()
        }

    def modules(self) -> dict[str, nn.Module]:
        return {"maker": self.maker, "judge": self.judge}

    def optimisers(self) -> dict[str, Optimizer]:
        return self._optimisers

    def averaged(self) -> tuple[str, ...]:
        return ("maker",)

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        whole = np.random.default_rng(step).standard_normal((ITEMS, 4)).astype(np.float32)
        own = torch.from_numpy(whole[self.rank * self.items :][: self.items])
        return {"x": own, "drawn": torch.tensor(rng.random())}

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        self.drawn_apart(batch["drawn"], stepper)
        self.drawn_apart(torch.rand((), generator=stepper.generator), stepper)
        made = self.maker["always"](batch["x"])
        if stepper.step % 2 == 0:
            made = made + self.maker["even"](batch["x"]).tanh()
        real, fake = self.judge(batch["x"].sin()), self.judge(made)
        loss = (made - batch["x"].sin()).square().mean() - 0.1 * fake.mean()
        stepper.update({"maker": self.scale * loss, "judge": (1.0 - real).relu().mean() + (1.0 + fake).relu().mean()})
        stepper.update({"judge": self.judge(made.detach()).square().mean()})
        self.scale = 0.9 * self.scale + 0.1 * stepper.mean(loss)
        return {"loss": loss}

    def drawn_apart(self, drawn: Tensor, stepper: Stepper) -> None:
        """A run whose processes draw the same numbers is stopped."""
        if self.items < ITEMS and abs(stepper.mean(drawn) - float(drawn)) < 1e-6:
            raise RuntimeError("both processes draw the same")

    def state(self) -> dict[str, float]:
        return {"scale": self.scale}

    def load_state(self, state: Mapping[str, float]) -> None:
        self.scale = state["scale"]


def run(out: Path, until: int = 9) -> Path:
    """The checkpoint of the first of nine steps, or of all; a run that is there is continued."""
    recipe = Recipe(
        task=Shared(processes=int(os.environ.get("WORLD_SIZE", "1"))), steps=9, batch=1, precision="32-true",
        save_every=0, log_every=0, preview_every=0, evaluate_every=0, data=Data(workers=0),
        optim=Optim(lr=1e-2, average=0.9, decay=4, clip=0.5),
    )  # fmt: skip
    return fit(recipe, out, until=until, resume=True, accelerator="cpu", quiet=True, curves=False).checkpoint


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]) / "straight")
    run(Path(sys.argv[1]) / "halves", 4)
    run(Path(sys.argv[1]) / "halves")
