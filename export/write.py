"""A bundle on disk: a folder of graphs, each saying in its own metadata what it is."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnx

from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.music.files import sha256_of

__all__ = ["bundle_id", "write_bundle"]

_SUMS: Final = "SHA256SUMS"


def bundle_id(graphs: Mapping[str, onnx.ModelProto]) -> str:
    """Sixteen hexadecimal digits that name exactly these graphs: equal weights and operators, equal id."""
    digest = hashlib.sha256()
    for role in sorted(graphs):
        digest.update(role.encode())
        digest.update(graphs[role].graph.SerializeToString(deterministic=True))
    return digest.hexdigest()[:16]


def write_bundle(
    outdir: Path,
    graphs: Mapping[str, onnx.ModelProto],
    *,
    family: str,
    build: str,
    facts: Mapping[str, Any],
    parity: Mapping[str, float],
    source: str,
    licence: str,
    state: Mapping[str, tuple[str, ...]] | None = None,
) -> str:
    """Write ``outdir/ROLE.onnx`` for every graph, with the manifest in its metadata, and the sums of all files.

    Each file is written beside its place and then moved there, so a reader never meets half a graph. By its sum, which
    ``SHA256SUMS`` lists as the command sha256sum does, a reader tells a file that was damaged later.

    Args:
        outdir: made if missing; graphs of the same roles are replaced, other files are left alone.
        graphs: role to graph.
        family: the model, a file name in ``engine.models``.
        build: how weights are kept: ``fp32``, ``fp16`` or ``int8``.
        facts: what the engine must know about the model, the same in every graph of the bundle.
        parity: role to the number of `export.parity.parity`.
        source: where the weights come from.
        licence: under which they may be used.
        state: role to the inputs that carry state; each such input ``h`` needs an output ``h_next``.
    Returns:
        The bundle id.
    Raises:
        ValueError: a state without its pair, or a parity missing.
    """
    states = state or {}
    for role, graph in graphs.items():
        if role not in parity:
            raise ValueError(f"graph '{role}' has no parity number; measure it before writing")
        inputs = {spec.name for spec in graph.graph.input}
        outputs = {spec.name for spec in graph.graph.output}
        for name in states.get(role, ()):
            if name not in inputs or f"{name}_next" not in outputs:
                raise ValueError(f"graph '{role}': state '{name}' needs an input '{name}' and an output '{name}_next'")
    identity = bundle_id(graphs)
    outdir.mkdir(parents=True, exist_ok=True)
    (outdir / _SUMS).unlink(missing_ok=True)
    for role, graph in graphs.items():
        manifest = Manifest(
            family=family,
            role=role,
            bundle=identity,
            build=build,
            state=states.get(role, ()),
            facts=facts,
            source=source,
            licence=licence,
            parity=parity[role],
        )
        _replace(outdir / f"{role}.onnx", _labelled(graph, manifest))
    _write_sums(outdir)
    return identity


def _labelled(graph: onnx.ModelProto, manifest: Manifest) -> bytes:
    """The file of a graph that says what it is."""
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    made.producer_name, made.producer_version = "ripieno", ""
    onnx.helper.set_model_props(made, {METADATA_KEY: manifest.to_json()})
    content: bytes = made.SerializeToString(deterministic=True)
    return content


def _write_sums(folder: Path) -> None:
    files = sorted(folder.glob("*.onnx"))
    lines = [f"{sha256_of(file)}  {file.name}\n" for file in files]
    _replace(folder / _SUMS, "".join(lines).encode())


def _replace(path: Path, content: bytes) -> None:
    """Put `content` at `path` in one move."""
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(content)
    os.replace(draft, path)
