"""What is installed: the four rooms and the command, nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_holds_the_rooms_and_the_command(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-q"]
    source = tmp_path / "source"
    # A copy, so that no build folder is left in the checkout or taken from it.
    copied = subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", str(source)], capture_output=True)
    assert copied.returncode == 0, copied.stderr
    done = subprocess.run(
        [*build, "-w", str(tmp_path), str(source)], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"engine", "bridge", "export", "training", "ripieno.py"}
    starters = [path.relative_to(ROOT) for path in (ROOT / "engine" / "starter").rglob("*.onnx")]
    assert starters
    assert all(str(path) in names for path in starters)
    assert all(f"{room}/py.typed" in names for room in ("engine", "bridge", "export", "training"))
    assert {name.split("/")[-1] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE.md"}
