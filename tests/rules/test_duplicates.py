"""The same lines are not written twice: what two files need is in a third."""

import ast
import re
from collections import defaultdict

from tests.rules.project import MODULES, Module

LENGTH = 6
MOST = 5


def lines(module: Module) -> list[str]:
    """What a file says, line by line: no comments, no imports, no blank lines, no lines of punctuation alone."""
    imports = [node for node in ast.walk(module.tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    left_out = {number for node in imports for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    numbered = [(number, line.strip()) for number, line in enumerate(module.text.splitlines(), 1)]
    return [line for number, line in numbered if number not in left_out and re.match(r"[^#]*\w", line)]


def test_few_runs_of_lines_are_in_two_files() -> None:
    """Counted once per run and pair of files, however long the run is beyond `LENGTH` lines."""
    texts = {name: lines(module) for name, module in MODULES.items()}
    places: dict[tuple[str, ...], list[tuple[str, int]]] = defaultdict(list)
    for name, text in texts.items():
        for start in range(len(text) - LENGTH + 1):
            places[tuple(text[start : start + LENGTH])].append((name, start))
    runs = [
        (one, other, run)
        for run, found in places.items()
        for (one, i), (other, j) in ((a, b) for a in found for b in found if a[0] < b[0])
        if not (i and j and texts[one][i - 1] == texts[other][j - 1])  # else it began a line earlier
    ]
    assert len(runs) <= MOST, "\n".join(f"{one}, {other}: {run[0]}" for one, other, run in runs)
