"""Smaller graphs: weights in half precision, or matrix products in whole numbers."""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["to_fp16", "to_int8"]

_FEW: Final = 1024
"""Weights with fewer values than this stay as they are: they cost nothing."""

_MOVERS: Final = frozenset({"Gather", "Identity", "Pad", "Reshape", "Slice", "Transpose", "Unsqueeze"})
"""Operators that only move values of one tensor, so they may as well move bytes."""


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


def to_int8(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """Do matrix products with constant weights in whole numbers: int8 weights, uint8 values between.

    Weights have one scale for each output column. Values have one scale for each tensor and call, from its least and
    greatest value, so nothing is ever cut off and no calibration is needed. It also means that everything in one call
    shares scales: give such a graph a fixed batch size, then equal calls give equal results to the last bit.
    Operators that only move values are done on bytes.

    Args:
        model: products must be ``MatMul`` nodes whose second input is a constant matrix; a constant vector added
            right after is taken in as well.
        keep: names of weight matrices that stay fp32.
    Returns:
        A new graph. It needs onnxruntime's own operator ``MatMulIntegerToFloat`` and a processor with 8-bit dot
        products (VNNI, AMX); on older ones sums may saturate.
    """
    work = onnx.ModelProto()
    work.CopyFrom(model)
    _hoist_constants(work.graph)
    return _Quantiser(work, keep).run()


def _hoist_constants(graph: onnx.GraphProto) -> None:
    """Turn ``Constant`` nodes, and other names of weights, into weights: then there is one place to look."""
    nodes = []
    weights = {weight.name: weight for weight in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            values = numpy_helper.to_array(node.attribute[0].t)
            graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
        elif node.op_type == "Identity" and node.input[0] in weights:
            graph.initializer.append(
                numpy_helper.from_array(numpy_helper.to_array(weights[node.input[0]]), node.output[0])
            )
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


class _Quantiser:
    """One rewriting of one graph.

    A product's *root* is the tensor that its left side is made from by moving values only. Each root is quantised once,
    whatever the number of products that it reaches.
    """

    def __init__(self, model: onnx.ModelProto, keep: Collection[str]) -> None:
        self._model = model
        self._graph = model.graph
        self._keep = keep
        self._weights = {w.name: numpy_helper.to_array(w) for w in self._graph.initializer}
        self._producer: dict[str, onnx.NodeProto] = {name: node for node in self._graph.node for name in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in self._graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
        self._added: dict[str, onnx.TensorProto] = {}
        self._made: set[str] = set()
        self._dropped: set[str] = set()

    def run(self) -> onnx.ModelProto:
        """Replace every product that can be replaced."""
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            nodes.extend(self._product(node) if self._wanted(node) else [node])
        self._finish([node for node in nodes if node.output[0] not in self._dropped or node.domain])
        return self._model

    def _wanted(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "MatMul" or node.input[1] not in self._weights or node.input[1] in self._keep:
            return False
        weight = self._weights[node.input[1]]
        return weight.ndim == 2 and weight.size >= _FEW and weight.dtype == np.float32

    def _moves(self, name: str) -> onnx.NodeProto | None:
        """The node that makes `name` by moving values of one tensor only, zeros put in allowed."""
        node = self._producer.get(name)
        if node is None or node.op_type not in _MOVERS:
            return None
        if node.op_type == "Pad":
            mode = next((a.s for a in node.attribute if a.name == "mode"), b"constant")
            value = node.input[2] if len(node.input) > 2 else ""
            if mode != b"constant" or (value and (value not in self._weights or self._weights[value].any())):
                return None
        return node

    def _root(self, name: str) -> str:
        node = self._moves(name)
        return name if node is None else self._root(node.input[0])

    def _as_bytes(self, name: str, root: str, nodes: list[onnx.NodeProto]) -> str:
        """The uint8 twin of tensor `name`; what makes it is appended to `nodes` the first time it is asked for."""
        twin = f"{name}.u8"
        if twin in self._made:
            return twin
        self._made.add(twin)
        node = self._moves(name)
        if node is None:
            made = [twin, f"{name}.scale", f"{name}.zero"]
            nodes.append(helper.make_node("DynamicQuantizeLinear", [name], made))
            return twin
        moved = self._as_bytes(node.input[0], root, nodes)
        rest = list(node.input)[1:]
        if node.op_type == "Pad":
            rest = [rest[0], f"{root}.zero", *rest[2:]]
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{node.name}.u8"
        del copy.input[:], copy.output[:]
        copy.input.extend([moved, *rest])
        copy.output.append(twin)
        nodes.append(copy)
        return twin

    def _product(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """What stands in place of one MatMul."""
        nodes: list[onnx.NodeProto] = []
        root, name, output = self._root(node.input[0]), node.input[1], node.output[0]
        left = self._as_bytes(node.input[0], root, nodes)
        if f"{name}.i8" not in self._added:
            values = self._weights[name]
            step = np.maximum(np.abs(values).max(axis=0), 1e-12) / 127.0
            whole = np.clip(np.rint(values / step), -127, 127).astype(np.int8)
            self._added[f"{name}.i8"] = numpy_helper.from_array(whole, f"{name}.i8")
            self._added[f"{name}.step"] = numpy_helper.from_array(step.astype(np.float32), f"{name}.step")
        inputs = [left, f"{name}.i8", f"{root}.scale", f"{name}.step", f"{root}.zero"]
        bias = self._bias(output)
        if bias is not None:
            inputs, output = [*inputs, "", bias[0]], bias[1]
            self._dropped.add(output)
        nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [output], domain="com.microsoft"))
        return nodes

    def _bias(self, product: str) -> tuple[str, str] | None:
        """The constant vector added to a product and the name of the sum, if that is the product's only use."""
        users = self._users.get(product, [])
        if len(users) != 1 or users[0].op_type != "Add":
            return None
        other = next((name for name in users[0].input if name != product), "")
        return (other, users[0].output[0]) if other in self._weights and self._weights[other].ndim == 1 else None

    def _finish(self, nodes: Sequence[onnx.NodeProto]) -> None:
        """Keep what the outputs need, in order."""
        needed = {spec.name for spec in self._graph.output}
        kept: list[onnx.NodeProto] = []
        for node in reversed(nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
        weights = [w for w in [*self._graph.initializer, *self._added.values()] if w.name in needed]
        # A repeated field must not be filled from itself, hence the copies.
        kept_weights = [onnx.TensorProto.FromString(w.SerializeToString()) for w in weights]
        kept_nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in reversed(kept)]
        del self._graph.node[:], self._graph.initializer[:], self._graph.value_info[:]
        self._graph.node.extend(kept_nodes)
        self._graph.initializer.extend(kept_weights)
        self._model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
        onnx.checker.check_model(self._model)
