"""What the tree may hold: sizes a person can keep in mind, no unfinished work, no machine's own paths."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path
from statistics import median

import pytest

from engine.graphs.metadata import read_manifest

ROOT = Path(__file__).resolve().parents[2]
STARTERS = ROOT / "engine" / "starter"
MOST_LINES = 450
MOST_FUNCTION_LINES = 60
TYPICAL_LINES = 160
TYPICAL_FUNCTION_LINES = 8
TEXT = (".py", ".md", ".toml", ".txt", "Makefile", ".ci/run")


def tracked(*endings: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    return [ROOT / line for line in listed.stdout.splitlines() if line.endswith(endings) and (ROOT / line).exists()]


def code() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] != "tests"]


def test_no_file_grows_past_what_one_person_holds_in_mind() -> None:
    """And half of them, maps left aside, are quick to read."""
    lines = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in code()}
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}
    assert median(count for path, count in lines.items() if not path.endswith("__init__.py")) <= TYPICAL_LINES


def test_no_function_grows_past_a_screen() -> None:
    lines = {
        (str(path.relative_to(ROOT)), node.name, node.lineno): (node.end_lineno or node.lineno) - node.lineno + 1
        for path in code()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {where: count for where, count in lines.items() if count > MOST_FUNCTION_LINES} == {}
    assert median(lines.values()) <= TYPICAL_FUNCTION_LINES


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|NotImplemented" + r"Error)\b")
    found = [str(path) for path in tracked(*TEXT) if words.search(path.read_text("utf-8"))]
    assert not found


def test_no_path_of_one_machine() -> None:
    paths = re.compile(r"/(work|root|home|Users)/[a-z]")
    found = [str(path) for path in tracked(*TEXT) if paths.search(path.read_text("utf-8"))]
    assert not found


def test_starter_bundles_come_with_their_card_and_licence() -> None:
    folders = sorted({path.parent for path in STARTERS.rglob("*.onnx")})
    assert folders, "nothing to play in the first minute"
    for folder in folders:
        card = (folder / "CARD.md").read_text("utf-8")
        for heading in ("Data", "Licence", "Remake", "Measured", "Limits"):
            assert f"## {heading}" in card, f"{folder.name}: the card says nothing under '{heading}'"
        for graph in sorted(folder.glob("*.onnx")):
            licence = read_manifest(graph).licence  # what it learned from, and under which terms, may follow
            assert licence.split(";")[0] == "MIT", f"{graph.name} may not be passed on with our code"


def test_starter_bundles_stay_small() -> None:
    assert sum(path.stat().st_size for path in STARTERS.rglob("*") if path.is_file()) <= 45 * 2**20


def test_licences_are_told() -> None:
    assert (ROOT / "LICENSE").read_text("utf-8").startswith("MIT License")
    notice = (ROOT / "NOTICE.md").read_text("utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert [extra for extra in extras if f"`[{extra}]`" not in notice] == []
