"""The published objective of GETMusic in its cheap form: cross-entropy at the cells that are needed, nothing wider.

The original makes tables of cells times classes and takes divergences between them. For a chain that only hides, the
divergence of a hidden cell is the chance that it comes back now, about 1 / t, times its cross-entropy; that of a shown
cell is zero (the difference is 1e-6, the chance of being replaced). Classes are those that a cell's row may hold.

Source: microsoft/muzic/getmusic; Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces", 2021;
steps drawn by importance as in Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models", 2021.
"""

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from engine.music.absorbing import STEPS, hidden_share, returns
from engine.music.score import ROLES
from engine.music.vocabulary import PAD
from training.models.getmusic import CELL_ROWS, Cells, GETDiff

__all__ = ["Bound", "draw_steps", "hide_cells", "published_loss", "remember", "step_chances"]

_AUXILIARY: Final = 0.001
_CONDITION: Final = 0.5
"""How much a cell counts that is given, beside one that is to be found."""
_ENOUGH: Final = 10
"""Draws of every step before importance is trusted."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A loss and what it is made of.

    Args:
        loss: of the batch, to be made smaller. bound: [B] each item's part of the variational bound, in nats.
    """

    loss: Tensor
    bound: Tensor


def step_chances(losses: Tensor, draws: Tensor) -> Tensor:
    """[100] chance of each step, from the running mean of squared losses and the number of draws, both [100].

    Equal until every step was drawn more than ten times; step 0, whose loss is of another kind, has that of step 1.
    """
    if bool((draws <= _ENOUGH).any()):
        return torch.full((STEPS,), 1.0 / STEPS)
    roots = (losses.cpu() + 1e-10).sqrt() + 1e-4
    roots[0] = roots[1]
    return roots / roots.sum()


def draw_steps(network: GETDiff, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Steps int64 [batch] and the chances [batch] with which they came, by what `network` remembers."""
    chances = step_chances(network.get_buffer("losses"), network.get_buffer("draws"))
    t = torch.multinomial(chances, batch, replacement=True, generator=generator)
    return t, chances[t]


def remember(network: GETDiff, t: Tensor, bound: Tensor) -> None:
    """Let later draws know what these cost: each step's mean of squares moves a tenth of the way."""
    losses, draws = network.get_buffer("losses"), network.get_buffer("draws")
    for step, value in zip(t.tolist(), bound.detach().tolist(), strict=True):
        losses[step] = 0.1 * value**2 + 0.9 * losses[step]
        draws[step] += 1


def hide_cells(truth: Tensor, targets: Tensor, t: Tensor, mask: int, generator: torch.Generator) -> Tensor:
    """[B, 14, L] grids with targets (bool [B, 14, L]) hidden as likely as step t [B] says."""
    share = torch.from_numpy(hidden_share()).float()[t.cpu()][:, None, None]
    hidden = (torch.rand(truth.shape, generator=generator) < share).to(truth.device) & targets
    return torch.where(hidden, torch.full_like(truth, mask), truth)


def published_loss(
    network: GETDiff, truth: Tensor, tokens: Tensor, given: Tensor, targets: Tensor, t: Tensor, chances: Tensor
) -> Bound:
    """Variational bound and auxiliary term of one batch.

    Args:
        truth: int64 [B, 14, L] grids. tokens: the same with cells hidden, see `hide_cells`.
        given: int64 [B, 14, L], 1 for conditions. targets: bool [B, 14, L].
        t: int64 [B]. chances: float [B], with which t was drawn.
    Source:
        (bound + 0.001 (2 - t / 100) auxiliary) / chance / cells, conditions counting half, EMPTY cells not at all.
    """
    size = network.config.vocabulary.size
    there = (truth < size)[:, :CELL_ROWS]
    logits = network(tokens, given, t, Cells.of(there.cpu().numpy()))
    hidden = tokens == size + 1
    weight = torch.where(targets, 1.0, _CONDITION)
    rate = torch.tensor([returns(int(step)) for step in t], device=truth.device)
    bound, auxiliary = truth.new_zeros(len(t), dtype=torch.float32), truth.new_zeros(len(t), dtype=torch.float32)
    for name, places, answers in _answers(network, truth, there):
        cost = functional.cross_entropy(logits[name].float(), answers, reduction="none")
        items, rows, columns = places
        counts = weight[items, rows, columns] * cost
        auxiliary = auxiliary.index_add(0, items, counts)
        # At step 0 every cell counts; later only what is hidden can still be wrong.
        chosen = (hidden[items, rows, columns] | (t[items] == 0)).float()
        bound = bound.index_add(0, items, counts * chosen * rate[items])
    cells = there.sum(dim=(1, 2)).clamp(min=1)
    adapted = _AUXILIARY * (2.0 - t / STEPS)
    return Bound(((bound + adapted * auxiliary) / chances.to(bound.device) / cells).sum(), bound)


def _answers(network: GETDiff, truth: Tensor, there: Tensor) -> list[tuple[str, tuple[Tensor, Tensor, Tensor], Tensor]]:
    """For each kind of logits: name, where its cells lie (item, row, column), which class each holds."""
    vocabulary, made = network.config.vocabulary, []
    for track, role in enumerate(ROLES):
        items, columns = torch.nonzero(there[:, 2 * track], as_tuple=True)
        rows = torch.full_like(items, 2 * track)
        held = truth[items, rows, columns]
        answers = torch.where(held == PAD, vocabulary.counts[track], held - vocabulary.lows[track])
        made.append((role, (items, rows, columns), answers))
    items, tracks, columns = torch.nonzero(there[:, 1::2], as_tuple=True)
    rows = 2 * tracks + 1
    held, extra = truth[items, rows, columns], vocabulary.lengths[PAD + 1 :]
    answers = held if not extra else torch.where(held > PAD, held - extra[0] + PAD + 1, held)
    made.append(("duration", (items, rows, columns), answers))
    return made
