"""Musika in miniature, autoencoder level 1, phase 2: phase and sound, against a small discriminator."""

from dataclasses import replace

from training.config import Optim
from training.recipes import tiny_ae1
from training.tasks.autoencoder import Adversarial, Level1Sound

__all__ = ["RECIPE"]

RECIPE = replace(
    tiny_ae1.RECIPE,
    task=Level1Sound(start="runs/tiny_ae1/musika.safetensors", weights=Adversarial(critic=(16, 32, 64, 64))),
    optim=Optim(lr=3e-4, betas=(0.5, 0.999), warmup=100),
)
