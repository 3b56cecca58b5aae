"""Smaller graphs: weights in half precision, or matrix products in whole numbers."""

from collections.abc import Collection, Mapping, Sequence
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

_MIDDLE: Final = 128
_PARTS: Final = 254
"""Rests lie within half a step either way: so many finer steps take them to the middle byte plus and minus 127."""

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


def to_int8(
    model: onnx.ModelProto, examples: Mapping[str, Array], keep: Collection[str] = (), fine: Collection[str] = ()
) -> onnx.ModelProto:
    """Do matrix products with constant weights in whole numbers: int8 weights, uint8 values between.

    Weights have one scale for each output column. Values have one scale for each item of the batch, from its least and
    greatest value at that moment: nothing is ever cut off, and since sums of whole numbers are exact, an item comes out
    the same to the last bit whatever else is in the batch. Only which byte means zero is fixed for a tensor.

    Args:
        model: products must be ``MatMul`` nodes of values ``[B, T, C]`` with a constant matrix. Operators that only
            move values are done on bytes; they must leave the first axis alone.
        examples: inputs like those the graph will meet, on which the bytes that mean zero are chosen.
        keep: names of weight matrices that stay fp32.
        fine: names of weight matrices whose values get 16 bits, as two bytes: what is left of rounding to the first is
            rounded to the second. Twice the work, and only the rounding of weights remains.
    Returns:
        A new graph. It needs onnxruntime's own operator ``MatMulIntegerToFloat``. Processors with 8-bit dot products
        (VNNI, AMX) run it fastest; others need `engine.graphs.graph.session_options` to keep sums from saturating.
    """
    work = onnx.ModelProto()
    work.CopyFrom(model)
    _hoist_constants(work.graph)
    return _GraphQuantiser(work, keep, fine).run(examples)


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


class _GraphQuantiser:
    """One rewriting of one graph.

    A product's *root* is the tensor that its left side is made from by moving values only. Each root is quantised once,
    whatever the number of products that it reaches.
    """

    def __init__(self, model: onnx.ModelProto, keep: Collection[str], fine: Collection[str]) -> None:
        self._model = model
        self._graph = model.graph
        self._keep = keep
        self._fine = fine
        self._weights = {w.name: numpy_helper.to_array(w) for w in self._graph.initializer}
        self._producer: dict[str, onnx.NodeProto] = {name: node for node in self._graph.node for name in node.output}
        self._added: dict[str, onnx.TensorProto] = {}
        self._made: set[str] = set()
        self._zeros: dict[str, int] = {}
        inferred = onnx.shape_inference.infer_shapes(model).graph
        known = [*inferred.value_info, *inferred.input, *inferred.output]
        self._rank = {spec.name: len(spec.type.tensor_type.shape.dim) for spec in known}

    def run(self, examples: Mapping[str, Array]) -> onnx.ModelProto:
        """Replace every product that can be replaced."""
        products = [node for node in self._graph.node if self._wanted(node)]
        self._zeros = self._choose_zeros(sorted({self._root(node.input[0]) for node in products}), examples)
        self._constant("i8.one", np.float32(1.0))
        self._constant("i8.least", np.float32(1e-12))
        self._constant("i8.last", np.array([1], np.int64))
        self._constant("i8.inner", np.array([1, 2], np.int64))
        self._constant(f"i8.zero{_MIDDLE}", np.uint8(_MIDDLE))
        self._constant("i8.parts", np.float32(1.0 / _PARTS))
        for zero in set(self._zeros.values()):
            self._constant(f"i8.zero{zero}", np.uint8(zero))
            self._constant(f"i8.above{zero}", np.float32(1.0 / (255 - zero)))
            self._constant(f"i8.below{zero}", np.float32(-1.0 / zero))
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            nodes.extend(self._product(node) if node in products else [node])
        self._finish(nodes)
        return self._model

    def _choose_zeros(self, roots: Sequence[str], examples: Mapping[str, Array]) -> dict[str, int]:
        """For each root the byte for zero with which its items need the smallest scales."""
        probe = onnx.ModelProto()
        probe.CopyFrom(self._model)
        del probe.graph.output[:]
        inner = [root for root in roots if root not in examples]
        probe.graph.output.extend(onnx.ValueInfoProto(name=root) for root in inner)
        seen = dict(zip(inner, run_graph(probe, examples), strict=True)) if inner else {}
        return {root: _zero(np.asarray({**examples, **seen}[root], np.float64)) for root in roots}

    def _constant(self, name: str, value: np.generic | Array) -> None:
        self._added[name] = numpy_helper.from_array(np.asarray(value), name)

    def _wanted(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "MatMul" or node.input[1] not in self._weights or node.input[1] in self._keep:
            return False
        weight = self._weights[node.input[1]]
        rank = self._rank.get(node.output[0])
        return weight.ndim == 2 and weight.size >= _FEW and weight.dtype == np.float32 and rank == 3

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

    def _as_bytes(self, name: str, nodes: list[onnx.NodeProto], rest: bool = False) -> str:
        """The uint8 twin of tensor `name`; what makes it is appended to `nodes` the first time it is asked for.

        With `rest`, not the tensor but what rounding it to bytes has left over, in steps `_PARTS` times as fine.
        """
        twin = f"{name}.rest.u8" if rest else f"{name}.u8"
        if twin in self._made:
            return twin
        node = self._moves(name)
        if node is None:
            if rest:
                self._as_bytes(name, nodes)
            nodes.extend(_rest(name) if rest else _quantise(name, self._zeros[name]))
            self._made.add(twin)
            return twin
        self._made.add(twin)
        moved = self._as_bytes(node.input[0], nodes, rest)
        others = list(node.input)[1:]
        if node.op_type == "Pad":
            zero = _MIDDLE if rest else self._zeros[self._root(name)]
            others = [others[0], f"i8.zero{zero}", *others[2:]]
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.name = twin
        del copy.input[:], copy.output[:]
        copy.input.extend([moved, *others])
        copy.output.append(twin)
        nodes.append(copy)
        return twin

    def _product(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """What stands in place of one MatMul."""
        nodes: list[onnx.NodeProto] = []
        root, name, output = self._root(node.input[0]), node.input[1], node.output[0]
        left = self._as_bytes(node.input[0], nodes)
        if f"{name}.i8" not in self._added:
            values = self._weights[name]
            step = np.maximum(np.abs(values).max(axis=0), 1e-12) / 127.0
            self._constant(f"{name}.i8", np.clip(np.rint(values / step), -127, 127).astype(np.int8))
            self._constant(f"{name}.step", step.astype(np.float32))
        nodes.append(_sum([left, f"{name}.i8", "i8.one", f"{name}.step", f"i8.zero{self._zeros[root]}"], output))
        total = f"{output}.sum"
        if name in self._fine:
            self._constant(f"{name}.small", self._part_of(f"{name}.step"))
            rest = self._as_bytes(node.input[0], nodes, rest=True)
            # Weights of its own: without VNNI onnxruntime turns each product's into uint8, and fails on shared ones.
            self._added[f"{name}.again.i8"] = _renamed(self._added[f"{name}.i8"], f"{name}.again.i8")
            inputs = [rest, f"{name}.again.i8", "i8.one", f"{name}.small", f"i8.zero{_MIDDLE}"]
            total = f"{output}.both"
            nodes.append(_sum(inputs, f"{output}.rest"))
            nodes.append(helper.make_node("Add", [f"{output}.sum", f"{output}.rest.sum"], [total]))
        nodes.append(helper.make_node("Mul", [total, f"{root}.wide"], [output]))
        return nodes

    def _part_of(self, name: str) -> Array:
        return numpy_helper.to_array(self._added[name]) / np.float32(_PARTS)

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


def _renamed(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(numpy_helper.to_array(tensor), name)


def _zero(values: Array) -> int:
    """Byte for zero, 1..254, with which items of ``[B, ...]`` need scales nearest to the least possible."""
    flat = values.reshape(len(values), -1)
    low, top = np.minimum(flat.min(axis=1), 0.0), np.maximum(flat.max(axis=1), 0.0)
    least = np.maximum(top - low, 1e-12) / 255
    bytes_ = np.arange(1, 255)[:, None]
    scale = np.maximum(top / (255 - bytes_), -low / bytes_)
    return 1 + int(np.argmin(np.mean((scale / least) ** 2, axis=1)))


def _sum(inputs: Sequence[str], output: str) -> onnx.NodeProto:
    """The product of bytes, ``OUTPUT.sum``, to be multiplied with the scale of each item."""
    return helper.make_node("MatMulIntegerToFloat", inputs, [f"{output}.sum"], domain="com.microsoft")


def _quantise(name: str, zero: int) -> list[onnx.NodeProto]:
    """Nodes that make ``NAME.u8`` and, for each item of the batch, the scale ``NAME.wide`` to multiply sums with.

    The zero point is the same for all items, as products need it; the scale is the least with which both ends fit.
    """
    made = [
        helper.make_node("Flatten", [name], [f"{name}.flat"]),
        helper.make_node("ReduceMax", [f"{name}.flat", "i8.last"], [f"{name}.top"], keepdims=0),
        helper.make_node("ReduceMin", [f"{name}.flat", "i8.last"], [f"{name}.low"], keepdims=0),
        helper.make_node("Mul", [f"{name}.top", f"i8.above{zero}"], [f"{name}.up"]),
        helper.make_node("Mul", [f"{name}.low", f"i8.below{zero}"], [f"{name}.down"]),
        helper.make_node("Max", [f"{name}.up", f"{name}.down", "i8.least"], [f"{name}.scale"]),
        helper.make_node("Unsqueeze", [f"{name}.scale", "i8.inner"], [f"{name}.wide"]),
        helper.make_node("Shape", [f"{name}.scale"], [f"{name}.size"]),
        helper.make_node("Expand", [f"i8.zero{zero}", f"{name}.size"], [f"{name}.zeros"]),
    ]
    inputs = [name, f"{name}.scale", f"{name}.zeros"]
    return [*made, helper.make_node("QuantizeLinear", inputs, [f"{name}.u8"], axis=0)]


def _rest(name: str) -> list[onnx.NodeProto]:
    """Nodes that make ``NAME.rest.u8`` from the tensor and its bytes: the finer part of its values."""
    zeros = [f"{name}.scale", f"{name}.zeros"]
    finer = [f"{name}.rest", f"{name}.rest.scale", f"{name}.rest.zeros"]
    return [
        helper.make_node("DequantizeLinear", [f"{name}.u8", *zeros], [f"{name}.rounded"], axis=0),
        helper.make_node("Sub", [name, f"{name}.rounded"], [f"{name}.rest"]),
        helper.make_node("Mul", [f"{name}.scale", "i8.parts"], [f"{name}.rest.scale"]),
        helper.make_node("Expand", [f"i8.zero{_MIDDLE}", f"{name}.size"], [f"{name}.rest.zeros"]),
        helper.make_node("QuantizeLinear", finer, [f"{name}.rest.u8"], axis=0),
    ]
