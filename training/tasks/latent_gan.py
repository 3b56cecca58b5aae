"""Musika's generator of latents against a discriminator of two patches side by side.

Source: the published training code of both variants. Conditions (note density, tempo) follow the paper's description;
that code and those models were never released, so how they are made is ours, see `data.corpus`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from engine.models.musika.facts import CONDITIONS
from engine.music.audio import Audio
from engine.music.beats import track_beats
from training.config import Recipe, RecipeError
from training.data.corpus import Corpus
from training.data.opening import open_corpus
from training.data.store import Latents
from training.evaluate.sound import Gaussian, frechet, gaussian, log_mel_features, onset_rate
from training.losses import adversarial, hinge, next_switch, norm_penalty, penalty_weight, r1_penalty
from training.models.musika import MusikaConfig, build, interpolate, patch_positions, save, training_coordinates
from training.models.musika22 import Reconstructor
from training.task import Batch, Preview, Stepper, Task
from training.tasks.autoencoder import adam
from training.tasks.codec import decode_latents, digest, encode_audio, noise_for, started

__all__ = ["LatentGan", "continue_latents", "truncated_normal"]

_RECONSTRUCTOR = (512, 448, 384, 320, 256, 192)
_NORM_WEIGHT = _RECONSTRUCTION_WEIGHT = 10.0  # of the 22.05 kHz variant
_AUTOENCODER = ("encoder", "encoder2", "decoder2", "decoder")


@dataclass(frozen=True, kw_only=True)
class LatentGan:
    """Train a generator of latents.

    Args:
        start: weights of a whole autoencoder; its sizes are taken over.
        small: patches of 64 latents instead of 128 (44.1 kHz variant).
        generator, critic: channels of the two networks; empty keeps those of the autoencoder's file.
        conditions: inputs of generator and discriminator at every latent; () is the released model.
    """

    start: str = ""
    small: bool = False
    generator: tuple[int, ...] = ()
    critic: tuple[int, ...] = ()
    conditions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.conditions if name not in CONDITIONS]
        if unknown:
            raise RecipeError(f"got task.conditions {unknown}, wanted some of {', '.join(CONDITIONS)}")

    def build(self, recipe: Recipe) -> Task:
        """Frozen autoencoder, fresh generator and discriminator."""
        model, frozen = started(self.start, *_AUTOENCODER)
        conditions = len(self.conditions)
        model = replace(
            model,
            seq_len=64 if self.small else model.seq_len,
            generator=self.generator or model.generator,
            critic=self.critic or model.critic,
            condition=conditions,
            critic_condition=conditions,
        )
        return _LatentGan(recipe, self, model, frozen)


def truncated_normal(rng: np.random.Generator, shape: tuple[int, ...], limit: float) -> Tensor:
    """Standard normal numbers, drawn again where they pass `limit`; not scaled after."""
    values = rng.standard_normal(shape)
    while (beyond := np.abs(values) > limit).any():
        values[beyond] = rng.standard_normal(int(beyond.sum()))
    return torch.from_numpy(values.astype(np.float32))


@torch.no_grad()
def continue_latents(
    model: MusikaConfig,
    generator: nn.Module,
    patches: int,
    seed: int,
    device: torch.device,
    conditions: Tensor | None = None,
    truncation: float = 2.0,
) -> Tensor:
    """Latents of a piece of any length, patch after patch on the grid of training.

    Args:
        patches: how many.
        conditions: [model.condition, patches * seq_len], or None for a model without.
        truncation: largest size of a number in style and anchors.
    Returns:
        [2 * latent, patches * seq_len].
    """
    rng = np.random.default_rng(seed)
    noise = torch.Generator(device).manual_seed(seed)
    style = truncated_normal(rng, (model.latent,), truncation)
    last = float(patch_positions(model, patches - 1)[-1])
    anchors = truncated_normal(rng, (int(last // model.anchor_spacing) + 2, model.latent), truncation)
    made = []
    for patch in range(patches):
        line = interpolate(anchors[None], patch_positions(model, patch), model.anchor_spacing)
        parts = [line, style[None, :, None].expand(-1, -1, model.seq_len)]
        if conditions is not None:
            parts.append(conditions[None, :, patch * model.seq_len : (patch + 1) * model.seq_len].cpu())
        coordinates = torch.cat(parts, dim=1).to(device)
        made.append(generator(coordinates, noise_for(generator, 1, noise))[0].float())
    return torch.cat(made, dim=1)


class _LatentGan(Task):
    def __init__(
        self, recipe: Recipe, settings: LatentGan, model: MusikaConfig, autoencoder: Mapping[str, nn.Module]
    ) -> None:
        self.recipe, self.settings, self.model, self.autoencoder = recipe, settings, model, dict(autoencoder)
        self.paper = model.variant == "m22"
        self.generator, self.critic = build(model, "generator"), build(model, "critic")
        self.reconstructor = Reconstructor(model.critic[-1], _RECONSTRUCTOR, 2 * model.latent) if self.paper else None
        judges = [self.critic] if self.reconstructor is None else [self.critic, self.reconstructor]
        self._optimisers = {"generator": adam(recipe, self.generator), "critic": adam(recipe, *judges, critic=True)}
        self.switch = -1.0
        self.corpus: Corpus = open_corpus(recipe.data)
        self.device = torch.device("cpu")
        self.latents: Latents | None = None
        self._reference: Gaussian | None = None

    def modules(self) -> dict[str, nn.Module]:
        networks = {"generator": self.generator, "critic": self.critic}
        return networks if self.reconstructor is None else networks | {"reconstructor": self.reconstructor}

    def frozen(self) -> dict[str, nn.Module]:
        return dict(self.autoencoder)

    def optimisers(self) -> dict[str, Optimizer]:
        return dict(self._optimisers)

    def averaged(self) -> tuple[str, ...]:
        return ("generator",)

    def prepare(self, device: torch.device) -> None:
        model, data = self.model, self.recipe.data
        self.device = device
        encoders = {name: self.autoencoder[name] for name in ("encoder", "encoder2")}

        def encode(audio: Audio) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
            return encode_audio(model, encoders, audio, device)

        frames = model.frames_per_latent
        self.latents = Latents(
            self.corpus,
            Path(data.cache),
            # Length belongs to the key: how often a short piece is repeated depends on it.
            digest(encoders, model.sample_rate, model.hop, model.mu, model.sigma, 2 * model.seq_len),
            encode,
            sample_rate=model.sample_rate,
            centre=(frames - 1) / 2 * model.hop + 2 * model.hop,
            spacing=frames * model.hop,
            valid=data.valid,
            shortest=2 * model.seq_len,
        )
        self.latents.prepare()

    def _stored(self) -> Latents:
        assert self.latents is not None, "prepare comes first"
        return self.latents

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        model, count = self.model, self.recipe.batch
        real, conditions = self._stored().windows(count, 2 * model.seq_len, rng, self.settings.conditions)
        if not self.paper and rng.integers(2):
            # One coin for the batch: left and right change places, and density and tempo do not care.
            real = np.concatenate([real[:, model.latent :], real[:, : model.latent]], axis=1)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        coordinates = training_coordinates(model, count, generator)
        return {
            "real": torch.from_numpy(real),
            "conditions": torch.from_numpy(conditions),
            "coordinates": torch.cat([coordinates, torch.from_numpy(conditions)], dim=1),
        }

    def _made(self, coordinates: Tensor, generator: torch.Generator) -> Tensor:
        """Two patches of every item, each made alone, side by side: [B, 2 * latent, 2 * seq_len]."""
        left, right = coordinates.chunk(2, dim=2)
        patches = torch.cat([left, right])
        made: Tensor = self.generator(patches, noise_for(self.generator, len(patches), generator))
        return torch.cat(made.chunk(2), dim=2)

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        # Both networks learn from one forward pass, as in the published code.
        real = batch["real"].requires_grad_()
        fake = self._made(batch["coordinates"], stepper.generator)
        conditions = batch["conditions"]
        if self.paper:
            return self._paper_step(real, fake, conditions, stepper)
        real_scores = self.critic(torch.cat([real, conditions], dim=1)).float()
        fake_scores = self.critic(torch.cat([fake, conditions.to(fake.dtype)], dim=1)).float()
        judged, game = hinge(real_scores, fake_scores, 0.5), adversarial(fake_scores)
        weight = penalty_weight(self.switch)
        penalty = r1_penalty(real_scores, real)
        stepper.update({"critic": judged + weight * penalty, "generator": game})
        self.switch = next_switch(self.switch, stepper.mean(real_scores.mean()), stepper.mean(fake_scores.mean()))
        return {
            "critic": judged,
            "generator": game,
            "penalty": penalty,
            "penalty_weight": torch.tensor(weight),
            "real_score": real_scores.mean(),
            "fake_score": fake_scores.mean(),
        }

    def _paper_step(self, real: Tensor, fake: Tensor, conditions: Tensor, stepper: Stepper) -> dict[str, Tensor]:
        assert self.reconstructor is not None
        real_scores, features = self.critic(torch.cat([real, conditions], dim=1))
        fake_scores, _ = self.critic(torch.cat([fake, conditions.to(fake.dtype)], dim=1))
        real_scores = torch.nan_to_num(real_scores.float())
        fake_scores = torch.nan_to_num(fake_scores.float())
        penalty = norm_penalty(real_scores, real)
        rebuilt = self.reconstructor(features).float()
        rebuilding = ((real.detach() - rebuilt).square().sum(dim=1) + 1e-7).mean()
        judged, game = hinge(real_scores, fake_scores, 0.5), adversarial(fake_scores)
        total = judged + _NORM_WEIGHT * penalty + _RECONSTRUCTION_WEIGHT * rebuilding
        stepper.update({"critic": total, "generator": game})
        return {"critic": judged, "generator": game, "penalty": penalty, "rebuilding": rebuilding}

    def state(self) -> dict[str, float]:
        return {"switch": self.switch}

    def load_state(self, state: Mapping[str, float]) -> None:
        self.switch = state["switch"]

    def _conditions_at(self, patches: int, seed: int) -> Tensor | None:
        """Conditions of a random stretch of real music, [C, patches * seq_len]; None for a model without."""
        if not self.settings.conditions:
            return None
        stored = self._stored()
        rng = np.random.default_rng(seed)
        length = patches * self.model.seq_len
        _, conditions = stored.windows(1, length, rng, self.settings.conditions, training=not stored.held_out)
        return torch.from_numpy(conditions[0])

    def _sound(self, generator: nn.Module, patches: int, seed: int) -> Audio:
        conditions = self._conditions_at(patches, seed)
        latents = continue_latents(self.model, generator, patches, seed, self.device, conditions)
        return decode_latents(self.model, self.autoencoder, latents, torch.Generator(self.device).manual_seed(seed))

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview:
        sounds = {f"made{seed}": self._sound(averages["generator"], 2, seed) for seed in (1, 2)}
        return Preview(self.model.sample_rate, sounds)

    def _real_features(self) -> Gaussian:
        """Of held-out latents as this autoencoder decodes them: what a perfect generator would reach."""
        if self._reference is None:
            rng, stored = np.random.default_rng(0), self._stored()
            real, _ = stored.windows(8, 2 * self.model.seq_len, rng, training=not stored.held_out)
            sounds = [decode_latents(self.model, self.autoencoder, torch.from_numpy(x).to(self.device)) for x in real]
            self._reference = gaussian(np.concatenate([log_mel_features(x, self.model.sample_rate) for x in sounds]))
        return self._reference

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        rate = self.model.sample_rate
        sounds = [self._sound(averages["generator"], 2, seed) for seed in range(100, 108)]
        features = np.concatenate([log_mel_features(sound, rate) for sound in sounds])
        values = {"frechet": frechet(features, self._real_features())}
        for row, name in enumerate(self.settings.conditions):
            asked = [
                conditions[row].mean().item()
                for seed in range(100, 108)
                if (conditions := self._conditions_at(2, seed)) is not None
            ]
            if name == "density":
                measured = [onset_rate(sound, rate) / 16.0 for sound in sounds]
            else:
                measured = [float(np.log2(track_beats(sound, rate)[0] / 120.0)) for sound in sounds]
            values[f"{name}_error"] = float(np.abs(np.array(asked) - np.array(measured)).mean())
        return values

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        networks = self.autoencoder | {"generator": averages["generator"], "critic": self.critic}
        notes = {"task": "LatentGan", "conditions": list(self.settings.conditions), "switch": self.switch}
        save(folder / "musika.safetensors", self.model, networks, notes)
