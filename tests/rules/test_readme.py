"""What the README tells a newcomer to type is understood."""

import re
from pathlib import Path

from ripieno import VERBS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_its_verbs_are_verbs() -> None:
    named = re.findall(r"^\s+ripieno ((?:\w+ \| )*\w+)", README, re.MULTILINE)
    verbs = {verb for line in named for verb in line.split(" | ")}
    assert len(verbs) >= 8
    assert verbs <= set(VERBS)


def test_its_addresses_are_served() -> None:
    page = (ROOT / "docs" / "OSC.md").read_text("utf-8")
    addresses = re.findall(r"oscsend \S+ \d+ (/\S+)", README)
    assert len(addresses) >= 4
    served = set(re.findall(r"^\| `(/[^`]+)`", page, re.MULTILINE))
    served |= {
        address.replace("/musika-live/", "/musika/") for address in served
    }  # the starter's voice is called musika
    assert set(addresses) <= served


def test_its_recipes_and_files_are_there() -> None:
    recipes = re.findall(r"ripieno train (\w+)", README)
    assert recipes
    assert all((ROOT / "training" / "recipes" / f"{recipe}.py").is_file() for recipe in recipes)
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert all((ROOT / link).is_file() for link in links)


def test_its_targets_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert {"live", "test"} <= set(re.findall(r"make (\w+)", README)) <= targets
