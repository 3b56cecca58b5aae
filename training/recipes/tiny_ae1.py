"""Musika in miniature, autoencoder level 1, phase 1: minutes on two processor cores, music of our own."""

from training.config import Data, Optim, Recipe
from training.models.musika import MusikaConfig
from training.tasks.autoencoder import Level1Magnitude

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=Level1Magnitude(
        model=MusikaConfig(
            sample_rate=22050,
            level1=32,
            latent=32,
            encoder=(256, 256, 256),
            encoder2=(96, 128, 128, 160, 160, 192, 192),
            decoder2=(192, 160, 160, 128, 128, 96, 96),
            decoder=(192, 192, 128, 96),
            generator=(224, 192, 160, 128, 96, 64),
            critic=(96, 128, 160, 192, 224),
        )
    ),
    data=Data(pieces=48, bars=16),
    optim=Optim(lr=1e-3, betas=(0.9, 0.999), decay=500),
    steps=3000,
    batch=8,
    save_every=500,
    preview_every=1000,
    evaluate_every=500,
)
