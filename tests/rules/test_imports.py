"""Who may import whom, and what an import may do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("engine", "bridge", "export", "training")


def modules(*rooms: str) -> list[str]:
    """Dotted names of all modules of these rooms, without the ones that run when imported."""
    names = []
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = list(path.relative_to(ROOT).with_suffix("").parts)
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def file_of(name: str) -> Path:
    path = ROOT / name.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def names_offered(path: Path) -> set[str]:
    """What ``__all__`` says, read without importing; empty if it says nothing."""
    names: set[str] = set()
    for statement in ast.parse(path.read_text("utf-8")).body:
        if isinstance(statement, ast.Assign | ast.AugAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
                names |= set(ast.literal_eval(statement.value))
    return names


def runs_as_program(statement: ast.stmt) -> bool:
    """Whether this is ``if __name__ == "__main__"``."""
    return isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_rooms_import_only_what_they_may() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_engine_and_bridge_import_where_torch_cannot_be() -> None:
    blocked = ("torch", "onnx", "lightning", "safetensors", "h5py", "librosa")
    names = [name for name in modules("engine", "bridge") if not name.endswith("__main__")]
    done = python(
        "import sys, importlib\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    assert done.returncode == 0, done.stderr


def test_importing_starts_nothing() -> None:
    """No thread, no log handler, no warning filter, nothing printed."""
    names = [name for name in modules(*ROOMS) if not name.endswith("__main__")]
    done = python(
        "import importlib, logging, threading\n"
        "import torch, onnxruntime, numpy\n"
        "threads = threading.active_count()\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert threading.active_count() == threads, threading.enumerate()\n"
        "assert not logging.getLogger().handlers\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("name", modules(*ROOMS))
def test_every_module_says_what_it_offers(name: str) -> None:
    path = file_of(name)
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{name} has no docstring"
    if path.name in ("__init__.py", "__main__.py") or name.startswith("training.recipes."):
        return
    assert names_offered(path), f"{name} has no __all__"


def test_all_names_in_all_exist() -> None:
    names = [name for name in modules(*ROOMS) if not name.endswith("__main__")]
    done = python(
        "import importlib\n"
        f"for name in {names!r}:\n"
        "    module = importlib.import_module(name)\n"
        "    offered = getattr(module, '__all__', [])\n"
        "    missing = [n for n in offered if not hasattr(module, n)]\n"
        "    assert not missing, (name, missing)\n"
        "    assert len(set(offered)) == len(offered), (name, 'names twice')\n"
        "    private = [n for n in offered if n.startswith('_')]\n"
        "    assert not private, (name, private)\n"
    )
    assert done.returncode == 0, done.stderr


def test_modules_use_of_each_other_only_what_is_offered() -> None:
    """A name taken from another module of ours is in that module's ``__all__``, or is itself a module."""
    every = {name: file_of(name) for name in modules(*ROOMS)}
    offered = {name: names_offered(path) for name, path in every.items()}
    wrong = []
    for name, path in every.items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in offered:
                taken = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in every}
                wrong += [(name, node.module, missing) for missing in sorted(taken - offered[node.module])]
    assert not wrong


def test_no_import_sets_what_belongs_to_the_program() -> None:
    """Thread counts, logging and warning filters are the program's to choose: never set at the top of a module."""
    forbidden = {
        "set_num_threads", "set_num_interop_threads", "basicConfig", "simplefilter", "filterwarnings",
        "setswitchinterval", "manual_seed", "set_start_method",
    }  # fmt: skip
    found = []
    for name in modules(*ROOMS):
        for statement in ast.parse(file_of(name).read_text("utf-8")).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or runs_as_program(
                statement
            ):
                continue
            calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
            called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
            found += [(name, word) for word in sorted(called & forbidden)]
    assert not found
