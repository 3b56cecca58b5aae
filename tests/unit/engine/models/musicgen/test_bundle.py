"""A bundle that continues sound says what it needs; what is missing or makes no sense is refused on opening."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engine.bench import bench
from engine.bench.bench import Options, run
from engine.bench.musicgen import floor_bytes
from engine.bench.musicgen import main as measure
from engine.bundles.bundle import describe, open_model, open_streamer
from engine.controls import walk
from engine.errors import BundleError, ControlError, ManifestError
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.graphs.metadata import read_manifest
from engine.models.musicgen.facts import MusicgenFacts
from engine.models.musicgen.model import MusicgenControls, controls_for
from tests.tiny_musicgen import TOKENIZER, open_tiny, write_tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("made") / "plain")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "plain"))


def without_sums(folder: Path) -> Path:
    (folder / "SHA256SUMS").unlink()
    return folder


def test_it_says_what_it_is_and_is_a_voice(folder: Path) -> None:
    info = describe(str(folder))
    assert (info.family, info.licence, info.streams) == ("musicgen", "CC0-1.0", True)
    drawing = {"temperature", "top_k", "top_p", "guidance"}
    assert {control.path[0] for control in walk(info.controls)} == drawing | {"freeze", "gain", "mute", "text"}
    assert info.facts["latency_frames"] == {"last codebook": 3, "decoder's look-ahead": 4}
    streamer = open_streamer(str(folder))
    assert streamer.controls() == info.controls
    assert streamer.spec.latency == 7 * 640
    facts = MusicgenFacts.from_mapping({**info.facts, "guidance": 2, "temperature": 0.7, "top_k": 50})
    assert controls_for(facts) == MusicgenControls(guidance=2.0, temperature=0.7, top_k=50)
    odd = replace(facts, guidance=99.0, temperature=-1.0, top_k=250)
    assert controls_for(odd) == MusicgenControls(), "defaults out of range are ours"
    with pytest.raises(BundleError, match="does not work with 'ripieno continue'"):
        open_model("tone", "continue")


@pytest.mark.parametrize("role", ["lm", "latent", "upsample"])
def test_a_missing_graph_is_named(role: str, folder: Path) -> None:
    (without_sums(folder) / f"{role}.onnx").unlink()
    with pytest.raises(BundleError, match=f"lacks {role}" if role != "lm" else "lacks lm"):
        open_model(str(folder), "continue")


def test_without_words_or_encoder_it_plays_from_nothing(folder: Path) -> None:
    for role in ("text", "condition", "downsample", "memory", "quantise"):
        (folder / f"{role}.onnx").unlink()
    model = open_model(str(without_sums(folder)), "continue")
    assert model.words is None
    state = model.begin(model.conditions(), frames=3)
    while not state.ended:
        model.step(state)
    with pytest.raises(ControlError, match="takes no words"):
        model.conditions("slow")
    with pytest.raises(BundleError, match="has no encoder"):
        model.codec.encode(np.zeros((1, 1, 640), np.float32))


def test_a_changed_tokenizer_is_found(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(TOKENIZER.replace("slow", "fast2"))
    with pytest.raises(BundleError, match="not the tokenizer"):
        open_model(str(folder), "continue")
    assert open_model(str(folder), "continue", without={"text"}).words is None
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        open_model(str(folder), "continue")


@pytest.mark.parametrize(
    "facts",
    [
        {"delays": [0, 1]}, {"delays": "none"}, {"delays": [0, -1, 2, 3]}, {"window": 5}, {"keep": 60},
        {"window": None}, {"streams": 3}, {"guidance": "much"}, {"guidance": float("nan")}, {"hop": 0},
        {"latency_frames": 7}, {"text_length": -1}, {"sample_rate": "fast"},
    ],
)  # fmt: skip
def test_facts_that_make_no_sense_are_refused(facts: dict[str, Any], folder: Path) -> None:
    for file in without_sums(folder).glob("*.onnx"):
        manifest, graph = read_manifest(file), onnx.load(file)
        values = {**json.loads(manifest.to_json()), "facts": {**manifest.facts, **facts}}
        changed = Manifest(**{**values, "state": tuple(values["state"])})
        onnx.helper.set_model_props(graph, {METADATA_KEY: changed.to_json()})
        onnx.save(graph, file)
    with pytest.raises(ManifestError, match="export"):
        open_model(str(folder), "continue")


def test_small_builds_are_small_and_say_nearly_the_same(tmp_path: Path) -> None:
    whole = open_tiny()
    logits = {}
    for build, limit in (("int8", 0.05), ("int4", 0.5)):
        folder = write_tiny(tmp_path / build, build=build)
        model = open_model(str(folder), "continue")
        assert describe(str(folder)).build == build
        for name, each in ((build, model), ("fp32", whole)):
            state = each.begin(each.conditions("slow piano"), np.zeros((4, 9), np.int64))
            each.prefill(state)
            logits[name] = state.cache.logits
        apart = np.sqrt(np.mean((logits[build] - logits["fp32"]) ** 2))
        assert 0.0 < apart < limit * logits["fp32"].std()
        kinds = {node.op_type for node in onnx.load(folder / "lm.onnx").graph.node}
        assert "MatMulNBits" in kinds
        assert "MatMul" not in kinds
    bits = {
        node.name.removesuffix("_Q4").removesuffix("_Q8"): next(a.i for a in node.attribute if a.name == "bits")
        for node in onnx.load(folder / "lm.onnx").graph.node
        if node.op_type == "MatMulNBits"
    }
    assert {value for name, value in bits.items() if "heads" not in name} == {4}
    assert {value for name, value in bits.items() if "heads" in name} == {8}


def test_its_speed_is_measured_in_a_process_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = run("musicgen", Options(bundles=(str(folder),), runs=1, workers=1, peers=False))
    named = {result.name: result for result in results}
    assert set(named) == {
        "musicgen unguided steps, decoding", "musicgen guided steps, decoding", "musicgen prefills 24 frames",
        "musicgen memory", "musicgen unguided, share of memory speed", "musicgen guided, share of memory speed",
    }  # fmt: skip
    assert all(result.value > 0.0 for result in results)
    assert named["musicgen unguided steps, decoding"].unit == "per_s"
    assert 20.0 < named["musicgen memory"].value < 4000.0
    assert measure([str(folder), "--runs", "2", "--steps", "10", "--threads", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["rates"]["guided"]) == 2


@pytest.mark.slow
def test_its_answers_as_a_voice_are_measured_in_a_session_of_its_own(folder: Path) -> None:
    results = run("musicgen_live", Options(bundles=(str(folder),), runs=1, seconds=0.5, workers=1))
    named = {result.name.removeprefix("musicgen_live "): result for result in results}
    assert set(named) == {
        "continue to sound", "prepares 6 s", "beside its sound", "memory", "memory grown in 0.5 s",
        "underruns in 0.5 s",
    }  # fmt: skip
    assert named["continue to sound"].value > named["prepares 6 s"].value > 0.0
    assert named["beside its sound"].value > 0.0
    assert named["memory"].value > 20.0


@pytest.mark.parametrize("name", ["musicgen", "musicgen_live"])
def test_a_bench_without_bundle_or_exporter_says_so(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ask", lambda *_: None)
    monkeypatch.setattr(bench, "bundles", list)
    with pytest.raises(BundleError, match="no musicgen bundle here"):
        run(name, Options())
    with pytest.raises(BundleError, match="could not be measured"):
        run(name, Options(bundles=(str(folder),)))


def test_a_step_reads_at_least_its_weights_and_its_cache() -> None:
    model = open_tiny()
    rows = 4 * 33 + 1536
    assert floor_bytes(model, 10_000_000, 1, 0) == 10_000_000 - 4 * rows * 128
    assert floor_bytes(model, 0, 2, 100) - floor_bytes(model, 0, 2, 0) == 2 * 2 * 2 * 100 * 128 * 4
