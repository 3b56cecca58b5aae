"""Checkpoints: a folder of safetensors and JSON for each, written beside and moved into place.

A folder that has its final name is complete; one that a killed run left half written never has it. No pickle: reading a
checkpoint runs no code.
"""

import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.errors import EngineError

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "latest",
    "load",
    "load_modules",
    "load_optimiser",
    "load_random",
    "module_tensors",
    "optimiser_tensors",
    "random_tensors",
    "save",
]

_NAME = re.compile(r"step-(\d{9})")
_FORMAT = 1


class CheckpointError(EngineError):
    """A checkpoint is missing, damaged, or of another network: choose another one or start afresh."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run needs to resume.

    Args:
        step: steps done.
        weights: tensors by "module.key".
        optimisers: tensors by "optimiser.parameter number.name".
        random: states of random number generators, by "process.generator".
        about: JSON values: task state, the recipe.
    """

    step: int
    weights: Mapping[str, Tensor]
    optimisers: Mapping[str, Tensor]
    random: Mapping[str, Tensor]
    about: Mapping[str, Any]


def _sync(path: Path) -> None:
    """Wait until `path` is on the disk: after a power cut a renamed folder must not hold empty files."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def save(folder: Path, checkpoint: Checkpoint, keep: int = 3) -> Path:
    """Write a checkpoint below `folder`, then remove all but the latest `keep`.

    Returns:
        Its folder, `folder/step-000001234`.
    Raises:
        CheckpointError: it cannot be written; earlier ones are untouched.
    """
    final = folder / f"step-{checkpoint.step:09d}"
    draft = folder / f".draft-{checkpoint.step:09d}"
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        for name in ("weights", "optimisers", "random"):
            tensors = {
                key: value.detach().cpu().clone().contiguous() for key, value in getattr(checkpoint, name).items()
            }
            safetensors.torch.save_file(tensors, draft / f"{name}.safetensors")
        about = {"format": _FORMAT, "step": checkpoint.step, **checkpoint.about}
        (draft / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", "utf-8")
        for path in (*draft.iterdir(), draft):
            _sync(path)
        shutil.rmtree(final, ignore_errors=True)
        draft.replace(final)
        _sync(folder)
    except OSError as error:
        raise CheckpointError(f"{final}: cannot be written ({error}); make room or choose another folder") from None
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def _all(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if _NAME.fullmatch(path.name) and path.is_dir())


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint below `folder`, or None."""
    found = _all(folder)
    return found[-1] if found else None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint's folder.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    try:
        about = json.loads((path / "about.json").read_text("utf-8"))
        parts = {
            name: safetensors.torch.load_file(path / f"{name}.safetensors")
            for name in ("weights", "optimisers", "random")
        }
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: not readable as a checkpoint ({error}); resume from another one") from None
    if about.get("format") != _FORMAT:
        raise CheckpointError(f"{path}: format {about.get('format')!r}, this version reads {_FORMAT}; train again")
    return Checkpoint(about["step"], parts["weights"], parts["optimisers"], parts["random"], about)


def optimiser_tensors(name: str, optimiser: Optimizer) -> dict[str, Tensor]:
    """State of every parameter by "name.number.key"; numbers count through the parameter groups."""
    state = optimiser.state_dict()["state"]
    return {
        f"{name}.{index}.{key}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, values in state.items()
        for key, value in values.items()
    }


def load_optimiser(name: str, optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what `optimiser_tensors` returned; settings such as the learning rate stay as they are.

    Raises:
        CheckpointError: the tensors are of other parameters.
    """
    current = optimiser.state_dict()
    shapes = [parameter.shape for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        owner, index, key = path.split(".", 2)
        if owner != name:
            continue
        number = int(index)
        if number >= len(shapes) or (value.ndim and value.shape != shapes[number]):
            raise CheckpointError(f"optimiser '{name}' has other parameters than the checkpoint: same recipe?")
        state.setdefault(number, {})[key] = value.clone()  # two optimisers must not move one state
    optimiser.load_state_dict({"state": state, "param_groups": current["param_groups"]})


def random_tensors() -> dict[str, Tensor]:
    """States of the global generators of Python, numpy and torch (and of this process's CUDA device)."""
    _, words, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002 - other people's code may still draw from it
    inner = legacy["state"]
    tensors = {
        "python": torch.tensor(words, dtype=torch.int64),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(inner["key"].astype(np.int64)),
        "numpy_rest": torch.tensor([inner["pos"], legacy["has_gauss"], legacy["gauss"]], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    return tensors


def load_random(tensors: Mapping[str, Tensor]) -> None:
    """Set the global generators as `random_tensors` found them."""
    gauss = tensors["python_gauss"].tolist()
    random.setstate((3, tuple(tensors["python"].tolist()), gauss[0] if gauss else None))
    position, has_gauss, cached = tensors["numpy_rest"].tolist()
    key = tensors["numpy"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, int(position), int(has_gauss), cached))  # noqa: NPY002
    torch.set_rng_state(tensors["torch"])
    if "cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["cuda"])


def module_tensors(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Weights and buffers by "module.key"."""
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


def load_modules(modules: Mapping[str, nn.Module], tensors: Mapping[str, Tensor], source: str) -> None:
    """Restore what `module_tensors` returned.

    Raises:
        CheckpointError: names or shapes differ; `source` says of what.
    """
    for name, module in modules.items():
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        try:
            module.load_state_dict(own)
        except RuntimeError as error:
            raise CheckpointError(f"{source}: weights of '{name}' do not fit ({error}); same recipe?") from None
