"""Whether a language model of sound follows words: it is asked for parts, and a listener who knows them says who plays.

The listener is a linear classifier of mel levels, taught with composed pieces that went through the codec, so that it
judges playing and not the codec.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from engine.music.arrays import F64, Mask
from engine.music.audio import Audio
from training.config import Data
from training.data.described import PARTS, Described, attributes
from training.evaluate.sound import log_mel_features
from training.models.codecs import SoundCodec
from training.models.musicgen_files import MusicgenParts
from training.models.musicgen_sampling import sample_codes
from training.task import Table

__all__ = ["PartClassifier", "asked_text", "taught", "words_table"]

_SEED: Final = 900_003  # of a corpus that no recipe trains on
_SECONDS: Final = 5.0
_RIDGE: Final = 3.0  # of the listener's weights, in the scale of its normalised features
_NAMES: Final = {"drums": "drums", "bass": "bass", "chords": "chords", "arp": "arpeggio"}


@dataclass(frozen=True, slots=True)
class PartClassifier:
    """Says which of `PARTS` play.

    Args:
        mean, scale: of features [D]. weights: [D + 1, parts], the last row a bias.
    """

    mean: F64
    scale: F64
    weights: F64

    def hears(self, audio: Audio, sample_rate: int) -> Mask:
        """[parts] of sound [C, N]."""
        features = (_features(audio, sample_rate) - self.mean) / self.scale
        return np.asarray(np.append(features, 1.0) @ self.weights > 0.0)


def _features(audio: Audio, sample_rate: int) -> F64:
    """Mean, spread and greatest rise of each mel band's level."""
    # A row is three frames side by side, of which the first is enough here.
    levels = np.hsplit(log_mel_features(audio, sample_rate).astype(np.float64), 3)[0]
    rises = np.maximum(np.diff(levels, axis=0), 0.0)
    return np.concatenate([levels.mean(axis=0), levels.std(axis=0), rises.mean(axis=0)])


@torch.no_grad()
def _through(codec: SoundCodec, audio: Audio) -> Audio:
    sound = torch.from_numpy(np.ascontiguousarray(audio))
    sound = sound if codec.config.channels == 2 else sound.mean(dim=0, keepdim=True)
    return codec.decode(codec.encode(sound[None]))[0].numpy()


def taught(
    through: Callable[[Audio], Audio], rate: int, count: int, first: int = 0
) -> tuple[PartClassifier, list[tuple[Audio, Mask]]]:
    """A listener taught with `count` pieces, and a quarter as many more for testing it.

    Args:
        through: sound [2, N] at `rate` as a codec gives it back, [C, n].
        first: of the seeds.
    """
    corpus = Described(Data(pieces=count + max(1, count // 4), bars=3, seed=_SEED + first))
    recognised = []
    for entry in corpus.entries:
        sound = through(corpus.audio(entry, rate)[:, : round(_SECONDS * rate)])
        parts = attributes(corpus.played(entry), 0.0, _SECONDS).parts
        recognised.append((sound, np.array([part in parts for part in PARTS])))
    rows = np.stack([_features(sound, rate) for sound, _ in recognised[:count]])
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    inputs = np.hstack([(rows - mean) / scale, np.ones((count, 1))])
    wanted = np.stack([parts for _, parts in recognised[:count]]) * 2.0 - 1.0
    square = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1])
    weights = np.linalg.solve(square, inputs.T @ wanted)
    return PartClassifier(mean, scale, np.asarray(weights, np.float64)), recognised[count:]


def asked_text(genre: str, parts: Mask) -> str:
    """Words that ask for parts: "techno with drums and bass"."""
    names = [_NAMES[part] for part, wanted in zip(PARTS, parts, strict=True) if wanted]
    return f"{genre} with {'only ' if len(names) == 1 else ''}{' and '.join(names)}"


def words_table(made: MusicgenParts, prompts: int, lessons: int = 200) -> Table:
    """Parts asked for and parts recognised.

    Args:
        prompts: sounds that are asked for, five seconds each, without time and chords.
        lessons: pieces that the listener is taught with.
    """
    rate = made.codec.config.sample_rate
    listener, unseen = taught(lambda sound: _through(made.codec, sound), rate, lessons)
    rows: list[tuple[str, ...]] = [("recognised", *PARTS, "all four")]
    rows.append(_row("by the listener, in pieces", [(parts, listener.hears(s, rate)) for s, parts in unseen]))
    rng = np.random.default_rng(0)
    asked = [rng.random(len(PARTS)) < 0.6 for _ in range(prompts)]
    asked = [parts if parts.any() else np.ones(len(PARTS), np.bool_) for parts in asked]
    for guidance in (1.0, 3.0):
        recognised = [
            (parts, listener.hears(_played(made, ("techno", "ambient")[seed % 2], parts, seed, guidance), rate))
            for seed, parts in enumerate(asked)
        ]
        rows.append(_row(f"in {prompts} played, guidance {guidance:g}", recognised))
    return Table("Parts asked for by words and recognised", tuple(rows))


def _row(name: str, pairs: Sequence[tuple[Mask, Mask]]) -> tuple[str, ...]:
    right = np.stack([asked == recognised for asked, recognised in pairs])
    return (name, *(f"{share:.0%}" for share in right.mean(axis=0)), f"{right.all(axis=1).mean():.0%}")


@torch.no_grad()
def _played(made: MusicgenParts, genre: str, parts: Mask, seed: int, guidance: float) -> Audio:
    frames, length = round(_SECONDS * made.codec.config.frame_rate), int(made.notes["text_length"])
    numbers = torch.from_numpy(made.vocabulary.numbers(asked_text(genre, parts), length))[None]
    mask = (numbers > 0).float()
    said = made.text_encoder(numbers, mask)
    features = torch.zeros(1, made.lm.config.features, frames)
    if made.lm.config.character:
        features[:, -made.lm.config.character :] = made.lm.read(said, mask)[:, :, None]
    codes = sample_codes(
        made.lm,
        frames,
        context=made.lm.condition(said, mask),
        features=features if made.lm.config.features else None,
        delays=made.notes["delays"],
        generator=torch.Generator().manual_seed(seed),
        guidance=guidance,
        guided_features=int(made.notes.get("guided", 0)),
    )
    return made.codec.decode(torch.from_numpy(codes)[None])[0].numpy()
