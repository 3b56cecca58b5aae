"""How well codes represent sound, and how well a model predicts them: measurements that need only torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.music.spectrum import mel_matrix
from training.config import Data
from training.data.described import Described
from training.models.codecs import SoundCodec
from training.task import Table

__all__ = [
    "HELD",
    "CodecScore",
    "code_losses",
    "codec_table",
    "held_sounds",
    "loss_table",
    "mel_distance_db",
    "score_codec",
    "si_snr_db",
]

_WINDOW: Final = 1024
_BANDS: Final = 64
_FLOOR: Final = 1e-5  # power of a mel band that counts as silence, 70 dB below a tone of full scale
HELD: Final = Data(pieces=8, bars=4, seed=900_001)
"""Pieces for tables: of a seed that no recipe trains on."""


@dataclass(frozen=True, slots=True)
class CodecScore:
    """What a codec gives back with some of its codebooks.

    Args:
        codebooks: how many. kbit_s: what they take.
        si_snr_db: of the wave, any gain allowed; a codec that makes up noise for noise has little, and may sound well.
        mel_db: mean distance of mel bands.
    """

    codebooks: int
    kbit_s: float
    si_snr_db: float
    mel_db: float


def si_snr_db(made: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-noise ratio ``[B]`` in dB of ``[B, C, N]``.

    Source: Le Roux et al., "SDR - half-baked or well done?", 2019, equation 3.
    """
    one, two = (part.flatten(1) - part.flatten(1).mean(dim=1, keepdim=True) for part in (made, target))
    scale = (one * two).sum(dim=1, keepdim=True) / two.square().sum(dim=1, keepdim=True).clamp(min=1e-12)
    wanted = scale * two
    noise = (one - wanted).square().sum(dim=1)
    ratio = wanted.square().sum(dim=1).clamp(min=1e-12) / noise.clamp(min=1e-12)
    return 10.0 * ratio.log10()


def _mel_db(audio: Tensor, sample_rate: int) -> Tensor:
    window = torch.hann_window(_WINDOW, device=audio.device)
    spectrum = torch.stft(audio.flatten(0, 1), _WINDOW, _WINDOW // 4, window=window, center=False, return_complex=True)
    mel = torch.from_numpy(mel_matrix(sample_rate, _WINDOW, _BANDS)).to(audio.device)
    power = spectrum.abs().square() / window.square().sum()
    return 10.0 * (mel @ power).clamp(min=_FLOOR).log10()


def mel_distance_db(made: Tensor, target: Tensor, sample_rate: int) -> Tensor:
    """Mean distance in dB of the mel bands of two sounds ``[B, C, N]``, averaged over all of them."""
    return (_mel_db(made, sample_rate) - _mel_db(target, sample_rate)).abs().mean()


@torch.no_grad()
def score_codec(codec: SoundCodec, sounds: Tensor) -> list[CodecScore]:
    """Sounds ``[B, channels, N]`` through one codebook, two, and so on."""
    config = codec.config
    codes, scores = codec.encode(sounds), []
    wanted = _mel_db(sounds, config.sample_rate)
    for count in range(1, config.codebooks + 1):
        made = codec.decode(codes[:, :count])[..., : sounds.shape[2]]
        rate = count * config.frame_rate * math.log2(config.entries) / 1000.0
        distance = float((_mel_db(made, config.sample_rate) - wanted).abs().mean())
        scores.append(CodecScore(count, rate, float(si_snr_db(made, sounds).mean()), distance))
    return scores


def held_sounds(sample_rate: int, channels: int, seconds: float = 3.0) -> Tensor:
    """The beginnings of pieces for tables, ``[B, channels, N]``."""
    corpus, length = Described(HELD), round(seconds * sample_rate)
    rows = []
    for entry in corpus.entries:
        sound = corpus.audio(entry, sample_rate)[:, :length]
        rows.append(sound if channels == 2 else sound.mean(axis=0, keepdims=True))
    return torch.from_numpy(np.stack(rows))


def codec_table(codec: SoundCodec) -> Table:
    """`score_codec` of pieces that no recipe trains on."""
    config = codec.config
    scores = score_codec(codec, held_sounds(config.sample_rate, config.channels))
    rows = [("codebooks", "kbit/s", "SI-SNR dB", "mel distance dB")]
    rows += [(str(s.codebooks), f"{s.kbit_s:.1f}", f"{s.si_snr_db:.2f}", f"{s.mel_db:.2f}") for s in scores]
    return Table(f"Codec, {HELD.pieces} pieces never trained on", tuple(rows))


def code_losses(logits: Tensor, targets: Tensor, said: Tensor) -> Tensor:
    """Cross-entropy ``[K]`` in nats, each codebook averaged over what it says.

    Args:
        logits: ``[B, K, S, entries]``. targets: int64 ``[B, K, S]``. said: bool ``[K, S]`` or ``[B, K, S]``.
    """
    each = functional.cross_entropy(
        logits.float().flatten(0, 2), targets.clamp(max=logits.shape[3] - 1).flatten(), reduction="none"
    )
    counted = said.expand(targets.shape).to(each.dtype)
    return (each.view(targets.shape) * counted).sum(dim=(0, 2)) / counted.sum(dim=(0, 2)).clamp(min=1)


def loss_table(title: str, losses: Sequence[tuple[str, Tensor]]) -> Table:
    """Losses ``[K]`` by name, side by side, with what each is on average."""
    books = len(losses[0][1])
    rows = [("conditions", *(f"codebook {index + 1}" for index in range(books)), "mean")]
    rows += [(name, *(f"{float(v):.3f}" for v in values), f"{float(values.mean()):.3f}") for name, values in losses]
    return Table(title, tuple(rows))
