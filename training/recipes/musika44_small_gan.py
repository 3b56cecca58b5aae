"""Musika 44.1 kHz, the small generator: patches of six seconds instead of twelve.

Source: settings of the published training code with its option `small`.
"""

from training.config import Recipe
from training.tasks.latent_gan import LatentGan

__all__ = ["RECIPE"]

RECIPE = Recipe(
    task=LatentGan(start="runs/musika44_ae4/musika.safetensors", small=True),
    steps=2_343_750,
    batch=32,
)
