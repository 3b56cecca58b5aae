"""GETMusic's graphs say what the trained networks say: at any size, with a kept past, and rounded to bytes."""

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch

from engine.graphs.graph import open_graph
from engine.models.getmusic.limits import rows_of
from engine.models.getmusic.network import network_of
from engine.music.bandfeatures import BAND_FEATURES
from engine.music.score import ROLES
from engine.music.vocabulary import Dictionary
from export.__main__ import main
from export.graphs.getmusic.bundle import examples, graphs
from export.parity import run_graph
from export.quantise.int4 import to_int8_rows
from tests.tiny_getmusic import dictionary_text
from training.models.getmusic import Cells, GETDiff, GetdiffConfig, TokenRanges
from training.models.getmusic_files import Loaded, save
from training.models.getmusic_live import GetmusicLive, GetmusicLiveConfig

Array = npt.NDArray[np.generic]

DICTIONARY = Dictionary.read(dictionary_text())
ANSWERS = (*ROLES, "duration")


def official() -> Loaded:
    torch.manual_seed(0)
    config = GetdiffConfig(vocabulary=TokenRanges.of(DICTIONARY), cell=16, width=64, layers=2, heads=4, ff=128)
    return Loaded(GETDiff(config).eval(), DICTIONARY, {})


def live() -> Loaded:
    torch.manual_seed(0)
    config = GetmusicLiveConfig(cell=16, width=64, layers=2, heads=4, ff=128, window=32, context=128)
    return Loaded(GetmusicLive(DICTIONARY, config).eval(), DICTIONARY, {"licence": "MIT", "key_shift": "near"})


@pytest.fixture(scope="module", params=["official", "live"])
def loaded(request: pytest.FixtureRequest) -> Loaded:
    return official() if request.param == "official" else live()


@pytest.fixture(scope="module")
def made(loaded: Loaded) -> Mapping[str, tuple[onnx.ModelProto, float]]:
    return graphs(loaded)


def feeds(loaded: Loaded, role: str, seed: int, batch: int, length: int) -> dict[str, Array]:
    return {name: value.numpy() for name, value in examples(loaded, role, seed, batch, length).items()}


def ask(loaded: Loaded, role: str, given: Mapping[str, Array]) -> list[Array]:
    tensors = {name: torch.from_numpy(value) for name, value in given.items()}
    cells = Cells(tuple(tensors.get(f"cells_{name}", torch.zeros(0)) for name in ROLES), tensors["cells_duration"])
    with torch.no_grad():
        if isinstance(loaded.network, GetmusicLive):
            past = tensors["past_k"], tensors["past_v"]
            said = loaded.network.window(*(tensors[n] for n in ("tokens", "given", "t", "features")), past, cells)
        else:
            said = loaded.network(*(tensors[n] for n in ("tokens", "given", "t")), cells)
    return [said[name].numpy() for name in ANSWERS]


@pytest.mark.parametrize(("batch", "length"), [(1, 16), (3, 32), (1, 37)])
def test_any_batch_and_length_is_answered_as_in_torch(
    loaded: Loaded, made: Mapping[str, tuple[onnx.ModelProto, float]], batch: int, length: int
) -> None:
    role = "window" if "window" in made else "network"
    given = feeds(loaded, role, 5, batch, length)
    for got, wanted in zip(run_graph(made[role][0], given), ask(loaded, role, given), strict=True):
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() < 1e-4


def test_parity_is_measured_and_small(made: Mapping[str, tuple[onnx.ModelProto, float]]) -> None:
    for role, (_, number) in made.items():
        assert 0.0 < number < 1e-4, role


def test_nothing_asked_is_answered_with_nothing(
    loaded: Loaded, made: Mapping[str, tuple[onnx.ModelProto, float]]
) -> None:
    role = "window" if "window" in made else "network"
    given = feeds(loaded, role, 5, 1, 16)
    given |= {name: value[:0] for name, value in given.items() if name.startswith("cells_")}
    assert [len(part) for part in run_graph(made[role][0], given)] == [0] * 7


def test_a_kept_past_gives_what_reading_everything_gives() -> None:
    """Through the graphs: past, then window, against one pass of the network over all columns."""
    loaded = live()
    network = loaded.network
    assert isinstance(network, GetmusicLive)
    role_graphs = graphs(loaded)
    past = feeds(loaded, "past", 3, 2, 48)
    open_ = feeds(loaded, "window", 4, 2, 32)
    open_["past_k"], open_["past_v"] = run_graph(role_graphs["past"][0], past)
    cut = run_graph(role_graphs["window"][0], open_)
    whole = {n: torch.from_numpy(np.concatenate([past[n], open_[n]], axis=2)) for n in ("tokens", "given", "features")}
    t = torch.cat([torch.zeros(2, 48, dtype=torch.int64), torch.from_numpy(open_["t"])[:, None].expand(2, 32)], dim=1)
    bars = torch.arange(80) // 16
    allowed = (bars[:, None] >= bars[None]) | (bars[:, None] >= 3)
    items = [np.divmod(open_[f"cells_{name}"], 32) for name in ROLES]
    rows, columns = np.divmod(open_["cells_duration"], 32)
    pitch = tuple(torch.from_numpy(item * 80 + column + 48) for item, column in items)
    cells = Cells(pitch, torch.from_numpy(rows * 80 + columns + 48))
    with torch.no_grad():
        said = network(whole["tokens"], whole["given"], t, whole["features"], torch.arange(80), allowed, cells)
    for name, values in zip(ANSWERS, cut, strict=True):
        assert len(values)
        assert np.abs(values - said[name].numpy()).max() < 1e-4


def test_a_song_may_begin_without_a_past() -> None:
    loaded = live()
    role_graphs = graphs(loaded)
    empty = feeds(loaded, "past", 3, 1, 0)
    k, v = run_graph(role_graphs["past"][0], empty)
    assert k.shape == v.shape == (1, 2, 4, 0, 16)
    given = feeds(loaded, "window", 4, 1, 32) | {"past_k": k, "past_v": v}
    for got, wanted in zip(run_graph(role_graphs["window"][0], given), ask(loaded, "window", given), strict=True):
        assert np.abs(got - wanted).max() < 1e-4


def test_whole_numbers_choose_as_floats_do(loaded: Loaded) -> None:
    """The likeliest token is the same in nearly all cells, even of weights that never learned to be sure."""
    agree, total = 0, 0
    rounded = graphs(loaded, "int8")
    role = "window" if "window" in rounded else "network"
    for seed in range(3):
        given = feeds(loaded, role, seed, 2, 32)
        for got, wanted in zip(run_graph(rounded[role][0], given), ask(loaded, role, given), strict=True):
            agree += int((got.argmax(axis=1) == wanted.argmax(axis=1)).sum())
            total += len(wanted)
    assert agree / total > 0.9
    assert any(node.op_type == "MatMulIntegerToFloat" for node in rounded[role][0].graph.node)


def test_a_column_comes_out_the_same_whatever_else_is_in_the_batch() -> None:
    loaded = official()
    graph = graphs(loaded, "int8")["network"][0]
    both = feeds(loaded, "network", 6, 2, 32)
    one = {name: value[:1] for name, value in both.items() if not name.startswith("cells_")}
    for name in ANSWERS:
        limit = 32 * (6 if name == "duration" else 1)
        one[f"cells_{name}"] = both[f"cells_{name}"][both[f"cells_{name}"] < limit]
    for alone, together in zip(run_graph(graph, one), run_graph(graph, both), strict=True):
        np.testing.assert_allclose(alone, together[: len(alone)], atol=2e-5)


def test_rounding_of_rows_is_as_fine_as_bytes_allow() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((64, 96)).astype(np.float32)
    rows = (rng.standard_normal((50, 64)) * np.geomspace(0.01, 100, 50)[:, None]).astype(np.float32)
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", 1, ["N", 64])], [value("y", 1, ["N", 96])], [onnx.numpy_helper.from_array(matrix, "w")]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    got, wanted = run_graph(to_int8_rows(model, {"x": rows}), {"x": rows})[0], rows @ matrix
    error = np.linalg.norm(got - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    assert error.max() < 0.02  # also of rows that are 10000 times as small as others
    kept = run_graph(to_int8_rows(model, {"x": rows}, keep=["w"]), {"x": rows})[0]
    error = np.linalg.norm(kept - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    assert error.max() < 1e-6  # float32, whose rounding is relative to a row's terms, not to a sum that cancels


def test_errors_of_rounded_weights_cancel_where_inputs_go_together() -> None:
    """Rows that say little that is new lose less than rounding each weight by itself would lose, unseen rows too."""
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((6, 64)).astype(np.float32)
    seen, unseen = (rng.standard_normal((200, 6)).astype(np.float32) @ basis for _ in range(2))
    matrix = rng.standard_normal((64, 96)).astype(np.float32)
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "g", [value("x", 1, ["N", 64])], [value("y", 1, ["N", 96])], [onnx.numpy_helper.from_array(matrix, "w")]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in to_int8_rows(model, {"x": seen}).graph.initializer}
    wanted = unseen @ matrix
    chosen, plain = (
        np.linalg.norm(unseen @ (whole * weights["w.step"]) - wanted)
        for whole in (weights["w.i8"].astype(np.float32), np.rint(matrix / weights["w.step"]))
    )
    assert weights["w.i8"].dtype == np.int8
    assert chosen < 0.5 * plain


def test_unknown_builds_are_refused() -> None:
    with pytest.raises(ValueError, match="no build 'int3'"):
        graphs(live(), "int3")


@pytest.mark.parametrize("kind", ["official", "live"])
@pytest.mark.parametrize("build", ["fp32", "int8"])
def test_the_command_makes_a_bundle_that_the_engine_plays(
    kind: str, build: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = official() if kind == "official" else live()
    save(tmp_path / "a.safetensors", copy.deepcopy(loaded.network), DICTIONARY, loaded.notes)
    assert main(["export", "getmusic", str(tmp_path / "a.safetensors"), str(tmp_path / "b"), "--build", build]) == 0
    assert "largest difference from torch" in capsys.readouterr().out
    opened = {path.stem: open_graph(path) for path in (tmp_path / "b").glob("*.onnx")}
    manifest = next(iter(opened.values())).manifest
    assert (manifest.family, manifest.build, manifest.fact("kind")) == ("getmusic", build, kind)
    assert manifest.fact("dictionary") == DICTIONARY.text
    assert manifest.fact("lagged_chords") is (kind == "official")
    assert manifest.fact("key_shift") == ("down" if kind == "official" else "near")
    network = network_of(opened, rows_of(DICTIONARY))
    asked = np.zeros((1, 12, 48), np.bool_)
    asked[:, 2:, 32:] = True
    tokens = np.full((1, 14, 48), 15)
    tokens[:, 2:12, 32:] = DICTIONARY.mask
    features = np.zeros((BAND_FEATURES, 48), np.float32) if kind == "live" else None
    said = network.predict(tokens, (tokens != DICTIONARY.mask).astype(np.int64), 60, asked, features)
    assert [len(part) for part in said.pitch] == [0, 16, 16, 16, 16, 16]
    assert said.duration.shape == (80, 16)
    assert all(np.isfinite(part).all() for part in said.pitch)
