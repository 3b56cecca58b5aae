"""The project's modules as the rules see them: parsed once, never imported."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["MODULES", "ROOMS", "ROOT", "Module", "circles"]

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("engine", "bridge", "training", "export")


@dataclass(frozen=True)
class Module:
    """One file of a room, by its dotted name."""

    name: str
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> frozenset[str]:
        """The other modules of ours that this one imports, also inside functions; not what only type checkers read."""
        unread = {
            id(inner)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for statement in node.body
            for inner in ast.walk(statement)
        }
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if id(node) not in unread and isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif id(node) not in unread and isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return frozenset((names & MODULES.keys()) - {self.name})


def read_modules() -> dict[str, Module]:
    found = {}
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


MODULES = read_modules()


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Names that reach themselves along ``edges``, grouped with those that they reach and are reached by."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = edges[waiting.pop()] - seen
            seen |= new
            waiting += new
        return seen

    reach = {name: reached(name) for name in edges}
    groups = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in edges}
    return [list(group) for group in sorted(groups) if group]
