"""MusicGen's codec as published: 32 kHz, four codebooks of 2048; for accelerators, and a folder of music."""

from training.config import Data, Optim, Recipe
from training.tasks.encodec import TrainCodec

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=TrainCodec(),
    data=Data(workers=8),
    optim=Optim(lr=3e-4, betas=(0.5, 0.9), eps=1e-8, average=0.99),
    steps=400_000,
    batch=64,
    precision="32-true",
    evaluate_every=2000,
    preview_every=10_000,
)
