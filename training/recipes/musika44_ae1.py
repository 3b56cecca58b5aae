"""Musika 44.1 kHz, autoencoder level 1, phase 1: encoder and magnitude by L1.

Source: the paper gives 1 M steps for level 1; how they fall on its phases, rate and batch are our choice.
"""

from training.config import Optim, Recipe
from training.tasks.autoencoder import Level1Magnitude

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level1Magnitude(),
    optim=Optim(lr=3e-4, betas=(0.9, 0.999), decay=50_000),
    steps=300_000,
    batch=32,
)
