"""``make mutate``: breaks one line at a time in a copy of the tree, and expects the named tests to fail.

Each `tests/mutations/AREA.toml` holds entries such as

    [[mutation]]
    promise = "a released key sends its note-off"
    file = "engine/band/ledger.py"
    before = "        self._owed.add(note)"
    after = "        pass"
    tests = ["tests/unit/engine/band/test_ledger.py::test_every_note_on_has_one_note_off"]

``before`` occurs exactly once in ``file`` and is replaced by ``after``. The tests must pass without the change and fail
with it. One line is printed per mutation: KILLED (a test failed), SURVIVED (all passed), STALE (``before`` is not there
exactly once, or a test cannot be collected) or RED (the tests fail without the change). Exit status 1 if any is not
KILLED.
"""

import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mutation", "Verdict", "main", "mutated", "read_mutations", "run"]

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 600
"""Seconds that the tests of one mutation may take. A test that hangs because of the change has noticed it."""


@dataclass(frozen=True)
class Mutation:
    """One change to one file, the promise that it breaks, and the tests that hold the promise."""

    area: str
    promise: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation: KILLED, SURVIVED, STALE or RED, with a reason where it needs one."""

    mutation: Mutation
    word: str
    reason: str = ""

    def __str__(self) -> str:
        line = f"{self.word:8} {self.mutation.area}: {self.mutation.promise} ({self.mutation.file})"
        return f"{line}\n{self.reason}" if self.reason else line


def read_mutations(root: Path, only: Sequence[str] = ()) -> list[Mutation]:
    """All mutations of the tree at ``root``, or those of the areas named. KeyError for an area that is not there."""
    files = {path.stem: path for path in sorted((root / "tests" / "mutations").glob("*.toml"))}
    entries = [(area, tomllib.loads(files[area].read_text("utf-8"))) for area in only or files]
    return [
        Mutation(area=area, **{**entry, "tests": tuple(entry["tests"])})
        for area, table in entries
        for entry in table["mutation"]
    ]


def mutated(text: str, mutation: Mutation) -> str | None:
    """``text`` with the change made; None if ``before`` is not there exactly once or the change is none."""
    if text.count(mutation.before) != 1 or mutation.before == mutation.after:
        return None
    return text.replace(mutation.before, mutation.after)


def copy_tree(root: Path, folder: Path) -> Path:
    """A copy of what git knows of ``root`` or would add, inside ``folder``; test data beside ``root`` stays beside."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (root / name).is_file():
            (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / "tree" / name)
    if (root.parent / "shared").is_dir():
        (folder / "shared").symlink_to(root.parent / "shared")
    return folder / "tree"


def pytest(tree: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """Exit status (None: out of time) and output of these tests, run so that every process imports from ``tree``."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}  # no stale bytecode
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout + done.stderr


@contextmanager
def changed(path: Path, text: str) -> Iterator[None]:
    """``path`` holds ``text`` for as long as this lasts."""
    original = path.read_bytes()
    path.write_text(text, "utf-8")
    try:
        yield
    finally:
        path.write_bytes(original)


def judge(tree: Path, mutation: Mutation, check_green: bool) -> Verdict:
    """Try one mutation in ``tree``, and leave ``tree`` as it was."""
    path = tree / mutation.file
    text = mutated(path.read_text("utf-8"), mutation) if path.is_file() else None
    if text is None:
        return Verdict(mutation, "STALE", f"    its `before` does not occur exactly once in {mutation.file}")
    if check_green and (found := pytest(tree, mutation.tests))[0] != 0:
        return Verdict(mutation, "RED", found[1][-2000:])
    with changed(path, text):
        status, output = pytest(tree, mutation.tests)
    if status in (None, 1):
        return Verdict(mutation, "KILLED")
    return Verdict(mutation, "SURVIVED") if status == 0 else Verdict(mutation, "STALE", output[-2000:])


def red_tests(tree: Path, mutations: Sequence[Mutation]) -> bool:
    """Whether any test named fails, or cannot be collected, in the tree as it is: all in one run, which is quick."""
    return pytest(tree, list(dict.fromkeys(test for mutation in mutations for test in mutation.tests)))[0] != 0


def run(root: Path, mutations: Sequence[Mutation], *, jobs: int = 1, quick: bool = False) -> Iterator[Verdict]:
    """Verdicts on these mutations, in their order; ``quick`` takes for granted that the tests pass without them."""
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder, ThreadPoolExecutor(jobs) as pool:
        trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for job in range(jobs):
            trees.put(copy_tree(root, Path(folder) / str(job)))
        first = trees.get()
        check_each = not quick and red_tests(first, mutations)  # only then is it worth asking which
        trees.put(first)

        def one(mutation: Mutation) -> Verdict:
            tree = trees.get()
            try:
                return judge(tree, mutation, check_each)
            finally:
                trees.put(tree)

        yield from pool.map(one, mutations)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m tests.mutate [--only AREA] [--jobs N] [--quick]``: 0 if every mutation was killed, else 1."""
    parser = argparse.ArgumentParser(prog="make mutate", description="break one line at a time; tests must fail")
    parser.add_argument("--only", action="append", default=[], metavar="AREA", help="an area; may be given again")
    parser.add_argument("--jobs", type=int, default=1, help="how many mutations at once (default 1)")
    parser.add_argument("--quick", action="store_true", help="do not check that the tests pass without the changes")
    options = parser.parse_args(argv)
    # A shell starts background commands with SIGINT ignored, and children inherit that: tests of it could not fail.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counts: dict[str, int] = {}
    for verdict in run(ROOT, read_mutations(ROOT, options.only), jobs=options.jobs, quick=options.quick):
        print(verdict, flush=True)
        counts[verdict.word] = counts.get(verdict.word, 0) + 1
    print(", ".join(f"{count} {word}" for word, count in sorted(counts.items())) or "no mutations")
    return 0 if set(counts) <= {"KILLED"} else 1


if __name__ == "__main__":
    sys.exit(main())
