"""Musika's graphs: coordinates to latents, latents to spectra, spectra to latents.

The generator works on one patch, the decoders on single blocks of one channel, as the release does, so a block never
depends on its neighbours. All randomness comes in through inputs: one noise value for each layer and time step, in the
order of the manifest's ``noise``. The last sum, from spectra to samples, is the engine's: an inverse transform in numpy
costs far less than the same as a convolution.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx
import torch
from torch import Tensor, nn

from engine.models.musika.facts import MusikaFacts, NoiseLayer, named_conditions
from export.parity import parity
from export.quantise.int8 import to_fp16, to_int8
from export.quantise.products import as_products
from export.trace import trace
from export.write import write_bundle
from training.models.musika import MusikaConfig, interpolate, load, patch_positions

__all__ = ["BUILDS", "Decoders", "Encoders", "Exported", "export", "facts", "graphs"]

BUILDS: Final = ("fp32", "fp16", "int8")

_KEPT: Final = ("decoder2.",)
"""Steps of an int8 decoder that stay fp32: all that follows hangs on them.

Measured at the published sizes with random weights: rounding any one of them to bytes adds 17 to 21 parts in 100,000 to
the power of the error, all that is rounded below 14 together. 35 dB of signal to noise allow 32.
"""

_FINE: Final = ("decoder.g0.", "decoder.magnitude.")
"""Steps whose values get two bytes, which makes 3 parts of 18 (everything hangs on g0) and of 21 (an error of the
magnitude is 75 times as many decibels)."""

_STYLES: Final = 8
_BLOCKS: Final = 32
"""Pieces and blocks that parity is measured on."""

_FLOOR: Final = 1e-7
_TRUNCATION: Final = 2.0


class Decoders(nn.Module):
    """Both decoders in one: blocks of latents of one channel to magnitude and phase.

    Args:
        decoder2, decoder: the trained networks.
        config: their sizes.
        quantised: whether the graph is to be int8, of which only the steps of `_KEPT` can be tiled.
    """

    def __init__(self, decoder2: nn.Module, decoder: nn.Module, config: MusikaConfig, quantised: bool = False) -> None:
        super().__init__()
        self.lengths = [sum(_layers(decoder2)), sum(_layers(decoder))]

        def tiled(name: str) -> bool:
            return not quantised or name.startswith(_KEPT)

        example, level1 = torch.zeros(1, config.latent, config.block), torch.zeros(1, config.level1, 64)
        self.decoder2 = as_products(decoder2, example, lambda step: tiled(f"decoder2.{step}."))
        self.decoder = as_products(decoder, level1, lambda step: tiled(f"decoder.{step}."))

    def forward(self, latents: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """``[B, latent, block]`` and ``[B, noise]`` -> ``[B, 64, bins]`` twice, both in -1..1."""
        first, second = torch.split(noise, self.lengths, dim=1)
        magnitude, phase = self.decoder(self.decoder2(latents.transpose(1, 2), first), second)
        return magnitude, phase


class Encoders(nn.Module):
    """Both encoders in one: the frames of one latent to that latent."""

    def __init__(self, encoder: nn.Module, encoder2: nn.Module, config: MusikaConfig) -> None:
        super().__init__()
        frames = config.frames_per_latent
        self.encoder = as_products(encoder, torch.zeros(1, config.bins, frames), lambda _: True)
        self.encoder2 = as_products(encoder2, torch.zeros(1, config.level1, frames), lambda _: True)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Normalised dB ``[B, bins, frames_per_latent]`` -> ``[B, latent]`` in -1..1."""
        out: Tensor = self.encoder2(self.encoder(spectrogram.transpose(1, 2)))
        return out.flatten(1)


@dataclass(frozen=True)
class Exported:
    """What one export made: the bundle's id and, for each role, the parity number and the size of the file in bytes."""

    bundle: str
    parity: Mapping[str, float]
    sizes: Mapping[str, int]


def _layers(network: nn.Module) -> tuple[int, ...]:
    """Lengths of the noise layers of a network, in order."""
    lengths: tuple[int, ...] = getattr(network, "noise_lengths", ())
    return lengths


def _noise_names(network: nn.Module) -> list[str]:
    """Paths of the noise layers of a network, in the order in which they are used."""
    names = [name.removesuffix(".noise") for name, _ in network.named_modules() if name.endswith(".noise")]
    assert len(names) == len(_layers(network))
    return names


def facts(config: MusikaConfig, networks: Mapping[str, nn.Module], notes: Mapping[str, Any]) -> MusikaFacts:
    """What the engine must know to play these networks.

    Args:
        notes: of the checkpoint; ``conditions`` names what the generator takes beside anchors and style.
    Raises:
        ValueError: the conditions are unknown, or not as many as the generator has channels for.
    """
    noise = []
    for graph, names, per in (("generator", ("generator",), "patch"), ("decoder", ("decoder2", "decoder"), "block")):
        for name in names:
            if name in networks:
                layers = zip(_noise_names(networks[name]), _layers(networks[name]), strict=True)
                noise += [NoiseLayer(graph=graph, layer=f"{name}.{n}", length=k, per=per) for n, k in layers]
    return MusikaFacts(
        variant=config.variant,
        sample_rate=config.sample_rate,
        hop=config.hop,
        latent=config.latent,
        seq_len=config.seq_len,
        block=config.block,
        block_frames=config.block * config.frames_per_latent,
        anchor_spacing=config.anchor_spacing,
        first_position=config.first_position,
        mu=config.mu,
        sigma=config.sigma,
        floor=_FLOOR,
        truncation=_TRUNCATION,
        conditions=named_conditions(notes.get("conditions"), config.condition),
        noise=tuple(noise),
    )


def _modules(config: MusikaConfig, networks: Mapping[str, nn.Module], build: str) -> dict[str, nn.Module]:
    """Role to what is traced, for every role whose networks are there."""
    made: dict[str, nn.Module] = {}
    if "generator" in networks:
        made["generator"] = networks["generator"].eval()
    if {"decoder2", "decoder"} <= set(networks):
        made["decoder"] = Decoders(networks["decoder2"], networks["decoder"], config, build == "int8")
    if {"encoder", "encoder2"} <= set(networks):
        made["encoder"] = Encoders(networks["encoder"], networks["encoder2"], config)
    return made


def _examples(config: MusikaConfig, networks: Mapping[str, nn.Module], seed: int) -> dict[str, tuple[Tensor, ...]]:
    """Seeded inputs of every role, like those met in use: latents come from the generator where there is one."""
    rng = torch.Generator().manual_seed(seed)
    made: dict[str, tuple[Tensor, ...]] = {}
    latents = torch.rand(_BLOCKS, config.latent, config.block, generator=rng) * 2 - 1
    if "generator" in networks:
        noise = torch.randn(_STYLES, sum(_layers(networks["generator"])), generator=rng)
        coordinates = _coordinates(config, rng)
        made["generator"] = (coordinates[:1], noise[:1])
        with torch.no_grad():
            patches = networks["generator"](coordinates, noise)
        blocks = patches.reshape(2 * _STYLES, config.latent, -1, config.block).transpose(1, 2).flatten(0, 1)
        latents = blocks[:: len(blocks) // _BLOCKS].contiguous()
    if {"decoder2", "decoder"} <= set(networks):
        values = sum(_layers(networks["decoder2"])) + sum(_layers(networks["decoder"]))
        made["decoder"] = (latents, torch.randn(len(latents), values, generator=rng))
    made["encoder"] = (torch.rand(_BLOCKS, config.bins, config.frames_per_latent, generator=rng) * 2 - 1,)
    return made


def _coordinates(config: MusikaConfig, rng: torch.Generator) -> Tensor:
    """The first patch of `_STYLES` pieces, ``[_STYLES, coordinates, seq_len]``."""
    drawn = torch.randn(_STYLES, 3, config.latent, generator=rng).clamp(-_TRUNCATION, _TRUNCATION)
    positions = patch_positions(config, 0)
    line = interpolate(drawn[:, :2], positions, config.anchor_spacing)
    rest = [drawn[:, 2], torch.rand(_STYLES, config.condition, generator=rng)]
    return torch.cat([line, torch.cat(rest, dim=1)[:, :, None].expand(-1, -1, len(positions))], dim=1)


_NAMES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "generator": (("coordinates", "noise"), ("latents",)),
    "decoder": (("latents", "noise"), ("magnitude", "phase")),
    "encoder": (("spectrogram",), ("latents",)),
}


def graphs(
    config: MusikaConfig, networks: Mapping[str, nn.Module], build: str = "fp32"
) -> dict[str, tuple[onnx.ModelProto, float]]:
    """Role to graph and parity number.

    Args:
        config: sizes.
        networks: any of `training.models.musika.NETWORKS`; roles whose networks are missing are left out.
        build: one of `BUILDS`; ``int8`` quantises the decoder and keeps the rest as ``fp16`` does.
    Raises:
        ValueError: an unknown build, or networks of which nothing can be made.
    """
    if build not in BUILDS:
        raise ValueError(f"no build '{build}'; there are {', '.join(BUILDS)}")
    modules, examples = _modules(config, networks, build), _examples(config, networks, seed=1)
    if not modules:
        raise ValueError("neither a generator nor a pair of decoders or encoders is in this checkpoint")
    tests = _examples(config, networks, seed=2)
    return {role: _graph(role, module, examples[role], tests[role], build) for role, module in modules.items()}


def _graph(
    role: str, module: nn.Module, example: tuple[Tensor, ...], test: tuple[Tensor, ...], build: str
) -> tuple[onnx.ModelProto, float]:
    """The graph of one role, and its parity on `test`."""
    inputs, outputs = _NAMES[role]
    free = {} if role == "generator" else {name: {0: "B"} for name in (*inputs, *outputs)}
    graph = trace(module, example, inputs, outputs, free)
    if build == "int8" and role == "decoder":
        feeds = {name: value.numpy() for name, value in zip(inputs, example, strict=True)}
        keep, fine = ([n for n, _ in module.named_parameters() if n.startswith(part)] for part in (_KEPT, _FINE))
        graph = to_int8(graph, feeds, keep, fine)
    elif build != "fp32":
        graph = to_fp16(graph)
    return graph, parity(module, graph, test)


def export(checkpoint: Path, outdir: Path, build: str = "fp32") -> Exported:
    """Write a bundle of the Musika checkpoint `checkpoint` (``.safetensors`` with its ``.json``) into `outdir`."""
    config, networks, notes = load(checkpoint)
    known = facts(config, networks, notes)
    made = graphs(config, networks, build)
    numbers = {role: number for role, (_, number) in made.items()}
    identity = write_bundle(
        outdir,
        {role: graph for role, (graph, _) in made.items()},
        family="musika",
        build=build,
        facts=known.to_mapping(),
        parity=numbers,
        source=str(notes.get("source", "")),
        licence=str(notes.get("licence", "")),
    )
    return Exported(identity, numbers, {role: (outdir / f"{role}.onnx").stat().st_size for role in made})
