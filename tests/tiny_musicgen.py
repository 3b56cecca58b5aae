"""Tiny language models of sound with seeded random weights, exported as the published ones are."""

import atexit
import json
import shutil
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch

from engine.bundles.bundle import open_model
from engine.models.musicgen.model import Musicgen
from engine.music.conducting import CHARACTER, GUIDED_FEATURES, STEP_FEATURES
from export.graphs.musicgen.bundle import export
from training.models.encodec import ENCODEC_32, Encodec
from training.models.musicgen import LM, MusicgenConfig, init_weights
from training.models.musicgen_files import MusicgenParts, save_musicgen
from training.models.t5 import T5Config, T5Encoder

ENTRIES = 32
PIECES = ("<pad>", "<unk>", "slow", "fast", "piano", "drums")
TOKENIZER = json.dumps(
    {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(PIECES)}, "unk_token": "<unk>"},
    }
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What sort of tiny model: sizes of its language model, and what its notes say."""

    lm: MusicgenConfig
    delays: tuple[int, ...] = (0, 1, 2, 3)
    window: int = 60
    keep: int = 24
    text: bool = True
    text_length: int = 0
    causal: bool = False


_BASE = MusicgenConfig(width=128, layers=2, entries=ENTRIES, text=16)
KINDS = {
    "plain": Kind(_BASE),
    "stereo": Kind(replace(_BASE, codebooks=8), delays=(0, 0, 1, 1, 2, 2, 3, 3)),
    "melody": Kind(replace(_BASE, chroma=12, cross=False)),
    "conducted": Kind(
        replace(_BASE, rotary=True, features=STEP_FEATURES, character=len(CHARACTER), window=12),
        text_length=6,
        causal=True,
    ),
    "wordless": Kind(replace(_BASE, text=0), text=False),
}


@cache
def tiny_parts(kind: str) -> MusicgenParts:
    """The networks, large enough weights to tell codes apart."""
    torch.manual_seed(5)
    told = KINDS[kind]
    codec_config = replace(
        ENCODEC_32, filters=4, width=16, entries=ENTRIES, causal=told.causal, reflect=not told.causal, lstm=1
    )
    codec, lm = Encodec(codec_config).eval(), LM(told.lm).eval()
    codec.quantiser.books.normal_()
    init_weights(lm)
    with torch.no_grad():
        for head in lm.heads:
            head.weight.mul_(4.0)
    sizes = T5Config(pieces=len(PIECES), width=16, heads=2, head=8, inner=32, layers=1)
    text = T5Encoder(sizes).eval() if told.text else None
    notes: dict[str, Any] = {
        "source": "random weights",
        "licence": "CC0-1.0",
        "delays": list(told.delays),
        "frames": told.window,
        "keep": told.keep,
        "text_length": told.text_length,
        "guided": GUIDED_FEATURES if told.lm.features else 0,
    }
    return MusicgenParts(codec, lm, text, TOKENIZER if told.text else "", notes)


def save_tiny(path: Path, kind: str) -> Path:
    """Its checkpoint."""
    save_musicgen(path, tiny_parts(kind))
    return path


@cache
def _exported(kind: str, build: str) -> Path:
    """Its bundle, made once for all tests; not to be changed."""
    folder = Path(mkdtemp(prefix="tiny-musicgen-"))
    atexit.register(shutil.rmtree, folder, True)
    export(save_tiny(folder / "tiny.safetensors", kind), folder / kind, build)
    return folder / kind


def write_tiny(folder: Path, kind: str = "plain", build: str = "fp32") -> Path:
    """Its bundle."""
    return Path(shutil.copytree(_exported(kind, build), folder, dirs_exist_ok=True))


@cache
def open_tiny(kind: str = "plain") -> Musicgen:
    """Its model, ready to play; it holds no state, so tests share it."""
    return open_model(str(_exported(kind, "fp32")), "continue")
