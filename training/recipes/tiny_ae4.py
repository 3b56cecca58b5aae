"""Musika in miniature, autoencoder level 2, phase 2: the second decoder against a small discriminator."""

from dataclasses import replace

from training.recipes import tiny_ae2
from training.tasks.autoencoder import Adversarial, Level2Sound

__all__ = ["RECIPE"]

RECIPE = replace(
    tiny_ae2.RECIPE,
    task=Level2Sound(start="runs/tiny_ae3/musika.safetensors", weights=Adversarial(critic=(16, 32, 64, 64))),
)
