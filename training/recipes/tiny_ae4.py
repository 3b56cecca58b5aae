"""Musika in miniature, autoencoder level 2, phase 2: the second decoder against a small discriminator."""

from training.config import Data, Optim, Recipe
from training.tasks.autoencoder import Adversarial, Level2Sound

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level2Sound(start="runs/tiny_ae3/musika.safetensors", weights=Adversarial(critic=(16, 32, 64, 64))),
    data=Data(pieces=48, bars=16),
    optim=Optim(lr=3e-4, betas=(0.5, 0.999), warmup=100),
    steps=3000,
    batch=8,
    save_every=500,
    preview_every=1000,
    evaluate_every=500,
)
