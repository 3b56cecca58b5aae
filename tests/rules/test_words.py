"""Public names and sentences use the field's words: some that this project used to have for them are not seen again."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.rules.project import MODULES, ROOT, Module

WORDS = re.compile(r"\b(told|heard|wishes|strands?|houseband|go(es|ing) on)\b", re.IGNORECASE)
ALLOWED = {
    "bridge/__main__.py": ("--heard-s",),  # the name of a flag until version 0.1, still taken
    "bridge/settings.py": ("heard_s",),  # and of a setting
    "training/__main__.py": ("_told_gan",),  # and of recipes
    "engine/messages/continuation.py": ("heard_until",),  # a key of takes
    "engine/session/sources.py": ("heard-",),  # names of files that takes refer to
}
"""By file, what stays because files and commands of before hold it."""

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def public(name: str) -> bool:
    return not name.startswith("_") or name.endswith("__")


def spoken(name: str) -> str:
    """A name as words: ``goesOn_Told`` is "goes On Told"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace(".", " ")


def names(node: ast.AST) -> Iterator[str]:
    """Public names that a module or a public class defines, with the arguments of its functions and what it keeps."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, DEFINITIONS) and public(child.name):
            yield child.name
            yield from names(child)
        elif isinstance(child, ast.arguments):
            yield from (arg.arg for arg in (*child.posonlyargs, *child.args, *child.kwonlyargs))
        elif isinstance(child, ast.Assign | ast.AnnAssign) and not isinstance(node, ast.FunctionDef):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name) and public(target.id))
    if isinstance(node, ast.ClassDef):
        kept = (inner for inner in ast.walk(node) if isinstance(inner, ast.Attribute))
        yield from (inner.attr for inner in kept if isinstance(inner.ctx, ast.Store) and public(inner.attr))


def private_docstrings(node: ast.AST, inside: bool = False) -> Iterator[ast.Constant]:
    """The docstrings of private functions and classes, and of all within: notes between those who write them."""
    for child in ast.iter_child_nodes(node):
        hidden = inside or (isinstance(child, DEFINITIONS) and not public(child.name))
        if hidden and isinstance(child, DEFINITIONS) and ast.get_docstring(child) is not None:
            yield child.body[0].value
        yield from private_docstrings(child, hidden)


def sentences(module: Module) -> Iterator[str]:
    """Every text of a module but private docstrings: public docstrings, helps, messages, keys."""
    private = {id(constant) for constant in private_docstrings(module.tree)}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in private:
            yield node.value


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_public_names_and_sentences_use_the_words_of_the_field(module: Module) -> None:
    allowed = ALLOWED.get(str(module.path.relative_to(ROOT)), ())
    found = []
    for text in (module.name, *names(module.tree), *sentences(module)):
        for literal in allowed:
            text = text.replace(literal, "")
        found += [text] if WORDS.search(spoken(text)) else []
    assert found == []


def test_pages_use_the_words_of_the_field() -> None:
    pages = [ROOT / "README.md", ROOT / "NOTICE.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "engine").rglob("*.md")]
    assert len(pages) > 4
    found = [line for page in pages for line in page.read_text("utf-8").splitlines() if WORDS.search(spoken(line))]
    assert [line for line in found if "`heard-*.wav`" not in line] == []
