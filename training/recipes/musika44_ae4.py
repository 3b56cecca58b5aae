"""Musika 44.1 kHz, autoencoder level 2, phase 2: the second decoder against a discriminator of sound.

Source: the paper gives 400 k steps for level 2; the rest of them is here. Rate and batch are our choice.
"""

from training.config import Optim, Recipe
from training.tasks.autoencoder import Level2Sound

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level2Sound(start="runs/musika44_ae3/musika.safetensors"),
    optim=Optim(lr=1e-4, betas=(0.5, 0.999), warmup=1000),
    steps=250_000,
    batch=32,
    precision="32-true",  # bf16 would round phases to 1/256 of a half turn, which is noise at -40 dB
)
