"""The command finds its rooms, and begins long work with memory in large pages, once."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from ripieno import LARGE_PAGES, VERBS, main


def test_every_verb_has_a_main() -> None:
    for module, function, _ in VERBS.values():
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are asked for on Linux")
def test_long_work_begins_again_with_large_pages_and_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, list[str], str | None]] = []

    def execv(path: str, words: list[str]) -> None:
        begun.append((path, words, os.environ.get(LARGE_PAGES[0])))
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setenv(LARGE_PAGES[0], "")
    monkeypatch.delenv(LARGE_PAGES[0])
    monkeypatch.setattr(sys, "argv", ["ripieno", "render", "--help"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-X", "dev", "ripieno", "render", "--help"])
    for _ in range(2):  # the second time it has them
        with pytest.raises(SystemExit):
            main()
    assert begun == [(sys.executable, [sys.executable, "-X", "dev", "ripieno", "render", "--help"], LARGE_PAGES[1])]
    monkeypatch.delenv(LARGE_PAGES[0])
    with pytest.raises(SystemExit):
        main(["render", "--help"])  # called from within: the caller's process is not ours to begin again
    assert len(begun) == 1


def test_a_missing_extra_is_named_as_it_is_installed_from_this_clone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without(name: str) -> None:
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning.fabric")

    monkeypatch.setattr(importlib, "import_module", without)
    assert main(["train"]) == 1
    said = capsys.readouterr().err
    root = Path(__file__).parents[2]
    assert f"needs lightning.fabric: {sys.executable} -m pip install -c '{root / 'constraints.txt'}'" in said
    assert said.strip().endswith(f"-e '{root}[train]'")
