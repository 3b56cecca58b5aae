"""Musika in miniature, autoencoder level 2, phase 1: level-1 latents by L1."""

from dataclasses import replace

from training.recipes import tiny_ae1
from training.tasks.autoencoder import Level2Latents

__all__ = ["RECIPE"]

RECIPE = replace(
    tiny_ae1.RECIPE,
    task=Level2Latents(start="runs/tiny_ae2/musika.safetensors"),
)
