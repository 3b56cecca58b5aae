"""Matrix products do what convolutions do."""

import pytest
import torch
from torch import Tensor, nn

from export.quantise.products import Product, as_products
from training.models.layers import Step

STEPS = {
    "kernel 1": (Step(5, 7), 6),
    "kernel 3": (Step(5, 7, 3, noise=True), 6),
    "kernel 3, tiles of four": (Step(5, 7, 3, noise=True), 8),
    "kernel 3, stride 2": (Step(5, 7, 3, 2, noise=True), 6),
    "kernel 3, stride 2, valid": (Step(5, 7, 3, 2, valid=True), 7),
    "kernel 4, normalised": (Step(5, 7, 4, noise=True, norm=True), 8),
    "kernel 2, valid, tanh": (Step(5, 7, 2, valid=True, activation="tanh"), 2),
    "up": (Step(5, 7, up=True, noise=True), 6),
    "up, tiles of four": (Step(5, 7, up=True, noise=True), 12),
    "up, too odd for tiles": (Step(5, 7, up=True, noise=True), 3),
    "up, normalised": (Step(5, 32, up=True, noise=True, norm=True), 4),
    "clipped": (Step(5, 17, activation="clip"), 3),
}


def _randomise(step: Step) -> Step:
    for value in step.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1 if value.dim() == 1 else torch.randn_like(value))
    return step.eval()


@pytest.mark.parametrize("tiled", [False, True], ids=["plain", "tiled"])
@pytest.mark.parametrize("name", STEPS)
def test_product_gives_what_the_step_gives(name: str, tiled: bool) -> None:
    torch.manual_seed(1)
    step, length = STEPS[name]
    x = torch.randn(3, 5, length)
    product = Product(_randomise(step), length, tiled)
    noise = None if step.noise is None else torch.randn(3, product.length)
    with torch.no_grad():
        wanted, got = step(x, noise), product(x.transpose(1, 2), noise).transpose(1, 2)
    assert got.shape == wanted.shape
    assert torch.allclose(got, wanted, atol=1e-4, rtol=1e-4)


def test_silent_noise_layer_costs_nothing() -> None:
    assert Product(Step(5, 7, 3, noise=True), 6).gain is None


def test_as_products_leaves_the_network_alone_and_finds_every_length() -> None:
    network = nn.Sequential(_randomise(Step(5, 7, up=True)), _randomise(Step(7, 9, 3, 2))).eval()
    changed = as_products(network, torch.zeros(1, 5, 4))
    assert all(isinstance(step, Step) for step in network)
    assert [step.length for step in changed] == [8, 4]
    x = torch.randn(2, 5, 4)
    with torch.no_grad():
        wanted: Tensor = network(x)
        assert torch.allclose(changed(x.transpose(1, 2)).transpose(1, 2), wanted, atol=1e-4, rtol=1e-4)
