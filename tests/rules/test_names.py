"""A name means one thing, and no module needs itself."""

import ast
from collections import defaultdict

from tests.rules.project import MODULES, circles


def test_a_class_name_has_one_meaning_in_all_rooms() -> None:
    """A private class may be named after the public one of its module, and after no other."""
    places = defaultdict(set)
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].add((module.name, node.name.startswith("_"), node.lineno))
    twice = {name: where for name, where in places.items() if len({module for module, _, _ in where}) > 1}
    assert twice == {}
    assert [name for name, where in places.items() if len({private for _, private, _ in where}) < len(where)] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports inside functions count, too: they run."""
    assert circles({name: set(module.imports) for name, module in MODULES.items()}) == []
