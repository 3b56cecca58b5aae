"""One row makes a family: described, opened, named and listed without another line anywhere."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import run
from typing import Annotated, Any

import onnx
import pytest

from bridge.app import voices_of
from bridge.settings import Settings
from engine.bench.bench import Options
from engine.bench.bench import run as bench
from engine.bundles import bundle
from engine.bundles.bundle import FOLDERS_VARIABLE, bundles, describe, first_for, makes_sound, open_model, open_streamer
from engine.controls import Live, walk
from engine.errors import BundleError, ManifestError
from engine.graphs.facts import FactReader
from engine.models.families import FAMILIES, Family, OpenBundle
from engine.models.tone import ToneStreamer
from tests.tiny_bundles import MUSIKA_FACTS, musika_models, write_musika
from tests.tiny_getmusic import write_tiny_getmusic


@dataclass(frozen=True)
class ToyFacts:
    sample_rate: int

    @classmethod
    def from_mapping(cls, facts: Mapping[str, Any]) -> "ToyFacts":
        return cls(FactReader("toy", facts).whole("sample_rate", 1))

    def to_mapping(self) -> dict[str, Any]:
        return {"sample_rate": self.sample_rate}


@dataclass(frozen=True)
class ToyControls:
    gain: Annotated[float, Live(-60.0, 6.0, "output level", "dB")] = 0.0


@dataclass
class ToyModel:
    graphs: tuple[str, ...]
    facts: ToyFacts


def _open_toy(parts: OpenBundle) -> ToyModel:
    for role in parts.roles:
        assert parts.graph(role).manifest.role == role
    return ToyModel(parts.roles, parts.facts)


TOY = Family(
    name="toy", makes="sound", graphs=(("body",), ("generator",)), facts=ToyFacts, controls=lambda facts: ToyControls(),
    open=_open_toy, stream=lambda model: ToneStreamer(model.facts.sample_rate), verbs=("continue",), voice="box",
)  # fmt: skip


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of a family that is one row."""
    monkeypatch.setitem(FAMILIES, "toy", TOY)
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    return write_musika(tmp_path / "box", family="toy")


def test_a_row_is_enough_to_describe_and_to_open_a_bundle(toy: Path) -> None:
    info = describe("box")
    assert (info.family, info.streams, info.continues, info.voice) == ("toy", True, True, "box")
    assert [control.path for control in walk(info.controls)] == [("gain",)]
    assert "box" in {each.name for each in bundles()}
    assert makes_sound("box")
    streamer = open_streamer("box")
    assert isinstance(streamer, ToneStreamer)
    assert streamer.spec.sample_rate == 8000


def test_a_row_says_which_commands_take_its_bundles(toy: Path) -> None:
    assert first_for("continue") == "box"
    model = open_model("box", "continue", without={"decoder"})
    assert model == ToyModel(("generator",), ToyFacts(8000))
    with pytest.raises(BundleError, match="box does not work with 'ripieno infill'; bundles that do: getmusic-live"):
        open_model("box", "infill")


def test_a_row_names_its_voices(toy: Path) -> None:
    voices = [name for name, _ in voices_of(Settings(bundles=("box", "tone", "box")))]
    assert voices == ["box", "tone", "box2"]
    assert [name for name, _ in voices_of(Settings(bundles=("musika-live",)))] == ["musika"]


@pytest.mark.parametrize(("all_cores", "large", "threads"), [(True, 0, 7), (True, 1 << 30, 1), (False, 0, 1)])
def test_large_bundles_use_all_cores_where_their_row_says_so(
    all_cores: bool, large: int, threads: int, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setitem(FAMILIES, "toy", replace(TOY, all_cores=all_cores))
    monkeypatch.setattr(bundle, "_LARGE", large)
    monkeypatch.setattr(bundle, "cores", lambda: 7)
    opened = bundle.open_graph
    monkeypatch.setattr(
        bundle, "open_graph", lambda file, **how: (asked.append(how["threads"]), opened(file, **how))[1]
    )
    open_streamer("box")
    open_streamer("box", threads=3)
    assert asked == [threads, threads, 3, 3]


def test_facts_of_a_row_are_checked_when_a_bundle_is_described(toy: Path) -> None:
    write_musika(toy, {**MUSIKA_FACTS, "sample_rate": "fast"}, family="toy")
    with pytest.raises(ManifestError, match="toy: fact 'sample_rate' is 'fast', wanted a whole number"):
        describe("box")


def test_what_continues_is_not_the_first_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [name for name, _ in voices_of(Settings())] == ["musika"]


def test_a_bundle_needs_one_of_the_sets_of_its_row(toy: Path) -> None:
    (toy / "generator.onnx").unlink()
    with pytest.raises(BundleError, match="lacks"):
        describe("box")
    onnx.save(musika_models(family="toy", role="body")["decoder"], toy / "decoder.onnx")
    assert describe("box").roles == ("body",)


def test_notes_are_used_with_the_verbs_of_their_row(tmp_path: Path) -> None:
    folder = str(write_tiny_getmusic(tmp_path / "band"))
    with pytest.raises(
        BundleError, match="makes notes, not sound; use it with 'ripieno infill' or 'ripieno accompany'"
    ):
        open_streamer(folder)
    assert not makes_sound(folder)


def test_a_bundle_may_be_measured_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    write_musika(tmp_path / "club")
    write_tiny_getmusic(tmp_path / "band")
    results = bench("club", Options(runs=1, seconds=0.2, peers=False))
    assert {result.build for result in results} == {"fp32"}
    with pytest.raises(BundleError, match="family getmusic, which no bench measures"):
        bench("band", Options())
    with pytest.raises(BundleError, match=r"no bench 'klub'.*no bundle 'klub'"):
        bench("klub", Options())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_makes_what_its_flags_say(name: str) -> None:
    row = FAMILIES[name]
    assert row.name == name
    assert row.streams == (row.makes == "sound")
    assert walk(row.controls(None)), "what documentation lists"
    assert ("accompany" in row.verbs) == (row.accompanist is not None)
    assert not (row.streams and row.stream is None and row.verbs), "a streamer is no model for a command"


def test_rows_are_read_without_onnxruntime_and_without_streamers() -> None:
    code = (
        "import sys; import engine.models.families; "
        "print([name for name in sys.modules if name == 'onnxruntime' or name.endswith('.streamer')])"
    )
    done = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['engine.protocols.streamer']"


def test_facts_of_tiny_bundles_are_whole() -> None:
    assert FAMILIES["musika"].facts.from_mapping(MUSIKA_FACTS).to_mapping() == MUSIKA_FACTS
