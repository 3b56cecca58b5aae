"""Our codec of all audio starters: stereo, causal, over band music and recordings, on one processor core."""

from training.config import Data, Optim, Recipe
from training.models.mdct_codec import MDCT_CODEC
from training.tasks.encodec import TrainCodec

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=TrainCodec(
        model=MDCT_CODEC,
        frames=44,
        windows=(128, 256, 512, 1024, 2048),
        windows_a_step=2,
        exponent=1.0,
        relative=True,
        sides=True,
        quantised_from=400,
        critic_windows=(1024, 256),
        critic_width=8,
        critic_from=20_000,
        wave=3.0,
        mel=1.0,
        judged=0.3,
        matched=1.0,
        commitment=1.0,
        dropout=0.25,
        quieter_db=18.0,
        recordings="runs/recordings",
        recorded=0.2,
        varied=0.5,
        mixed=0.15,
    ),
    data=Data(folder="runs/band", valid=0.03, workers=1),
    optim=Optim(lr=1e-3, betas=(0.8, 0.99), eps=1e-8, warmup=200, decay=10_000, floor=0.02, average=0.998),
    steps=40_000,
    batch=8,
    log_every=50,
    save_every=250,
    preview_every=5000,
    evaluate_every=500,
)
