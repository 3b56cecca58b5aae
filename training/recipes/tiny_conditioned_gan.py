"""Musika in miniature, generator of latents conditioned on note density and tempo."""

from training.config import Data, Optim, Recipe
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LatentGan(start="runs/tiny_ae4/musika.safetensors", small=True, conditions=("density", "tempo")),
    data=Data(pieces=48, bars=16),
    optim=Optim(lr=2e-4),
    steps=4000,
    batch=16,
    save_every=500,
    preview_every=1000,
    evaluate_every=1000,
)
