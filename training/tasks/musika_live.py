"""musika-live's two trainings: the conducted autoencoder on sound, then the conducted generator on its latents.

Both learn from composed pieces, whose beat, chords, density, brightness and style are known exactly, so the generator
is taught by what a piece's latents are (L1) as well as by a critic; the critic alone would have to find out what each
condition means.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from engine.errors import ManifestError
from engine.models.musika_live.facts import MusikaLiveFacts
from training.config import Recipe
from training.data.conducted import Crop, RenderedPiece, crop, draw_batch, render_piece, render_pieces, style_normals
from training.data.piece import Piece
from training.live_features import FEATURES, LiveFeatures, oscillator_phase
from training.losses import adversarial, hinge, next_switch, penalty_weight, r1_penalty
from training.models.musika_live import (
    HOP,
    NOISE_ROW,
    SUBFRAMES,
    SUBHOP,
    MusikaLiveConfig,
    MusikaLiveCritic,
    MusikaLiveDecoder,
    MusikaLiveEncoder,
    MusikaLiveGenerator,
    SynthParts,
    oscillator_hz,
)
from training.task import Batch, Preview, Stepper, Task, TrainingError

__all__ = ["AUTOENCODER_FILE", "GENERATOR_FILE", "LiveAutoencoder", "LiveGan", "load_autoencoder", "load_generator"]

AUTOENCODER_FILE = "autoencoder.safetensors"
GENERATOR_FILE = "generator.safetensors"

# Windows and hops of the spectral distance: long ones hear pitch, short ones hear when.
_RESOLUTIONS = ((4096, 1024), (1024, 256), (256, 64))
_WARM_FRAMES = 2  # latent frames at a crop's start that are not judged: the decoder starts from silence there


def spectral_distance(made: Tensor, target: Tensor) -> Tensor:
    """How differently two sounds [B, C, N] sound: mean over resolutions of the L1 distance of log and linear magnitude.

    Source: the multi-scale spectral loss of DDSP (Engel et al. 2020, section 3.2), linear part four times as heavy: our
    magnitudes are divided by the root of the window, so noise has the same level at each resolution.
    """
    total = made.new_zeros(())
    for window, hop in _RESOLUTIONS:
        shape = torch.hann_window(window, device=made.device)
        transform = partial(torch.stft, n_fft=window, hop_length=hop, window=shape, center=False, return_complex=True)
        one = transform(made.flatten(0, 1)).abs() / window**0.5
        two = transform(target.flatten(0, 1)).abs() / window**0.5
        total = total + (torch.log(one + 1e-3) - torch.log(two + 1e-3)).abs().mean() + 4.0 * (one - two).abs().mean()
    return total / len(_RESOLUTIONS)


def body(audio: Tensor) -> Tensor:
    """The middle of [B, C, N] below about 800 Hz, [B, 1, N / 8]: three running means of 24 samples."""
    low = audio.mean(dim=1, keepdim=True)
    for _ in range(3):
        low = functional.avg_pool1d(low, 24, stride=1, padding=12)[..., : audio.shape[-1]]
    return low[..., ::8]


def _tensors(drawn: Crop) -> Batch:
    return {name: torch.from_numpy(getattr(drawn, name)) for name in Crop.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True)
class LiveAutoencoder:
    """Train encoder and decoder on sound.

    Args:
        model: widths.
        frames: latent frames in a crop.
        jitter: spread of the noise put on latents, so that the decoder bears a generator's errors.
        strike: weight of the drums' waveform (their phase can be learned: the clock says when they are struck).
        start: folder of an earlier run whose weights to begin with; its encoder is then kept as it is and the decoder
            alone is trained, so that what was learned from its latents stays true.
    """

    model: MusikaLiveConfig = field(default_factory=MusikaLiveConfig)
    frames: int = 24
    jitter: float = 0.03
    strike: float = 20.0
    start: str = ""

    def build(self, recipe: Recipe) -> Task:
        return _Autoencoding(self, recipe)


class _Autoencoding(Task):
    def __init__(self, settings: LiveAutoencoder, recipe: Recipe) -> None:
        self._settings, self._recipe = settings, recipe
        if settings.start:
            self._encoder, self._decoder, _ = load_autoencoder(Path(settings.start))
        else:
            self._encoder, self._decoder = (
                MusikaLiveEncoder(settings.model, FEATURES),
                MusikaLiveDecoder(settings.model),
            )
        self._features = LiveFeatures(settings.model.sample_rate)
        self._hz = oscillator_hz()
        self._pieces: list[RenderedPiece] = []
        self._held: list[RenderedPiece] = []

    def modules(self) -> dict[str, nn.Module]:
        return {"encoder": self._encoder, "decoder": self._decoder}

    def frozen(self) -> dict[str, nn.Module]:
        return {"features": self._features}

    def optimisers(self) -> dict[str, Optimizer]:
        optim = self._recipe.optim
        parameters = [*self._decoder.parameters()]
        if not self._settings.start:
            parameters += self._encoder.parameters()
        return {"autoencoder": Adam(parameters, optim.lr, optim.betas, optim.eps)}

    def prepare(self, device: torch.device) -> None:
        data = self._recipe.data
        if data.folder:
            raise TrainingError("musika-live learns from composed pieces; leave data.folder empty")
        held = max(1, round(data.valid * data.pieces))
        first = data.seed
        self._held = render_pieces(range(first, first + held), bars=data.bars)
        self._pieces = render_pieces(range(first + held, first + data.pieces), bars=data.bars)

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        seed = int(rng.integers(2**63))
        drawn = draw_batch(self._pieces, step, seed=seed, batch=self._recipe.batch, frames=self._settings.frames)
        return _tensors(drawn)

    def _decode(self, batch: Batch, generator: torch.Generator | None, jitter: float) -> SynthParts:
        features = self._features(batch["tones"] + batch["beats"], batch["gates"])
        latents = self._encoder(features, batch["frame"], batch["controls"])
        device = latents.device
        if jitter:
            latents = latents + jitter * torch.randn(latents.shape, generator=generator, device=device)
        count, frames = len(latents), latents.shape[2] * SUBFRAMES
        phase = oscillator_phase(self._hz, batch["start"].cpu(), frames, SUBHOP, self._settings.model.sample_rate)
        noise = torch.rand(count, 2, frames, NOISE_ROW, generator=generator, device=device)
        parts: SynthParts = self._decoder(latents, batch["clock"], batch["gates"], phase.to(device), _unit(noise))
        return parts

    def _losses(self, parts: SynthParts, batch: Batch) -> dict[str, Tensor]:
        first = _WARM_FRAMES * HOP
        # Strikes are taught by their wave; the spectra of drums are then made up by noise around them.
        drums = parts.strikes.detach() + parts.hiss
        return {
            "tones": spectral_distance(parts.tones[..., first:], batch["tones"][..., first:]),
            "drums": spectral_distance(drums[..., first:], batch["beats"][..., first:]),
            "strikes": (body(parts.strikes) - body(batch["beats"])).abs().mean() * self._settings.strike,
        }

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        losses = self._losses(self._decode(batch, stepper.generator, self._settings.jitter), batch)
        total = torch.stack(list(losses.values())).sum()
        stepper.update({"autoencoder": total})
        return {**losses, "loss": total}

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        batch = self._held_batch(16)
        losses = self._losses(self._decode(batch, None, 0.0), batch)
        return {f"held_{name}": float(value) for name, value in losses.items()}

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview | None:
        batch = self._held_batch(4)
        made = self._decode(batch, None, 0.0).audio
        joined = torch.cat([torch.cat([made[i], (batch["tones"] + batch["beats"])[i]], dim=1) for i in range(4)], dim=1)
        return Preview(self._settings.model.sample_rate, {"made_then_real": joined.clamp(-1, 1).cpu().numpy()})

    def _held_batch(self, count: int) -> Batch:
        drawn = draw_batch(self._held, 0, seed=1, batch=count, frames=64)
        device = next(self._decoder.parameters()).device
        return {name: value.to(device) for name, value in _tensors(drawn).items()}

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        tensors = {f"encoder.{name}": value for name, value in self._encoder.state_dict().items()}
        tensors |= {f"decoder.{name}": value for name, value in self._decoder.state_dict().items()}
        _write(folder / AUTOENCODER_FILE, tensors, self._settings.model)


@dataclass(frozen=True, kw_only=True)
class LiveGan:
    """Train the generator against the latents of a trained autoencoder, and against a critic of them.

    Args:
        autoencoder: folder of its run.
        frames: latent frames in a crop.
        taught: weight of the L1 distance to the piece's own latents.
        judged: weight of the critic; critic_from: the step from which it counts.
        spacing: latent frames between two anchors of the coordinate.
    """

    autoencoder: str = "runs/musika_live_autoencoder"
    frames: int = 96
    taught: float = 10.0
    judged: float = 0.1
    critic_from: int = 2000
    spacing: int = 384

    def build(self, recipe: Recipe) -> Task:
        return _Generating(self, recipe)


@dataclass(frozen=True, slots=True)
class _EncodedPiece:
    piece: Piece
    latents: Tensor
    frame: Tensor
    controls: Tensor


class _Generating(Task):
    def __init__(self, settings: LiveGan, recipe: Recipe) -> None:
        self._settings, self._recipe = settings, recipe
        self._encoder, self._decoder, self._model = load_autoencoder(Path(settings.autoencoder))
        self._generator, self._critic = MusikaLiveGenerator(self._model), MusikaLiveCritic(self._model)
        self._features = LiveFeatures(self._model.sample_rate)
        self._switch = -1.0
        self._pieces: list[_EncodedPiece] = []
        self._held: list[_EncodedPiece] = []

    def modules(self) -> dict[str, nn.Module]:
        return {"generator": self._generator, "critic": self._critic}

    def frozen(self) -> dict[str, nn.Module]:
        return {"encoder": self._encoder, "decoder": self._decoder, "features": self._features}

    def averaged(self) -> tuple[str, ...]:
        return ("generator",)

    def optimisers(self) -> dict[str, Optimizer]:
        optim = self._recipe.optim
        critic_lr = optim.lr if optim.critic_lr is None else optim.critic_lr
        return {
            "generator": Adam(self._generator.parameters(), optim.lr, optim.betas, optim.eps),
            "critic": Adam(self._critic.parameters(), critic_lr, optim.betas, optim.eps),
        }

    def prepare(self, device: torch.device) -> None:
        data = self._recipe.data
        held = max(1, round(data.valid * data.pieces))
        encoded = [self._encode(data.seed + index, device) for index in range(data.pieces)]
        self._held, self._pieces = encoded[:held], encoded[held:]

    @torch.no_grad()
    def _encode(self, seed: int, device: torch.device) -> _EncodedPiece:
        rendered = render_piece(seed, bars=self._recipe.data.bars, sample_rate=self._model.sample_rate)
        frames = rendered.tones.shape[1] // HOP
        whole = crop(rendered, 0, frames, np.random.default_rng(0))
        sound = torch.from_numpy(whole.tones + whole.beats)[None].to(device)
        frame, controls = torch.from_numpy(whole.frame), torch.from_numpy(whole.controls)
        features = self._features(sound, torch.from_numpy(whole.gates)[None].to(device))
        latents = self._encoder(features, frame[None].to(device), controls[None].to(device))[0].cpu()
        return _EncodedPiece(rendered.piece, latents, frame, controls)

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        return self._draw(self._pieces, rng, self._recipe.batch)

    def _draw(self, pieces: list[_EncodedPiece], rng: np.random.Generator, count: int) -> Batch:
        frames, rows = self._settings.frames, []
        for _ in range(count):
            source = pieces[int(rng.integers(len(pieces)))]
            first = int(rng.integers(source.latents.shape[1] - frames))
            cut = slice(first, first + frames)
            style = torch.from_numpy(style_normals(source.piece.style, rng))[:, None].expand(-1, frames)
            rows.append((source.latents[:, cut], source.frame[:, cut], source.controls[:, cut], style))
        latents, frame, controls, style = (torch.stack(column) for column in zip(*rows, strict=True))
        coordinate = self._coordinates(rng, count)
        layers = rng.standard_normal((count, len(self._model.generator_dilations), frames)).astype(np.float32)
        return {
            "latents": latents,
            "frame": frame,
            "conditions": torch.cat([frame, style, controls], dim=1),
            "place": torch.cat([coordinate, style, controls], dim=1),
            "noise": torch.from_numpy(layers),
        }

    def _coordinates(self, rng: np.random.Generator, count: int) -> Tensor:
        """[count, coordinate, frames]: stretches of the straight lines between random anchors."""
        frames, spacing = self._settings.frames, self._settings.spacing
        anchors = rng.standard_normal((count, self._model.coordinate, 2)).astype(np.float32)
        start = rng.random((count, 1, 1)).astype(np.float32) * max(0.0, 1.0 - frames / spacing)
        share = start + (np.arange(frames, dtype=np.float32) / spacing)[None, None]
        return torch.from_numpy(anchors[:, :, :1] + share * (anchors[:, :, 1:] - anchors[:, :, :1]))

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        made = self._generator(batch["place"], batch["frame"], batch["noise"])
        taught = (made - batch["latents"])[:, :, 8:].abs().mean()
        if stepper.step < self._settings.critic_from:
            stepper.update({"generator": self._settings.taught * taught})
            return {"taught": taught}
        real = batch["latents"].requires_grad_(True)
        real_scores = self._critic(real, batch["conditions"])
        made_scores = self._critic(made.detach(), batch["conditions"])
        penalty = r1_penalty(real_scores, real) / real_scores.shape[1]
        critic = hinge(real_scores, made_scores, 0.5) + penalty_weight(self._switch) * penalty
        judged = adversarial(self._critic(made, batch["conditions"]))
        both = self._settings.taught * taught + self._settings.judged * judged
        stepper.update({"critic": critic, "generator": both})
        self._switch = next_switch(self._switch, float(real_scores.detach().mean()), float(made_scores.detach().mean()))
        return {"taught": taught, "judged": judged, "critic": critic, "penalty": penalty}

    def state(self) -> dict[str, float]:
        return {"switch": self._switch}

    def load_state(self, state: Mapping[str, float]) -> None:
        self._switch = float(state["switch"])

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        batch = self._draw(self._held, np.random.default_rng(0), 32)
        device = next(self._generator.parameters()).device
        made = averages["generator"](*(batch[name].to(device) for name in ("place", "frame", "noise")))
        return {"held_taught": float((made.cpu() - batch["latents"])[:, :, 8:].abs().mean())}

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        tensors = {f"generator.{name}": value for name, value in averages["generator"].state_dict().items()}
        tensors |= {f"decoder.{name}": value for name, value in self._decoder.state_dict().items()}
        _write(folder / GENERATOR_FILE, tensors, self._model, self._model.facts(self._settings.spacing))


def _unit(uniform: Tensor) -> Tensor:
    """Values in 0..1 to noise of unit variance; why even numbers will do: `engine.models.musika_live.streamer`."""
    return (uniform - 0.5) * math.sqrt(12.0)


def _write(
    path: Path, tensors: Mapping[str, Tensor], config: MusikaLiveConfig, facts: MusikaLiveFacts | None = None
) -> None:
    flat = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    about = {"config": json.dumps(asdict(config))}
    if facts is not None:
        about["facts"] = json.dumps(facts.to_mapping(), sort_keys=True)
    safetensors.torch.save_file(flat, path, about)


def _read(path: Path) -> tuple[dict[str, Tensor], MusikaLiveConfig, dict[str, str]]:
    """Weights, sizes, and all that the file says of itself."""
    try:
        with safetensors.safe_open(path, "pt") as handle:
            about = handle.metadata()
            values = json.loads(about["config"])
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{path} holds no musika-live weights ({error}); train them first") from None
    fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return tensors, MusikaLiveConfig(**fields), about


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def load_autoencoder(folder: Path) -> tuple[MusikaLiveEncoder, MusikaLiveDecoder, MusikaLiveConfig]:
    """What `LiveAutoencoder` published in `folder`."""
    tensors, config, _ = _read(folder / AUTOENCODER_FILE)
    encoder, decoder = MusikaLiveEncoder(config, FEATURES), MusikaLiveDecoder(config)
    encoder.load_state_dict(_part(tensors, "encoder"))
    decoder.load_state_dict(_part(tensors, "decoder"))
    return encoder, decoder, config


def load_generator(
    path: Path,
) -> tuple[MusikaLiveGenerator, MusikaLiveDecoder, MusikaLiveConfig, MusikaLiveFacts]:
    """What `LiveGan` published, `GENERATOR_FILE` in the folder of its run: all that export needs.

    Files that say no facts are from before they were kept: all of those were trained with the default spacing.

    Raises:
        TrainingError: the file holds no such weights, or facts of other networks.
    """
    tensors, config, about = _read(path)
    generator, decoder = MusikaLiveGenerator(config), MusikaLiveDecoder(config)
    generator.load_state_dict(_part(tensors, "generator"))
    decoder.load_state_dict(_part(tensors, "decoder"))
    if "facts" not in about:
        return generator, decoder, config, config.facts(LiveGan().spacing)
    try:
        return generator, decoder, config, MusikaLiveFacts.from_mapping(json.loads(about["facts"]))
    except (ManifestError, ValueError) as error:
        raise TrainingError(f"{path}: {error}; train it again") from None
