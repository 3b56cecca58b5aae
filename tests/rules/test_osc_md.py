"""The page of addresses is what the code says."""

import contextlib
import io
from dataclasses import fields
from pathlib import Path
from typing import get_args

from bridge.osc.docs import main
from bridge.osc.table import BUILT_IN
from engine.messages.session import Applied, Changed, Event, Failed, Telemetry, VoiceTelemetry

PAGE = Path(__file__).parents[2] / "docs" / "OSC.md"


def test_osc_md_is_fresh() -> None:
    made = io.StringIO()
    with contextlib.redirect_stdout(made):
        assert main() == 0
    assert PAGE.read_text(encoding="utf-8") == made.getvalue(), "run: python -m bridge.osc.space > docs/OSC.md"


def test_osc_md_names_every_event_with_its_values() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    for kind in (*get_args(Event), VoiceTelemetry):
        if kind in (Applied, Changed, Failed):  # told in words of their own: /applied, /changed, /error
            continue
        values = ", ".join(field.name for field in fields(kind) if field.name != "voices")
        told = [row for row in rows if f"| {values} |" in row]
        name = {Telemetry: "/telemetry/session", VoiceTelemetry: "/telemetry/voice"}.get(kind, "/event/")
        assert any(name in row for row in told), f"{kind.__name__}: {values}"
    assert all(any(f"`{address}`" in row for row in rows) for address in (*BUILT_IN, "/applied", "/changed", "/error"))
