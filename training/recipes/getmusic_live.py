"""Our band that plays live, as in the starter bundle; needs a store of grids, and an hour on one processor core."""

from training.config import Data, Optim, Recipe
from training.models.getmusic_live import LiveConfig
from training.tasks.getmusic import LiveBand

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LiveBand(
        model=LiveConfig(cell=32, width=192, layers=5, heads=4, ff=768, dropout=0.0, window=32, context=96),
        store="runs/bands",
        bars=6,
    ),
    data=Data(workers=1),
    optim=Optim(
        lr=2e-3,
        betas=(0.9, 0.98),
        eps=1e-8,
        warmup=100,
        decay=2000,
        fall="linear",
        floor=0.02,
        clip=1.0,
        average=0.995,
    ),
    steps=2000,
    batch=8,
    log_every=50,
    save_every=200,
    preview_every=1000,
    evaluate_every=500,
)
