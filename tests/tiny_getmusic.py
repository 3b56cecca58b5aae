"""Tiny GETMusic bundles made on the spot: graphs with the names and shapes of real ones and a few thousand weights."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engine.graphs.graph import Graph, open_graph
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.models.getmusic.network import Network, Rows, network_of
from engine.music.score import ROLES

WIDTH = 8
PREFIXES = "MBDGPS"
COMPOUNDS = {"B": ["36 48"], "D": ["164 170"], "G": ["55 60 64"], "P": ["55 60 64", "57 60 64"], "S": ["60 64"]}
ROOTS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
KINDS = ("null", "m", "+", "dim", "seven", "maj7", "m7", "m7b5")


def dictionary_text() -> str:
    """A dictionary in the form of the released one: all single notes, few compounds."""
    tokens = [f"T{length}" for length in range(1, 16)] + ["<pad>"]
    for prefix in PREFIXES:
        low = 128 if prefix == "D" else 0
        tokens += [f"{prefix}{low + pitch}" for pitch in range(128)]
        tokens += [f"{prefix}{pitches}" for pitches in COMPOUNDS.get(prefix, [])]
    return "".join(f"{token}\t0\n" for token in (*tokens, *ROOTS, *KINDS))


def tiny_rows() -> Rows:
    counts = tuple(128 + len(COMPOUNDS.get(prefix, [])) for prefix in PREFIXES)
    lows = tuple(16 + sum(counts[:track]) for track in range(6))
    return Rows(lows, counts, 16 + sum(counts) + 20)


def facts(**more: Any) -> dict[str, Any]:
    told = {
        "kind": "official", "dictionary": dictionary_text(), "layers": 1, "heads": 1, "width": WIDTH, "context": 128,
        "window": 128, "lagged_chords": True, "key_shift": "down",
    }  # fmt: skip
    return {**told, **more}


def tiny_graphs(kind: str = "network", seed: int = 0, **more: Any) -> dict[str, onnx.ModelProto]:
    """The graphs of a bundle by role: ``network``, or ``past`` and ``window``, which say the same."""
    told = facts(**more)
    weights = _weights(seed)
    if kind == "network":
        return {"network": _network(weights, told, cached=False)}
    return {"past": _past(weights, told), "window": _network(weights, told, cached=True)}


def open_tiny_graphs(kind: str = "network", seed: int = 0, **more: Any) -> dict[str, Graph]:
    with TemporaryDirectory() as folder:
        write_tiny_getmusic(Path(folder), kind, seed, **more)
        return {path.stem: open_graph(path) for path in Path(folder).glob("*.onnx")}


def open_tiny_network(kind: str = "network", seed: int = 0, **more: Any) -> Network:
    return network_of(open_tiny_graphs(kind, seed, **more), tiny_rows())


def write_tiny_getmusic(folder: Path, kind: str = "network", seed: int = 0, **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for role, graph in tiny_graphs(kind, seed, **more).items():
        onnx.save(graph, folder / f"{role}.onnx")
    return folder


def _weights(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = tiny_rows()
    made = {"E": rng.standard_normal((rows.size + 2, WIDTH)).astype(np.float32)}
    made["E"][rows.empty] = 0.0
    for role, count in zip(ROLES, rows.counts, strict=True):
        made[f"W_{role}"] = (0.5 * rng.standard_normal((WIDTH, count + 1))).astype(np.float32)
        made[f"b_{role}"] = np.zeros(count + 1, np.float32)
        made[f"b_{role}"][-1] = 4.0
    made["W_duration"] = rng.standard_normal((WIDTH, 16)).astype(np.float32)
    made["b_duration"] = np.zeros(16, np.float32)
    return made


def _seen(nodes: list[onnx.NodeProto]) -> None:
    """[B, L, WIDTH] named s: what a column holds, given cells twice as strong."""
    nodes += [
        helper.make_node("Gather", ["E", "tokens"], ["x"]),
        helper.make_node("Cast", ["given"], ["g0"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["g0", "last"], ["g1"]),
        helper.make_node("Add", ["g1", "one"], ["g"]),
        helper.make_node("Mul", ["x", "g"], ["xg"]),
        helper.make_node("ReduceSum", ["xg", "rows_axis"], ["s"], keepdims=0),
    ]


def _past(weights: Mapping[str, np.ndarray], told: Mapping[str, Any]) -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    _seen(nodes)
    nodes += [helper.make_node("Unsqueeze", ["s", "heads_axes"], [name]) for name in "kv"]
    return _model("past", nodes, ["tokens", "given"], {"k": "P", "v": "P"}, {"E": weights["E"]}, told)


def _network(weights: Mapping[str, np.ndarray], told: Mapping[str, Any], *, cached: bool) -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    _seen(nodes)
    if cached:
        nodes += [
            helper.make_node("Add", ["past_k", "past_v"], ["kv"]),
            helper.make_node("Mul", ["kv", "half"], ["p0"]),
            helper.make_node("Squeeze", ["p0", "heads_axes"], ["p"]),
            helper.make_node("Concat", ["p", "s"], ["all"], axis=1),
        ]
    nodes += [
        helper.make_node("ReduceMean", ["all" if cached else "s", "one_axis"], ["mean"], keepdims=1),
        helper.make_node("Add", ["s", "mean"], ["h0"]),
        helper.make_node("Cast", ["t"], ["t0"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["t0", "hundredth"], ["t1"]),
        helper.make_node("Unsqueeze", ["t1", "after"], ["t2"]),
        helper.make_node("Add", ["h0", "t2"], ["h1"]),
        helper.make_node("Tanh", ["h1"], ["h2"]),
        helper.make_node("Reshape", ["h2", "flat"], ["h"]),
        helper.make_node("Shape", ["tokens"], ["length"], start=2, end=3),
        helper.make_node("Mul", ["length", "six"], ["length6"]),
        helper.make_node("Div", ["cells_duration", "length6"], ["batch"]),
        helper.make_node("Mul", ["batch", "length"], ["offset"]),
        helper.make_node("Mod", ["cells_duration", "length"], ["column"]),
        helper.make_node("Add", ["offset", "column"], ["at_duration"]),
    ]
    for name in (*ROLES, "duration"):
        place = "at_duration" if name == "duration" else f"cells_{name}"
        nodes += [
            helper.make_node("Gather", ["h", place], [f"h_{name}"]),
            helper.make_node("MatMul", [f"h_{name}", f"W_{name}"], [f"m_{name}"]),
            helper.make_node("Add", [f"m_{name}", f"b_{name}"], [name]),
        ]
    inputs = ["tokens", "given", "t", *(f"cells_{role}" for role in ROLES), "cells_duration"]
    inputs += ["past_k", "past_v"] if cached else []
    counts = dict(zip(ROLES, tiny_rows().counts, strict=True))
    outputs = {**{role: counts[role] + 1 for role in ROLES}, "duration": 16}
    return _model("window" if cached else "network", nodes, inputs, outputs, weights, told)


def _model(
    role: str,
    nodes: list[onnx.NodeProto],
    inputs: list[str],
    outputs: Mapping[str, int | str],
    weights: Mapping[str, np.ndarray],
    told: Mapping[str, Any],
) -> onnx.ModelProto:
    constants = {
        "one": np.ones(1, np.float32), "half": np.float32([0.5]), "hundredth": np.float32([0.01]),
        "last": np.array([3]), "rows_axis": np.array([1]), "one_axis": np.array([1]), "after": np.array([1, 2]),
        "heads_axes": np.array([1, 2]), "flat": np.array([-1, WIDTH]), "six": np.array([6]),
    }  # fmt: skip
    used = {name for node in nodes for name in node.input}
    kept = {name: value for name, value in {**weights, **constants}.items() if name in used}

    def port(name: str) -> onnx.ValueInfoProto:
        if name.startswith("past_"):
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B", 1, 1, "P", WIDTH])
        shape = {"tokens": ["B", 14, "L"], "given": ["B", 14, "L"], "t": ["B"]}.get(name, [f"M_{name}"])
        return helper.make_tensor_value_info(name, TensorProto.INT64, shape)

    def result(name: str, size: int | str) -> onnx.ValueInfoProto:
        shape = ["B", 1, 1, "P", WIDTH] if isinstance(size, str) else [f"N_{name}", size]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "tiny", [port(name) for name in inputs], [result(*row) for row in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in kept.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    about = Manifest(family="getmusic", role=role, bundle="tiny", facts=told, licence="MIT")
    helper.set_model_props(made, {METADATA_KEY: about.to_json()})
    onnx.checker.check_model(made)
    return made
