"""What README and docs tell a newcomer to type is understood: verbs, flags, addresses, recipes, files, targets."""

import re
from pathlib import Path

import pytest

from ripieno import VERBS, main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PAGES = README + "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("live.md", "training.md"))
COMMAND = re.compile(r"^ +ripieno ([a-z]+)\b(.*)", re.MULTILINE)


def commands() -> dict[str, set[str]]:
    """Verb to all flags that an example gives it."""
    flags: dict[str, set[str]] = {}
    for verb, rest in COMMAND.findall(PAGES):
        flags.setdefault(verb, set()).update(re.findall(r"(?<!\S)--[a-z0-9-]+", rest.split(" # ")[0]))
    return flags


def test_its_verbs_are_verbs() -> None:
    assert len(commands()) >= 8
    assert set(commands()) <= set(VERBS)


@pytest.mark.parametrize("verb", sorted(verb for verb, flags in commands().items() if flags))
def test_its_flags_are_those_of_the_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([verb, "--help"])
    known = set(re.findall(r"--[a-z0-9-]+", capsys.readouterr().out))
    assert commands()[verb] <= known


def test_its_addresses_are_served() -> None:
    page = (ROOT / "docs" / "OSC.md").read_text("utf-8")
    addresses = {address.replace("/drone/", "/tone/") for address in re.findall(r"oscsend \S+ \d+ (/\S+)", PAGES)}
    assert len(addresses) >= 8
    served = set(re.findall(r"^\| `(/[^`]+)`", page, re.MULTILINE))
    voices = ("musika", "musicgen", "tone")
    served |= {address.replace("/VOICE/", f"/{voice}/") for address in served for voice in voices}
    assert addresses <= served


def test_its_recipes_and_files_are_there() -> None:
    recipes = re.findall(r"ripieno train (\w+)", PAGES)
    assert recipes
    assert all((ROOT / "training" / "recipes" / f"{recipe}.py").is_file() for recipe in recipes)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert all((ROOT / link).is_file() for link in links)
    named = [
        path
        for path in re.findall(r"`((?:bridge|engine|training|export|tests)/[\w./]+)`", README)
        if "NAME" not in path
    ]
    assert len(named) >= 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_its_targets_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"live", "test"} <= set(re.findall(r"make (\w+)", README)) & targets
