"""Musika in miniature, autoencoder level 2, phase 1: level-1 latents by L1."""

from training.config import Data, Optim, Recipe
from training.tasks.autoencoder import Level2Latents

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level2Latents(start="runs/tiny_ae2/musika.safetensors"),
    data=Data(pieces=48, bars=16),
    optim=Optim(lr=1e-3, betas=(0.9, 0.999), decay=500),
    steps=3000,
    batch=8,
    save_every=500,
    preview_every=1000,
    evaluate_every=500,
)
