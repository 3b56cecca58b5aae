"""GETMusic's training as it was published: windows of 512 columns, whole rows hidden, absorbing diffusion's bound.

The bound is taken in its cheap form: at a cell that is hidden the two posteriors differ only by what the network says
of it, times the chance that it comes back in this step; at a visible cell they do not differ. That equals the
original's sum over all classes to 1e-6 and needs none of its tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer
from torch.utils.checkpoint import checkpoint

from engine.music.absorbing import STEPS, hidden_share, returns
from training.config import Recipe
from training.data.grids import BAR, Grids
from training.data.masks import published
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges
from training.models.getmusic_files import metadata
from training.task import Batch, Stepper, Task

__all__ = ["FILE", "PublishedBand", "chances_of_steps"]

FILE = "getmusic_full.safetensors"

_CHUNK = 2048  # cells whose logits over the whole dictionary are held at once
_SEEN = 10  # draws of every step before they are weighted


def chances_of_steps(losses: Tensor, draws: Tensor) -> Tensor:
    """[100] chances with which diffusion steps are drawn.

    Args:
        losses: [100] running mean of the squared loss of each. draws: [100] how often each was drawn.
    Source:
        Uniform until each was seen more than ten times, then by the root of the mean; step 0 counts as step 1.
    """
    if bool((draws <= _SEEN).any()):
        return torch.full_like(losses, 1.0 / STEPS)
    roots = torch.sqrt(losses + 1e-10) + 1e-4
    roots = torch.cat([roots[1:2], roots[1:]])
    return roots / roots.sum()


@dataclass(frozen=True, kw_only=True)
class PublishedBand:
    """Train the published network.

    Args:
        sizes: of the network; its vocabulary is that of the store's dictionary, whatever is told here.
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
        told = {**{name: getattr(settings.sizes, name) for name in settings.sizes.__dataclass_fields__}}
        self._config = GetdiffConfig(**{**told, "vocabulary": TokenRanges.of(dictionary)})
        self._network = GETDiff(self._config)
        self._shares = torch.from_numpy(hidden_share()).float()
        self._returns = torch.tensor([returns(t) for t in range(STEPS)])

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
        losses, draws = self._network.get_buffer("losses"), self._network.get_buffer("draws")
        chances = chances_of_steps(losses, draws)
        t = torch.multinomial(chances, len(batch["grid"]), replacement=True, generator=stepper.generator)
        bound, auxiliary, cells = self._bound(self._network, batch, t, stepper.generator)
        fading = self._settings.auxiliary * (2.0 - t / STEPS)
        loss = ((bound + fading * auxiliary) / chances[t] / cells).sum()
        stepper.update({"network": loss})
        with torch.no_grad():
            for step, value in zip(t.tolist(), bound.detach(), strict=True):
                losses[step] = 0.1 * value**2 + 0.9 * losses[step] if draws[step] else value**2
                draws[step] += 1
        return {"loss": loss, "bound": (bound / cells).mean(), "auxiliary": (auxiliary / cells).mean()}

    def _bound(
        self, network: nn.Module, batch: Batch, t: Tensor, generator: torch.Generator | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Bound and auxiliary loss [B], summed over cells, and the number of cells that count [B]."""
        assert isinstance(network, GETDiff)
        grid, targets = batch["grid"], batch["targets"]
        drawn = torch.rand(grid.shape, generator=generator, device=grid.device)
        hidden = targets & (drawn < self._shares.to(grid.device)[t][:, None, None])
        there = grid != self._empty
        rows = there.any(dim=2, keepdim=True).expand_as(grid)
        given = (rows & ~targets.any(dim=2, keepdim=True)).long()
        tokens = grid.masked_fill(hidden, self._mask)
        vectors = network.vectors(network.hidden(tokens, given, t))
        items, lines, columns = torch.nonzero(there, as_tuple=True)
        surprise = self._surprise(network, vectors[items, lines, columns], grid[items, lines, columns])
        weight = torch.where(targets[items, lines, columns], 1.0, 0.5)
        back = self._returns.to(grid.device)[t][items]
        counts = (hidden[items, lines, columns] | (t[items] == 0)).float() * back
        zeros = vectors.new_zeros(len(grid))
        bound = zeros.index_add(0, items, surprise * weight * counts)
        auxiliary = zeros.index_add(0, items, surprise * weight)
        return bound, auxiliary, zeros.index_add(0, items, torch.ones_like(weight)).clamp_min(1.0)

    def _surprise(self, network: GETDiff, vectors: Tensor, answers: Tensor) -> Tensor:
        """[N] nats at each cell, over the whole dictionary; in pieces, made again for their gradients."""

        def piece(some: Tensor, right: Tensor) -> Tensor:
            return functional.cross_entropy(network.all_logits(some).float(), right, reduction="none")

        parts = [
            checkpoint(piece, some, right, use_reentrant=False)
            for some, right in zip(torch.split(vectors, _CHUNK), torch.split(answers, _CHUNK), strict=True)
        ]
        return torch.cat(parts)

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        rng, generator = np.random.default_rng(0), torch.Generator(next(self._network.parameters()).device)
        generator.manual_seed(0)
        batch = self._draw(rng, 4, held_out=bool(self._grids.pieces(held_out=True)))
        batch = {name: value.to(generator.device) for name, value in batch.items()}
        t = torch.tensor([10, 40, 70, 95], device=generator.device)
        bound, auxiliary, cells = self._bound(averages["network"], batch, t, generator)
        return {"held_bound": float((bound / cells).mean()), "held_auxiliary": float((auxiliary / cells).mean())}

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
