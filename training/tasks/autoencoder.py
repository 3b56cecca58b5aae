"""Musika's autoencoder: two levels, each first by plain distance and then against a discriminator.

Source: Pasini and Schlueter 2022. Weights of the losses, hops, crop and discriminator were never published; what is
chosen here is said where it is declared.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from training.config import Recipe
from training.data.opening import open_corpus, open_samples
from training.discriminator import SpectrogramCritic
from training.evaluate.sound import frechet, log_mel_features
from training.losses import SPECTRAL_HOPS, adversarial, hinge, log_magnitude, multiscale_spectral, samples_for
from training.models.musika import M44, MusikaConfig, build, save
from training.task import Batch, Preview, Stepper, Task
from training.tasks.codec import (
    BLOCK_FRAMES,
    decode_frames,
    encode_frames,
    in_blocks,
    noise_for,
    side_by_side,
    started,
    to_audio,
)

__all__ = ["Adversarial", "Level1Magnitude", "Level1Sound", "Level2Latents", "Level2Sound", "adam"]

_SPAN = 2 * BLOCK_FRAMES  # two adjacent blocks, so that the discriminator sees their border


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """Weights of the adversarial phases; our choice throughout.

    Args:
        rec: of the distance between decoded magnitude and the input (lambda_rec).
        ms: of the multi-scale spectral distance (lambda_ms).
        hops: of that distance.
        critic: channels of the discriminator's layers.
    """

    rec: float = 10.0
    ms: float = 1.0
    hops: tuple[int, ...] = SPECTRAL_HOPS
    critic: tuple[int, ...] = (64, 128, 256, 512, 512)


@dataclass(frozen=True, kw_only=True)
class Level1Magnitude:
    """Level 1, phase 1: encoder and the decoder's magnitude by L1 on log spectra."""

    model: MusikaConfig = M44

    def build(self, recipe: Recipe) -> Task:
        """Fresh networks."""
        networks = {name: build(self.model, name) for name in ("encoder", "decoder")}
        return _Level1Magnitude(recipe, self.model, networks, {})


@dataclass(frozen=True, kw_only=True)
class Level1Sound:
    """Level 1, phase 2: the encoder is frozen, the decoder learns phase through re-analysis of its own sound.

    Args:
        start: weights of phase 1.
    """

    start: str = ""
    weights: Adversarial = field(default_factory=Adversarial)

    def build(self, recipe: Recipe) -> Task:
        """Networks of phase 1 and a fresh discriminator."""
        model, networks = started(self.start, "encoder", "decoder")
        return _Level1Sound(recipe, model, {"decoder": networks.pop("decoder")}, networks, self.weights)


@dataclass(frozen=True, kw_only=True)
class Level2Latents:
    """Level 2, phase 1: second encoder and decoder by L1 on level-1 latents.

    Args:
        start: weights of level 1.
    """

    start: str = ""

    def build(self, recipe: Recipe) -> Task:
        """Frozen level 1, fresh level 2."""
        model, frozen = started(self.start, "encoder", "decoder")
        networks = {name: build(model, name) for name in ("encoder2", "decoder2")}
        return _Level2Latents(recipe, model, networks, frozen)


@dataclass(frozen=True, kw_only=True)
class Level2Sound:
    """Level 2, phase 2: the second decoder against a discriminator of what both decoders say; all else is frozen.

    Args:
        start: weights of level 2, phase 1.
        real: what the discriminator takes for real. "level1" (ours) is what level 1 alone makes of the input, a
            target that the frozen first decoder can reach; "original" is the input. The paper does not say.
    """

    start: str = ""
    weights: Adversarial = field(default_factory=Adversarial)
    real: Literal["level1", "original"] = "level1"

    def build(self, recipe: Recipe) -> Task:
        """Networks of phase 1 and a fresh discriminator."""
        model, networks = started(self.start, "encoder", "decoder", "encoder2", "decoder2")
        return _Level2Sound(recipe, model, {"decoder2": networks.pop("decoder2")}, networks, self.weights, self.real)


def adam(recipe: Recipe, *modules: nn.Module, critic: bool = False) -> Optimizer:
    """Adam over all weights of these modules, with the recipe's settings."""
    optim = recipe.optim
    rate = optim.critic_lr if critic and optim.critic_lr is not None else optim.lr
    weights = [p for module in modules for p in module.parameters() if p.requires_grad]
    return Adam(weights, rate, optim.betas, optim.eps)


class _Autoencoder(Task):
    """What the four phases share: mono crops, a moving average, measuring on held-out pieces.

    Args:
        model: sizes.
        networks: are trained.
        fixed: are only used.
    """

    def __init__(
        self, recipe: Recipe, model: MusikaConfig, networks: Mapping[str, nn.Module], fixed: Mapping[str, nn.Module]
    ) -> None:
        self.recipe, self.model, self.networks, self.fixed = recipe, model, dict(networks), dict(fixed)
        self.length = samples_for(_SPAN, model.hop)
        data = recipe.data
        self.samples = open_samples(open_corpus(data), Path(data.cache), model.sample_rate, data.valid, self.length)
        self._optimisers = {"networks": adam(recipe, *networks.values())}
        self.device = torch.device("cpu")

    def modules(self) -> dict[str, nn.Module]:
        return dict(self.networks)

    def frozen(self) -> dict[str, nn.Module]:
        return dict(self.fixed)

    def optimisers(self) -> dict[str, Optimizer]:
        return dict(self._optimisers)

    def averaged(self) -> tuple[str, ...]:
        return tuple(self.networks)

    def prepare(self, device: torch.device) -> None:
        self.device = device
        self.samples.prepare()

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        return {"audio": torch.from_numpy(self.samples.crops(self.recipe.batch, self.length, rng))}

    def spectrum(self, audio: Tensor) -> Tensor:
        """Normalised log spectrum [B, bins, T] of [B, N]."""
        return log_magnitude(audio, self.model.hop, self.model.mu, self.model.sigma)

    @abstractmethod
    def remake(self, networks: Mapping[str, nn.Module], frames: Tensor) -> tuple[Tensor, Tensor]:
        """Magnitude and phase [B, bins, T] that these networks make of a log spectrum, without noise."""

    def level1(self, networks: Mapping[str, nn.Module], frames: Tensor) -> tuple[Tensor, Tensor]:
        """The same through level 1 alone."""
        return self.decode(networks["decoder"], networks["encoder"](frames), None)

    def decode(self, decoder: nn.Module, level1: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Level-1 latents [B, level1, T] to magnitude and phase, in blocks of 64."""
        blocks = in_blocks(level1, BLOCK_FRAMES)
        magnitude, phase = decoder(blocks, noise_for(decoder, len(blocks), generator))
        return side_by_side(magnitude, len(level1)), side_by_side(phase, len(level1))

    def _inside(self, audio: Tensor) -> Tensor:
        """[B, N] without the ramps that lie at both ends of synthesis."""
        edge = 3 * self.model.hop
        return audio[..., edge:-edge]

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        if not self.samples.held_out:
            return {}
        networks = self.fixed | dict(averages)
        rng = np.random.default_rng(0)  # the same crops every time: a curve of the model, not of the draw
        audio = torch.from_numpy(self.samples.crops(32, self.length, rng, training=False)).to(self.device)
        frames = self.spectrum(audio)
        magnitude, phase = self.remake(networks, frames)
        made = to_audio(self.model, magnitude, phase)
        hops = [hop for hop in SPECTRAL_HOPS if 4 * hop <= self.length - 6 * self.model.hop]
        rows = [
            np.concatenate(
                [log_mel_features(x[None], self.model.sample_rate) for x in self._inside(sound).cpu().numpy()]
            )
            for sound in (audio, made)
        ]
        return {
            "magnitude_db": float((magnitude - frames).abs().mean()) * self.model.sigma,
            "sound_db": float((self.spectrum(self._inside(made)) - self.spectrum(self._inside(audio))).abs().mean())
            * self.model.sigma,
            "multiscale": float(multiscale_spectral(self._inside(audio), self._inside(made), hops)),
            "frechet": frechet(rows[0], rows[1]),
        }

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview:
        pieces = self.samples.held_out or self.samples.train
        frames = 16 * BLOCK_FRAMES
        whole = (
            np.asarray(self.samples.whole(pieces[0])[:, : samples_for(frames, self.model.hop)], np.float32) / 32767.0
        )
        whole = np.pad(whole, ((0, 0), (0, samples_for(frames, self.model.hop) - whole.shape[1])))
        spectrum = self.spectrum(torch.from_numpy(whole).to(self.device))
        made = to_audio(self.model, *self.remake(self.fixed | dict(averages), spectrum)).cpu().numpy()
        return Preview(self.model.sample_rate, {"original": whole, "remade": made})

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        save(folder / "musika.safetensors", self.model, self.fixed | dict(averages), {"task": type(self).__name__[1:]})


class _Level1Magnitude(_Autoencoder):
    def remake(self, networks: Mapping[str, nn.Module], frames: Tensor) -> tuple[Tensor, Tensor]:
        return self.level1(networks, frames)

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        frames = self.spectrum(batch["audio"])
        level1 = self.networks["encoder"](frames)
        magnitude, _ = self.decode(self.networks["decoder"], level1, stepper.generator)
        distance = (magnitude.float() - frames).abs().mean()
        stepper.update({"networks": distance})
        return {"distance": distance}


class _SoundPhase(_Autoencoder):
    """A decoder against a discriminator, by turns: first the discriminator moves, then the decoder."""

    def __init__(
        self,
        recipe: Recipe,
        model: MusikaConfig,
        networks: Mapping[str, nn.Module],
        fixed: Mapping[str, nn.Module],
        weights: Adversarial,
    ) -> None:
        super().__init__(recipe, model, networks, fixed)
        self.weights = weights
        self.critic = SpectrogramCritic(weights.critic)
        self._optimisers["critic"] = adam(recipe, self.critic, critic=True)

    def modules(self) -> dict[str, nn.Module]:
        return self.networks | {"critic": self.critic}

    @abstractmethod
    def decoded(self, frames: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Magnitude and phase, with noise and gradient."""

    def wanted(self, audio: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The sound and magnitude to be reached."""
        return audio, frames

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        frames = self.spectrum(batch["audio"])
        target, target_magnitude = self.wanted(batch["audio"], frames)
        magnitude, phase = self.decoded(frames, stepper.generator)
        made = self._inside(to_audio(self.model, magnitude, phase))
        # Both sides lose the ramps, or the discriminator would only look for them. The border of the two blocks
        # lies in the middle of what is left.
        target = self._inside(target)
        real, fake = self.spectrum(target), self.spectrum(made)
        judged = hinge(self.critic(real).float(), self.critic(fake.detach()).float())
        stepper.update({"critic": judged})
        game = adversarial(self.critic(fake).float())
        rec = (magnitude.float() - target_magnitude).abs().mean()
        ms = multiscale_spectral(target, made, self.weights.hops)
        stepper.update({"networks": game + self.weights.rec * rec + self.weights.ms * ms})
        return {"critic": judged, "adversarial": game, "distance": rec, "multiscale": ms}


class _Level1Sound(_SoundPhase):
    def remake(self, networks: Mapping[str, nn.Module], frames: Tensor) -> tuple[Tensor, Tensor]:
        return self.level1(networks, frames)

    def decoded(self, frames: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            level1 = self.fixed["encoder"](frames)
        return self.decode(self.networks["decoder"], level1, generator)


class _Level2Latents(_Autoencoder):
    def remake(self, networks: Mapping[str, nn.Module], frames: Tensor) -> tuple[Tensor, Tensor]:
        return decode_frames(self.model, networks, encode_frames(self.model, networks, frames))

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        with torch.no_grad():
            level1 = self.fixed["encoder"](self.spectrum(batch["audio"]))
        coded = self.networks["encoder2"](in_blocks(level1, self.model.frames_per_latent))
        blocks = in_blocks(side_by_side(coded, len(level1)), self.model.block)
        decoder = self.networks["decoder2"]
        back = side_by_side(decoder(blocks, noise_for(decoder, len(blocks), stepper.generator)), len(level1))
        distance = (back.float() - level1.float()).abs().mean()
        stepper.update({"networks": distance})
        return {"distance": distance}


class _Level2Sound(_SoundPhase):
    def __init__(
        self,
        recipe: Recipe,
        model: MusikaConfig,
        networks: Mapping[str, nn.Module],
        fixed: Mapping[str, nn.Module],
        weights: Adversarial,
        real: Literal["level1", "original"],
    ) -> None:
        super().__init__(recipe, model, networks, fixed, weights)
        self.real = real

    def remake(self, networks: Mapping[str, nn.Module], frames: Tensor) -> tuple[Tensor, Tensor]:
        return decode_frames(self.model, networks, encode_frames(self.model, networks, frames))

    def wanted(self, audio: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        if self.real == "original":
            return audio, frames
        with torch.no_grad():
            magnitude, phase = self.level1(self.fixed, frames)
            return to_audio(self.model, magnitude, phase), magnitude.float()

    def decoded(self, frames: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            latents = encode_frames(self.model, self.fixed, frames)
        return decode_frames(self.model, self.fixed | self.networks, latents, generator)
