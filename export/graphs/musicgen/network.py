"""MusicGen's graphs: one for prompts and steps alike, whose keys and values stay where they are.

``lm`` takes any number of steps after what its cache holds and answers the logits of the last one. The cache's tensors
are given once and written in place (`GroupQueryAttention` with past and present in one memory), so a step copies
nothing. ``condition`` turns the conditions of the model into the keys and values of its cross-attention, once for
a text.

The language model is written node by node: half of its nodes are operators of onnxruntime's own that torch does not
know.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from export.trace import OPSET, trace
from training.models.musicgen import LM, MusicgenConfig, TransformerBlock, positions

__all__ = [
    "BUILDS",
    "POSITIONS",
    "PREFIXED",
    "Condition",
    "condition_example",
    "condition_graph",
    "condition_inputs",
    "lm_graph",
    "to_bits",
]

BUILDS: Final = ("fp32", "int8", "int4")
POSITIONS: Final = 1536
"""Steps for which added positions are kept; the published models have learned 1504."""
PREFIXED: Final = 2048
"""The same where a condition stands before them."""

_IR_VERSION: Final = 10
_BLOCK: Final = {4: 128, 8: 128}
"""Weights that share a scale. Larger blocks are faster and coarser."""
_FINER: Final = {"heads": 8}
"""Matrices that keep more bits: the heads are few, and errors in them are audible at once."""
_EPS: Final = 1e-5


@dataclass
class _Writer:
    """Nodes and weights of a graph in the making; its matrices in so many bits, 0 for fp32.

    Each matrix is made smaller by itself, so that no more than one is held twice: networks of billions are written too.
    """

    bits: int = 0
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)

    def weight(self, name: str, value: Tensor | npt.NDArray[np.generic]) -> str:
        array = value.detach().numpy() if isinstance(value, Tensor) else value
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, *more: str, domain: str = "", **values: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output, *more], name=output, domain=domain, **values))
        return output

    def product(self, x: str, name: str, weight: Tensor) -> str:
        """`x` times the transpose of a torch weight ``[outputs, inputs]``."""
        bits = _FINER.get(name, self.bits) if self.bits else 0
        if not bits:
            return self.node("MatMul", [x, self.weight(f"{name}.weight", weight.t())], name)
        alone = _Writer()
        alone.product(x, name, weight)
        outer = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["B", "S", w]) for n, w in _ends(x, name, weight)]
        graph = helper.make_graph(alone.nodes, name, outer[:1], outer[1:], alone.weights)
        small = to_bits(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]), bits).graph
        self.nodes.extend(small.node)
        self.weights.extend(small.initializer)
        return name

    def norm(self, x: str, name: str, layer: nn.LayerNorm) -> str:
        parts = [self.weight(f"{name}.scale", layer.weight), self.weight(f"{name}.bias", layer.bias)]
        return self.node("LayerNormalization", [x, *parts], name, axis=-1, epsilon=_EPS)


def _ends(x: str, name: str, weight: Tensor) -> tuple[tuple[str, int], tuple[str, int]]:
    """Names and widths of what goes into a product and what comes out."""
    return (x, weight.shape[1]), (name, weight.shape[0])


def lm_graph(model: LM, bits: int = 0) -> onnx.ModelProto:
    """The language model; its matrices in 4 or 8 `bits`, 0 for fp32.

    Inputs: ``codes`` int64 [B, K, S]; ``position`` int64 [S] of the steps (added positions only); ``last`` int32 [B]
    and ``total`` int32 [], the index of the newest step and the number of steps with it; ``features`` [B, S, F] of a
    conducted model; for each layer i of a model that attends to its condition ``ck.i`` and ``cv.i`` [B, heads, L, 64],
    of others ``prefix`` [B, P, D] before the sequence, P being 0 but for its first steps (``position`` is then
    [P + S]); the state ``k.i`` and ``v.i`` [B, heads, capacity, 64].
    Outputs: ``logits`` [B, K, entries] of what follows the last step; the state.
    """
    config, writer = model.config, _Writer(bits)
    x = _embedded(writer, model)
    rotary = []
    if config.rotary:
        angles = torch.arange(POSITIONS)[:, None] * 10_000.0 ** (-torch.arange(32) / 32)
        rotary = [writer.weight("rotary.cos", angles.cos()), writer.weight("rotary.sin", angles.sin())]
    for index, block in enumerate(model.blocks):
        assert isinstance(block, TransformerBlock)
        x = _block(writer, x, index, block, config, rotary)
    writer.weight("last_step", np.array(-1, np.int64))
    x = writer.norm(writer.node("Gather", [x, "last_step"], "newest", axis=1), "norm", model.norm)
    weights = [head.weight for head in model.heads if isinstance(head, nn.Linear)]
    flat = writer.product(x, "heads", torch.cat(weights))
    writer.node("Reshape", [flat, writer.weight("books", np.array([0, config.codebooks, -1], np.int64))], "logits")
    return _model(writer, config)


def _embedded(writer: _Writer, model: LM) -> str:
    """[B, S, D]: all codebooks out of one table, their sum, what conducts, the positions."""
    config = model.config
    tables = [table.weight for table in model.embeddings if isinstance(table, nn.Embedding)]
    starts = np.arange(config.codebooks, dtype=np.int64)[:, None] * (config.entries + 1)
    rows = writer.node("Add", ["codes", writer.weight("starts", starts)], "rows")
    each = writer.node("Gather", [writer.weight("embeddings", torch.cat(tables)), rows], "each", axis=0)
    books = writer.weight("over_books", np.array([1], np.int64))
    x = writer.node("ReduceSum", [each, books], "embedded", keepdims=0)
    if model.conducting is not None:
        conditions = writer.product("features", "conducting", model.conducting.weight)
        conditions = writer.node(
            "Add", [conditions, writer.weight("conducting.bias", model.conducting.bias)], "conducted"
        )
        x = writer.node("Add", [x, conditions], "embedded_conducted")
    if not config.cross:
        x = writer.node("Concat", ["prefix", x], "with_prefix", axis=1)
    if not config.rotary:
        table = writer.weight("positions", positions(0, POSITIONS if config.cross else PREFIXED, config.width))
        x = writer.node("Add", [x, writer.node("Gather", [table, "position"], "placed", axis=0)], "begun")
    return x


def _block(
    writer: _Writer, x: str, index: int, block: TransformerBlock, config: MusicgenConfig, rotary: Sequence[str]
) -> str:
    name = f"blocks.{index}"
    h = writer.norm(x, f"{name}.norm1", block.norm1)
    packed = writer.product(h, f"{name}.qkv", block.attention.qkv)
    state = [f"k.{index}", f"v.{index}"]
    # The operator counts as we do: a step that hears itself is the last of so many.
    narrow = {"local_window_size": config.window} if config.window else {}
    writer.node(
        "GroupQueryAttention",
        [packed, "", "", *state, "last", "total", *rotary],
        f"{name}.attended",
        *(f"{part}_next" for part in state),
        domain="com.microsoft",
        num_heads=config.heads,
        kv_num_heads=config.heads,
        do_rotary=int(config.rotary),
        **narrow,
    )
    y = writer.product(f"{name}.attended", f"{name}.out", block.attention.out.weight)
    x = writer.node("Add", [x, y], f"{name}.x1")
    if block.cross is not None and block.norm_cross is not None:
        h = writer.norm(x, f"{name}.norm_cross", block.norm_cross)
        q = writer.product(h, f"{name}.q", block.cross.qkv[: config.width])
        inputs = [q, f"ck.{index}", f"cv.{index}"]
        writer.node("MultiHeadAttention", inputs, f"{name}.conditioned", domain="com.microsoft", num_heads=config.heads)
        y = writer.product(f"{name}.conditioned", f"{name}.cross_out", block.cross.out.weight)
        x = writer.node("Add", [x, y], f"{name}.x2")
    h = writer.norm(x, f"{name}.norm2", block.norm2)
    h = writer.node("Gelu", [writer.product(h, f"{name}.up", block.up.weight)], f"{name}.active")
    return writer.node("Add", [x, writer.product(h, f"{name}.down", block.down.weight)], f"{name}.x3")


def _model(writer: _Writer, config: MusicgenConfig) -> onnx.ModelProto:
    """The graph with its inputs and outputs declared, checked."""

    def spec(name: str, shape: Sequence[int | str], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, list(shape))

    inputs = [spec("codes", ["B", config.codebooks, "S"], TensorProto.INT64)]
    if not config.rotary:
        inputs.append(spec("position", ["S" if config.cross else "PS"], TensorProto.INT64))
    inputs += [spec("last", ["B"], TensorProto.INT32), spec("total", [], TensorProto.INT32)]
    if config.features:
        inputs.append(spec("features", ["B", "S", config.features]))
    if not config.cross:
        inputs.append(spec("prefix", ["B", "P", config.width]))
    layers = range(config.layers)
    conditions: list[int | str] = ["B", config.heads, "L", 64]
    kept: list[int | str] = ["B", config.heads, "capacity", 64]
    if config.cross:
        inputs += [spec(f"{part}.{i}", conditions) for i in layers for part in ("ck", "cv")]
    state = [(f"{part}.{i}", kept) for i in layers for part in ("k", "v")]
    inputs += [spec(name, shape) for name, shape in state]
    outputs = [spec("logits", ["B", config.codebooks, config.entries])]
    outputs += [spec(f"{name}_next", shape) for name, shape in state]
    graph = helper.make_graph(writer.nodes, "lm", inputs, outputs, writer.weights)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)


class Condition(nn.Module):
    """The conditions of the language model besides the steps: keys and values of each layer, or a prefix."""

    def __init__(self, model: LM) -> None:
        super().__init__()
        self.model, width = model, model.config.width
        crosses = [
            block.cross for block in model.blocks if isinstance(block, TransformerBlock) and block.cross is not None
        ]
        # Of queries, keys and values only the last two are wanted: what is not there is not kept in the graph.
        self.keys = nn.ModuleList(nn.Linear(width, 2 * width, bias=False) for _ in crosses)
        for layer, cross in zip(self.keys, crosses, strict=True):
            assert isinstance(layer, nn.Linear)
            layer.weight = nn.Parameter(cross.qkv[width:].detach())

    def forward(self, *conditions: Tensor) -> tuple[Tensor, ...]:
        """Text ``[B, L, text]`` and its mask ``[B, L]``, then melody ``[B, T, chroma]``, those that the model takes.

        Returns:
            For each layer keys, then values ``[B, heads, L, 64]``; or ``[B, T + L, D]``. Last, where words fill in
            features, those ``[B, character]``.
        """
        named = dict(zip(condition_inputs(self.model), conditions, strict=True))
        context = self.model.condition(named.get("text"), named.get("mask"), named.get("melody"))
        assert context is not None
        character: list[Tensor] = []
        if self.model.config.character:
            character.append(self.model.read(named["text"], named["mask"]))
        if not self.model.config.cross:
            return (context, *character)
        made: list[Tensor] = []
        for layer in self.keys:
            for part in layer(context).chunk(2, dim=2):
                made.append(part.reshape(*part.shape[:2], self.model.config.heads, -1).transpose(1, 2))
        return (*made, *character)


def condition_inputs(model: LM) -> list[str]:
    """Names of what `Condition` takes; nothing for a model without conditions."""
    text = ["text", "mask"] if model.config.text else []
    return text + (["melody"] if model.config.chroma else [])


def condition_example(model: LM, rng: torch.Generator) -> tuple[Tensor, ...]:
    """Inputs of `Condition`."""
    config = model.config
    made = {
        "text": torch.randn(2, 3, config.text or 1, generator=rng),
        "mask": torch.ones(2, 3),
        "melody": torch.randn(2, 4, config.chroma or 1, generator=rng),
    }
    return tuple(made[name] for name in condition_inputs(model))


def condition_graph(model: LM) -> onnx.ModelProto:
    """Inputs of `condition_inputs`; outputs ``ck.i`` and ``cv.i``, or ``prefix``; and ``character``."""
    names = [f"{part}.{i}" for i in range(model.config.layers) for part in ("ck", "cv")]
    axes = {"text": {0: "B", 1: "L"}, "mask": {0: "B", 1: "L"}, "melody": {0: "B", 1: "T"}}
    made = {name: {0: "B", 2: "L"} for name in names} if model.config.cross else {"prefix": {0: "B", 1: "P"}}
    if model.config.character:
        made["character"] = {0: "B"}
    inputs = condition_inputs(model)
    free = {**{name: axes[name] for name in inputs}, **made}
    return trace(Condition(model), condition_example(model, torch.Generator().manual_seed(0)), inputs, list(made), free)


def to_bits(graph: onnx.ModelProto, bits: int) -> onnx.ModelProto:
    """The same graph with its matrices in 4 or 8 bits, their products in 8-bit sums.

    Args:
        graph: fp32, of which matrices are multiplied with from the right. bits: 4 or 8.
    """
    from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer

    logging.getLogger(MatMulNBitsQuantizer.__module__).setLevel(logging.WARNING)  # it tells of every node
    config = DefaultWeightOnlyQuantConfig(block_size=_BLOCK[bits], is_symmetric=True, accuracy_level=4, bits=bits)
    copied = onnx.ModelProto()
    copied.CopyFrom(graph)
    quantiser = MatMulNBitsQuantizer(copied, algo_config=config)
    quantiser.process()
    made: onnx.ModelProto = quantiser.model.model
    return made
