"""musika-live's autoencoder, as in the starter bundle: half an hour on two processor cores."""

from training.config import Data, Optim, Recipe
from training.tasks.musika_live import LiveAutoencoder

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LiveAutoencoder(),
    data=Data(pieces=400, bars=8, seed=1000, valid=0.02),
    optim=Optim(lr=2e-3, betas=(0.9, 0.99), warmup=100, decay=1500, clip=10.0),
    steps=3000,
    batch=8,
    save_every=500,
    preview_every=1000,
    evaluate_every=500,
)
