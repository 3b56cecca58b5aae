"""Who may import whom, and what an import may do."""

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
    path = ROOT / name.replace(".", "/")
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8")
    assert text.lstrip().startswith(('"""', 'r"""')), f"{name} has no docstring"
    if path.is_dir() or path.name == "__main__" or "training/recipes" in str(path):
        return
    assert "__all__ = [" in text, f"{name} has no __all__"


def test_all_names_in_all_exist() -> None:
    names = [name for name in modules(*ROOMS) if not name.endswith("__main__")]
    done = python(
        "import importlib\n"
        f"for name in {names!r}:\n"
        "    module = importlib.import_module(name)\n"
        "    missing = [n for n in getattr(module, '__all__', []) if not hasattr(module, n)]\n"
        "    assert not missing, (name, missing)\n"
    )
    assert done.returncode == 0, done.stderr
