"""One graph as a function: state moves on in place, and what cannot be run is refused in one line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from engine.errors import BundleError, EngineError, ManifestError, ShapeError
from engine.graphs.graph import open_graph
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.graphs.metadata import read_manifest, read_metadata
from tests.tiny_bundles import counter, model, musika_models

MANIFEST = Manifest(family="musika", role="generator", bundle="b", state=("h",), facts={"sample_rate": 8000})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(counter(MANIFEST), tmp_path / "counter.onnx")
    return tmp_path / "counter.onnx"


def test_state_is_moved_on_in_place_and_is_no_output(path: Path) -> None:
    graph = open_graph(path)
    state = graph.empty_state()
    x = np.full((1, 2), 5.0, np.float32)
    for count in range(3):
        outputs = graph.run({"x": x}, state)
        assert list(outputs) == ["y"]
        assert outputs["y"].tolist() == [[5.0 + count] * 2]
    assert state["h"].tolist() == [[3.0, 3.0]]


def test_a_wrong_shape_is_refused_by_name(path: Path) -> None:
    graph = open_graph(path)
    with pytest.raises(ShapeError, match=r"musika generator cannot take x float32\[3, 3\]"):
        graph.run({"x": np.zeros((3, 3), np.float32)}, graph.empty_state())
    with pytest.raises(ShapeError, match="cannot take"):
        graph.run({}, graph.empty_state())
    with pytest.raises(ShapeError, match="cannot take"):
        graph.run({"x": np.zeros((1, 2), np.float32)})


def test_a_state_without_its_pair_is_refused(tmp_path: Path) -> None:
    onnx.save(counter(Manifest(family="musika", role="r", bundle="b", state=("x",))), tmp_path / "a.onnx")
    with pytest.raises(ManifestError, match="state 'x' lacks"):
        open_graph(tmp_path / "a.onnx")


def test_a_free_size_of_a_state_must_be_given(tmp_path: Path) -> None:
    decoder = musika_models(state=())["decoder"]
    onnx.save(decoder, tmp_path / "d.onnx")
    graph = open_graph(tmp_path / "d.onnx")
    assert graph.empty_state() == {}
    assert graph.inputs["latents"].shape[0] == "B"
    assert graph.inputs["latents"].dtype is np.float32


def test_the_manifest_is_read_without_loading_the_graph(path: Path) -> None:
    assert read_manifest(path) == MANIFEST == open_graph(path).manifest
    assert read_metadata(path)["unrelated"] == "x"


def test_a_graph_without_manifest_is_refused(tmp_path: Path) -> None:
    onnx.save(counter(None), tmp_path / "a.onnx")
    for read in (read_manifest, open_graph):
        with pytest.raises(ManifestError, match="without a manifest"):
            read(tmp_path / "a.onnx")


@pytest.mark.parametrize("value", [{"role": 3}, {"facts": [1]}, {"state": (1,)}, {"licence": None}])
def test_a_manifest_with_values_of_the_wrong_kind_is_refused(tmp_path: Path, value: dict[str, Any]) -> None:
    onnx.save(counter(replace(MANIFEST, **value)), tmp_path / "a.onnx")
    for read in (read_manifest, open_graph):
        with pytest.raises(ManifestError, match="wrong kind"):
            read(tmp_path / "a.onnx")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 64, b"\xff" * 64, b"RIFF0000WAVEfmt ", bytes(range(256))])
def test_what_is_not_a_graph_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    for read in (read_manifest, open_graph):
        with pytest.raises(BundleError) as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_damaged_graph_is_refused_wherever_it_is_cut(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(EngineError) as caught:
            read_manifest(path)
        assert "\n" not in str(caught.value)


def test_a_pointer_to_a_file_kept_elsewhere_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(BundleError, match="Git LFS pointer"):
        read_manifest(tmp_path / "a.onnx")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for read in (read_manifest, open_graph):
        with pytest.raises(BundleError, match=r"none\.onnx cannot be read"):
            read(tmp_path / "none.onnx")


def test_a_provider_that_is_not_here_is_named(path: Path) -> None:
    with pytest.raises(BundleError, match="no provider 'abacus'; there are cpu"):
        open_graph(path, provider="abacus")
    with pytest.raises(BundleError, match="no provider 'coreml', it has cpu"):
        open_graph(path, provider="coreml")


def test_bound_arrays_are_read_and_written_where_they_lie(tmp_path: Path) -> None:
    # The state is written after it has been read: a graph that may be bound.
    nodes = [onnx.helper.make_node("Add", ["x", "h"], ["y"]), onnx.helper.make_node("Add", ["y", "one"], ["h_next"])]
    shapes = {"x": [1, 2], "h": [1, 2]}
    made = model(nodes, shapes, {"y": [1, 2], "h_next": [1, 2]}, {"one": np.ones(1, np.float32)}, MANIFEST)
    onnx.save(made, tmp_path / "sum.onnx")
    graph = open_graph(tmp_path / "sum.onnx")
    x, y, state = np.full((1, 2), 5.0, np.float32), np.zeros((1, 2), np.float32), graph.empty_state()
    bound, home = graph.bind({"x": x}, {"y": y}, state), state["h"].ctypes.data
    for wanted in (5.0, 11.0, 17.0):
        bound.run()
        assert y.tolist() == [[wanted] * 2]
    x[:] = 1.0
    bound.run()
    assert y.tolist() == [[19.0, 19.0]]
    assert state["h"].ctypes.data == home
    assert state["h"].tolist() == [[20.0, 20.0]]


def test_arrays_that_do_not_fit_are_not_bound(path: Path) -> None:
    graph = open_graph(path)
    x, y = np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32)
    with pytest.raises(ShapeError, match="too few or too many arrays: y"):
        graph.bind({"x": x}, {}, graph.empty_state())
    with pytest.raises(ShapeError, match="cannot be bound to x float64"):
        graph.bind({"x": np.zeros((1, 2))}, {"y": y}, graph.empty_state())
    with pytest.raises(ShapeError, match="as it lies in memory"):
        graph.bind({"x": np.zeros((2, 2), np.float32).T[:1]}, {"y": y}, graph.empty_state())
    with pytest.raises(ShapeError, match="cannot take"):
        graph.bind({"x": np.zeros((3, 3), np.float32)}, {"y": y}, graph.empty_state()).run()


def products_of_bytes(weights: Sequence[npt.NDArray[np.int8]], *, shared: bool) -> onnx.ModelProto:
    """``x`` [3, 512] uint8 times each of `weights` as ``y0``, ``y1`` ...; all times the first if they are shared."""
    value, constants = onnx.helper.make_tensor_value_info, {"one": np.float32(1.0), "zero": np.uint8(0)}
    names = ["w0" if shared else f"w{index}" for index in range(len(weights))]
    arrays = {**constants, **{f"w{index}": array for index, array in enumerate(weights)}}
    nodes = [
        onnx.helper.make_node(
            "MatMulIntegerToFloat", ["x", name, "one", "one", "zero"], [f"y{index}"], domain="com.microsoft"
        )
        for index, name in enumerate(names)
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "bytes",
        [value("x", onnx.TensorProto.UINT8, [3, 512])],
        [value(f"y{index}", onnx.TensorProto.FLOAT, [3, 32]) for index in range(len(weights))],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items() if n in ("one", "zero", *names)],
    )
    opsets = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("com.microsoft", 1)]
    made = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    made.metadata_props.add(key=METADATA_KEY, value=Manifest(family="musika", role="r", bundle="b").to_json())
    return made


WEIGHTS = np.where(np.arange(512 * 32).reshape(512, 32) % 3, 127, -127).astype(np.int8)
ROWS = np.stack([np.full(512, 255), np.arange(512) % 256, np.zeros(512)]).astype(np.uint8)


def test_sums_of_bytes_are_exact_on_every_processor(tmp_path: Path) -> None:
    """Sums of 255 * 127 overflow 16 bits at once: without VNNI they saturate, unless the session is told not to."""
    onnx.save(products_of_bytes([WEIGHTS, -WEIGHTS], shared=False), tmp_path / "bytes.onnx")
    made = open_graph(tmp_path / "bytes.onnx").run({"x": ROWS})
    wanted = ROWS.astype(np.int64) @ WEIGHTS.astype(np.int64)
    np.testing.assert_array_equal(made["y0"], wanted)
    np.testing.assert_array_equal(made["y1"], -wanted)


def test_a_graph_whose_products_share_weights_still_opens(tmp_path: Path) -> None:
    onnx.save(products_of_bytes([WEIGHTS, WEIGHTS], shared=True), tmp_path / "bytes.onnx")
    made = open_graph(tmp_path / "bytes.onnx").run({"x": ROWS})
    np.testing.assert_array_equal(made["y0"], made["y1"])
