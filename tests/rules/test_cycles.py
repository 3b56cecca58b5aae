"""No module imports itself by a detour; an import inside a function counts as much as one at the top."""

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache

import pytest

from tests.rules.test_imports import ROOMS, file_of, modules

Graph = Mapping[str, set[str]]


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, in functions too, without what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.orelse:
                yield statement
                yield from runtime_nodes(statement)
            continue
        yield child
        yield from runtime_nodes(child)


def imported(source: str, every: frozenset[str]) -> set[str]:
    """Modules among `every` that this source imports; of a package's module, the module and not the package."""
    found: set[str] = set()
    for node in runtime_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (whole & every) or {node.module}
    return found & every


def reached(graph: Graph, start: str) -> set[str]:
    """All that `start` imports, and what those import."""
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.get(name, ())
    return found


def cycles(graph: Graph) -> list[list[str]]:
    """Groups of two or more modules that reach each other, and modules that import themselves."""
    reach = {name: reached(graph, name) for name in graph}
    groups = {
        frozenset(other for other in reach[name] if name in reach[other]) for name in graph if name in reach[name]
    }
    return sorted(sorted(group) for group in groups)


@lru_cache
def whole_graph() -> Graph:
    every = frozenset(modules(*ROOMS))
    return {name: imported(file_of(name).read_text("utf-8"), every) - {name} for name in every}


def folders(graph: Graph, room: str) -> Graph:
    """Which folder of a room imports from which beside it; a folder and the one that holds it are one matter."""
    inside: dict[str, set[str]] = {}
    for name, after in graph.items():
        home = folder(name)
        inside.setdefault(home, set())
        for other in map(folder, after):
            if not (home + ".").startswith(other + ".") and not (other + ".").startswith(home + "."):
                inside[home].add(other)
    return {name: after for name, after in inside.items() if name.split(".")[0] == room}


def folder(name: str) -> str:
    return name if file_of(name).name == "__init__.py" else name.rpartition(".")[0]


def test_a_cycle_is_found_where_there_is_one() -> None:
    late = "def later():\n    from b import x\n"
    hidden = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import c\n"
    every = frozenset("abc")
    graph = {"a": imported(late, every), "b": imported(hidden, every), "c": imported("import b", every)}
    assert graph == {"a": {"b"}, "b": {"c"}, "c": {"b"}}
    assert cycles(graph) == [["b", "c"]]
    assert cycles({"a": {"a"}}) == [["a"]]


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_imports_itself_by_a_detour(room: str) -> None:
    found = [group for group in cycles(whole_graph()) if any(name.split(".")[0] == room for name in group)]
    assert not found


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_imports_itself_by_a_detour(room: str) -> None:
    graph = folders(whole_graph(), room)
    inside = {name: {other for other in after if other in graph} for name, after in graph.items()}
    assert not cycles(inside)
