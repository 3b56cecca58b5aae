"""The published objective: hidden cells count by 1 / t, conditions half, empty cells not; steps come by importance."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.music.absorbing import STEPS, returns, schedule
from engine.music.vocabulary import PAD, Dictionary
from tests.tiny_getmusic import dictionary_text
from training.diffusion import draw_steps, hide_cells, published_bound, record_losses, step_chances
from training.models.getmusic import GETDiff, GetdiffConfig, TokenRanges

WORDS = TokenRanges.of(Dictionary.read(dictionary_text()))
LENGTH = 8


def network() -> GETDiff:
    torch.manual_seed(0)
    return GETDiff(GetdiffConfig(vocabulary=WORDS, cell=8, width=16, layers=1, heads=2, ff=24)).eval()


def song() -> tuple[torch.Tensor, torch.Tensor]:
    """Two items: lead given, bass to be found, everything else EMPTY."""
    truth = torch.full((2, 14, LENGTH), WORDS.size)
    truth[:, :4] = PAD
    truth[:, 0, ::2], truth[:, 1, ::2] = WORDS.lows[0] + 60, 3
    truth[:, 2, ::4], truth[:, 3, ::4] = WORDS.lows[1] + 36, 7
    targets = torch.zeros(2, 14, LENGTH, dtype=torch.bool)
    targets[:, 2:4] = True
    return truth, targets


def by_hand(net: GETDiff, truth: torch.Tensor, tokens: torch.Tensor, t: int) -> tuple[float, float]:
    """Bound and auxiliary loss of one item, cell by cell, from logits over the whole dictionary."""
    given = torch.zeros_like(truth)
    given[:, :2] = 1
    with torch.no_grad():
        logits = net.all_logits(net.vectors(net.hidden(tokens, given, torch.tensor([t]))))[0]
    bound = auxiliary = 0.0
    for row in range(4):
        for column in range(LENGTH):
            cost = -functional.log_softmax(logits[row, column], dim=0)[int(truth[0, row, column])].item()
            weight = 0.5 if row < 2 else 1.0
            auxiliary += weight * cost
            if t == 0 or tokens[0, row, column] == WORDS.size + 1:
                bound += weight * cost * returns(t)
    return bound, auxiliary


@pytest.mark.parametrize("t", [0, 1, 40, 99])
def test_the_loss_is_the_formula(t: int) -> None:
    net, (truth, targets) = network(), song()
    generator = torch.Generator().manual_seed(t)
    truth, targets = truth[:1], targets[:1]
    step = torch.tensor([t])
    tokens = hide_cells(truth, targets, step, WORDS.size + 1, generator)
    made = published_bound(net, truth, tokens, targets, step)
    bound, auxiliary = by_hand(net, truth, tokens, t)
    assert made.bound.item() == pytest.approx(bound, rel=1e-4, abs=1e-6)
    assert made.auxiliary.item() == pytest.approx(auxiliary, rel=1e-4)
    assert made.cells.item() == 4 * LENGTH
    wanted = (bound + 0.001 * (2 - t / 100) * auxiliary) / 0.02 / (4 * LENGTH)
    assert made.loss(step, torch.tensor([0.02]), 0.001).item() == pytest.approx(wanted, rel=1e-4)


def test_items_of_a_batch_are_counted_apart() -> None:
    net, (truth, targets) = network(), song()
    t = torch.tensor([40, 90])
    tokens = hide_cells(truth, targets, t, WORDS.size + 1, torch.Generator().manual_seed(0))
    both = published_bound(net, truth, tokens, targets, t)
    for item in (slice(0, 1), slice(1, 2)):
        alone = published_bound(net, truth[item], tokens[item], targets[item], t[item])
        torch.testing.assert_close(both.bound[item], alone.bound)
        torch.testing.assert_close(both.auxiliary[item], alone.auxiliary)


@pytest.mark.parametrize("t", [1, 30, 99])
def test_a_hidden_cell_counts_as_its_divergence_does(t: int) -> None:
    """The whole posterior in double precision, replacement included, against 1 / t times the cross-entropy."""
    classes = 50
    table = schedule(classes)
    rng = np.random.default_rng(t)
    p = rng.dirichlet(np.ones(classes))
    answer = 7

    def posterior(x0: np.ndarray) -> np.ndarray:
        """q(x_{t-1} | x_t = MASK, x0), mixed over x0; the last entry is MASK."""
        before = t - 1
        kept = x0 * table.kept[before] + table.replaced[before]
        made = np.append(kept * table.hide[t], table.hidden[before])  # MASK stays MASK
        return made / table.hidden[t]

    true, said = posterior(np.eye(classes)[answer]), posterior(p)
    divergence = float((true * np.log(true / said)).sum())
    assert divergence == pytest.approx(returns(t) * -np.log(p[answer]), rel=1e-3)


def test_more_is_hidden_later_and_only_targets_are() -> None:
    truth, targets = song()
    truth, targets = truth.repeat(1, 1, 200), targets.repeat(1, 1, 200)
    generator = torch.Generator().manual_seed(0)
    tokens = hide_cells(truth, targets, torch.tensor([20, 80]), WORDS.size + 1, generator)
    hidden = tokens == WORDS.size + 1
    assert not (hidden & ~targets).any()
    assert torch.equal(tokens[~hidden], truth[~hidden])
    shares = hidden.sum(dim=(1, 2)) / targets.sum(dim=(1, 2))
    assert shares.tolist() == pytest.approx([20 / 99, 80 / 99], abs=0.03)


def test_steps_are_drawn_evenly_until_all_are_known_then_by_their_cost() -> None:
    net = network()
    assert step_chances(net.losses, net.draws).tolist() == pytest.approx([1 / STEPS] * STEPS)
    net.draws += 11
    net.losses += 1.0
    net.losses[50] = 100.0
    chances = step_chances(net.losses, net.draws)
    assert chances.sum() == pytest.approx(1.0)
    assert chances[50] / chances[49] == pytest.approx(10.0, rel=1e-3)
    net.losses[0] = 1e6
    assert step_chances(net.losses, net.draws)[0] == chances[1]
    t, with_ = draw_steps(net, 500, torch.Generator().manual_seed(0))
    assert (t == 50).sum() > 20
    assert torch.equal(with_, step_chances(net.losses, net.draws)[t])


def test_costs_are_remembered_a_tenth_at_a_time() -> None:
    net = network()
    record_losses(net, torch.tensor([3, 3, 5]), torch.tensor([2.0, 2.0, 1.0]))
    assert net.losses[3].item() == pytest.approx(0.1 * 4 + 0.9 * 0.4)
    assert net.draws[[3, 5, 6]].tolist() == [2, 1, 0]


def test_it_learns() -> None:
    net, (truth, targets) = network().train(), song()
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    costs = []
    for _ in range(60):
        t = torch.tensor([60, 90])
        tokens = hide_cells(truth, targets, t, WORDS.size + 1, generator)
        loss = published_bound(net, truth, tokens, targets, t).loss(t, torch.full((2,), 0.01), 0.001)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        costs.append(loss.item())
    assert np.mean(costs[-10:]) < 0.4 * np.mean(costs[:10])
