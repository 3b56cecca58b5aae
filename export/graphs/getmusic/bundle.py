"""GETMusic's graphs: what the cells that are asked for may hold.

``network`` sees all columns at once (the published network, and ours of that kind). ``past`` and ``window`` are our
live network: finished columns to keys and values, then open columns after them. How: `export.graphs.getmusic.modules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from engine.models.getmusic.facts import GetmusicFacts
from engine.music.absorbing import STEPS
from engine.music.bandfeatures import BAND_FEATURES, COLUMNS
from engine.music.files import sha256_of
from engine.music.score import ROLES
from export.graphs.getmusic.modules import CONTEXT, NetworkGraph, PastGraph, WindowGraph
from export.graphs.musika import Exported
from export.parity import parity
from export.quantise.int4 import to_int8_rows
from export.quantise.int8 import to_fp16
from export.trace import trace
from export.write import write_bundle
from training.models.getmusic import CELL_ROWS, ROWS, Cells, GETDiff, TokenRanges, as_cells
from training.models.getmusic_files import FAMILY, Loaded, load
from training.models.getmusic_live import GetmusicLive

__all__ = ["BUILDS", "examples", "export", "facts", "graphs"]

BUILDS: Final = ("fp32", "fp16", "int8")

_CELLS: Final = tuple(f"cells_{name}" for name in (*ROLES, "duration"))
_ANSWERS: Final = (*ROLES, "duration")
_KEPT: Final = ("heads.", "inward.", "outward.", "body.inward.", "body.features.")
"""Matrices of an int8 graph that stay fp32: the first and the last, on which all others and all logits hang.

They are 3 % of the work at the published sizes, where keeping them halves the error that rounding makes elsewhere.
"""


class _ExportedNetwork(nn.Module):
    """The trained network with the inputs and outputs of its graph: what graphs are held against."""

    def __init__(self, network: GETDiff | GetmusicLive, role: str) -> None:
        super().__init__()
        self.network, self.role = network, role

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        network = self.network
        if isinstance(network, GETDiff):
            tokens, given, t, *cells = inputs
            made = network(tokens, given, t, as_cells(cells))
        elif self.role == "past":
            tokens, given, features = inputs
            return network.past(tokens, given, features)
        else:
            tokens, given, t, *cells, features, past_k, past_v = inputs
            made = network.window(tokens, given, t, features, (past_k, past_v), as_cells(cells))
        return tuple(made[name] for name in _ANSWERS)


@dataclass(frozen=True, slots=True)
class _ExportPlan:
    """How a role is traced.

    Args:
        module: what is traced. inputs, outputs: names. free: name to {axis: name of the free size}.
    """

    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    free: Mapping[str, Mapping[int, str]]


def _plans(network: GETDiff | GetmusicLive) -> dict[str, _ExportPlan]:
    grid = {"tokens": {0: "B", 2: "L"}, "given": {0: "B", 2: "L"}, "features": {0: "B", 2: "L"}, "t": {0: "B"}}
    counts = {name: {0: f"M_{name.removeprefix('cells_')}"} for name in _CELLS}
    answers = {name: {0: f"M_{name}"} for name in _ANSWERS}
    kept = {name: {0: "B", 3: "P"} for name in ("past_k", "past_v", "k", "v")}
    free = {**grid, **counts, **answers, **kept}

    def plan(role: str, module: nn.Module, outputs: tuple[str, ...]) -> _ExportPlan:
        inputs = _inputs(network, role)
        return _ExportPlan(module.eval(), inputs, outputs, {name: free[name] for name in (*inputs, *outputs)})

    if isinstance(network, GETDiff):
        return {"network": plan("network", NetworkGraph(network), _ANSWERS)}
    return {
        "past": plan("past", PastGraph(network), ("k", "v")),
        "window": plan("window", WindowGraph(network), _ANSWERS),
    }


def examples(loaded: Loaded, role: str, seed: int, batch: int = 2, length: int = 64) -> dict[str, Tensor]:
    """Seeded inputs of a role: grids like those met in use, half of the tracks' cells open."""
    rng = np.random.default_rng(seed)
    network, dictionary = loaded.network, loaded.dictionary
    vocabulary = TokenRanges.of(dictionary)
    tokens = np.full((batch, ROWS, length), 15, np.int64)
    for track in range(len(ROLES)):
        low, count = vocabulary.lows[track], vocabulary.counts[track]
        onset = rng.random((batch, length)) < 0.4
        tokens[:, 2 * track] = np.where(onset, low + rng.integers(count, size=onset.shape), 15)
        tokens[:, 2 * track + 1] = np.where(onset, rng.integers(15, size=onset.shape), 15)
    bars = -(-length // COLUMNS)
    for row, span in ((12, dictionary.roots), (13, dictionary.kinds)):
        chosen = span.start + rng.integers(len(span), size=(batch, bars))
        tokens[:, row] = np.repeat(chosen, COLUMNS, axis=1)[:, :length]
    open_ = np.zeros((batch, ROWS, length), np.bool_)
    if role != "past":
        open_[:, :CELL_ROWS] = np.repeat(rng.random((batch, len(ROLES), length)) < 0.5, 2, axis=1)
    tokens[open_] = dictionary.mask
    cells = Cells.of(open_)
    made = {
        "tokens": torch.from_numpy(tokens),
        "given": torch.from_numpy((~open_).astype(np.int64)),
        "t": torch.from_numpy(rng.integers(STEPS, size=batch)),
        **dict(zip(_CELLS, (*cells.pitch, cells.duration), strict=True)),
    }
    if isinstance(network, GetmusicLive):
        features = rng.random((batch, BAND_FEATURES, length)) * 2 - 1
        made["features"] = torch.from_numpy(features.astype(np.float32))
        if role == "window":
            past = examples(loaded, "past", seed + 1, batch)
            with torch.no_grad():
                made["past_k"], made["past_v"] = network.past(past["tokens"], past["given"], past["features"])
    return {name: made[name] for name in _inputs(network, role)}


def _inputs(network: GETDiff | GetmusicLive, role: str) -> tuple[str, ...]:
    """Names of a role's inputs, in order."""
    if role == "past":
        return ("tokens", "given", "features")
    asked = ("tokens", "given", "t", *_CELLS)
    return asked if isinstance(network, GETDiff) else (*asked, "features", "past_k", "past_v")


def graphs(loaded: Loaded, build: str = "fp32") -> dict[str, tuple[onnx.ModelProto, float]]:
    """Role to graph, and how far it is from the trained network on seeded inputs (see `export.parity.difference`).

    Raises:
        ValueError: an unknown build.
    """
    if build not in BUILDS:
        raise ValueError(f"no build '{build}'; there are {', '.join(BUILDS)}")
    made = {}
    for role, plan in _plans(loaded.network).items():
        inputs = examples(loaded, role, seed=1, batch=4)
        graph = trace(plan.module, list(inputs.values()), plan.inputs, plan.outputs, plan.free)
        if build == "int8":
            kept = [name for name, _ in plan.module.named_parameters() if name.startswith(_KEPT)]
            graph = to_int8_rows(graph, {name: value.numpy() for name, value in inputs.items()}, kept)
        if build != "fp32":
            graph = to_fp16(graph)
        test = list(examples(loaded, role, seed=2, batch=1, length=48).values())
        made[role] = graph, parity(_ExportedNetwork(loaded.network, role), graph, test)
    return made


def facts(loaded: Loaded) -> GetmusicFacts:
    """What the engine must know."""
    network, notes = loaded.network, loaded.notes
    config, live = network.config, loaded.kind == "live"
    context = window = CONTEXT
    if isinstance(network, GetmusicLive):
        context, window = network.config.context, network.config.window
    return GetmusicFacts(
        dictionary=loaded.dictionary.text,
        context=context,
        window=window,
        kind=loaded.kind,
        layers=config.layers,
        heads=config.heads,
        width=config.width,
        features=BAND_FEATURES if live else 0,
        lagged_chords=bool(notes.get("lagged_chords", not live)),
        key_shift=str(notes.get("key_shift", "near" if live else "down")),
        defaults=notes.get("usual") or None,
        warmth=float(notes.get("warmth") or 1.0),
    )


def export(checkpoint: Path, outdir: Path, build: str = "fp32") -> Exported:
    """Write a bundle of the GETMusic checkpoint `checkpoint` (``.safetensors``) into `outdir`."""
    loaded = load(checkpoint)
    made = graphs(loaded, build)
    numbers = {role: number for role, (_, number) in made.items()}
    digest = sha256_of(checkpoint)
    identity = write_bundle(
        outdir,
        {role: graph for role, (graph, _) in made.items()},
        family=FAMILY,
        build=build,
        facts=facts(loaded).to_mapping(),
        parity=numbers,
        source=str(loaded.notes.get("source") or f"weights sha256 {digest}"),
        licence=str(loaded.notes.get("licence", "")),
    )
    return Exported(identity, numbers, {role: (outdir / f"{role}.onnx").stat().st_size for role in made})
