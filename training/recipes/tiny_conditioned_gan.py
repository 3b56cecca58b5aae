"""Musika in miniature, generator of latents conditioned on note density and tempo."""

from dataclasses import replace

from training.recipes import tiny_gan
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = replace(
    tiny_gan.RECIPE,
    task=LatentGan(start="runs/tiny_ae4/musika.safetensors", small=True, conditions=("density", "tempo")),
)
