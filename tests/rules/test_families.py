"""What a model family is, its row says: no other module asks for a family by its name."""

import ast

import pytest

from engine.models.families import FAMILIES
from tests.rules.test_imports import file_of, modules

KNOWERS = ("engine.models.",)
"""Modules of families themselves; training and export work on one family each."""


def asked_for(tree: ast.AST) -> list[int]:
    """Lines that compare something with a family's name, or look one up by it."""
    lines = []
    for node in ast.walk(tree):
        parts: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            parts = [node.value]
        elif isinstance(node, ast.Subscript):
            parts = [node.slice]
        elif isinstance(node, ast.Dict):
            parts = [key for key in node.keys if key is not None]
        names = {leaf.value for part in parts for leaf in ast.walk(part) if isinstance(leaf, ast.Constant)}
        if names & set(FAMILIES):
            lines.append(node.lineno if hasattr(node, "lineno") else 0)
    return lines


@pytest.mark.parametrize(
    "text",
    [
        'x = info.family == "musika"', 'y = family in ("getmusic", "toy")', 'z = TABLE["musicgen"]',
        'names = {"musika_live": "musika"}', 'match family:\n    case "tone":\n        pass',
    ],
)  # fmt: skip
def test_the_rule_sees_what_it_forbids(text: str) -> None:
    assert asked_for(ast.parse(text))


def test_no_module_asks_for_a_family_by_its_name() -> None:
    found = {
        name: lines
        for name in modules("engine", "bridge")
        if not name.startswith(KNOWERS) and (lines := asked_for(ast.parse(file_of(name).read_text("utf-8"))))
    }
    assert not found
