"""The published training objective of GETMusic: a variational bound, an auxiliary loss, steps drawn by importance.

The original makes tables of cells times classes and takes divergences between them. Here the bound is computed in a
cheaper, equal form: for a chain that only hides, the divergence of a hidden cell is the chance that it is shown again
at this step, about 1 / t, times its cross-entropy over the dictionary; that of a shown cell is zero. The difference,
1e-6, is the chance of a cell to be replaced by another token.

Source: microsoft/muzic/getmusic; Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces", 2021;
steps drawn by importance as in Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from engine.music.absorbing import STEPS, hidden_share, returns
from training.models.getmusic import GETDiff

__all__ = ["Bound", "draw_steps", "hide_cells", "published_bound", "record_losses", "step_chances"]

_CONDITION: Final = 0.5
"""Weight of a given cell, next to 1 for a target."""
_ENOUGH: Final = 10
"""Draws of every step before they are weighted by importance."""
_AT_ONCE: Final = 2048
"""Cells whose logits over the whole dictionary are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The losses of a batch, in nats, summed over the cells of each item.

    Args:
        bound: [B] variational bound. auxiliary: [B] cross-entropy of all cells. cells: [B] cells that are not EMPTY.
    """

    bound: Tensor
    auxiliary: Tensor
    cells: Tensor

    def loss(self, t: Tensor, chances: Tensor, auxiliary: float) -> Tensor:
        """What is minimised.

        Args:
            t: int64 [B] steps. chances: [B] with which they were drawn. auxiliary: weight of the auxiliary loss.
        Source:
            (bound + auxiliary (2 - t / 100) cross-entropy) / chance / cells, summed over the batch.
        """
        fading = auxiliary * (2.0 - t / STEPS)
        return ((self.bound + fading * self.auxiliary) / chances / self.cells).sum()


def step_chances(losses: Tensor, draws: Tensor) -> Tensor:
    """[100] chance of each step.

    Args:
        losses: [100] running mean of the squared bound of each step. draws: [100] how often each was drawn.
    Source:
        Equal until every step was drawn more than ten times, then by the root of the mean; step 0 counts as step 1.
    """
    if bool((draws <= _ENOUGH).any()):
        return torch.full_like(losses, 1.0 / STEPS)
    roots = torch.sqrt(losses + 1e-10) + 1e-4
    roots = torch.cat([roots[1:2], roots[1:]])
    return roots / roots.sum()


def draw_steps(network: GETDiff, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Steps int64 [batch], and the chances [batch] with which they were drawn by the network's record of losses."""
    chances = step_chances(network.get_buffer("losses"), network.get_buffer("draws"))
    t = torch.multinomial(chances, batch, replacement=True, generator=generator)
    return t, chances[t]


@torch.no_grad()
def record_losses(network: GETDiff, t: Tensor, bound: Tensor) -> None:
    """Update the record that `draw_steps` reads: each running mean of squares moves a tenth of the way."""
    losses, draws = network.get_buffer("losses"), network.get_buffer("draws")
    for step, value in zip(t.tolist(), bound.detach(), strict=True):
        losses[step] = 0.1 * value**2 + 0.9 * losses[step]
        draws[step] += 1


def hide_cells(truth: Tensor, targets: Tensor, t: Tensor, mask: int, generator: torch.Generator | None) -> Tensor:
    """[B, 14, L] grids in which targets (bool [B, 14, L]) are MASK with the chance of step t [B]."""
    shares = torch.from_numpy(hidden_share()).float().to(truth.device)[t]
    drawn = torch.rand(truth.shape, generator=generator, device=truth.device)
    return truth.masked_fill(targets & (drawn < shares[:, None, None]), mask)


def published_bound(network: GETDiff, truth: Tensor, tokens: Tensor, targets: Tensor, t: Tensor) -> Bound:
    """Bound and auxiliary loss of one batch.

    Args:
        truth: int64 [B, 14, L] grids. tokens: the same with cells hidden, see `hide_cells`.
        targets: bool [B, 14, L]; rows without any are conditions, if they hold anything.
        t: int64 [B], 0..99.
    """
    empty = network.config.vocabulary.size
    there = truth != empty
    rows = there.any(dim=2, keepdim=True).expand_as(truth)
    given = (rows & ~targets.any(dim=2, keepdim=True)).long()
    vectors = network.vectors(network.hidden(tokens, given, t))
    cells = torch.nonzero(there, as_tuple=True)
    items = cells[0]
    cost = torch.where(targets[cells], 1.0, _CONDITION) * _cross_entropy(network, vectors[cells], truth[cells])
    # At step 0 every cell counts; later only what is hidden can still be wrong.
    rates = torch.tensor([returns(step) for step in range(STEPS)], device=truth.device)
    counted = ((tokens == empty + 1)[cells] | (t[items] == 0)).float() * rates[t][items]
    zeros = vectors.new_zeros(len(truth))
    count = zeros.index_add(0, items, torch.ones_like(cost)).clamp_min(1.0)
    return Bound(zeros.index_add(0, items, cost * counted), zeros.index_add(0, items, cost), count)


def _cross_entropy(network: GETDiff, vectors: Tensor, answers: Tensor) -> Tensor:
    """[N] nats of each cell over the whole dictionary; in pieces that are computed again for their gradients."""

    def piece(some: Tensor, right: Tensor) -> Tensor:
        return functional.cross_entropy(network.all_logits(some).float(), right, reduction="none")

    parts = [
        checkpoint(piece, some, right, use_reentrant=False)
        for some, right in zip(torch.split(vectors, _AT_ONCE), torch.split(answers, _AT_ONCE), strict=True)
    ]
    return torch.cat(parts)
