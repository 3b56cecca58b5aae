"""The list of mutations does not rot, and the runner tells a test that notices from one that does not."""

import ast
import subprocess
from pathlib import Path

import pytest

from tests.mutate import Mutation, mutated, read_mutations, run

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = read_mutations(ROOT)


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.promise)
def test_a_mutation_can_be_made_and_names_tests_that_exist(mutation: Mutation) -> None:
    assert mutated((ROOT / mutation.file).read_text("utf-8"), mutation) is not None
    assert mutation.tests
    for test in mutation.tests:
        file, *names = test.split("[")[0].split("::")
        assert (ROOT / file).is_file(), file
        assert set(names[-1:]) <= functions(ROOT / file), test


def test_no_mutation_is_listed_twice() -> None:
    assert len({(mutation.file, mutation.before, mutation.after) for mutation in MUTATIONS}) == len(MUTATIONS)


PACKAGE = "def double(x):\n    return 2 * x\n\n\ndef triple(x):\n    return 3 * x\n"
TESTS = """import subprocess, sys, tempfile

def test_in_another_process_and_folder():
    code = "import engine; assert engine.double(4) == 8"
    assert subprocess.run([sys.executable, "-c", code], cwd=tempfile.gettempdir()).returncode == 0

def test_that_does_not_look():
    import engine
    engine.triple(2)

def test_that_fails():
    assert False
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project with a package of the name of one of ours, which an installed one must not hide."""
    root = tmp_path / "project"
    (root / "engine").mkdir(parents=True)
    (root / "engine" / "__init__.py").write_text(PACKAGE)
    (root / "test_it.py").write_text(TESTS)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def change(before: str, after: str, test: str) -> Mutation:
    return Mutation("area", f"{before} stays", "engine/__init__.py", before, after, (f"test_it.py::{test}",))


def test_the_runner_tells_killed_from_survived_stale_and_red(tree: Path) -> None:
    mutations = [
        change("2 * x", "5 * x", "test_in_another_process_and_folder"),
        change("3 * x", "5 * x", "test_that_does_not_look"),
        change("return", "yield", "test_that_does_not_look"),  # there twice
        change("3 * x", "5 * x", "test_that_is_not_there"),
    ]
    words = [verdict.word for verdict in run(tree, mutations, jobs=2, quick=True)]
    assert words == ["KILLED", "SURVIVED", "STALE", "STALE"]
    assert [verdict.word for verdict in run(tree, [change("3 * x", "5 * x", "test_that_fails")])] == ["RED"]
    assert (tree / "engine" / "__init__.py").read_text() == PACKAGE
