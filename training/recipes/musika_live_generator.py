"""musika-live's generator, as in the starter bundle; needs a run of `musika_live_decoder`."""

from training.config import Data, Optim, Recipe
from training.tasks.musika_live import LiveGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LiveGan(autoencoder="runs/musika_live_decoder", critic_from=2500),
    data=Data(pieces=2400, bars=8, seed=1000, valid=0.02),
    optim=Optim(lr=1e-3, critic_lr=4e-4, betas=(0.5, 0.99), warmup=200, decay=5000, clip=2.0, average=0.998),
    steps=5000,
    batch=16,
    save_every=500,
    preview_every=0,
    evaluate_every=500,
)
