"""The page of addresses is what the code says."""

import contextlib
import io
from pathlib import Path

from bridge.osc.space_docs import main

PAGE = Path(__file__).parents[2] / "bridge" / "OSC.md"


def test_osc_md_is_fresh() -> None:
    made = io.StringIO()
    with contextlib.redirect_stdout(made):
        assert main() == 0
    assert PAGE.read_text(encoding="utf-8") == made.getvalue(), "run: python -m bridge.osc.space_docs > bridge/OSC.md"
