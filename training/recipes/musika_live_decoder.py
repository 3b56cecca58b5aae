"""musika-live's decoder alone, as in the starter bundle: continues `musika_live_autoencoder`, encoder kept."""

from training.config import Data, Optim, Recipe
from training.tasks.musika_live import LiveAutoencoder

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LiveAutoencoder(start="runs/musika_live_autoencoder"),
    data=Data(pieces=400, bars=8, seed=5000, valid=0.02),
    optim=Optim(lr=1.2e-3, betas=(0.9, 0.99), warmup=20, decay=900, clip=10.0),
    steps=900,
    batch=8,
    save_every=300,
    preview_every=300,
    evaluate_every=300,
)
