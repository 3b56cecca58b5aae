"""Our causal codec of the starter bundle: 2 kbit/s without look-ahead, from composed pieces, on one processor core."""

from training.config import Data, Optim, Recipe
from training.models.encodec import ENCODEC_LIVE
from training.tasks.encodec import TrainCodec

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=TrainCodec(
        model=ENCODEC_LIVE,
        frames=25,
        windows=(64, 128, 256, 512, 1024, 2048),
        exponent=1.0,
        quantised_from=1000,
        critic_windows=(1024, 256),
        critic_width=8,
        critic_from=4000,
        mel=4.0,
        commitment=20.0,
        wave=0.5,
        judged=1.0,
        matched=2.0,
        dropout=0.25,
        quieter_db=18.0,
    ),
    data=Data(pieces=240, bars=8, seed=41, valid=0.03, workers=1),
    optim=Optim(lr=6e-4, betas=(0.8, 0.99), eps=1e-8, warmup=200, decay=8_000, floor=0.02, average=0.995),
    steps=8_000,
    batch=8,
    log_every=50,
    save_every=500,
    preview_every=2000,
    evaluate_every=1000,
)
