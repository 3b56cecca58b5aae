"""The interface between the training loop and a task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.errors import EngineError
from engine.music.arrays import U8
from engine.music.audio import Audio

__all__ = ["Batch", "MeasurableTask", "Preview", "Stepper", "Table", "Task", "TrainingError"]

Batch = dict[str, Tensor]
"""Tensors of one step by name, first axis items."""


class TrainingError(EngineError):
    """Training cannot continue: the message says what happened and what to change."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Sounds, pictures and files by which people judge a run.

    Args:
        sample_rate: of all sounds, in Hz.
        sounds: [C, N] by name; a spectrogram of each is drawn as well.
        pictures: uint8 [H, W, 3] by name.
        files: contents by file name (scores as MIDI).
    """

    sample_rate: int = 0
    sounds: Mapping[str, Audio] = field(default_factory=dict)
    pictures: Mapping[str, U8] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """Measurements side by side.

    Args:
        title: what was measured, on how much music.
        rows: texts, a header first, all of one length.
    """

    title: str
    rows: tuple[tuple[str, ...], ...]


@runtime_checkable
class MeasurableTask(Protocol):
    """Settings of a task whose results can be measured next to simple baselines."""

    def measure(self, folder: Path) -> list[Table]:
        """Measure what a run has published in `folder`.

        Raises:
            TrainingError: nothing was published there.
        """
        ...


class Stepper(ABC):
    """One training step as a task sees it.

    Args:
        step: number of the step, from 0.
        generator: random numbers on the device, a pure function of (seed, step, process).
        device: where tensors live.
    """

    step: int
    generator: torch.Generator
    device: torch.device

    @abstractmethod
    def update(self, losses: Mapping[str, Tensor]) -> None:
        """Move the optimisers of these names down their losses.

        All gradients are taken first, then all weights are moved, so one call trains a generator and a
        discriminator from the same forward pass; two calls one after the other alternate.
        """

    @abstractmethod
    def mean(self, value: Tensor) -> float:
        """A number averaged over processes, for state that all of them must agree on."""


class Task(ABC):
    """Networks, their optimisers and one training step.

    A step must depend on nothing but weights, `batch`, `state` and `stepper.generator`: then a run that is killed
    and resumed gives the same weights as one that was not.
    """

    @abstractmethod
    def modules(self) -> dict[str, nn.Module]:
        """Everything that a checkpoint saves, by name, with or without an optimiser; it is moved to the device."""

    def frozen(self) -> dict[str, nn.Module]:
        """Networks that are only used: moved to the device, put in evaluation mode, never saved."""
        return {}

    @abstractmethod
    def optimisers(self) -> dict[str, Optimizer]:
        """Optimisers by name."""

    def averaged(self) -> tuple[str, ...]:
        """Names of modules of which a moving average is kept."""
        return ()

    def prepare(self, device: torch.device) -> None:
        """Make what batches need (cached samples, latents); called once, after networks are on `device`."""
        return

    @abstractmethod
    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        """The data of a step: a pure function of its arguments; called from several threads."""

    @abstractmethod
    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        """Train once, calling `stepper.update`; returns values to be plotted."""

    def state(self) -> dict[str, float]:
        """Numbers besides weights that the next step depends on."""
        return {}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Restore what `state` returned."""
        return

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview | None:
        """Sounds and pictures of the networks as they are; `averages` holds the moving averages by name."""
        return None

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        """Measurements on music that was never trained on."""
        return {}

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        """Write the weights in the form that export and later recipes read, into an empty `folder`."""
        return
