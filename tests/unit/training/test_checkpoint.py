"""A checkpoint is whole or not there, gives back what it took, and runs no code."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from training import checkpoint
from training.checkpoint import Checkpoint, CheckpointError


def sample(step: int) -> Checkpoint:
    return Checkpoint(
        step, {"a.w": torch.arange(4.0)}, {}, {"0.x": torch.tensor([1], dtype=torch.uint8)}, {"state": {}}
    )


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, sample(12))
    assert path == checkpoint.latest(tmp_path)
    back = checkpoint.load(path)
    assert back.step == 12
    assert torch.equal(back.weights["a.w"], torch.arange(4.0))
    assert back.random["0.x"].dtype == torch.uint8
    assert sorted(file.name for file in path.iterdir()) == [
        "about.json", "optimisers.safetensors", "random.safetensors", "weights.safetensors",
    ]  # fmt: skip


def test_only_the_latest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 30, 4):
        checkpoint.save(tmp_path, sample(step), keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000004", "step-000000030"]


def test_a_half_written_checkpoint_is_never_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checkpoint.latest(tmp_path) is None
    checkpoint.save(tmp_path, sample(1))

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(checkpoint.safetensors.torch, "save_file", full)
    with pytest.raises(CheckpointError, match="make room"):
        checkpoint.save(tmp_path, sample(2))
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    assert checkpoint.load(newest).step == 1


@pytest.mark.parametrize("name", ["about.json", "weights.safetensors", "random.safetensors"])
def test_damage_is_reported(tmp_path: Path, name: str) -> None:
    path = checkpoint.save(tmp_path, sample(1))
    (path / name).write_bytes(b"\x00\x01")
    with pytest.raises(CheckpointError, match="not readable"):
        checkpoint.load(path)
    (path / name).unlink()
    with pytest.raises(CheckpointError, match="not readable"):
        checkpoint.load(path)


def test_a_strange_format_is_refused(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, sample(1))
    (path / "about.json").write_text('{"format": 99, "step": 1}')
    with pytest.raises(CheckpointError, match="format 99"):
        checkpoint.load(path)


def test_optimiser_goes_on_where_it_was() -> None:
    def step(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        optimiser.zero_grad()
        network(torch.ones(1, 3)).square().sum().backward()
        optimiser.step()

    torch.manual_seed(0)
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    first = torch.optim.Adam(network.parameters(), 0.1)
    step(network, first)
    other.load_state_dict(network.state_dict())
    second = torch.optim.Adam(other.parameters(), 0.1)
    checkpoint.load_optimiser("adam", second, checkpoint.optimiser_tensors("adam", first))
    step(network, first)
    step(other, second)
    assert torch.equal(network.weight, other.weight)
    wrong = torch.optim.Adam(nn.Linear(4, 2).parameters(), 0.1)
    with pytest.raises(CheckpointError, match="other parameters"):
        checkpoint.load_optimiser("adam", wrong, checkpoint.optimiser_tensors("adam", first))


def test_random_generators_go_on_where_they_were() -> None:
    def draw() -> tuple[float, ...]:
        # Normal numbers too: both generators keep a second one back.
        return (random.gauss(0, 1), random.random(), float(np.random.randn()), float(torch.randn(())))  # noqa: NPY002

    draw()
    kept = checkpoint.random_tensors()
    wanted = draw()
    assert draw() != wanted
    checkpoint.load_random(kept)
    assert draw() == wanted


def test_shared_weights_can_be_saved(tmp_path: Path) -> None:
    weight = torch.ones(3)
    both = Checkpoint(1, {"a.w": weight, "b.w": weight}, {}, {}, {})
    assert checkpoint.load(checkpoint.save(tmp_path, both)).weights["b.w"].tolist() == [1.0, 1.0, 1.0]
