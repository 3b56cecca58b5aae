"""Each folder's docstring is its map: every file and subfolder named once, in an order that its imports follow."""

import ast
import re
from pathlib import Path

import pytest

from tests.rules.project import MODULES, ROOMS, ROOT

FOLDERS = [path.parent for module in MODULES.values() if (path := module.path).name == "__init__.py"]


def entries(folder: Path) -> list[str]:
    """What the map of a folder names, in its order."""
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    return re.findall(r"``([^`]+)``", docstring or "")


def contents(folder: Path) -> list[str]:
    """What a map has to name: modules without their ending, subfolders with a slash, other files as they are called."""
    kept = [path for path in folder.iterdir() if path.name not in ("__init__.py", "__pycache__", "py.typed")]
    return sorted(path.stem if path.suffix == ".py" else path.name + "/" * path.is_dir() for path in kept)


def imported(folder: Path, entry: str) -> set[str]:
    """The other entries of the folder that an entry imports from."""
    here = ".".join(folder.relative_to(ROOT).parts)
    own = f"{here}.{entry.rstrip('/')}"
    modules = [module for name, module in MODULES.items() if name == own or name.startswith(own + ".")]
    used = {name for module in modules for name in module.imports if name.startswith(here + ".")}
    tops = {name.removeprefix(here + ".").split(".")[0] for name in used} - {entry.rstrip("/")}
    return {top + "/" * (folder / top).is_dir() for top in tops}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_map_names_what_is_there_in_an_order_that_imports_follow(folder: Path) -> None:
    named = entries(folder)
    assert sorted(named) == contents(folder)
    wrong = [(entry, sorted(imported(folder, entry) - set(named[:place]))) for place, entry in enumerate(named)]
    assert [(entry, f"imports {names}, which its map lists below it") for entry, names in wrong if names] == []


def test_every_folder_with_code_has_a_map() -> None:
    folders = {path.parent for room in ROOMS for path in (ROOT / room).rglob("*.py")}
    assert folders == set(FOLDERS)


def test_the_top_of_engine_is_read_at_a_glance() -> None:
    assert len(list((ROOT / "engine").glob("*.py"))) <= 8
