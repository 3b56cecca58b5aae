"""The one call to the torch exporter."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import onnx
import torch

__all__ = ["OPSET", "trace"]

OPSET: Final = 20
"""Operator set of every graph that we write: the newest one that torch's tracer knows."""

_IR_VERSION: Final = 10


def trace(
    module: torch.nn.Module,
    example_inputs: Sequence[torch.Tensor],
    input_names: Sequence[str],
    output_names: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
) -> onnx.ModelProto:
    """Follow one call of `module` and write down what it did as an ONNX graph.

    Uses the tracer rather than ``torch.export``: it needs no further package, takes a tenth of the time and keeps
    the operators that a module was written with, which the matrix-product graphs depend on. It is deprecated, hence
    the pinned torch; its warning is silenced here and nowhere else.

    Args:
        module: put in evaluation mode by this call; its ``forward`` takes the inputs by position.
        example_inputs: one tensor for each input; their sizes are fixed in the graph unless `dynamic` frees them.
        input_names: names of the inputs; a state ``h`` is an input ``h`` with an output ``h_next``.
        output_names: names of the outputs, in the order in which `module` returns them.
        dynamic: input or output name to {axis: name of the free size}.
    Returns:
        The checked graph, weights inside. An input that nothing depends on stays an input.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", message="Exporting a model to ONNX with a batch_size")  # states are inputs
        # torch's own recurrent layers check the sizes of what they are given.
        warnings.filterwarnings("ignore", category=torch.jit._trace.TracerWarning, module="torch.nn.modules.rnn")
        warnings.filterwarnings("ignore", message="Constant folding")  # of strided slices: onnxruntime does it later
        torch.onnx.export(
            module.eval(),
            tuple(example_inputs),
            buffer,  # type: ignore[arg-type]  # a stream is taken, torch's annotation forgets it
            input_names=list(input_names),
            output_names=list(output_names),
            dynamic_axes={name: dict(axes) for name, axes in (dynamic or {}).items()},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    model.ir_version = _IR_VERSION
    _declare(model, example_inputs, input_names, dynamic or {})
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    return model


def _declare(
    model: onnx.ModelProto,
    examples: Sequence[torch.Tensor],
    names: Sequence[str],
    dynamic: Mapping[str, Mapping[int, str]],
) -> None:
    """Put back inputs that the tracer dropped because nothing depends on them, all in the given order."""
    kept = {spec.name: spec for spec in model.graph.input}
    specs = []
    for name, value in zip(names, examples, strict=True):
        kind = onnx.helper.np_dtype_to_tensor_dtype(value.numpy().dtype)
        sizes = [dynamic.get(name, {}).get(axis, size) for axis, size in enumerate(value.shape)]
        specs.append(kept.get(name) or onnx.helper.make_tensor_value_info(name, kind, sizes))
    copies = [onnx.ValueInfoProto.FromString(spec.SerializeToString()) for spec in specs]
    del model.graph.input[:]
    model.graph.input.extend(copies)
