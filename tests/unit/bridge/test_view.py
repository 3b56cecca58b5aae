"""What people are shown of a performance."""

import io
from dataclasses import replace

from bridge.view import LiveView, PlainView, meter, sentence
from engine.messages.session import (
    Applied,
    Continue,
    Cover,
    Failed,
    Prepared,
    Set,
    Telemetry,
    Tempo,
    VoiceDown,
    VoiceTelemetry,
)

VOICE = VoiceTelemetry(
    voice="musika", bundle="there/starter", playing=True, level_db=-12.0, fill_ms=60.0, realtime=31.0, late=2, cpu=0.1
)
SEEN = Telemetry(
    sample=48_000, bar=3, beat=1.5, tempo_bpm=128.0, chord="Am7", level_db=-9.0, underruns=0, latency_ms=80.0,
    voices=(VOICE,),
)  # fmt: skip


def test_a_meter_is_empty_at_its_floor_and_full_at_nought() -> None:
    assert meter(-60.0, 10) == "·" * 10
    assert meter(-30.0, 10).count("█") == 5
    assert meter(3.0, 10) == "█" * 10


def test_news_are_sentences() -> None:
    applied = Applied(number=1, command=Set(("musika", "density"), 0.5), voice="musika", sample=2048, latency_ms=91.2)
    assert sentence(applied) == "musika/density 0.5 musika at sample 2048, latency 91 ms"
    assert "bpm" not in (sentence(Failed(number=2, command=Tempo(bpm=10.0), reason="takes 20..400")) or "")
    assert "late" in (sentence(Cover(voice="musika", sample=9)) or "")
    assert sentence(SEEN) is None
    command = Continue(voice="m", source="input", text="slow piano", file_hash="12ab")
    gone_on = Applied(number=3, command=command, voice="m", sample=96_000, latency_ms=350.0)
    assert sentence(gone_on) == "continue input slow piano m at sample 96000, latency 350 ms"
    assert sentence(Prepared(number=3, voice="m", seconds=0.25, prompt_s=6.0)) == "m: continuation ready after 0.25 s"


def test_plain_lines_tell_of_trouble_but_not_of_every_command() -> None:
    lines: list[str] = []
    view = PlainView(lines.append)
    view.show([Applied(number=1, command=Tempo(bpm=99.0), voice="", sample=0, latency_ms=0.0)])
    view.show([VoiceDown(voice="musika", reason="killed")])
    assert lines == ["musika has stopped working (killed); restarting it"]


def test_the_live_view_draws_voices_and_the_last_lines() -> None:
    from rich.console import Console

    view = LiveView(lambda: {"received": 7})
    view.show([SEEN, VoiceDown(voice="musika", reason="killed")])
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(view._draw())
    text = console.export_text()
    for part in ("Am7", "128.0 bpm", "starter", "31x", "received 7", "musika has stopped working"):
        assert part in text
    assert "-33.0 dB" not in text
    assert "limiter" not in text
    view.show([replace(SEEN, input_db=-33.0)])
    console.print(view._draw())
    assert "-33.0 dB" in console.export_text()
    view.show([replace(SEEN, limiter_db=2.5)])
    console.print(view._draw())
    assert "limiter -2.5 dB" in console.export_text()
