"""Musika against the authors' own program: random weights at toy width, through their code once, through ours here.

The arrays were made with the release's TensorFlow code (TF 2.21, Keras 2 behaviour) and are kept beside the
repository, in ``../shared/data/parity/musika``; its README says how. Noise gains are in the files, but the outputs
were computed without noise. Tolerance: 1e-4 of the output's standard deviation, about 10 times what is measured.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from export.parity import run_graph
from export.quantise.products import as_products
from export.rename.musika import FILES, convert
from export.trace import trace
from training.models.musika import MusikaConfig, load

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "parity" / "musika"
TOLERANCE = 1e-4
NETWORKS = ("encoder", "encoder2", "decoder2", "decoder", "generator", "critic")

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"parity vectors are not at {DATA}")


@pytest.fixture(scope="module", params=["m44", "m44-small", "m22"])
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Imported":
    folder = DATA / request.param
    made = tmp_path_factory.mktemp(request.param)
    sources = [folder]
    if request.param == "m22":  # its autoencoder has latents of 64, its GAN of 16: two models, not one
        sources = [made / "autoencoder", made / "gan"]
        _make_files(folder, sources[0], ("enc", "enc2", "dec2", "dec"))
        _make_files(folder, sources[1], ("gen_ema", "critic"))
    networks: dict[str, nn.Module] = {}
    for source in sources:
        convert(source, made / "ours.safetensors")
        config, found, _ = load(made / "ours.safetensors")
        networks |= found
    return Imported(config, networks, dict(np.load(folder / "io.npz")))


class Imported:
    def __init__(self, config: MusikaConfig, networks: Mapping[str, nn.Module], io: Mapping[str, Any]) -> None:
        self.config, self.networks, self.io = config, networks, io

    def case(self, network: str) -> tuple[Tensor, list[npt.NDArray[np.float32]]]:
        """What goes into our network, one block or patch an item, and what theirs gave, in our order of axes."""
        name = FILES[network][0].removesuffix(".h5")
        given = torch.from_numpy(self.io[f"{name}/in"])
        wanted = [self.io[key] for key in (f"{name}/out0", f"{name}/out1") if key in self.io]
        match network:
            case "encoder":  # halves of 64 frames, stacked on the batch
                x = given[..., 0]
                return torch.cat(torch.split(x, 64, dim=2)), [w[:, 0].transpose(0, 2, 1) for w in wanted]
            case "encoder2":  # one latent a block; two groups of latents, stacked on the batch
                per = self.config.frames_per_latent
                x = _blocks(torch.cat(torch.split(given[:, 0].transpose(1, 2), 64, dim=2)), per)
                return x, [w[:, 0].reshape(-1, w.shape[-1], 1) for w in wanted]
            case "decoder2" | "decoder":  # blocks joined in time
                joined = [w.reshape(len(given), 64, -1).transpose(0, 2, 1) for w in wanted]
                return given[:, 0].transpose(1, 2), joined
            case "generator":
                length = self.config.seq_len
                out = torch.from_numpy(wanted[0][:, 0]).transpose(1, 2)
                return _blocks(given.transpose(1, 2), length), [_blocks(out, length).numpy()]
            case _:
                features = [w[:, 0].transpose(0, 2, 1) for w in wanted[1:]]
                return given[:, 0].transpose(1, 2), [wanted[0], *features]


def _blocks(x: Tensor, length: int) -> Tensor:
    """``[B, C, n * length]`` -> ``[B * n, C, length]``."""
    return torch.stack(torch.split(x, length, dim=2), dim=1).flatten(0, 1).contiguous()


def _make_files(folder: Path, out: Path, networks: Sequence[str]) -> None:
    """Files by the rule of the data's README, in the layout that Keras writes."""
    out.mkdir(exist_ok=True)
    layouts = json.loads((folder / "layout.json").read_text())
    for network in networks:
        plan = layouts[network]
        rng = np.random.default_rng(plan["stream"])
        weights: dict[str, list[tuple[str, Any]]] = {name: [] for name in plan["layer_names"]}
        for layer, weight, shape, kind, scale in plan["weights"]:
            values = rng.standard_normal(shape).astype(np.float32) * np.float32(scale)
            values = {"normal": values, "1+": 1 + values, "abs+0.5": np.abs(values) + np.float32(0.5)}[kind]
            weights[layer].append((weight, values))
        with h5py.File(out / f"{network}.h5", "w") as file:
            file.attrs["layer_names"] = [name.encode() for name in plan["layer_names"]]
            for layer in sorted(weights):
                group = file.create_group(layer)
                group.attrs["weight_names"] = [name.encode() for name, _ in weights[layer]]
                for name, values in weights[layer]:
                    group[name] = values


def _close(got: npt.NDArray[Any], wanted: npt.NDArray[np.float32]) -> None:
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() / wanted.std() < TOLERANCE


@pytest.mark.parametrize("network", NETWORKS)
def test_torch_gives_what_the_release_gives(imported: Imported, network: str) -> None:
    x, wanted = imported.case(network)
    with torch.no_grad():
        got = imported.networks[network](x)
    for ours, theirs in zip([got] if isinstance(got, Tensor) else got, wanted, strict=True):
        _close(ours.numpy(), theirs)


@pytest.mark.parametrize("network", NETWORKS)
def test_onnxruntime_gives_what_the_release_gives(imported: Imported, network: str) -> None:
    x, wanted = imported.case(network)
    outputs = [f"out{index}" for index in range(len(wanted))]
    graph = trace(imported.networks[network], (x,), ["x"], outputs)
    for ours, theirs in zip(run_graph(graph, {"x": x.numpy()}), wanted, strict=True):
        _close(ours, theirs)


@pytest.mark.parametrize("network", ["encoder", "encoder2", "decoder2", "decoder"])
def test_matrix_products_give_what_the_release_gives(imported: Imported, network: str) -> None:
    x, wanted = imported.case(network)
    turned = as_products(imported.networks[network], x[:1])
    graph = trace(turned, (x.transpose(1, 2),), ["x"], [f"out{index}" for index in range(len(wanted))])
    got = run_graph(graph, {"x": np.ascontiguousarray(x.transpose(1, 2).numpy())})
    for ours, theirs in zip(got, wanted, strict=True):
        _close(ours.transpose(0, 2, 1), theirs)


@pytest.mark.parametrize("network", ["enc", "dec"])
def test_rule_that_makes_missing_files_makes_the_stored_ones(network: str, tmp_path: Path) -> None:
    _make_files(DATA / "m22", tmp_path, (network,))
    names: list[str] = []
    with h5py.File(DATA / "m22" / f"{network}.h5") as stored, h5py.File(tmp_path / f"{network}.h5") as made:
        stored.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert names
        assert all(np.array_equal(stored[name][()], made[name][()]) for name in names)
