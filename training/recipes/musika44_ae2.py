"""Musika 44.1 kHz, autoencoder level 1, phase 2: phase and sound, against a discriminator.

Source: the paper gives 1 M steps for level 1; the rest of them is here. Rate and batch are our choice.
"""

from training.config import Optim, Recipe
from training.tasks.autoencoder import Level1Sound

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level1Sound(start="runs/musika44_ae1/musika.safetensors"),
    optim=Optim(lr=1e-4, betas=(0.5, 0.999), warmup=1000),
    steps=700_000,
    batch=32,
    precision="32-true",  # bf16 would round phases to 1/256 of a half turn, which is noise at -40 dB
)
