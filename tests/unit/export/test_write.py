"""A bundle on disk says what it is."""

from pathlib import Path

import onnx
import pytest
from onnx import helper

from engine.bundles.bundle import describe
from engine.errors import BundleError
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.graphs.metadata import read_manifest
from export.write import bundle_id, write_bundle
from tests.tiny_bundles import write_musika


def _graph(factor: float = 1.0, state: bool = False) -> onnx.ModelProto:
    def sizes(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])

    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [1], [factor])
    nodes = [helper.make_node("Mul", ["x", "w"], ["y"])]
    inputs, outputs = [sizes("x")], [sizes("y")]
    if state:
        nodes.append(helper.make_node("Add", ["h", "x"], ["h_next"]))
        inputs, outputs = [*inputs, sizes("h")], [*outputs, sizes("h_next")]
    return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, [weight]))


def _write(folder: Path, graphs: dict[str, onnx.ModelProto], **changes: object) -> str:
    values = {"family": "toy", "build": "fp32", "facts": {"hop": 4}, "source": "here", "licence": "MIT"}
    return write_bundle(folder, graphs, **{**values, "parity": dict.fromkeys(graphs, 1e-6), **changes})  # type: ignore[arg-type]


def _manifest(path: Path) -> Manifest:
    return Manifest.from_json({p.key: p.value for p in onnx.load(path).metadata_props}[METADATA_KEY])


def test_every_graph_carries_its_manifest(tmp_path: Path) -> None:
    identity = _write(tmp_path / "new", {"a": _graph(), "b": _graph(2.0, state=True)}, state={"b": ("h",)})
    first, second = _manifest(tmp_path / "new" / "a.onnx"), _manifest(tmp_path / "new" / "b.onnx")
    assert (first.role, first.bundle, first.facts, first.parity) == ("a", identity, {"hop": 4}, 1e-6)
    assert (second.role, second.bundle, second.state) == ("b", identity, ("h",))


def test_identity_is_of_the_weights() -> None:
    assert bundle_id({"a": _graph()}) == bundle_id({"a": _graph()})
    assert bundle_id({"a": _graph()}) != bundle_id({"a": _graph(2.0)})
    assert bundle_id({"a": _graph()}) != bundle_id({"b": _graph()})


def test_writing_twice_gives_equal_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _write(tmp_path / name, {"a": _graph()})
    assert (tmp_path / "one" / "a.onnx").read_bytes() == (tmp_path / "two" / "a.onnx").read_bytes()
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"a.onnx", "SHA256SUMS"}


def test_state_without_its_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="h_next"):
        _write(tmp_path, {"a": _graph()}, state={"a": ("h",)})


def test_graph_without_parity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parity"):
        _write(tmp_path, {"a": _graph()}, parity={})


def test_a_file_that_is_damaged_later_is_told_by_its_sum(tmp_path: Path) -> None:
    write_musika(tmp_path / "made")
    graphs = {path.stem: onnx.load(path) for path in (tmp_path / "made").glob("*.onnx")}
    facts = read_manifest(tmp_path / "made" / "decoder.onnx").facts
    out = tmp_path / "bundle"
    write_bundle(
        out,
        graphs,
        family="musika",
        build="fp32",
        facts=facts,
        parity=dict.fromkeys(graphs, 1e-6),
        source="",
        licence="",
    )
    assert describe(str(out)).family == "musika"
    content = bytearray((out / "decoder.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (out / "decoder.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"decoder\.onnx not as listed in SHA256SUMS"):
        describe(str(out))
