"""Our band that plays live, as in the starter bundle; needs a store of grids, and 80 minutes on one processor core."""

from training.config import Data, Optim, Recipe
from training.data.masks import Chances
from training.models.getmusic_live import GetmusicLiveConfig
from training.tasks.getmusic import LiveBand

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LiveBand(
        model=GetmusicLiveConfig(cell=32, width=192, layers=5, heads=4, ff=768, dropout=0.0, window=32, context=96),
        store="runs/bands",
        bars=4,
        moved=0.15,
        chances=Chances(
            alone=0.05,
            absent=0.15,
            from_lead=0.7,
            next_bar=0.3,
            unknown=0.2,
            spans=0.1,
            chord_drop=0.1,
            chord_ahead=0.9,
        ),
    ),
    data=Data(workers=1),
    optim=Optim(
        lr=1e-3,
        betas=(0.9, 0.98),
        eps=1e-8,
        warmup=200,
        decay=16000,
        fall="linear",
        floor=0.02,
        clip=1.0,
        average=0.999,
    ),
    steps=16000,
    batch=8,
    log_every=100,
    save_every=500,
    preview_every=4000,
    evaluate_every=2000,
)
