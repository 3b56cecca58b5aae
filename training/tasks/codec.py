"""Sound to latents and back through Musika's autoencoder networks, block by block as the engine does it.

Every function takes and returns one channel an item: stereo is two items.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engine.music.arrays import F32
from engine.music.audio import Audio
from training.config import RecipeError
from training.losses import log_magnitude, samples_for, synthesise
from training.models.musika import MusikaConfig, load

__all__ = [
    "BLOCK_FRAMES",
    "decode_frames",
    "decode_latents",
    "digest",
    "encode_audio",
    "encode_frames",
    "in_blocks",
    "noise_for",
    "side_by_side",
    "started",
    "to_audio",
]

BLOCK_FRAMES = 64
"""Level-1 latents that a decoder sees together, in both variants."""


def started(path: str, *needed: str) -> tuple[MusikaConfig, dict[str, nn.Module]]:
    """Networks of an earlier recipe.

    Args:
        path: what `models.musika.save` wrote, such as runs/musika44_ae1/musika.safetensors.
        needed: names of networks.
    Raises:
        RecipeError: not there, not Musika's, or without one of these networks.
    """
    if not path:
        raise RecipeError("got no task.start, wanted the .safetensors of the recipe before this one")
    try:
        config, networks, _ = load(Path(path))
    except (OSError, ValueError) as error:
        raise RecipeError(f"task.start={path}: {error}; train the recipe before this one, or give its file") from None
    missing = [name for name in needed if name not in networks]
    if missing:
        raise RecipeError(f"task.start={path} has no {', '.join(missing)}: train the recipe before this one first")
    return config, {name: networks[name] for name in needed}


def digest(networks: Mapping[str, nn.Module], *settings: object) -> str:
    """SHA-256 of weights and settings: the key under which what they made is kept."""
    state = hashlib.sha256(repr(settings).encode())
    for name in sorted(networks):
        for key, value in networks[name].state_dict().items():
            state.update(f"{name}.{key}{tuple(value.shape)}".encode())
            state.update(value.detach().cpu().contiguous().numpy().tobytes())
    return state.hexdigest()


def in_blocks(x: Tensor, length: int) -> Tensor:
    """[B, C, n * length] -> [B * n, C, length]; the n blocks of an item stay together."""
    batch, channels, total = x.shape
    return x.reshape(batch, channels, total // length, length).transpose(1, 2).reshape(-1, channels, length)


def side_by_side(x: Tensor, batch: int) -> Tensor:
    """[B * n, C, length] -> [B, C, n * length], the way back from `in_blocks`."""
    _, channels, length = x.shape
    return x.reshape(batch, -1, channels, length).transpose(1, 2).reshape(batch, channels, -1)


def noise_for(network: nn.Module, items: int, generator: torch.Generator | None) -> Tensor | None:
    """Noise [items, n] for a network's noise layers, or None without a generator (no noise)."""
    if generator is None:
        return None
    lengths = network.noise_lengths
    assert isinstance(lengths, tuple)
    return torch.randn(items, sum(lengths), generator=generator, device=generator.device)


def encode_frames(config: MusikaConfig, networks: Mapping[str, nn.Module], frames: Tensor) -> Tensor:
    """Both encoders: normalised log spectrum [B, bins, n * frames_per_latent] -> latents [B, latent, n]."""
    level1 = networks["encoder"](frames)
    blocks: Tensor = networks["encoder2"](in_blocks(level1, config.frames_per_latent))
    return side_by_side(blocks, len(frames))


def decode_frames(
    config: MusikaConfig, networks: Mapping[str, nn.Module], latents: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Both decoders: latents [B, latent, n * block] -> magnitude and phase [B, bins, n * 64]."""
    blocks = in_blocks(latents, config.block)
    level1 = networks["decoder2"](blocks, noise_for(networks["decoder2"], len(blocks), generator))
    magnitude, phase = networks["decoder"](level1, noise_for(networks["decoder"], len(blocks), generator))
    return side_by_side(magnitude, len(latents)), side_by_side(phase, len(latents))


def to_audio(config: MusikaConfig, magnitude: Tensor, phase: Tensor) -> Tensor:
    """Magnitude and phase [B, bins, T] -> [B, (T + 3) * hop]."""
    return synthesise(magnitude, phase, config.mu, config.sigma)


@torch.no_grad()
def encode_audio(config: MusikaConfig, networks: Mapping[str, nn.Module], audio: Audio, device: torch.device) -> F32:
    """A whole stereo recording [2, N] -> latents of both channels [2 * latent, T], left above right.

    What does not fill a last latent is left out.
    """
    at_once = 256  # latents; a minute or so of memory on any machine
    total = (audio.shape[1] // config.hop - 3) // config.frames_per_latent
    parts = []
    for first in range(0, total, at_once):
        count = min(at_once, total - first)
        start = first * config.frames_per_latent * config.hop
        length = samples_for(count * config.frames_per_latent, config.hop)
        piece = torch.from_numpy(np.ascontiguousarray(audio[:, start : start + length])).to(device)
        frames = log_magnitude(piece, config.hop, config.mu, config.sigma)
        parts.append(encode_frames(config, networks, frames).float().cpu())
    if not parts:
        return np.zeros((2 * config.latent, 0), np.float32)
    return torch.cat(parts, dim=2).flatten(0, 1).numpy()


@torch.no_grad()
def decode_latents(
    config: MusikaConfig, networks: Mapping[str, nn.Module], latents: Tensor, generator: torch.Generator | None = None
) -> Audio:
    """Latents of both channels [2 * latent, n * block] -> [2, N], clipped to -1..1, with the ramps at both ends."""
    stereo = latents.reshape(2, config.latent, -1)
    sound = to_audio(config, *decode_frames(config, networks, stereo, generator))
    return sound.clamp(-1.0, 1.0).cpu().numpy()
