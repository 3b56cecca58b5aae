"""Musika 22.05 kHz, autoencoder level 2, phase 1: level-1 latents by L1.

Source: the paper gives 400 k steps for level 2; how they fall on its phases, rate and batch are our choice.
"""

from training.config import Optim, Recipe
from training.tasks.autoencoder import Level2Latents

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level2Latents(start="runs/musika22_ae2/musika.safetensors"),
    optim=Optim(lr=3e-4, betas=(0.9, 0.999), decay=30_000),
    steps=150_000,
    batch=32,
)
