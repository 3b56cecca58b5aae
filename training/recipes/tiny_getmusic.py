"""Our live band in miniature: seconds on one processor core, for trying things out."""

from training.config import Data, Optim, Recipe
from training.models.getmusic_live import GetmusicLiveConfig
from training.tasks.getmusic import LiveBand

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LiveBand(
        model=GetmusicLiveConfig(cell=8, width=32, layers=2, heads=2, ff=64, dropout=0.0, window=32, context=64),
        store="runs/bands",
        bars=4,
    ),
    data=Data(workers=0),
    optim=Optim(lr=3e-3, betas=(0.9, 0.98), eps=1e-8, warmup=10, clip=1.0, average=0.95),
    steps=100,
    batch=4,
    log_every=20,
    save_every=50,
    preview_every=0,
    evaluate_every=50,
)
