"""GETMusic as published: 90.7 million parameters, 300,000 steps, for eight large accelerators and a store of grids."""

from training.config import Data, Optim, Recipe
from training.tasks.getmusic_published import PublishedBand

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=PublishedBand(store="runs/bands", bars=32, weight_decay=0.01, auxiliary=0.001),
    data=Data(workers=2),
    # The published average moves by 0.90 every 100 steps; a step's share of that is 0.90 ** 0.01.
    optim=Optim(
        lr=1e-4,
        betas=(0.9, 0.999),
        eps=1e-8,
        warmup=1000,
        start=0.03,
        decay=299_000,
        fall="linear",
        floor=0.01,
        clip=0.5,
        average=0.998947,
    ),
    steps=300_000,
    batch=3,
    precision="32-true",
    log_every=100,
    save_every=5000,
    preview_every=0,
    evaluate_every=5000,
)
