"""GETMusic's training as it was published: windows of 512 columns, whole rows hidden, see `training.diffusion`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from training.config import Recipe
from training.data.grids import BAR, Grids
from training.data.masks import published
from training.diffusion import draw_steps, hide_cells, published_bound, record_losses
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges
from training.models.getmusic_files import metadata
from training.task import Batch, Stepper, Task

__all__ = ["FILE", "PublishedBand"]

FILE = "getmusic_full.safetensors"


@dataclass(frozen=True, kw_only=True)
class PublishedBand:
    """Train the published network.

    Args:
        sizes: of the network; the vocabulary given here is replaced by that of the store's dictionary.
        store: folder of the prepared grids.
        bars: in a window.
        weight_decay: AdamW's, of all parameters.
        auxiliary: weight of the plain cross-entropy of all cells.
    """

    sizes: GetdiffConfig = field(default_factory=GetdiffConfig)
    store: str = "runs/bands"
    bars: int = 32
    weight_decay: float = 0.01
    auxiliary: float = 0.001

    def build(self, recipe: Recipe) -> Task:
        return _Published(self, recipe)


class _Published(Task):
    def __init__(self, settings: PublishedBand, recipe: Recipe) -> None:
        self._settings, self._recipe = settings, recipe
        self._grids = Grids(Path(settings.store))
        dictionary = self._grids.dictionary
        self._empty, self._mask = dictionary.empty, dictionary.mask
        self._network = GETDiff(replace(settings.sizes, vocabulary=TokenRanges.of(dictionary)))

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self._network}

    def optimisers(self) -> dict[str, Optimizer]:
        optim = self._recipe.optim
        parameters = self._network.parameters()
        return {"network": AdamW(parameters, optim.lr, optim.betas, optim.eps, self._settings.weight_decay)}

    def averaged(self) -> tuple[str, ...]:
        return ("network",)

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        return self._draw(rng, self._recipe.batch, held_out=False)

    def _draw(self, rng: np.random.Generator, count: int, *, held_out: bool) -> Batch:
        columns = self._settings.bars * BAR
        grids, targets = [], []
        for _ in range(count):
            window = self._grids.draw(columns, rng, held_out=held_out)
            grid = window.grid.copy()
            grid[:, max(0, window.entry.columns - window.first) :] = self._empty  # after the piece there is nothing
            shown, wanted = published(grid, self._empty, rng)
            grids.append(shown)
            targets.append(wanted)
        return {"grid": torch.from_numpy(np.stack(grids)), "targets": torch.from_numpy(np.stack(targets))}

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        grid, targets = batch["grid"], batch["targets"]
        t, chances = draw_steps(self._network, len(grid), stepper.generator)
        tokens = hide_cells(grid, targets, t, self._mask, stepper.generator)
        made = published_bound(self._network, grid, tokens, targets, t)
        loss = made.loss(t, chances, self._settings.auxiliary)
        stepper.update({"network": loss})
        record_losses(self._network, t, made.bound)
        return {
            "loss": loss,
            "bound": (made.bound / made.cells).mean(),
            "auxiliary": (made.auxiliary / made.cells).mean(),
        }

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        rng, generator = np.random.default_rng(0), torch.Generator(next(self._network.parameters()).device)
        generator.manual_seed(0)
        batch = self._draw(rng, 4, held_out=bool(self._grids.pieces(held_out=True)))
        batch = {name: value.to(generator.device) for name, value in batch.items()}
        t = torch.tensor([10, 40, 70, 95], device=generator.device)
        network = averages["network"]
        assert isinstance(network, GETDiff)
        tokens = hide_cells(batch["grid"], batch["targets"], t, self._mask, generator)
        made = published_bound(network, batch["grid"], tokens, batch["targets"], t)
        return {
            "held_bound": float((made.bound / made.cells).mean()),
            "held_auxiliary": float((made.auxiliary / made.cells).mean()),
        }

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        tensors = {name: value.detach().cpu().contiguous() for name, value in averages["network"].state_dict().items()}
        notes = {
            "source": f"trained by this program on {len(self._grids.entries)} pieces of {self._settings.store}",
            "licence": "; ".join(sorted({entry.licence for entry in self._grids.entries})),
            "lagged_chords": False,
            "key_shift": "near",
        }
        about = metadata(self._network, self._grids.dictionary, notes)
        safetensors.torch.save_file(tensors, folder / FILE, about)
