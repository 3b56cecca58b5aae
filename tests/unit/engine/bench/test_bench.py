"""Benches: medians of what was really run, said so that programs can read it."""

import json
import sys
from pathlib import Path

import pytest

from engine.__main__ import main
from engine.bench import bench
from engine.bench.bench import Options, Result, machine, run
from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.errors import BundleError
from tests.tiny_bundles import write_musika


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    write_musika(tmp_path / "tiny")
    return "tiny"


def test_a_ratio_says_how_many_times_better_than_the_peer() -> None:
    common = {"name": "n", "build": "fp32", "best": 1.0, "worst": 1.0, "median_of": 1, "peer": "p"}
    assert Result(unit="x_realtime", value=30.0, peer_value=10.0, **common).ratio == 3.0
    assert Result(unit="ms", value=20.0, peer_value=50.0, **common).ratio == 2.5
    assert Result(unit="ms", value=20.0, **common).ratio == 0.0


def test_tone_is_measured_live_and_offline() -> None:
    results = run("tone", Options(runs=3, seconds=0.5))
    assert [(result.name, result.unit) for result in results] == [
        ("tone offline", "x_realtime"),
        ("tone live, one core", "x_realtime"),
        ("tone longest chunk of 60", "ms"),
        ("tone first sound", "ms"),
    ]
    for result in results:
        low, high = sorted((result.best, result.worst))
        assert 0.0 < low <= result.value <= high
        assert result.median_of == 3


def test_a_bundle_is_measured_beside_what_the_peer_answers(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ask", lambda *_: {"peer": "an abacus", "values": {"musika offline": 0.5}})
    results = run("musika", Options(bundles=(tiny,), runs=1, seconds=0.2))
    offline = next(result for result in results if result.name == "musika offline")
    assert (offline.peer, offline.build) == ("an abacus", "fp32")
    assert offline.ratio == pytest.approx(offline.value / 0.5)
    assert all(not result.peer for result in results if result is not offline)


def test_a_peer_that_is_not_there_is_left_out(tiny: str) -> None:
    assert bench._ask("no.such.module") is None
    assert bench._ask("json.tool") is None
    assert not any(result.peer for result in run("musika", Options(bundles=(tiny,), runs=1, seconds=0.2, peers=False)))


def test_a_start_is_measured_in_a_fresh_process(tiny: str) -> None:
    (result,) = run("start", Options(bundles=(tiny,), runs=1))
    assert result.unit == "ms"
    assert 10.0 < result.value < 60_000.0


def test_benches_without_what_they_need_are_refused(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ask", lambda *_: None)
    with pytest.raises(BundleError, match="no bench 'x'; there are musika_live, musika"):
        run("x", Options())
    with pytest.raises(BundleError, match="of family musika, this bench is of musika_live"):
        run("musika_live", Options(bundles=(tiny,)))
    with pytest.raises(BundleError, match="needs the bridge"):
        run("osc", Options())
    monkeypatch.setattr(bench, "bundles", list)
    with pytest.raises(BundleError, match="no musika bundle here"):
        run("musika", Options())
    with pytest.raises(BundleError, match="no musika_live bundle here"):
        run("musika_live", Options())


def test_osc_rates_come_from_the_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ask", lambda *_: {"per_s": [100.0, 300.0, 200.0], "peer": "x", "peer_per_s": 50.0})
    (result,) = run("osc", Options())
    assert (result.value, result.best, result.worst, result.unit) == (200.0, 300.0, 100.0, "per_s")
    assert (result.peer, result.ratio) == ("x", 4.0)


def test_the_machine_is_described() -> None:
    about = machine()
    assert about["cores"] >= 1
    assert about["python"] == ".".join(map(str, sys.version_info[:3]))
    assert about["onnxruntime"]


def test_the_command_speaks_json_and_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "tone", "--runs", "1", "--seconds", "0.2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["machine"]["cores"] >= 1
    first = told["results"][0]
    assert first["x_realtime"] == first["value"]
    assert {"name", "build", "median_of", "peer", "peer_value", "ratio"} <= set(first)
    assert main(["bench", "tone", "--runs", "1", "--seconds", "0.2"]) == 0
    assert "tone first sound" in capsys.readouterr().out
