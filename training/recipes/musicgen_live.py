"""Our conducted language model of the starter bundle, over the codec of `encodec_live`, from composed pieces.

Made for a processor: two and a half hours on two cores, each of which takes its share (`torchrun --nproc-per-node 2 -m
training musicgen_live --set batch=2`); an accelerator takes more at once: `--set batch=64`. Products are taken in
bfloat16, a third of the time where the processor multiplies so (AVX-512 BF16, AMX) and with the same losses; where it
does not, `--set precision=32-true` is faster.
"""

from training.config import Data, Optim, Recipe
from training.tasks.musicgen import TrainLM
from training.tasks.musicgen_batches import ConditionDropout

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=TrainLM(
        codec="runs/encodec_live/encodec.safetensors",
        width=256,
        layers=6,
        rotary=True,
        window=384,
        text_width=128,
        text_layers=2,
        text_heads=4,
        frames=512,
        starts=0.5,
        reading=1500,
        temperature=0.7,
        top_k=50,
        dropout=ConditionDropout(
            conducted=True,
            text_length=24,
            p_drop_text=0.5,
            p_drop_word=0.08,
            p_drop_time=0.2,
            p_drop_chords=0.2,
            p_drop_character=0.2,
        ),
    ),
    data=Data(pieces=2560, bars=8, seed=42, valid=0.02, workers=1),
    optim=Optim(lr=1e-3, betas=(0.9, 0.95), eps=1e-8, warmup=300, decay=15_500, floor=0.02, clip=1.0, average=0.998),
    precision="bf16-mixed",
    steps=15_000,
    batch=4,
    log_every=50,
    save_every=500,
    preview_every=2000,
    evaluate_every=1000,
)
