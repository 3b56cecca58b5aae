"""One call from a module to a checked graph."""

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from export.parity import difference, parity, run_graph
from export.trace import OPSET, trace


class _Step(nn.Module):
    """A step with state: the output and the state of the next call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 2, 3)

    def forward(self, x: Tensor, h: Tensor, unused: Tensor) -> tuple[Tensor, Tensor]:
        joined = torch.cat([h, x], dim=2)
        return self.conv(joined), joined[:, :, -2:]


def _traced() -> tuple[_Step, tuple[Tensor, ...], onnx.ModelProto]:
    module, inputs = _Step(), (torch.randn(1, 2, 8), torch.zeros(1, 2, 2), torch.zeros(1, 5))
    graph = trace(module, inputs, ["x", "h", "unused"], ["y", "h_next"], {"x": {0: "B"}, "h": {0: "B"}})
    return module, inputs, graph


def test_names_order_and_operators_are_as_asked() -> None:
    _, _, graph = _traced()
    assert [spec.name for spec in graph.graph.input] == ["x", "h", "unused"]
    assert [spec.name for spec in graph.graph.output] == ["y", "h_next"]
    assert graph.opset_import[0].version == OPSET


def test_an_input_without_effect_stays_an_input() -> None:
    _, inputs, graph = _traced()
    feeds = {name: value.numpy() for name, value in zip(("x", "h", "unused"), inputs, strict=True)}
    assert len(run_graph(graph, feeds)) == 2


def test_graph_gives_what_the_module_gives() -> None:
    module, inputs, graph = _traced()
    assert parity(module, graph, inputs) < 1e-5


def test_free_sizes_take_other_sizes() -> None:
    _, _, graph = _traced()
    feeds = {"x": np.zeros((3, 2, 8)), "h": np.zeros((3, 2, 2)), "unused": np.zeros((1, 5))}
    assert run_graph(graph, {k: v.astype(np.float32) for k, v in feeds.items()})[0].shape == (3, 2, 8)


@pytest.mark.parametrize(
    ("got", "wanted", "value"),
    [
        ([1.0, 3.0], [1.0, 3.0], 0.0),
        ([1.0, 3.5], [1.0, 3.0], 0.5),  # deviation of 1 and 3 is 1
        ([2.5, 2.0], [2.0, 2.0], 0.5),  # no deviation: absolute
        ([np.nan, 3.0], [1.0, 3.0], np.inf),
        ([1.0], [1.0, 3.0], np.inf),
    ],
)
def test_difference_is_in_standard_deviations(got: list[float], wanted: list[float], value: float) -> None:
    assert difference(np.array(got), np.array(wanted)) == pytest.approx(value)


def test_difference_of_integers_is_the_share_that_differs() -> None:
    assert difference(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 5])) == 0.25
