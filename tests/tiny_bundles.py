"""Tiny bundles made on the spot: graphs with the names, shapes and manifests of real ones and a few hundred weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.bundles.bundle import open_streamer
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.protocols.streamer import Streamer

FLOAT = TensorProto.FLOAT
HOP, LATENT, SEQ_LEN, BLOCK, FRAMES = 16, 3, 16, 4, 8
BINS = 2 * HOP + 1

MUSIKA_FACTS: Mapping[str, Any] = {
    "variant": "m44",
    "sample_rate": 8000,
    "channels": 2,
    "hop": HOP,
    "window": 4 * HOP,
    "bins": BINS,
    "mu": -25.0,
    "sigma": 75.0,
    "amplitude_floor": 1e-7,
    "latent": LATENT,
    "seq_len": SEQ_LEN,
    "block": BLOCK,
    "block_frames": FRAMES,
    "frames_per_latent": FRAMES // BLOCK,
    "condition": 0,
    "anchor_spacing": 3 * SEQ_LEN,
    "first_position": SEQ_LEN / 2 + 0.5,
    "truncation": 2.0,
    "noise": [
        {"graph": "generator", "layer": "generator.a", "length": SEQ_LEN, "per": "patch"},
        {"graph": "decoder", "layer": "decoder2.a", "length": FRAMES - 2, "per": "block"},
        {"graph": "decoder", "layer": "decoder.a", "length": 2, "per": "block"},
    ],
}


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Mapping[str, Sequence[int | str]],
    weights: Mapping[str, np.ndarray],
    manifest: Manifest | None,
) -> onnx.ModelProto:
    """A float32 graph, with its manifest in its metadata if it has one."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, list(shape)) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if manifest is not None:
        helper.set_model_props(made, {"unrelated": "x", METADATA_KEY: manifest.to_json()})
    onnx.checker.check_model(made)
    return made


def counter(manifest: Manifest | None) -> onnx.ModelProto:
    """y = x + h, h_next = h + 1: the smallest graph with state, [1, 2] wide."""
    nodes = [helper.make_node("Add", ["x", "h"], ["y"]), helper.make_node("Add", ["h", "one"], ["h_next"])]
    shapes = {"x": [1, 2], "h": [1, 2]}
    return model(nodes, shapes, {"y": [1, 2], "h_next": [1, 2]}, {"one": np.ones(1, np.float32)}, manifest)


def musika_models(
    facts: Mapping[str, Any] = MUSIKA_FACTS, seed: int = 0, **manifest: Any
) -> dict[str, onnx.ModelProto]:
    """Generator and decoder of a tiny musika, by role."""
    rng = np.random.default_rng(seed)
    bins, block, frames = int(facts["bins"]), int(facts["block"]), int(facts["block_frames"])
    width, length = 2 * LATENT + int(facts["condition"]), int(facts["seq_len"])

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def about(role: str) -> Manifest:
        return Manifest(**{"family": "musika", "role": role, "bundle": "tiny", "facts": facts, **manifest})

    generator = model(
        [
            helper.make_node("MatMul", ["w", "coordinates"], ["a"]),
            helper.make_node("Mul", ["noise", "tenth"], ["n"]),
            helper.make_node("Reshape", ["n", "flat"], ["m"]),
            helper.make_node("Add", ["a", "m"], ["b"]),
            helper.make_node("Tanh", ["b"], ["latents"]),
        ],
        {"coordinates": [1, width, length], "noise": [1, length]},
        {"latents": [1, 2 * LATENT, length]},
        {"w": draw(2 * LATENT, width), "tenth": np.float32([0.1]), "flat": np.array([1, 1, length])},
        about("generator"),
    )
    nodes, weights = [], {"up": draw(block, frames), "tenth": np.float32([0.1]), "rows": np.array([0, 1, frames])}
    nodes += [helper.make_node("Reshape", ["noise", "rows"], ["r"]), helper.make_node("Mul", ["r", "tenth"], ["n"])]
    for name in ("magnitude", "phase"):
        weights[f"{name}.w"] = draw(bins, LATENT)
        nodes += [
            helper.make_node("MatMul", [f"{name}.w", "latents"], [f"{name}.a"]),
            helper.make_node("MatMul", [f"{name}.a", "up"], [f"{name}.b"]),
            helper.make_node("Add", [f"{name}.b", "n"], [f"{name}.c"]),
            helper.make_node("Tanh", [f"{name}.c"], [f"{name}.d"]),
            helper.make_node("Transpose", [f"{name}.d"], [name], perm=[0, 2, 1]),
        ]
    decoder = model(
        nodes,
        {"latents": ["B", LATENT, block], "noise": ["B", frames]},
        {"magnitude": ["B", frames, bins], "phase": ["B", frames, bins]},
        weights,
        about("decoder"),
    )
    return {"generator": generator, "decoder": decoder}


def write_musika(folder: Path, facts: Mapping[str, Any] = MUSIKA_FACTS, seed: int = 0, **manifest: Any) -> Path:
    """A tiny musika bundle in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for role, made in musika_models(facts, seed, **manifest).items():
        onnx.save(made, folder / f"{role}.onnx")
    return folder


def open_tiny_musika(**facts: Any) -> Streamer[Any, Any]:
    """A tiny musika, ready to play; `facts` replace those of `MUSIKA_FACTS`."""
    with TemporaryDirectory() as folder:
        return open_streamer(str(write_musika(Path(folder), {**MUSIKA_FACTS, **facts})))
