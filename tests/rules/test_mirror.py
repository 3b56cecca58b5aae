"""Unit tests lie where what they test lies."""

from pathlib import Path

from tests.rules.project import ROOT

UNIT = ROOT / "tests" / "unit"
TOPICS = {
    "bridge/audio/test_ports.py": "finding an output by name, and the ports there are: `port`, `scan`, `card`, `null`",
    "engine/models/test_starters.py": "the bundles that come with the program, of every family",
    "engine/models/musicgen/test_bundle.py": "a whole bundle: described, opened, refused, measured",
    "training/test_batches.py": "the batches of all tasks: what they depend on, and what they never read",
    "training/tasks/test_tasks.py": "the phases of Musika's training, each from what the one before left",
}
"""Tests of several files together, by what they are about."""


def counterparts(test: Path) -> tuple[Path, ...]:
    """Where what a test file is about may be: a file, a command, or a folder."""
    path = ROOT / test.parent / test.stem.removeprefix("test_")
    return path.with_suffix(".py"), path.with_name(f"__{path.name}__.py"), path / "__init__.py"


def test_a_unit_test_has_its_counterpart_at_the_same_place() -> None:
    tests = {path.relative_to(UNIT) for path in UNIT.rglob("test_*.py")}
    alone = {str(test) for test in tests if not any(path.is_file() for path in counterparts(test))}
    assert alone == set(TOPICS)
