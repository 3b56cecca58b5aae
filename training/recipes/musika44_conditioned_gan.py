"""Musika 44.1 kHz, generator of latents conditioned on note density and tempo.

Source: the paper's conditional models, never released; how conditions are measured is ours (`training.data.corpus`).
"""

from training.config import Recipe
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LatentGan(start="runs/musika44_ae4/musika.safetensors", conditions=("density", "tempo")),
    steps=2_343_750,
    batch=32,
)
