"""Smaller graphs that still do their work."""

import copy

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from export.parity import parity, run_graph
from export.quantise.int8 import to_fp16, to_int8
from export.trace import trace


class _Net(nn.Module):
    """Padding, gathering and slicing between products; one tensor that feeds two products."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(3 * 16, 32) / 7)
        self.second = nn.Parameter(torch.randn(32, 40) / 6)
        self.third = nn.Parameter(torch.randn(64, 32) / 8)
        self.bias = nn.Parameter(torch.randn(32))
        self.rows = nn.Buffer(torch.tensor([t + k for t in range(8) for k in range(3)]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        rows = functional.pad(x, (0, 0, 1, 1)).index_select(1, self.rows)
        h = functional.silu(rows.reshape(-1, 8, 48) @ self.first + self.bias)
        return h @ self.second, h.reshape(-1, 4, 64) @ self.third


@pytest.fixture(scope="module")
def net() -> tuple[_Net, Tensor, onnx.ModelProto]:
    torch.manual_seed(0)
    module, x = _Net().eval(), torch.randn(6, 8, 16)
    return module, x, trace(module, (x,), ["x"], ["y", "z"], {"x": {0: "B"}})


def test_fp16_halves_the_file_and_hardly_changes_the_result(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    module, x, graph = net
    small = to_fp16(graph)
    assert small.ByteSize() < 0.7 * graph.ByteSize()
    assert 0 < parity(module, small, (x,)) < 5e-3


def test_int8_is_near(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    module, x, graph = net
    assert 0 < parity(module, to_int8(graph, {"x": x.numpy()}), (x,)) < 0.06


def test_int8_replaces_all_products_and_quantises_each_tensor_once(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    _, x, graph = net
    operators = [node.op_type for node in to_int8(graph, {"x": x.numpy()}).graph.node]
    assert operators.count("MatMulIntegerToFloat") == 3
    assert operators.count("QuantizeLinear") == 2
    assert "MatMul" not in operators


def test_int8_moves_bytes_not_floats(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    _, x, graph = net
    nodes = to_int8(graph, {"x": x.numpy()}).graph.node
    gathers = [node for node in nodes if node.op_type == "Gather"]
    assert [node.input[0].endswith(".u8") for node in gathers] == [True]


def test_int8_item_does_not_depend_on_its_neighbours(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    _, x, graph = net
    small, loud = to_int8(graph, {"x": x.numpy()}), x.numpy().copy()
    loud[1:] *= 100
    alone = run_graph(small, {"x": x.numpy()[:1]})
    together = run_graph(small, {"x": loud})
    assert all(np.array_equal(a, b[:1]) for a, b in zip(alone, together, strict=True))


def test_int8_never_clips_what_was_not_seen_before(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    module, x, graph = net
    assert parity(module, to_int8(graph, {"x": x.numpy() * 0.01}), (x * 50,)) < 0.06


def test_int8_of_silence_is_finite(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    _, x, graph = net
    assert all(np.isfinite(y).all() for y in run_graph(to_int8(graph, {"x": x.numpy()}), {"x": x.numpy() * 0}))


def test_kept_weights_stay_fp32(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    _, x, graph = net
    small = to_int8(graph, {"x": x.numpy()}, keep=["second"])
    assert "second" in {weight.name for weight in small.graph.initializer}
    assert [node.op_type for node in small.graph.node].count("MatMul") == 1


def test_original_graph_is_left_alone(net: tuple[_Net, Tensor, onnx.ModelProto]) -> None:
    _, x, graph = net
    before = graph.SerializeToString(deterministic=True)
    to_int8(graph, {"x": x.numpy()})
    to_fp16(graph)
    assert graph.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_int8_of_two_bytes_leaves_the_rounding_of_weights_only(
    net: tuple[_Net, Tensor, onnx.ModelProto], name: str
) -> None:
    module, x, graph = net
    rounded = copy.deepcopy(module)
    weight = rounded.get_parameter(name)
    step = weight.abs().amax(dim=0) / 127
    with torch.no_grad():
        weight.copy_((weight / step).round() * step)
    small = to_int8(graph, {"x": x.numpy()}, keep={"first", "second", "third"} - {name}, fine=[name])
    assert parity(module, small, (x,)) > 10 * parity(rounded, small, (x,)) > 0
