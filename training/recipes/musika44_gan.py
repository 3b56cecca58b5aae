"""Musika 44.1 kHz, generator of latents, as published.

Source: batch, rate, averaging and 250 epochs of 300,000 samples are those of the published training code.
"""

from training.config import Recipe
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LatentGan(start="runs/musika44_ae4/musika.safetensors"),
    steps=2_343_750,
    batch=32,
)
