"""What the tree may hold: sizes a person can keep in mind, no unfinished work, no machine's own paths."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 450
MOST_FUNCTION_LINES = 60


def tracked(*endings: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    return [ROOT / line for line in listed.stdout.splitlines() if line.endswith(endings) and (ROOT / line).exists()]


def code() -> list[Path]:
    return [path for path in tracked(".py") if path.relative_to(ROOT).parts[0] != "tests"]


def test_no_file_grows_past_what_one_person_holds_in_mind() -> None:
    long = {str(p.relative_to(ROOT)): n for p in code() if (n := len(p.read_text("utf-8").splitlines())) > MOST_LINES}
    assert not long


def test_no_function_grows_past_a_screen() -> None:
    long = []
    for path in code():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    long.append((str(path.relative_to(ROOT)), node.name, lines))
    assert not long


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|NotImplemented" + r"Error)\b")
    found = [str(path) for path in tracked(".py", ".md", ".toml", "Makefile") if words.search(path.read_text("utf-8"))]
    assert not found


def test_no_path_of_one_machine() -> None:
    paths = re.compile(r"/(work|root|home|Users)/[a-z]")
    found = [str(path) for path in tracked(".py", ".md", ".toml", "Makefile") if paths.search(path.read_text("utf-8"))]
    assert not found


def test_a_starter_bundle_comes_with_its_card() -> None:
    folders = [path.parent for path in (ROOT / "engine" / "starter").rglob("generator.onnx")]
    for folder in folders:
        card = (folder / "CARD.md").read_text("utf-8")
        for heading in ("Data", "Licence", "Remake", "Measured", "Limits"):
            assert f"## {heading}" in card, f"{folder.name}: the card says nothing under '{heading}'"
    total = sum(path.stat().st_size for path in (ROOT / "engine" / "starter").rglob("*") if path.is_file())
    assert total <= 25 * 2**20
