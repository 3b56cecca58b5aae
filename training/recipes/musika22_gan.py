"""Musika 22.05 kHz, generator of latents, as published.

Source: batch, rate, averaging and 100 epochs of 250,000 samples are those of the published training code.
"""

from training.config import Optim, Recipe
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LatentGan(start="runs/musika22_ae4/musika.safetensors"),
    optim=Optim(betas=(0.9, 0.999)),
    steps=781_250,
    batch=32,
)
