"""Of all builds of a bundle the one that plays fastest here is kept, and nothing else is left behind."""

from pathlib import Path

import pytest

from engine.bundles.bundle import describe, open_model
from export.__main__ import main
from export.bench import fastest as room
from export.bench.fastest import MeasuredBuild, fastest
from export.errors import WeightsError
from export.graphs.musicgen.bundle import export
from tests.tiny_musicgen import save_tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "tiny.safetensors"
    save_tiny(path, "plain")
    return path


def test_builds_are_made_measured_and_one_is_kept(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.__main__._COMPARED", {"musicgen": ("fp32", "int8")})
    assert main(["export", "musicgen", str(checkpoint), str(tmp_path / "b"), "--build", "best"]) == 0
    told = capsys.readouterr()
    rates = {line.split(":")[0]: float(line.split()[1]) for line in told.err.splitlines() if "steps per second" in line}
    assert set(rates) == {"fp32", "int8"}
    assert min(rates.values()) > 0.0
    kept = describe(str(tmp_path / "b")).build
    assert (
        kept == ("int8" if 0.97 * rates["int8"] > rates["fp32"] else "fp32")
        or abs(rates["int8"] / rates["fp32"] - 1) < 0.05
    )
    assert f"musicgen {kept}, bundle" in told.out
    assert open_model(str(tmp_path / "b"), "continue").facts.codebooks == 4
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("rates", "wanted"),
    [
        ({"fp32": 10.0, "int8": 30.0, "int4": 60.0}, "int4"),
        ({"fp32": 10.0, "int8": 30.0, "int4": 30.5}, "int8"),  # as fast: more bits
        ({"fp32": 40.0, "int8": 30.0, "int4": 20.0}, "fp32"),
        ({"int8": 5.0, "int4": 9.0}, "int4"),  # fp32 is more than a file holds
    ],
)
def test_the_fastest_is_kept_and_of_equals_the_one_with_more_bits(
    rates: dict[str, float], wanted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(_: Path, place: Path, build: str) -> object:
        if build not in rates:
            raise WeightsError("too large")
        place.mkdir()
        (place / "lm.onnx").write_text(build)
        return build

    monkeypatch.setattr(room, "_rate", lambda bundle, runs, steps: rates[bundle.name])
    told: list[MeasuredBuild] = []
    made, build = fastest(written, Path("x"), tmp_path / "out", ("fp32", "int8", "int4"), tell=told.append)  # type: ignore[arg-type]
    assert (made, build, (tmp_path / "out" / "lm.onnx").read_text()) == (wanted, wanted, wanted)
    assert {each.build: each.rate for each in told if not each.why} == rates
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_cannot_be_made_or_compared_is_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WeightsError, match="no build 'int3'"):
        fastest(export, checkpoint, tmp_path / "b", ("int3",))
    assert main(["export", "musika", str(checkpoint), str(tmp_path / "b"), "--build", "best"]) == 1
    assert "--build best works for musicgen" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
