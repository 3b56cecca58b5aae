"""Graphs of Musika at toy width, from networks to bundle."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from engine.bundles.bundle import describe, open_streamer
from engine.conductor import Conductor
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.models.musika.facts import MusikaFacts
from export.graphs.musika import BUILDS, export, facts, graphs
from export.parity import run_graph
from training.models.layers import Noise
from training.models.musika import NETWORKS, MusikaConfig, build, save

M44 = MusikaConfig(
    hop=16,
    level1=16,
    latent=8,
    encoder=(32, 32),
    encoder2=(16, 16, 16, 16, 16, 16, 16),
    decoder2=(48, 40, 40, 32, 32, 32, 32),
    decoder=(48, 48, 32, 32),
    generator=(28, 24, 20, 16, 12, 8),
    critic=(8, 12, 16, 20, 24),
    seq_len=64,
)
M22 = MusikaConfig(
    variant="m22",
    hop=16,
    level1=16,
    latent=8,
    condition=1,
    encoder=(32, 32),
    encoder2=(16, 16, 16, 16, 16, 16),
    decoder2=(48, 40, 40, 32, 32),
    decoder=(48, 40, 32, 32, 64),
    generator=(28, 24, 20, 16, 12, 8),
    critic=(8, 12, 16, 20, 24, 28),
)


def _networks(config: MusikaConfig) -> dict[str, nn.Module]:
    torch.manual_seed(3)
    networks = {name: build(config, name).eval() for name in NETWORKS}
    for network in networks.values():
        for module in network.modules():
            if isinstance(module, Noise):
                module.gain.data.fill_(0.1)
    return networks


@cache
def _made(config: MusikaConfig, name: str) -> dict[str, tuple[onnx.ModelProto, float]]:
    return graphs(config, _networks(config), name)


@pytest.mark.parametrize("config", [M44, M22], ids=lambda config: config.variant)
@pytest.mark.parametrize(("name", "limit"), [("fp32", 1e-4), ("fp16", 5e-2), ("int8", 1.0)])
def test_graphs_agree_with_torch(config: MusikaConfig, name: str, limit: float) -> None:
    made = _made(config, name)
    assert set(made) == {"generator", "decoder", "encoder"}
    assert all(number < limit for _, number in made.values())


def test_graphs_have_the_names_and_sizes_that_the_engine_feeds() -> None:
    made = {role: graph for role, (graph, _) in _made(M44, "fp32").items()}
    sizes = {
        (role, spec.name): [dim.dim_param or dim.dim_value for dim in spec.type.tensor_type.shape.dim]
        for role, graph in made.items()
        for spec in graph.graph.input
    }
    assert sizes == {
        ("generator", "coordinates"): [1, 16, 64],
        ("generator", "noise"): [1, 4 + 2 * (4 + 8 + 16 + 32) + 64],
        ("decoder", "latents"): ["B", 8, 4],
        ("decoder", "noise"): ["B", 148 + 328],
        ("encoder", "spectrogram"): ["B", 33, 16],
    }
    assert [spec.name for spec in made["decoder"].graph.output] == ["magnitude", "phase"]
    blocks = {"latents": np.zeros((3, 8, 4), np.float32), "noise": np.zeros((3, 476), np.float32)}
    assert [out.shape for out in run_graph(made["decoder"], blocks)] == [(3, 64, 33), (3, 64, 33)]


@pytest.mark.parametrize("build_name", ["fp32", "int8"])
def test_a_block_does_not_depend_on_the_batch_to_the_last_bit(build_name: str) -> None:
    graph, _ = _made(M44, build_name)["decoder"]
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((6, 8, 4)).astype(np.float32)
    noise = rng.standard_normal((6, 476)).astype(np.float32)
    together = run_graph(graph, {"latents": latents, "noise": noise}, threads=2)
    alone = [run_graph(graph, {"latents": latents[i : i + 2], "noise": noise[i : i + 2]}) for i in (0, 2, 4)]
    for index, out in enumerate(together):
        assert np.array_equal(out, np.concatenate([pair[index] for pair in alone]))


@pytest.mark.parametrize("config", [M44, M22], ids=lambda config: config.variant)
def test_facts_list_the_noise_that_the_graphs_take(config: MusikaConfig) -> None:
    told = facts(config, _networks(config), {}).to_mapping()
    for role, per in (("generator", "patch"), ("decoder", "block")):
        graph, _ = _made(config, "fp32")[role]
        width = next(s for s in graph.graph.input if s.name == "noise").type.tensor_type.shape.dim[1].dim_value
        layers = [layer for layer in told["noise"] if layer["graph"] == role]
        assert {layer["per"] for layer in layers} == {per}
        assert sum(layer["length"] for layer in layers) == width
    assert told["block_frames"] == told["block"] * told["frames_per_latent"]


def test_missing_networks_leave_their_graphs_out() -> None:
    networks = _networks(M44)
    assert set(graphs(M44, {"decoder": networks["decoder"], "decoder2": networks["decoder2"]})) == {"decoder"}
    with pytest.raises(ValueError, match="neither a generator"):
        graphs(M44, {"decoder": networks["decoder"]})


def test_unknown_build_is_refused() -> None:
    with pytest.raises(ValueError, match="int4"):
        graphs(M44, {}, "int4")
    assert "int8" in BUILDS


def test_bundle_is_one_set_with_source_and_parity(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", M44, _networks(M44), {"source": "toy", "licence": "MIT"})
    made = export(tmp_path / "a.safetensors", tmp_path / "bundle", "int8")
    for role in ("generator", "decoder", "encoder"):
        model = onnx.load(tmp_path / "bundle" / f"{role}.onnx")
        manifest = Manifest.from_json({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
        assert (manifest.family, manifest.role, manifest.bundle) == ("musika", role, made.bundle)
        assert (manifest.build, manifest.source, manifest.licence) == ("int8", "toy", "MIT")
        assert manifest.parity == made.parity[role] > 0
        assert manifest.facts["amplitude_floor"] == 1e-7


@pytest.mark.parametrize("names", [("tempo",), ("tempo", "density"), ("density", "tempo")])
def test_conditions_reach_the_engine_by_name(names: tuple[str, ...], tmp_path: Path) -> None:
    """A generator that was trained with the tempo only must be played with the tempo, not with a density."""
    config = replace(M44, condition=len(names))
    networks = {name: network for name, network in _networks(config).items() if not name.startswith("encoder")}
    save(tmp_path / "a.safetensors", config, networks, {"conditions": list(names)})
    export(tmp_path / "a.safetensors", tmp_path / "bundle")
    info = describe(str(tmp_path / "bundle"))
    assert MusikaFacts.from_mapping(info.facts).conditions == names
    assert hasattr(info.controls, "density") == ("density" in names)


def test_a_voice_of_a_generator_with_tempo_only_follows_the_tempo(tmp_path: Path) -> None:
    config = replace(M44, condition=1)
    save(tmp_path / "a.safetensors", config, _networks(config), {"conditions": ["tempo"]})
    export(tmp_path / "a.safetensors", tmp_path / "bundle")
    voice = open_streamer(str(tmp_path / "bundle"))

    def played(bpm: float) -> bytes:
        conductor = Conductor(voice.spec.sample_rate)
        conductor.set_tempo(bpm, 0.0)
        span = conductor.span(0, voice.spec.frames, voice.spec.hop, voice.spec.sample_rate)
        return voice.step(voice.begin(1), voice.controls(), span).tobytes()

    assert played(90.0) != played(150.0)
