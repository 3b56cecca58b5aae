"""A checkpoint of a language model of sound to a bundle: language model, condition, words, codec."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import nn

from engine.models.encodec.facts import EncodecFacts
from engine.models.mdct_codec.facts import MdctCodecFacts
from engine.models.musicgen.facts import MusicgenFacts
from export.errors import WeightsError
from export.graphs import encodec, mdct_codec
from export.graphs.musicgen.network import (
    BUILDS,
    Condition,
    condition_example,
    condition_graph,
    condition_inputs,
    lm_graph,
)
from export.graphs.musicgen.network import to_bits as to_fewer_bits
from export.graphs.musika import Exported
from export.graphs.t5 import text_graph
from export.parity import difference, parity, run_graph
from export.write import write_bundle
from training.models.encodec import EncodecConfig
from training.models.mdct_codec import MdctCodec, MdctCodecConfig
from training.models.musicgen import LM, TransformerBlock
from training.models.musicgen_files import MusicgenParts, load_musicgen

__all__ = ["export", "facts", "lm_parity"]

_BITS: Final = {"fp32": 0, "int8": 8, "int4": 4}
_CONDITION_BITS: Final = {"fp32": 0, "int8": 8, "int4": 8}  # the condition graph runs once: nothing is gained by fewer
_MOST: Final = 2**31 - 1  # bytes that an ONNX file may have
_FRAMES: Final = 1500  # encoded at once, where a checkpoint does not say
_CHROMA_FRAMES: Final = 235  # of 30 s, as the published melody models have learned
_TOKENIZER: Final = "tokenizer.json"


def facts(parts: MusicgenParts) -> MusicgenFacts:
    """What the engine must know, the same in all graphs of a bundle."""
    lm, codec, notes = parts.lm.config, _codec_facts(parts), parts.notes
    window = int(notes.get("frames", _FRAMES))
    return MusicgenFacts(
        codec=codec,
        delays=tuple(int(value) for value in notes["delays"]),
        window=window,
        keep=int(notes.get("keep", max(window - window // 4, min(lm.window, window - 1)))),
        streams=int(notes.get("streams", lm.codebooks // codec.codebooks)),
        rotary=lm.rotary,
        guidance=float(notes.get("guidance", 3.0)),
        temperature=float(notes.get("temperature", 1.0)),
        top_k=int(notes.get("top_k", 250)),
        text_length=int(notes.get("text_length", 0)),
        chroma=lm.chroma,
        chroma_frames=_CHROMA_FRAMES if lm.chroma else 0,
        features=lm.features,
        guided=int(notes.get("guided", 0)),
        character=lm.character,
        tokenizer=hashlib.sha256(parts.tokenizer.encode()).hexdigest() if parts.text is not None else "",
    )


def export(checkpoint: Path, outdir: Path, build: str = "int4") -> Exported:
    """Write a bundle of a checkpoint of ours into `outdir`.

    Args:
        build: of the language model: fp32, int8 or int4; the codec stays fp32.
    Raises:
        WeightsError: not such a checkpoint, or too large for such a build.
    """
    if build not in BUILDS:
        raise WeightsError(f"musicgen has no build '{build}', only {', '.join(BUILDS)}")
    parts = load_musicgen(checkpoint)
    _check_size(parts.lm, build)
    known = facts(parts).to_mapping()
    made, numbers = _graphs(parts, build)
    outdir.mkdir(parents=True, exist_ok=True)
    if parts.text is not None:
        (outdir / _TOKENIZER).write_text(parts.tokenizer, "utf-8")
    layers = range(parts.lm.config.layers)
    identity = write_bundle(
        outdir,
        made,
        family="musicgen",
        build=build,
        facts=known,
        parity=numbers,
        source=str(parts.notes.get("source", checkpoint.name)),
        licence=str(parts.notes.get("licence", "")),
        state={"lm": tuple(f"{p}.{i}" for i in layers for p in "kv")} | _codec_state(parts),
    )
    return Exported(identity, numbers, {role: (outdir / f"{role}.onnx").stat().st_size for role in made})


def _check_size(lm: LM, build: str) -> None:
    values = sum(value.numel() for block in lm.blocks for value in block.parameters())
    if values * (_BITS[build] or 32) / 8 > 0.9 * _MOST:
        raise WeightsError(
            f"{values / 1e6:.0f} million values in {build} are more than a graph file holds; take fewer bits"
        )


def _graphs(parts: MusicgenParts, build: str) -> tuple[dict[str, onnx.ModelProto], dict[str, float]]:
    """Graphs and their parity with torch, by role."""
    made: dict[str, onnx.ModelProto] = {}
    numbers: dict[str, float] = {}
    rng = torch.Generator().manual_seed(0)
    made["lm"] = lm_graph(parts.lm, _BITS[build])
    numbers["lm"] = lm_parity(parts.lm, made["lm"])
    if condition_inputs(parts.lm):
        graph = condition_graph(parts.lm)
        made["condition"] = to_fewer_bits(graph, _CONDITION_BITS[build]) if _CONDITION_BITS[build] else graph
        numbers["condition"] = parity(Condition(parts.lm), made["condition"], condition_example(parts.lm, rng))
    if parts.text is not None:
        graph, module, inputs = text_graph(parts.text)
        made["text"] = to_fewer_bits(graph, _CONDITION_BITS[build]) if _CONDITION_BITS[build] else graph
        numbers["text"] = parity(module, made["text"], inputs)
    for role, (graph, part) in _codec_graphs(parts).items():
        made[role] = graph
        numbers[role] = parity(part, graph, _codec_inputs(graph, parts, rng))
    return made, numbers


def _codec_facts(parts: MusicgenParts) -> EncodecFacts | MdctCodecFacts:
    codec = parts.codec
    if isinstance(codec, MdctCodec):
        return mdct_codec.facts(codec.config, _codebooks(parts))
    return encodec.facts(codec.config)


def _codebooks(parts: MusicgenParts) -> int:
    """How many of the codec's codebooks the language model emits: the first of them."""
    return parts.lm.config.codebooks // int(parts.notes.get("streams", 1))


def _codec_graphs(parts: MusicgenParts) -> Mapping[str, tuple[onnx.ModelProto, nn.Module]]:
    codec = parts.codec
    if isinstance(codec, MdctCodec):
        return mdct_codec.graphs(codec, _codebooks(parts))
    return encodec.graphs(codec)


def _codec_state(parts: MusicgenParts) -> dict[str, tuple[str, ...]]:
    """Inputs that carry state, by role."""
    if isinstance(parts.codec, MdctCodec):
        return mdct_codec.state_names(parts.codec.config)
    return dict.fromkeys(("latent", "memory"), ("h", "c"))


def _codec_inputs(graph: onnx.ModelProto, parts: MusicgenParts, rng: torch.Generator) -> list[torch.Tensor]:
    """Seeded inputs of one of the codec's graphs."""
    config, made = parts.codec.config, {"real": torch.ones(14)}
    books = _codebooks(parts) if isinstance(config, MdctCodecConfig) else config.codebooks
    made["codes"] = torch.randint(0, config.entries, (1, books, 14), generator=rng)
    made["audio"] = 0.1 * torch.randn(1, config.channels, 5 * config.hop, generator=rng)
    if isinstance(config, EncodecConfig):
        width = config.filters << len(config.ratios)
        made |= {name: torch.zeros(config.lstm, 1, width) for name in ("h", "c")}
        made |= {name: torch.randn(1, width, 14, generator=rng) for name in ("frames", "latents")}
    return [made[spec.name] if spec.name in made else _zeros(spec) for spec in graph.graph.input]


def _zeros(spec: onnx.ValueInfoProto) -> torch.Tensor:
    """A cache of one stream that begins."""
    sizes = [dim.dim_value or 1 for dim in spec.type.tensor_type.shape.dim]
    return torch.zeros(sizes)


def lm_parity(model: LM, graph: onnx.ModelProto) -> float:
    """How far the graph's logits are from torch's after a seeded prompt (see `export.parity.difference`)."""
    config, rng, steps = model.config, torch.Generator().manual_seed(0), 8
    codes = torch.randint(0, config.entries + 1, (1, config.codebooks, steps), generator=rng)
    features = torch.randn(1, steps, config.features, generator=rng) if config.features else None
    context = None if config.cross and not config.text else torch.randn(1, 5, config.width, generator=rng)
    before = 0 if config.cross or context is None else context.shape[1]
    with torch.no_grad():
        wanted = model(codes, context, features=features)[:, :, -1].numpy()
        feeds: dict[str, Any] = {"codes": codes.numpy()}
        if features is not None:
            feeds["features"] = features.numpy()
        if not config.rotary:
            feeds["position"] = np.arange(before + steps)
        if config.cross:
            feeds |= _keys(model, context)
        else:
            feeds["prefix"] = np.zeros((1, 0, config.width), np.float32) if context is None else context.numpy()
    feeds["last"] = np.full(1, before + steps - 1, np.int32)
    feeds["total"] = np.array(before + steps, np.int32)
    empty = np.zeros((1, config.heads, before + steps, 64), np.float32)
    feeds |= {f"{part}.{index}": empty for index in range(config.layers) for part in "kv"}
    return difference(run_graph(graph, feeds)[0], wanted)


def _keys(model: LM, context: torch.Tensor | None) -> Mapping[str, Any]:
    made: dict[str, Any] = {}
    for index, block in enumerate(model.blocks):
        if context is None:
            k = v = torch.zeros(1, model.config.heads, 1, 64)
        else:
            assert isinstance(block, TransformerBlock)
            k, v = block.keys_of(context)
        made |= {f"ck.{index}": k.contiguous().numpy(), f"cv.{index}": v.contiguous().numpy()}
    return made
