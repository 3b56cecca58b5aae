"""Bundles: found by name or path, checked as a set, described without being loaded."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from engine.bundles.bundle import FOLDERS_VARIABLE, TONE, bundles, describe, find, open_model, open_streamer
from engine.controls import walk
from engine.errors import BundleError, ManifestError
from engine.graphs.manifest import METADATA_KEY, Manifest
from engine.models.musika.streamer import MusikaStreamer
from tests.tiny_bundles import MUSIKA_FACTS, musika_models, write_musika
from tests.tiny_getmusic import write_tiny_getmusic


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    write_musika(tmp_path / "club", licence="CC0", source="drawn by chance")
    return tmp_path


def test_a_bundle_is_found_by_name_and_by_path(shelf: Path) -> None:
    assert find("club") == find(str(shelf / "club")) == (shelf / "club").resolve()
    assert describe("club") == describe(str(shelf / "club"))


def test_a_folder_that_is_a_bundle_may_be_named_itself(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(shelf / "club"))
    assert find("club") == (shelf / "club").resolve()


def test_an_unknown_name_lists_what_there_is(shelf: Path) -> None:
    with pytest.raises(BundleError, match=r"no bundle 'klub'; there are tone, club"):
        describe("klub")


def test_paths_can_be_ruled_out(shelf: Path) -> None:
    with pytest.raises(BundleError, match="no bundle"):
        describe(str(shelf / "club"), paths=False)
    assert describe("club", paths=False).name == "club"


@pytest.mark.parametrize("name", ["a" * 300, "a" * 5000, "~nobody/x", "a\0b", "", "/" * 300, "../" * 100])
def test_no_name_is_more_than_unknown(shelf: Path, name: str) -> None:
    with pytest.raises(BundleError, match="no bundle") as told:
        find(name)
    assert len(str(told.value)) < 400, "a line"


def test_folders_that_cannot_be_looked_into_hold_nothing(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shelf / "file").touch()
    roots = ["a" * 300, "~nobody", str(shelf / "file"), str(shelf / "missing"), str(shelf)]
    monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join(roots))
    assert "club" in [info.name for info in bundles()]


def test_a_description_says_what_the_graphs_say(shelf: Path) -> None:
    info = describe("club")
    assert (info.family, info.build, info.identity, info.licence) == ("musika", "fp32", "tiny", "CC0")
    assert info.roles == ("decoder", "generator")
    assert info.facts == MUSIKA_FACTS
    assert ("style", "seed") in {control.path for control in walk(info.controls)}
    sums = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in info.path.glob("*.onnx"))
    assert info.hash == hashlib.sha256("".join(sums).encode()).hexdigest()


def test_describing_does_not_import_onnxruntime(shelf: Path) -> None:
    code = (
        "import sys; from engine.bundles.bundle import bundles; "
        "assert len(bundles()) > 1; print('onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_hash_follows_the_content(shelf: Path) -> None:
    before = describe("club").hash
    write_musika(shelf / "club", seed=1)
    assert describe("club").hash != before


def test_opening_gives_the_family_s_streamer(shelf: Path) -> None:
    streamer = open_streamer("club")
    assert isinstance(streamer, MusikaStreamer)
    assert streamer.spec.chunk == 128
    assert open_streamer(TONE).spec.channels == 2


def test_tone_needs_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    info = describe(TONE)
    assert info.path is None
    assert TONE in {bundle.name for bundle in bundles()}


def test_damaged_bundles_are_left_out_of_the_list_but_named_when_asked_for(shelf: Path) -> None:
    write_musika(shelf / "torn")
    file = shelf / "torn" / "decoder.onnx"
    file.write_bytes(file.read_bytes()[:200])
    assert "torn" not in {bundle.name for bundle in bundles()}
    with pytest.raises(BundleError, match="damaged"):
        describe("torn")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bundle": "other"}, "mixes graphs of bundle other and tiny"),
        ({"family": "jukebox"}, "mixes graphs of family"),
        ({"build": "int8"}, "mixes graphs of build fp32 and int8"),
        ({"facts": {**MUSIKA_FACTS, "mu": 1.0}}, "do not agree on their facts"),
        ({"role": "generator"}, "lacks decoder"),
    ],
)
def test_graphs_that_do_not_belong_together_are_refused(shelf: Path, change: dict[str, object], said: str) -> None:
    onnx.save(musika_models(**change)["decoder"], shelf / "club" / "decoder.onnx")
    with pytest.raises(BundleError, match=said):
        describe("club")


def test_a_role_twice_is_refused(shelf: Path) -> None:
    onnx.save(musika_models()["decoder"], shelf / "club" / "again.onnx")
    with pytest.raises(BundleError, match="has a role twice"):
        describe("club")


def test_a_family_of_the_future_is_refused(shelf: Path) -> None:
    write_musika(shelf / "new", family="hologram")
    with pytest.raises(BundleError, match="family 'hologram', which this version cannot play"):
        describe("new")


def test_a_listed_sum_must_fit(shelf: Path) -> None:
    folder = shelf / "club"
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in sorted(folder.glob("*.onnx"))]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    assert describe("club").name == "club"
    (folder / "SHA256SUMS").write_text("\n".join([lines[0], "0" * 64 + "  generator.onnx"]))
    with pytest.raises(BundleError, match=r"generator\.onnx not as listed"):
        describe("club")
    (folder / "SHA256SUMS").write_text("\n".join([*lines, "0" * 64 + "  encoder.onnx"]))
    with pytest.raises(BundleError, match=r"encoder\.onnx not as listed"):
        describe("club")
    (folder / "SHA256SUMS").write_bytes(b"\xff\xfe")
    with pytest.raises(BundleError, match="cannot be read as a list"):
        describe("club")


@pytest.mark.parametrize(
    "facts",
    [
        {"seq_len": 15},
        {"hop": 0},
        {"noise": [{"length": 3, "per": "moon"}]},
        {"noise": 7},
        {"sample_rate": None},
        {"condition": 9},
        {"condition": "many"},
        {"truncation": [2]},
    ],
)
def test_facts_that_make_no_sense_are_refused_on_opening(tmp_path: Path, facts: dict[str, object]) -> None:
    models = musika_models()
    write_musika(tmp_path / "odd")
    changed = {**MUSIKA_FACTS, **facts}
    for role, made in models.items():
        text = Manifest(family="musika", role=role, bundle="tiny", facts=changed).to_json()
        onnx.helper.set_model_props(made, {METADATA_KEY: text})
        onnx.save(made, tmp_path / "odd" / f"{role}.onnx")
    with pytest.raises(ManifestError, match="export"):
        open_streamer(str(tmp_path / "odd"))


@pytest.mark.parametrize("kind", ["network", "window"])
def test_a_bundle_of_notes_is_found_but_is_no_voice(kind: str, tmp_path: Path) -> None:
    folder = write_tiny_getmusic(tmp_path / "band", kind)
    info = describe(str(folder))
    assert info.family == "getmusic"
    assert not info.streams
    assert "steps" in {control.path[-1] for control in walk(info.controls)}
    with pytest.raises(BundleError, match="notes, not sound"):
        open_streamer(str(folder))


def test_a_bundle_of_notes_needs_one_network_or_the_other(tmp_path: Path) -> None:
    folder = write_tiny_getmusic(tmp_path / "band", "window")
    (folder / "past.onnx").unlink()
    with pytest.raises(BundleError, match="lacks"):
        describe(str(folder))


def test_a_bundle_of_sound_makes_no_notes() -> None:
    with pytest.raises(BundleError, match="does not work with 'ripieno infill'"):
        open_model("tone", "infill")
