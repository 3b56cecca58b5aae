"""What is imported is declared, and what is declared is pinned."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("engine", "bridge", "export", "training")
EXTRAS = {"engine": (), "bridge": ("link", "fluid"), "export": ("export", "train"), "training": ("train", "fluid")}
"""Room to the extras that must be there for it to run; what plays must be there always."""

DISTRIBUTIONS = {
    "fluidsynth": "pyfluidsynth",
    "PIL": "pillow",
    "pythonosc": "python-osc",
    "rtmidi": "python-rtmidi",
    "pa_ringbuffer": "rtmixer",
    "yaml": "pyyaml",
}
"""Import name to the package that brings it, where the two differ."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def name_of(requirement: str) -> str:
    """Package name of a requirement, in the one form that package names are compared in."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0]).lower()


def outside(path: Path) -> Iterator[str]:
    """Top names of all that a file imports, anywhere in it, from neither Python itself nor our rooms."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        yield from {
            top for name in names if (top := name.split(".")[0]) not in sys.stdlib_module_names and top not in ROOMS
        }


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_its_extras_bring(room: str) -> None:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in EXTRAS[room])]
    declared = {name_of(requirement) for requirements in lists for requirement in requirements}
    missing = {
        (str(path.relative_to(ROOT)), name)
        for path in sorted((ROOT / room).rglob("*.py"))
        for name in outside(path)
        if name_of(DISTRIBUTIONS.get(name, name)) not in declared
    }
    assert not missing


def test_every_dependency_is_pinned() -> None:
    """To one version without a local suffix: any machine can have it."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    pinned = {name_of(line) for line in lines}
    assert len(pinned) == len(lines), "a package is pinned twice"
    every = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    wanted = {name_of(requirement) for requirements in every for requirement in requirements} - {PROJECT["name"]}
    assert wanted <= pinned


def test_what_plays_needs_no_torch() -> None:
    heavy = {"torch", "lightning", "onnx", "h5py", "safetensors", "librosa", "encodec", "aalink"}
    assert not heavy & {name_of(requirement) for requirement in PROJECT["dependencies"]}
