"""Torch against onnxruntime on seeded inputs, as one number."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from engine.graphs.graph import session_options

__all__ = ["difference", "parity", "run_graph"]


def run_graph(
    model: onnx.ModelProto, feeds: Mapping[str, npt.NDArray[np.generic]], threads: int = 1
) -> list[npt.NDArray[np.generic]]:
    """All outputs of `model` for `feeds`, in graph order."""
    options = session_options(threads)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs: list[npt.NDArray[np.generic]] = session.run(None, dict(feeds))
    return outputs


def difference(got: npt.NDArray[np.generic], wanted: npt.NDArray[np.generic]) -> float:
    """How far two arrays are apart.

    Returns:
        For floats the greatest absolute difference as a share of the standard deviation of `wanted` (of 1 where that
        is zero); for integers and truth values the share of unequal elements; infinity where shapes differ or a
        value is not finite.
    """
    if got.shape != wanted.shape:
        return float("inf")
    if not wanted.size:
        return 0.0
    if not np.issubdtype(wanted.dtype, np.floating):
        return float(np.mean(got != wanted))
    exact, near = wanted.astype(np.float64), got.astype(np.float64)
    if not (np.isfinite(exact).all() and np.isfinite(near).all()):
        return float("inf")
    scale = float(exact.std()) or 1.0
    return float(np.abs(near - exact).max()) / scale


def parity(module: torch.nn.Module, model: onnx.ModelProto, inputs: Sequence[torch.Tensor]) -> float:
    """Greatest `difference` between `module` and its graph over all outputs.

    Args:
        module: what the graph was traced from.
        model: the graph, shrunk or not.
        inputs: one tensor for each graph input, in graph order; draw them from a seeded generator.
    Returns:
        The number kept in the manifest: about 1e-6 for fp32 graphs, a few hundredths for int8 ones.
    """
    with torch.no_grad():
        outputs = module.eval()(*inputs)
    wanted = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
    feeds = {spec.name: value.numpy() for spec, value in zip(model.graph.input, inputs, strict=True)}
    got = run_graph(model, feeds)
    return max(difference(a, b.numpy()) for a, b in zip(got, wanted, strict=True))
