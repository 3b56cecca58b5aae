"""Musika 22.05 kHz, generator of latents conditioned on note density and tempo.

Source: the paper's conditional models, never released; how conditions are measured is ours (`training.data.corpus`).
"""

from training.config import Optim, Recipe
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LatentGan(start="runs/musika22_ae4/musika.safetensors", conditions=("density", "tempo")),
    optim=Optim(betas=(0.9, 0.999)),
    steps=781_250,
    batch=32,
)
