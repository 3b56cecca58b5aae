"""MusicGen's small shape and its published optimiser; needs a codec (`encodec_32k`), a folder of music, accelerators.

Its text encoder is one of ours, trained along, instead of T5; captions of a folder's sounds are .txt files beside them.
"""

from training.config import Data, Optim, Recipe
from training.tasks.musicgen import TrainLM

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=TrainLM(),
    data=Data(workers=8),
    optim=Optim(lr=1e-4, betas=(0.9, 0.95), eps=1e-8, warmup=4000, decay=1_000_000, clip=1.0, average=0.999),
    steps=1_000_000,
    batch=192,
    evaluate_every=5000,
    preview_every=10_000,
)
