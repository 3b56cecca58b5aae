"""musika-live's graphs: one step of 2048 samples each, all that moves on as inputs and outputs.

``generator``: place, musical time and its caches to one latent frame. ``decoder``: that latent, clock, chord gates,
oscillator phases and noise to 2048 samples of stereo.
"""

from pathlib import Path
from typing import Final

import onnx
import torch
from torch import Tensor, nn

from engine.music.conducting import CLOCK_FEATURES, FRAME_FEATURES, GATES
from engine.music.files import sha256_of
from export.graphs.musika import Exported
from export.parity import parity
from export.quantise.int8 import to_fp16
from export.trace import trace
from export.write import write_bundle
from training.models.musika_live import (
    NOISE_ROW,
    OSCILLATORS,
    SUBFRAMES,
    SUBHOP,
    MusikaLiveConfig,
    MusikaLiveDecoder,
    MusikaLiveGenerator,
)
from training.tasks.musika_live import load_generator

__all__ = ["BUILDS", "DecoderStep", "GeneratorStep", "build_graphs", "export"]

FAMILY: Final = "musika_live"
BUILDS: Final = ("fp32", "fp16")


class GeneratorStep(nn.Module):
    """One latent frame; caches ``h0``, ``h1``, ... in, ``h0_next``, ... out."""

    def __init__(self, generator: MusikaLiveGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, place: Tensor, frame: Tensor, noise: Tensor, *caches: Tensor) -> tuple[Tensor, ...]:
        latents, after = self.generator.step(place, frame, noise, list(caches))
        return (latents, *after)


class DecoderStep(nn.Module):
    """One latent frame to 2048 samples; ``level`` and ``tail`` are the oscillators' and the overlap-add's state."""

    def __init__(self, decoder: MusikaLiveDecoder) -> None:
        super().__init__()
        self.decoder = decoder
        decoder.stepping = True

    def forward(
        self,
        latents: Tensor,
        clock: Tensor,
        gates: Tensor,
        phase: Tensor,
        noise: Tensor,
        level: Tensor,
        tail: Tensor,
        *caches: Tensor,
    ) -> tuple[Tensor, ...]:
        decoder = self.decoder
        h, after = decoder.hidden(latents, clock, list(caches))
        amplitudes = decoder.amplitudes(h, gates)
        tones = decoder.tones(amplitudes, level, phase)
        frames = decoder.hiss(h, noise) + decoder.strikes(h, clock)
        first, second = frames[..., :SUBHOP], frames[..., SUBHOP:]
        beats = first + torch.cat([tail[:, :, None], second[:, :, :-1]], dim=2)
        return (tones + beats.flatten(2), amplitudes[:, :, -1], second[:, :, -1], *after)


def _generator_inputs(config: MusikaLiveConfig, rng: torch.Generator) -> dict[str, Tensor]:
    place = config.coordinate + config.style + config.controls
    inputs = {
        "place": torch.randn(1, place, 1, generator=rng),
        "frame": torch.randn(1, FRAME_FEATURES, 1, generator=rng),
        "noise": torch.randn(1, len(config.generator_dilations), 1, generator=rng),
    }
    for index, dilation in enumerate(config.generator_dilations):
        inputs[f"h{index}"] = torch.randn(1, config.generator, 2 * dilation, generator=rng)
    return inputs


def _decoder_inputs(config: MusikaLiveConfig, rng: torch.Generator) -> dict[str, Tensor]:
    turns = torch.rand(1, SUBFRAMES, OSCILLATORS, generator=rng) * 2.0 * torch.pi
    inputs = {
        "latents": torch.tanh(torch.randn(1, config.latent, 1, generator=rng)),
        "clock": torch.rand(1, CLOCK_FEATURES, SUBFRAMES, generator=rng),
        "gates": torch.randint(0, 2, (1, GATES, 12, SUBFRAMES), generator=rng).float(),
        "phase": torch.stack([torch.cos(turns), torch.sin(turns)], dim=1),
        "noise": torch.randn(1, 2, SUBFRAMES, NOISE_ROW, generator=rng),
        "level": 0.1 * torch.rand(1, 2, OSCILLATORS, generator=rng),
        "tail": 0.1 * torch.randn(1, 2, SUBHOP, generator=rng),
    }
    for index, dilation in enumerate(config.dilations):
        inputs[f"h{index}"] = torch.randn(1, config.width, 2 * dilation, generator=rng)
    return inputs


def build_graphs(
    generator: MusikaLiveGenerator, decoder: MusikaLiveDecoder, config: MusikaLiveConfig, build: str = "fp32"
) -> tuple[dict[str, onnx.ModelProto], dict[str, float], dict[str, tuple[str, ...]]]:
    """Graph, parity and names of the state of each role.

    Raises:
        ValueError: no such build.
    """
    if build not in BUILDS:
        raise ValueError(
            f"musika_live has no build '{build}', only {', '.join(BUILDS)}: its layers are too small for int8"
        )
    rng = torch.Generator().manual_seed(0)
    graphs: dict[str, onnx.ModelProto] = {}
    parities: dict[str, float] = {}
    states: dict[str, tuple[str, ...]] = {}
    steps: tuple[tuple[str, nn.Module, dict[str, Tensor], str], ...] = (
        ("generator", GeneratorStep(generator), _generator_inputs(config, rng), "latents"),
        ("decoder", DecoderStep(decoder), _decoder_inputs(config, rng), "audio"),
    )
    given = ("place", "frame", "noise", "latents", "clock", "gates", "phase")
    for role, module, inputs, made in steps:
        states[role] = tuple(name for name in inputs if name not in given)
        outputs = [made, *(f"{name}_next" for name in states[role])]
        graph = trace(module, list(inputs.values()), list(inputs), outputs)
        graphs[role] = to_fp16(graph) if build == "fp16" else graph
        parities[role] = parity(module, graphs[role], list(inputs.values()))
    return graphs, parities, states


def export(checkpoint: Path, outdir: Path, build: str = "fp32") -> Exported:
    """Write a bundle of what the recipe ``musika_live_generator`` published as `checkpoint` into `outdir`."""
    generator, decoder, config, facts = load_generator(checkpoint)
    graphs, parities, states = build_graphs(generator, decoder, config, build)
    digest = sha256_of(checkpoint)
    identity = write_bundle(
        outdir,
        graphs,
        family=FAMILY,
        build=build,
        facts=facts.to_mapping(),
        parity=parities,
        source=f"recipes musika_live_autoencoder and musika_live_generator, weights sha256 {digest}",
        licence="MIT",
        state=states,
    )
    return Exported(identity, parities, {role: (outdir / f"{role}.onnx").stat().st_size for role in graphs})
