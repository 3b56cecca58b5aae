"""Products of rows in whole numbers, for networks whose columns differ much from one another.

`export.quantise.int8.to_int8` has one scale for each item of the batch, as convolutions need it. Here every row of a
matrix has its own: what one column holds does not cost the others precision, and a column comes out the same to
the last bit whatever stands beside it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import helper, numpy_helper

from engine.music.arrays import F32, I8
from export.parity import run_graph

__all__ = ["to_int8_rows"]

Array = npt.NDArray[np.generic]

_FEW: Final = 4096
"""Weights with fewer values than this stay as they are: they cost nothing."""
_DAMPING: Final = 0.01
"""Share of the inputs' mean power that is taken for noise: what few examples seem to say is not believed entirely."""
_BLOCK: Final = 32
"""Inputs that are rounded before all others hear of it, which saves time and changes nothing."""


def to_int8_rows(model: onnx.ModelProto, examples: Mapping[str, Array], keep: Collection[str] = ()) -> onnx.ModelProto:
    """Do products of rows with constant matrices in whole numbers: int8 weights, uint8 values.

    Weights have one scale for each output column, values one for each row, from its least and greatest at that moment:
    nothing is cut off. Which byte means zero is fixed for each product, since rows of one layer lean the same way.

    Args:
        model: products must be ``MatMul`` of [N, inputs] with a constant matrix.
        examples: inputs like those the graph will meet: on them the bytes that mean zero are chosen and weights are
            rounded so that errors cancel.
        keep: names of matrices that stay fp32.
    Returns:
        A new graph. It needs onnxruntime's own operator ``MatMulIntegerToFloat``. Processors with 8-bit dot products
        (VNNI, AMX) run it fastest; others need `engine.graphs.graph.session_options` to keep sums from saturating.
    """
    work = onnx.ModelProto()
    work.CopyFrom(model)
    weights = {w.name: numpy_helper.to_array(w) for w in work.graph.initializer}
    products = [node for node in work.graph.node if _wanted(node, weights, keep)]
    rows = _rows(work, sorted({node.input[0] for node in products}), examples)
    zeros = {name: _zero(values) for name, values in rows.items()}
    replaced = {node.input[1] for node in products}
    nodes: list[onnx.NodeProto] = []
    made: set[str] = set()
    added: dict[str, Array] = {name: np.asarray(value) for name, value in _CONSTANTS.items()}
    for zero in set(zeros.values()):
        added |= {
            f"i8.zero{zero}": np.array(zero, np.uint8),
            f"i8.above{zero}": np.array(1.0 / (255 - zero), np.float32),
            f"i8.below{zero}": np.array(-1.0 / zero, np.float32),
        }
    for node in work.graph.node:
        if node not in products:
            nodes.append(node)
            continue
        left, weight, output = node.input[0], node.input[1], node.output[0]
        if left not in made:
            nodes += _quantise(left, zeros[left])
            made.add(left)
        values = weights[weight]
        step = np.maximum(np.abs(values).max(axis=0), 1e-12) / 127.0
        added[f"{weight}.i8"] = _round(values, step, rows[left])
        added[f"{weight}.step"] = step.astype(np.float32)
        inputs = [f"{left}.u8", f"{weight}.i8", "i8.one", f"{weight}.step", f"i8.zero{zeros[left]}"]
        nodes.append(helper.make_node("MatMulIntegerToFloat", inputs, [f"{output}.sum"], domain="com.microsoft"))
        nodes.append(helper.make_node("Mul", [f"{output}.sum", f"{left}.wide"], [output]))
    initialisers = [w for w in work.graph.initializer if w.name not in replaced]
    initialisers += [numpy_helper.from_array(value, name) for name, value in added.items()]
    # A repeated field must not be filled from itself, hence the copies.
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    initialisers = [onnx.TensorProto.FromString(w.SerializeToString()) for w in initialisers]
    del work.graph.node[:], work.graph.initializer[:], work.graph.value_info[:]
    work.graph.node.extend(nodes)
    work.graph.initializer.extend(initialisers)
    work.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.checker.check_model(work)
    return work


_CONSTANTS: Final[Mapping[str, np.generic | Array]] = {
    "i8.one": np.float32(1.0),
    "i8.least": np.float32(1e-12),
    "i8.last": np.array([1], np.int64),
}


def _wanted(node: onnx.NodeProto, weights: Mapping[str, Array], keep: Collection[str]) -> bool:
    if node.op_type != "MatMul" or node.input[1] not in weights or node.input[1] in keep:
        return False
    weight = weights[node.input[1]]
    return weight.ndim == 2 and weight.size >= _FEW and weight.dtype == np.float32


def _rows(model: onnx.ModelProto, lefts: Sequence[str], examples: Mapping[str, Array]) -> dict[str, F32]:
    """[N, inputs] what each left side holds when the graph meets the examples."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in lefts)
    seen = run_graph(probe, examples) if lefts else []
    return {name: np.asarray(values, np.float32) for name, values in zip(lefts, seen, strict=True)}


def _round(matrix: F32, step: F32, rows: F32) -> I8:
    """[inputs, outputs] whole numbers -127..127 that, times `step` [outputs], stand for `matrix`.

    One input after the other is rounded, and what that got wrong is made good by those that are still to come, as far
    as inputs go together in `rows`.

    Source:
        Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", 2023.
    """
    size = len(matrix)
    together = rows.T @ rows / max(1, len(rows))
    together[np.diag_indices(size)] += _DAMPING * float(np.trace(together)) / size + 1e-12
    # The factor of the inverse is the inverse of the factor, both with the order of inputs reversed.
    factor = torch.linalg.cholesky(torch.from_numpy(together[::-1, ::-1].copy()))
    upper = torch.linalg.solve_triangular(factor, torch.eye(size), upper=False).numpy()[::-1, ::-1]
    left, made = matrix.astype(np.float32), np.empty(matrix.shape, np.int8)
    for first in range(0, size, _BLOCK):
        last = min(first + _BLOCK, size)
        wrong = np.empty((last - first, matrix.shape[1]), np.float32)
        for row in range(first, last):
            made[row] = np.clip(np.rint(left[row] / step), -127, 127)
            wrong[row - first] = (left[row] - made[row] * step) / upper[row, row]
            left[row + 1 : last] -= upper[row, row + 1 : last, None] * wrong[row - first]
        left[last:] -= upper[first:last, last:].T @ wrong
    return made


def _zero(rows: F32) -> int:
    """Byte for zero, 1..254, with which rows [N, inputs] need scales nearest to the least possible."""
    low, top = np.minimum(rows.min(axis=1), 0.0), np.maximum(rows.max(axis=1), 0.0)
    least = np.maximum(top - low, 1e-12) / 255
    bytes_ = np.arange(1, 255)[:, None]
    scale = np.maximum(top / (255 - bytes_), -low / bytes_)
    return 1 + int(np.argmin(np.mean((scale / least) ** 2, axis=1)))


def _quantise(name: str, zero: int) -> list[onnx.NodeProto]:
    """Nodes that make ``NAME.u8`` [N, inputs] and the scales ``NAME.wide`` [N, 1] to multiply sums with."""
    return [
        helper.make_node("ReduceMax", [name, "i8.last"], [f"{name}.top"], keepdims=1),
        helper.make_node("ReduceMin", [name, "i8.last"], [f"{name}.low"], keepdims=1),
        helper.make_node("Mul", [f"{name}.top", f"i8.above{zero}"], [f"{name}.up"]),
        helper.make_node("Mul", [f"{name}.low", f"i8.below{zero}"], [f"{name}.down"]),
        helper.make_node("Max", [f"{name}.up", f"{name}.down", "i8.least"], [f"{name}.wide"]),
        helper.make_node("Squeeze", [f"{name}.wide", "i8.last"], [f"{name}.scale"]),
        helper.make_node("Shape", [f"{name}.scale"], [f"{name}.size"]),
        helper.make_node("Expand", [f"i8.zero{zero}", f"{name}.size"], [f"{name}.zeros"]),
        helper.make_node("QuantizeLinear", [name, f"{name}.scale", f"{name}.zeros"], [f"{name}.u8"], axis=0),
    ]
