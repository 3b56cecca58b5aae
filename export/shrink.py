"""Smaller graphs: weights in half precision, or matrix products in whole numbers."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from export.parity import run_graph

__all__ = ["to_fp16", "to_int8"]

Array = npt.NDArray[np.generic]

_FEW: Final = 1024
"""Weights with fewer values than this stay as they are: they cost nothing."""

_MOVERS: Final = frozenset({"Concat", "Identity", "Pad", "Reshape", "Slice", "Transpose", "Unsqueeze"})
"""Operators that only move values, so they may as well move bytes."""


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep large weights as float16 and widen them when the graph is loaded: half the file, fp32 arithmetic."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    widened: list[onnx.NodeProto] = []
    for index, weight in enumerate(small.graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _FEW:
            continue
        name, half = weight.name, f"{weight.name}.fp16"
        small.graph.initializer[index].CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        widened.append(helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*widened, *small.graph.node]
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    onnx.checker.check_model(small)
    return small


def to_int8(
    model: onnx.ModelProto, calibration: Sequence[Mapping[str, Array]], keep: Collection[str] = ()
) -> onnx.ModelProto:
    """Do matrix products with constant weights in whole numbers: int8 weights, uint8 values between.

    Weights have one scale for each output column. Values have one fixed scale for each tensor, found on `calibration`:
    since no scale depends on what else is in the batch and sums of whole numbers are exact, a block of the batch
    comes out the same whatever its neighbours are. Operators that only move values are done on bytes.

    Args:
        model: products must be ``MatMul`` nodes whose second input is a constant matrix; a constant vector added
            right after is taken in as well.
        calibration: inputs like those the graph will meet, name to array.
        keep: names of weight matrices that stay fp32.
    Returns:
        A new graph. It needs onnxruntime's own operator ``MatMulIntegerToFloat`` and a processor with 8-bit dot
        products (VNNI, AMX); on older ones sums may saturate.
    """
    work = onnx.ModelProto()
    work.CopyFrom(model)
    _hoist_constants(work.graph)
    return _Quantiser(work, keep).run(calibration)


def _hoist_constants(graph: onnx.GraphProto) -> None:
    """Turn ``Constant`` nodes into weights, so there is one place to look."""
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values = numpy_helper.to_array(node.attribute[0].t)
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


class _Quantiser:
    """One rewriting of one graph.

    A product's *roots* are the tensors that its left side is assembled from by moving values only. Products that share
    a root share a scale, so each root is quantised once.
    """

    def __init__(self, model: onnx.ModelProto, keep: Collection[str]) -> None:
        self._model = model
        self._graph = model.graph
        self._keep = keep
        self._weights = {w.name: numpy_helper.to_array(w) for w in self._graph.initializer}
        self._producer = {name: node for node in self._graph.node for name in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in self._graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
        self._added: list[onnx.TensorProto] = []
        self._bytes: dict[str, str] = {}
        self._new: dict[str, list[onnx.NodeProto]] = {}

    def run(self, calibration: Sequence[Mapping[str, Array]]) -> onnx.ModelProto:
        products = [node for node in self._graph.node if self._wanted(node)]
        groups = _merge({node.output[0]: self._roots(node.input[0]) for node in products})
        scales = self._scales(sorted({root for group in groups.values() for root in group}), groups, calibration)
        replaced: dict[str, list[onnx.NodeProto]] = {}
        for node in products:
            replaced[node.output[0]] = self._product(node, scales[node.output[0]])
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            nodes.extend(replaced.get(node.output[0], [node]))
        self._finish(nodes)
        return self._model

    def _wanted(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "MatMul" or node.input[1] not in self._weights or node.input[1] in self._keep:
            return False
        weight = self._weights[node.input[1]]
        return weight.ndim == 2 and weight.size >= _FEW and weight.dtype == np.float32

    def _roots(self, name: str) -> frozenset[str]:
        node = self._producer.get(name)
        if node is None or node.op_type not in _MOVERS or not self._pads_zero(node):
            return frozenset({name})
        return frozenset().union(*(self._roots(source) for source in self._moved(node)))

    def _moved(self, node: onnx.NodeProto) -> Sequence[str]:
        """The inputs of a mover that carry values, without its shapes and indices."""
        return list(node.input) if node.op_type == "Concat" else [node.input[0]]

    def _pads_zero(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "Pad":
            return True
        mode = next((a.s for a in node.attribute if a.name == "mode"), b"constant")
        value = node.input[2] if len(node.input) > 2 else ""
        return mode == b"constant" and (not value or (value in self._weights and not self._weights[value].any()))

    def _scales(
        self, roots: Sequence[str], groups: Mapping[str, frozenset[str]], calibration: Sequence[Mapping[str, Array]]
    ) -> dict[str, tuple[str, str]]:
        """For each product the names of the scale and zero point of its left side."""
        seen = self._observe(roots, calibration)
        made: dict[frozenset[str], tuple[str, str]] = {}
        for group in groups.values():
            if group in made:
                continue
            scale, zero = _fit(np.concatenate([seen[root] for root in sorted(group)]))
            stem = min(group)
            made[group] = (f"{stem}.scale", f"{stem}.zero")
            self._added.append(numpy_helper.from_array(np.asarray(scale, np.float32), f"{stem}.scale"))
            self._added.append(numpy_helper.from_array(np.asarray(zero, np.uint8), f"{stem}.zero"))
        return {product: made[group] for product, group in groups.items()}

    def _observe(self, roots: Sequence[str], calibration: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        """Every value that each root takes on the calibration inputs, flat."""
        probe = onnx.ModelProto()
        probe.CopyFrom(self._model)
        given = {spec.name for spec in probe.graph.input}
        del probe.graph.output[:]
        inner = [root for root in roots if root not in given]
        probe.graph.output.extend(onnx.ValueInfoProto(name=root) for root in inner)
        seen: dict[str, list[Array]] = {root: [] for root in roots}
        for feeds in calibration:
            for root, values in zip(inner, run_graph(probe, feeds) if inner else [], strict=True):
                seen[root].append(values.ravel())
            for root in set(roots) & given:
                seen[root].append(feeds[root].ravel())
        return {root: np.concatenate(values) for root, values in seen.items()}

    def _as_bytes(self, name: str, scale: tuple[str, str], nodes: list[onnx.NodeProto]) -> str:
        """The uint8 twin of tensor `name`; what makes it is appended to `nodes` the first time it is asked for."""
        if name in self._bytes:
            return self._bytes[name]
        twin = self._bytes[name] = f"{name}.u8"
        node = self._producer.get(name)
        if node is None or node.op_type not in _MOVERS or not self._pads_zero(node):
            nodes.append(helper.make_node("QuantizeLinear", [name, *scale], [twin]))
            return twin
        moved = [self._as_bytes(source, scale, nodes) for source in self._moved(node)]
        rest = list(node.input)[len(moved) :]
        if node.op_type == "Pad":
            rest = [rest[0], scale[1], *rest[2:]]
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.name}.u8"
        del copy.input[:], copy.output[:]
        copy.input.extend([*moved, *rest])
        copy.output.append(twin)
        nodes.append(copy)
        return twin

    def _product(self, node: onnx.NodeProto, scale: tuple[str, str]) -> list[onnx.NodeProto]:
        """What stands in place of one MatMul."""
        nodes: list[onnx.NodeProto] = []
        left = self._as_bytes(node.input[0], scale, nodes)
        name = node.input[1]
        if not any(w.name == f"{name}.i8" for w in self._added):
            values = self._weights[name]
            step = np.maximum(np.abs(values).max(axis=0), 1e-12) / 127.0
            whole = np.clip(np.rint(values / step), -127, 127).astype(np.int8)
            self._added.append(numpy_helper.from_array(whole, f"{name}.i8"))
            self._added.append(numpy_helper.from_array(step.astype(np.float32), f"{name}.step"))
        inputs, output = [left, f"{name}.i8", scale[0], f"{name}.step", scale[1]], node.output[0]
        bias = self._bias(output)
        if bias is not None:
            inputs += ["", bias[0]]
            nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [bias[1].output[0]], domain="com.microsoft"))
            bias[1].op_type = "Dropped"
        else:
            nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [output], domain="com.microsoft"))
        return nodes

    def _bias(self, product: str) -> tuple[str, onnx.NodeProto] | None:
        """The constant vector added to a product, and the node that adds it, if that is the product's only use."""
        users = self._users.get(product, [])
        if len(users) != 1 or users[0].op_type != "Add":
            return None
        other = next(name for name in users[0].input if name != product)
        return (other, users[0]) if other in self._weights and self._weights[other].ndim == 1 else None

    def _finish(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Keep what the outputs need, in order."""
        alive = [node for node in nodes if node.op_type != "Dropped"]
        needed = {spec.name for spec in self._graph.output}
        kept: list[onnx.NodeProto] = []
        for node in reversed(alive):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        weights = [w for w in [*self._graph.initializer, *self._added] if w.name in needed]
        kept_weights = [onnx.TensorProto.FromString(w.SerializeToString()) for w in weights]
        kept_nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(kept)]
        del self._graph.node[:], self._graph.initializer[:], self._graph.value_info[:]
        self._graph.node.extend(kept_nodes)
        self._graph.initializer.extend(kept_weights)
        self._model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        onnx.checker.check_model(self._model)


def _merge(roots: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Join the root sets of products that share a root."""
    groups: list[set[str]] = []
    for own in roots.values():
        touching = [group for group in groups if group & own]
        groups = [group for group in groups if not group & own] + [set(own).union(*touching)]
    return {product: next(frozenset(g) for g in groups if g & own) for product, own in roots.items()}


def _fit(values: Array) -> tuple[float, int]:
    """Scale and zero point of the 256 steps that lose least of `values` on average; zero is always a step."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-6)
    some = values[:: max(1, values.size // 200_000)].astype(np.float64)
    best = (np.inf, 1.0, 0)
    for share in np.linspace(1.0, 0.4, 25):
        for floor in {low, max(low, -high * share)}:
            scale = (high * share - floor) / 255.0
            zero = int(np.clip(np.rint(-floor / scale), 0, 255))
            back = (np.clip(np.rint(some / scale) + zero, 0, 255) - zero) * scale
            best = min(best, (float(np.mean((back - some) ** 2)), scale, zero))
    return best[1], best[2]
