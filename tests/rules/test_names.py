"""A name means one thing, and no module needs itself."""

import ast
from collections import defaultdict

from tests.rules.project import MODULES, circles


def test_a_class_name_has_one_meaning_in_all_rooms() -> None:
    places = defaultdict(set)
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].add((module.name, node.lineno))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions count, too: they run."""
    assert circles({name: set(module.imports) for name, module in MODULES.items()}) == []
