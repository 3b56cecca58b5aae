"""Pretraining of a text encoder on captions, before a language model is conditioned on it.

A language model gives its text encoder little gradient: after the first second the codes themselves show which parts
play. An encoder that begins with random weights therefore learns next to nothing from it. One whose vectors already
hold what the caption says is used from the first step, and its reading of the parts and the character is a condition
of each step, as beat and chord are.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from engine.music.arrays import F32
from engine.music.conducting import tempo_value
from training.data.captions import caption
from training.data.described import PARTS, Attributes, Described, attributes
from training.models.musicgen import said
from training.models.t5 import T5Encoder
from training.models.words import PAD, UNKNOWN, WordVocabulary

__all__ = ["TARGETS", "character", "load_or_pretrain", "read", "targets"]


_KEYS: Final = 24
TARGETS: Final = len(PARTS) + 1 + 3 + _KEYS
"""What is to be read: parts and genre as yes or no, tempo, density and brightness as numbers, the key."""

_PLACES: Final = 4  # stretches of each piece
_SHORTEST_S, _LONGEST_S = 2.5, 11.0
_BATCH: Final = 64
_RATE: Final = 1e-3
_WARM: Final = 50  # steps


def targets(known: Attributes) -> F32:
    """``[TARGETS]``; a key that there is not is all zeros."""
    row = np.zeros(TARGETS, np.float32)
    row[: len(PARTS)] = [part in known.parts for part in PARTS]
    row[len(PARTS)] = known.genre == "techno"
    row[len(PARTS) + 1 : len(PARTS) + 4] = tempo_value(known.tempo_bpm), known.density, known.brightness
    if known.key is not None and known.key.mode in ("major", "minor"):
        row[-_KEYS + 12 * (known.key.mode == "minor") + known.key.tonic] = 1.0
    return row


def character(known: Attributes) -> F32:
    """What `engine.music.conducting.CHARACTER` says of it."""
    parts = [1.0 if part in known.parts else -1.0 for part in PARTS]
    genre = 1.0 if known.genre == "techno" else -1.0
    return np.array([*parts, genre, 2.0 * known.density - 1.0, 2.0 * known.brightness - 1.0], np.float32)


def load_or_pretrain(
    text: T5Encoder,
    reader: nn.Linear,
    vocabulary: WordVocabulary,
    corpus: Described,
    cache: Path,
    *,
    steps: int,
    length: int,
    p_drop_word: float,
) -> None:
    """Give `text` and `reader` the weights of some steps of learning so; they are kept for the next time.

    Args:
        reader: see `LM.read`.
        cache: folder for them. length: pieces of a caption. p_drop_word: share of words that are replaced.
    """
    about = [text.config, vocabulary, len(corpus.entries), [e.checksum for e in corpus.entries[:8]], steps, length]
    digest = hashlib.sha256(repr([*about, p_drop_word, TARGETS, reader.out_features]).encode()).hexdigest()[:16]
    path, both = cache / f"reader-{digest}.safetensors", nn.ModuleDict({"text": text, "reader": reader})
    if not path.exists():
        read(text, reader, vocabulary, corpus, steps=steps, length=length, p_drop_word=p_drop_word)
        cache.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        safetensors.torch.save_file({name: value.contiguous() for name, value in both.state_dict().items()}, draft)
        draft.replace(path)
    both.load_state_dict(safetensors.torch.load_file(path))


def read(
    text: T5Encoder,
    reader: nn.Linear,
    vocabulary: WordVocabulary,
    corpus: Described,
    *,
    steps: int,
    length: int,
    p_drop_word: float,
) -> float:
    """Let an encoder learn; gives the loss of its last tenth."""
    rng = np.random.default_rng(0)
    known = _stretches(corpus, rng)
    wanted = torch.from_numpy(np.stack([targets(each) for each in known]))
    characters = torch.from_numpy(np.stack([character(each) for each in known]))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = nn.Linear(text.config.width, TARGETS)
    learning = [*text.parameters(), *reader.parameters(), *head.parameters()]
    optimiser = AdamW(learning, _RATE, weight_decay=0.01)
    losses = []
    for step in range(steps):
        chosen = rng.integers(len(known), size=_BATCH)
        rows = np.stack([vocabulary.numbers(caption(known[index], rng), length) for index in chosen])
        rows = np.where((rng.random(rows.shape) < p_drop_word) & (rows != PAD), UNKNOWN, rows)
        pieces, mask = torch.from_numpy(rows), torch.from_numpy((rows != PAD).astype(np.float32))
        vectors = text(pieces, mask)
        loss = _loss(head(vectors), wanted[chosen], mask)
        loss = loss + (said(reader, vectors, mask) - characters[chosen]).square().sum(dim=1).mean()
        for parameter, gradient in zip(learning, torch.autograd.grad(loss, learning), strict=True):
            parameter.grad = gradient
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM, 0.02 + 1.5 * (1.0 - step / steps))
        optimiser.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-max(1, steps // 10) :]))


def _stretches(corpus: Described, rng: np.random.Generator) -> list[Attributes]:
    known = []
    for entry in corpus.entries:
        played = corpus.played(entry)
        for _ in range(_PLACES):
            seconds = float(rng.uniform(_SHORTEST_S, min(_LONGEST_S, played.piece.duration_s)))
            first = float(rng.uniform(0.0, played.piece.duration_s - seconds))
            known.append(attributes(played, first, seconds))
    return known


def _loss(read_out: Tensor, wanted: Tensor, mask: Tensor) -> Tensor:
    """Of what every word's vector says ``[B, L, TARGETS]``."""
    sizes = [len(PARTS) + 1, 3, _KEYS]
    yes_or_no, numbers, keys = torch.split(read_out, sizes, dim=2)
    sure, values, key = torch.split(wanted[:, None].expand(-1, mask.shape[1], -1), sizes, dim=2)
    each = functional.binary_cross_entropy_with_logits(yes_or_no, sure, reduction="none").sum(dim=2)
    each = each + 4.0 * (numbers - values).square().sum(dim=2)
    each = each - (keys.log_softmax(dim=2) * key).sum(dim=2)
    loss: Tensor = (each * mask).sum() / mask.sum().clamp(min=1.0)
    return loss
