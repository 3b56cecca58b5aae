"""Musika's published Keras files as our checkpoint.

The files hold weights by layer, without a description of the network. The 44.1 kHz generator and discriminator have
fixed layer names; everything else has automatic names whose numbers mean nothing, so it is matched by position, in the
order of the attribute ``layer_names`` with layers without weights left out. Every weight of a file and every weight of
the network is used exactly once, or the file is refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import h5py
import numpy as np
import torch
from torch import nn

from engine.music.arrays import F32
from engine.music.files import sha256_of
from export.errors import WeightsError
from training.models.musika import M22, M44, MusikaConfig, build, save

__all__ = ["FILES", "POSITIONS_22", "POSITIONS_44", "convert", "names_44", "read"]

Array = F32
Layers = list[tuple[str, dict[str, Array]]]

FILES: Final = {
    "encoder": ("enc.h5",),
    "encoder2": ("enc2.h5",),
    "decoder2": ("dec2.h5",),
    "decoder": ("dec.h5",),
    "generator": ("gen_ema.h5", "gen.h5"),
    "critic": ("critic.h5",),
}
"""Network to the names its file may have, the better one first."""

_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "conv": {"kernel": "weight", "bias": "bias"},
    "noise": {"noise_weight": "gain"},
    "norm": {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"},
}
"""Kind of layer to {their weight: ours}. Dense and transposed convolutions count as ``conv``."""


def _steps(text: str, norm: bool = False) -> list[tuple[str, str]]:
    """Positions of steps, each with batch normalisation if `norm`.

    ``g0`` is a convolution, ``g0+`` one with its noise, ``+g0`` a noise whose convolution came before, ``=g0`` a
    convolution that has no normalisation even if `norm`.
    """
    made: list[tuple[str, str]] = []
    for word in text.split():
        name = word.strip("+=")
        if not word.startswith("+"):
            made.append((f"{name}.body.conv", "conv"))
        if "+" in word:
            made.append((f"{name}.noise", "noise"))
        if norm and not word.startswith("="):
            made.append((f"{name}.norm", "norm"))
    return made


POSITIONS_44: Final[Mapping[str, list[tuple[str, str]]]] = {
    "encoder": _steps("0 1 2 3 4 5"),
    "encoder2": _steps("0 1 2 3 4 5 6 7"),
    "decoder2": _steps("steps.0+ steps.1+ steps.2+ steps.3+ steps.4+ steps.5+ steps.6+ out"),
    "decoder": _steps("g0+ g1+ g2+ g3+ u1+ u2 p1 +u2 +p1 u3 p2 +u3 +p2 magnitude phase"),
}
"""44.1 kHz: network to (our layer, kind) in the order of its file. Shapes cannot tell u2 from p1: order does."""

_DOWN_22: Final = tuple((f"blocks.{i}.{part}", "conv") for i in range(5) for part in ("c0.conv", "c1.conv", "c3"))


def _blocks_22() -> list[tuple[str, str]]:
    made = [("dense", "conv"), ("stem.noise", "noise"), ("stem.adain.project", "conv")]
    for index in range(9):
        body = f"blocks.{index}.body.conv"
        made += [(body, "conv"), (f"blocks.{index}.noise", "noise"), (f"blocks.{index}.adain.project", "conv")]
        if 4 <= index < 8:
            made += [(f"gates.{index - 4}.first", "conv"), (f"gates.{index - 4}.second", "conv")]
    return [*made, ("out", "conv")]


POSITIONS_22: Final[Mapping[str, list[tuple[str, str]]]] = {
    "encoder": _steps("0 1 2 3 4 =5", norm=True),
    "encoder2": _steps("0 1 2 3 4 5 =6", norm=True),
    "decoder2": _steps("steps.0+ steps.1+ steps.2+ steps.3+ steps.4+ =out", norm=True),
    "decoder": _steps("g0+ g1+ g2+ g3+ u1+ u2+ u3+ wide+ =magnitude&phase", norm=True),
    "generator": _blocks_22(),
    "critic": [("mix", "conv"), ("first.conv", "conv"), *_DOWN_22, ("score", "conv")],
}
"""22.05 kHz: the same. One layer of the decoder makes magnitude and phase; it is cut in two."""


def names_44(network: str, small: bool) -> dict[str, tuple[str, str]]:
    """44.1 kHz generator or discriminator: their layer name to (our layer, kind)."""
    if network == "critic":
        made = {"1c": ("first.conv", "conv"), "7c": ("last.conv", "conv"), "7d": ("score", "conv")}
        for index in range(4 if small else 5):
            for part in ("c0", "c1") if index == 4 else ("c0", "c1", "c3"):
                ours = f"blocks.{index}.{part}" + ("" if part == "c3" else ".conv")
                made[f"{index + 2}{part}"] = (ours, "conv")
        return made
    made = {"00d": ("dense", "conv"), "00n": ("stem.noise", "noise"), "00ai": ("stem.adain.project", "conv")}
    for stage in range(4):
        tail = "_small" if small and stage == 0 else ""
        for offset, layer in enumerate(("first", "second")):
            theirs, ours = f"{2 * stage + offset}{tail}", f"stages.{stage}.{layer}"
            made[f"{theirs}c"] = (f"{ours}.body.conv", "conv")
            made[f"{theirs}r"] = (f"{ours}.noise", "noise")
            made[f"{theirs}ai"] = (f"{ours}.adain.project", "conv")
        made[f"res{stage + 1}c{tail}"] = (f"stages.{stage}.short", "conv")
    made |= {"8c": ("last.body.conv", "conv"), "8r": ("last.noise", "noise"), "8ai": ("last.adain.project", "conv")}
    return made | {"9c": ("out.conv", "conv")}


def read(path: Path) -> Layers:
    """Layers with weights of a Keras file, in the order of the network: (name, {weight: array}).

    Raises:
        WeightsError: not such a file, or one that is damaged.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path} is a Git LFS pointer, not the weights; fetch the file itself (git lfs pull)")
    if not h5py.is_hdf5(path):
        raise WeightsError(f"{path} is not an HDF5 file; wanted what Keras' save_weights writes")
    layers: Layers = []
    with h5py.File(path) as file:
        for name in _names(path, file, "layer_names"):
            if name not in file:
                raise WeightsError(f"{path}: layer '{name}' is listed but missing; fetch the file again")
            weights = {}
            for full in _names(path, file[name], "weight_names"):
                if full not in file[name]:
                    raise WeightsError(f"{path}: weight '{full}' is listed but missing; fetch the file again")
                weights[full.rsplit("/", 1)[-1].split(":")[0]] = np.asarray(file[name][full], np.float32)
            if weights:
                layers.append((name, weights))
    return layers


def _names(path: Path, group: Any, attribute: str) -> list[str]:
    """A list of names in an attribute, which Keras cuts into numbered parts when it is long."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs and parts[:1] != [attribute]:
        parts.append(f"{attribute}{len(parts)}")
    if not parts:
        raise WeightsError(f"{path}: no attribute '{attribute}'; wanted what Keras' save_weights writes")
    values = [value for part in parts for value in group.attrs[part]]
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _variant(network: str, layers: Layers) -> Literal["m44", "m22"]:
    """Which variant a file is of: only 22.05 kHz autoencoders have normalisation, only 44.1 kHz GANs have names."""
    if network in ("generator", "critic"):
        return "m44" if any(name in ("00d", "7d") for name, _ in layers) else "m22"
    return "m22" if any("gamma" in weights for _, weights in layers) else "m44"


def _widths(layers: Layers) -> list[tuple[int, int]]:
    """(channels in, channels out) of every layer that has a kernel; transposed ones keep theirs the other way round."""
    shapes = [(name, weights["kernel"].shape[-2:]) for name, weights in layers if "kernel" in weights]
    return [(b, a) if "transpose" in name else (a, b) for name, (a, b) in shapes]


def _config(path: Mapping[str, Path], found: Mapping[str, Layers]) -> MusikaConfig:
    """Sizes of the networks, read from the shapes of their kernels."""
    variants = {network: _variant(network, layers) for network, layers in found.items()}
    if len(set(variants.values())) > 1:
        listed = ", ".join(f"{path[network]} is {variant}" for network, variant in variants.items())
        raise WeightsError(f"files of two variants are mixed: {listed}; take all from one release")
    config = M22 if "m22" in variants.values() else M44
    paper = config.variant == "m22"
    changes: dict[str, Any] = {}
    for network in ("encoder", "encoder2", "decoder2"):
        if network in found:
            changes[network] = tuple(out for _, out in _widths(found[network])[:-1])
    if "encoder" in found:
        sizes = _widths(found["encoder"])
        changes |= {"hop": (sizes[0][0] - 1) // 2, "level1": sizes[-1][1]}
    if "encoder2" in found:
        changes |= {"latent": _widths(found["encoder2"])[-1][1]}
    if "decoder2" in found:
        sizes = _widths(found["decoder2"])
        changes |= {"latent": sizes[0][0], "level1": sizes[-1][1]}
    if "decoder" in found:
        sizes = _widths(found["decoder"])
        bins = sizes[-1][1] // 2 if paper else sizes[-1][1]
        outs = [out for _, out in sizes]
        changes |= {"hop": (bins - 1) // 2, "level1": sizes[0][0]}
        changes["decoder"] = (*outs[:4], outs[7]) if paper and len(outs) == 9 else tuple(outs[:4])
    if "generator" in found:
        changes |= _generator_sizes(found["generator"], paper)
    if "critic" in found:
        changes |= _critic_sizes(found["critic"], paper, changes.get("latent"))
    return replace(config, **changes)


def _generator_sizes(layers: Layers, paper: bool) -> dict[str, Any]:
    """Latent width, condition, widths and patch length of a generator."""
    shapes = [weights["kernel"].shape for _, weights in layers if "kernel" in weights]
    latent = shapes[-1][-1] // 2
    projections = [shape for shape in shapes[1:] if shape[:2] == (1, 1) and shape[-2] == shapes[1][-2]]
    widths = tuple(dict.fromkeys(shape[-1] for shape in projections))
    names = {name for name, _ in layers}
    return {
        "latent": latent,
        "condition": shapes[1][-2] - 2 * latent,
        "generator": widths,
        "seq_len": 64 if not paper and "res1c_small" in names else 128,
    }


def _critic_sizes(layers: Layers, paper: bool, latent: int | None) -> dict[str, Any]:
    """Widths, condition and patch length of a discriminator."""
    shapes = {name: weights["kernel"].shape for name, weights in layers if "kernel" in weights}
    ordered = list(shapes.values())
    if paper:
        inputs, condition = ordered[0][-2], ordered[1][-2] - ordered[0][-1]
        widths = (ordered[1][-1], *(shape[-1] for shape in ordered[3:-1:3]))
        return {"critic": widths, "critic_condition": condition, "latent": inputs // 2}
    wanted = [f"{index}c1" for index in range(2, 6)]
    if any(name not in shapes for name in ("1c", *wanted)):
        return {}  # the comparison of names will say which layers are missing
    channels = shapes["1c"][-2]
    own = channels // 2 if latent is None else latent
    return {
        "critic": (shapes["1c"][-1], *(shapes[name][-1] for name in wanted)),
        "critic_condition": channels - 2 * own,
        "latent": own,
        "seq_len": 128 if "6c0" in shapes else 64,
    }


def _plan(network: str, config: MusikaConfig, layers: Layers, path: Path) -> list[tuple[str, str]]:
    """Our layer and kind for each of their layers, in their order."""
    if config.variant == "m44" and network in ("generator", "critic"):
        table = names_44(network, config.seq_len == 64)
        names = [name for name, _ in layers]
        missing, unknown = sorted(set(table) - set(names)), sorted(set(names) - set(table))
        if missing or unknown:
            raise WeightsError(f"{path}: not the {network} of {config.variant}: lacks {missing}, has also {unknown}")
        return [table[name] for name in names]
    plan = (POSITIONS_22 if config.variant == "m22" else POSITIONS_44)[network]
    if len(plan) != len(layers):
        wanted = f"the {network} of {config.variant} has {len(plan)}"
        raise WeightsError(f"{path}: {len(layers)} layers with weights, {wanted}")
    return plan


def _fill(network: str, config: MusikaConfig, layers: Layers, path: Path) -> nn.Module:
    """The network with their weights.

    Raises:
        WeightsError: a layer or weight is missing, too many, or of another shape.
    """
    module = build(config, network)
    wanted = {key: value for key, value in module.state_dict().items() if not key.endswith("num_batches_tracked")}
    got: dict[str, torch.Tensor] = {}
    for (name, weights), (ours, kind) in zip(layers, _plan(network, config, layers, path), strict=True):
        for theirs, values in weights.items():
            if theirs not in _KINDS[kind]:
                raise WeightsError(f"{path}: layer '{name}' has a '{theirs}', a {kind} for '{ours}' has none")
            value = _turned(values) if theirs == "kernel" else torch.from_numpy(values.copy())
            for key, part in _parts(f"{ours}.{_KINDS[kind][theirs]}", value):
                if key not in wanted:
                    raise WeightsError(f"{path}: layer '{name}': no place for '{theirs}' in our {network}")
                if part.shape != wanted[key].shape:
                    shapes = f"{tuple(part.shape)}, wanted {tuple(wanted[key].shape)}"
                    raise WeightsError(f"{path}: layer '{name}': '{theirs}' for '{key}' has shape {shapes}")
                got[key] = part.contiguous()
    if set(got) != set(wanted):
        raise WeightsError(f"{path}: nothing for {sorted(set(wanted) - set(got))}")
    module.load_state_dict(got, strict=False)
    return module.eval()


def _turned(kernel: Array) -> torch.Tensor:
    """Keras' ``[1, k, a, b]`` as ``[b, a, k]``, its ``[in, out]`` as ``[out, in]``."""
    turn: Callable[[Array], Array] = lambda k: k.T if k.ndim == 2 else k[0].transpose(2, 1, 0)  # noqa: E731
    return torch.from_numpy(np.ascontiguousarray(turn(kernel)))


def _parts(key: str, value: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    """One weight, or the two that it is cut into where two of our layers are one of theirs."""
    if "magnitude&phase" not in key:
        return [(key, value)]
    half = value.shape[0] // 2
    return [(key.replace("magnitude&phase", n), v) for n, v in (("magnitude", value[:half]), ("phase", value[half:]))]


def convert(source: Path, out: Path) -> tuple[MusikaConfig, tuple[str, ...]]:
    """Read the Keras files in the folder `source`, write ``out`` (``.safetensors``) and its JSON.

    Args:
        source: holds any of `FILES`; an averaged generator is preferred to a plain one.
        out: ends in ``.safetensors``.
    Returns:
        The sizes and the networks that were found.
    Raises:
        WeightsError: no file, or one that is not what its name says.
    """
    paths = {}
    for network, names in FILES.items():
        there = [source / name for name in names if (source / name).is_file()]
        if there:
            paths[network] = there[0]
    if not paths:
        listed = ", ".join(name for names in FILES.values() for name in names)
        raise WeightsError(f"{source}: none of {listed} is here")
    found = {network: read(path) for network, path in paths.items()}
    config = _config(paths, found)
    networks = {network: _fill(network, config, layers, paths[network]) for network, layers in found.items()}
    sums = {path.name: sha256_of(path) for path in paths.values()}
    listed = ", ".join(f"{name} sha256 {digest}" for name, digest in sorted(sums.items()))
    save(out, config, networks, {"source": f"Musika, Keras weights: {listed}", "licence": "MIT"})
    return config, tuple(networks)
