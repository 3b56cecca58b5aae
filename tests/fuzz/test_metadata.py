"""Any bytes are an ONNX file's metadata or a BundleError, never anything else, and never slow."""

from pathlib import Path

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BundleError, EngineError
from engine.graphs.manifest import Manifest
from engine.graphs.metadata import read_manifest, read_metadata
from tests.tiny_bundles import counter

WHOLE = counter(Manifest(family="musika", role="r", bundle="b", state=("h",))).SerializeToString()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "a.onnx"


@given(st.binary(max_size=300))
def test_any_bytes_are_metadata_or_a_bundle_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    said, found = "", {}
    try:
        found = read_metadata(path)
    except BundleError as error:
        said = str(error)
    assert "\n" not in said
    assert all(isinstance(text, str) for pair in found.items() for text in pair)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_graph_with_one_wrong_byte_is_read_or_refused(path: Path, at: int, byte: int) -> None:
    path.write_bytes(WHOLE[:at] + bytes([byte]) + WHOLE[at + 1 :])
    said, found = "", None
    try:
        found = read_manifest(path)
    except EngineError as error:
        said = str(error)
    assert (found is None) == bool(said)
    assert "\n" not in said


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=5))
def test_metadata_is_what_onnx_wrote(path: Path, metadata: dict[str, str]) -> None:
    made = onnx.ModelProto.FromString(WHOLE)
    onnx.helper.set_model_props(made, metadata)
    path.write_bytes(made.SerializeToString())
    assert read_metadata(path) == metadata
