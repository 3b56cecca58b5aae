"""Training batches of a language model of codes: input steps, their conditions, and the targets."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from engine.music.arrays import F32, I64
from engine.music.codes import MONO_DELAYS, delayed
from engine.music.conducting import CHARACTER, GUIDED_FEATURES
from training.data.code_store import CodeWindow
from training.evaluate.codes import code_losses
from training.models.musicgen import LM
from training.models.t5 import T5Encoder
from training.models.words import PAD, UNKNOWN, WordVocabulary
from training.task import Batch

__all__ = ["ConditionDropout", "TokenBatches"]

_HARMONY: Final = slice(-GUIDED_FEATURES, -len(CHARACTER))
_CHARACTER: Final = -len(CHARACTER)


@dataclass(frozen=True, kw_only=True)
class ConditionDropout:
    """Conditions of a step, and how often each is left out, so that a model can do without.

    Args:
        conducted: beat, bar, tempo and chord.
        text_length: words of a caption at most; shorter ones are filled up.
        p_drop_text: share of items without words. p_drop_word: share of words that are replaced by the unknown one.
        p_drop_time: share of items without time and chords. p_drop_chords: of chords.
        p_drop_character: share of items without character (which parts play, and how); also of each number of it.
    """

    conducted: bool = False
    text_length: int = 32
    p_drop_text: float = 0.2
    p_drop_word: float = 0.0
    p_drop_time: float = 0.1
    p_drop_chords: float = 0.1
    p_drop_character: float = 0.3


class TokenBatches:
    """Windows of codes to training batches, a pure function of them and of random numbers.

    Args:
        codebooks, entries: of the codec.
    """

    def __init__(self, dropout: ConditionDropout, vocabulary: WordVocabulary, codebooks: int, entries: int) -> None:
        self._dropout, self._vocabulary, self._special = dropout, vocabulary, entries
        self.delays = MONO_DELAYS if codebooks == len(MONO_DELAYS) else tuple(range(codebooks))

    def batch(self, windows: list[CodeWindow], rng: np.random.Generator) -> Batch:
        """A training batch, with words, chords and time left out as the settings say."""
        dropout, count = self._dropout, len(windows)
        pieces = self._pieces(windows)
        forget = (rng.random(pieces.shape) < dropout.p_drop_word) & (pieces != PAD)
        pieces = np.where(forget, UNKNOWN, pieces)
        features = self._features(windows)
        features[rng.random(count) < dropout.p_drop_chords, :, _HARMONY] = 0.0
        features[rng.random(count) < dropout.p_drop_time, :, :_CHARACTER] = 0.0
        features[rng.random(count) < dropout.p_drop_character, :, _CHARACTER:] = 0.0
        unsaid = rng.random((count, 1, len(CHARACTER))) < dropout.p_drop_character
        features[:, :, _CHARACTER:] *= ~unsaid
        pieces[rng.random(count) < dropout.p_drop_text] = PAD
        return self._tensors(windows, pieces, features)

    def ways(self, windows: list[CodeWindow]) -> dict[str, Batch]:
        """The same windows with all that is known of them, with the words of others, without any, without time."""
        pieces, features = self._pieces(windows), self._features(windows)
        ways = {
            "conditioned": self._tensors(windows, pieces, features),
            "others_words": self._tensors(windows, np.roll(pieces, 1, axis=0), features),
            "no_words": self._tensors(windows, np.full_like(pieces, PAD), features),
        }
        if self._dropout.conducted:
            silent = features.copy()
            silent[:, :, _HARMONY] = 0.0
            ways["no_chords"] = self._tensors(windows, pieces, silent)
            silent[:, :, :_CHARACTER] = 0.0
            ways["no_time"] = self._tensors(windows, pieces, silent)
            silent = features.copy()
            silent[:, :, _CHARACTER:] = 0.0
            ways["no_character"] = self._tensors(windows, pieces, silent)
        return ways

    def _pieces(self, windows: list[CodeWindow]) -> I64:
        return np.stack([self._vocabulary.numbers(w.caption, self._dropout.text_length) for w in windows])

    def _features(self, windows: list[CodeWindow]) -> F32:
        return np.stack([window.features.T for window in windows])

    def _tensors(self, windows: list[CodeWindow], pieces: I64, features: F32) -> Batch:
        """Step s has the conditions of frame s, whose first code is the target of the step."""
        frames = windows[0].codes.shape[1]
        plan = delayed(frames, self.delays)
        steps = np.stack([plan.sequence(window.codes, self._special) for window in windows])
        # The last steps would be of late codebooks alone, which an endless stream never meets.
        batch = {
            "codes": torch.from_numpy(steps[:, :, :frames]),
            "targets": torch.from_numpy(steps[:, :, 1 : frames + 1]),
            "said": torch.from_numpy(plan.said[None, :, 1 : frames + 1]),
            "pieces": torch.from_numpy(pieces),
            "mask": torch.from_numpy((pieces != PAD).astype(np.float32)),
        }
        return batch | ({"features": torch.from_numpy(features)} if self._dropout.conducted else {})

    def moved(self, batch: Batch, lm: LM) -> Batch:
        """To where the model is."""
        device = next(lm.parameters()).device
        return {name: value.to(device) for name, value in batch.items()}

    def losses(self, lm: LM, text: T5Encoder, batch: Batch) -> Tensor:
        """Cross-entropy ``[K]`` in nats."""
        batch = self.moved(batch, lm)
        # As published: half precision has no number as small as the one that keeps pieces from attending to no text.
        with torch.autocast(batch["mask"].device.type, enabled=False):
            said = text(batch["pieces"], batch["mask"])
        context = lm.condition(said, batch["mask"])
        logits = lm(batch["codes"], context, features=batch.get("features"))
        return code_losses(logits, batch["targets"], batch["said"])
