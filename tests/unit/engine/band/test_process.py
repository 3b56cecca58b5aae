"""A maker in its process: answers, says what is wrong, dies without taking anybody along."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engine.band.patterns import PatternBand
from engine.band.process import (
    AccompanistFailed,
    AccompanistProcess,
    AccompanistReady,
    auto_band,
    band_named,
    open_band,
)
from engine.bundles.bundle import FOLDERS_VARIABLE, bundles
from engine.errors import BundleError
from engine.protocols.accompanist import BarMade
from tests.tiny_getmusic import write_tiny_getmusic
from tests.unit.engine.band.test_patterns import REQUEST


def answer(maker: AccompanistProcess, seconds: float = 20.0) -> object:
    """The next thing it says."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = maker.poll(0.1)
        if said is not None:
            return said
    return pytest.fail("nothing was said")


def test_it_says_when_it_is_ready_answers_and_comes_back_after_its_death() -> None:
    maker = AccompanistProcess("pattern")
    try:
        assert isinstance(answer(maker), AccompanistReady)
        assert maker.ask(REQUEST)
        made = answer(maker)
        assert isinstance(made, BarMade)
        assert made.bars == PatternBand().make(REQUEST).bars
        assert maker._child is not None
        os.kill(maker._child.pid, signal.SIGKILL)
        assert answer(maker) == AccompanistFailed(REQUEST.number, "its process has ended")
        assert isinstance(answer(maker), AccompanistReady)
        assert maker.ask(REQUEST)
    finally:
        maker.stop()
    assert maker.poll() is None
    assert not maker.ask(REQUEST)


def test_where_nobody_is_named_the_first_bundle_of_notes_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.bundles.bundle.bundles", list)
    assert auto_band() == "pattern"
    monkeypatch.undo()
    monkeypatch.setenv(FOLDERS_VARIABLE, str(tmp_path))
    write_tiny_getmusic(tmp_path / "aaa", "window", context=128)
    assert auto_band() in {info.name for info in bundles() if info.family == "getmusic"}
    made = open_band(str(tmp_path / "aaa")).make(replace(REQUEST, deadline_s=time.perf_counter() + 60.0))
    assert (made.number, made.bar) == (REQUEST.number, REQUEST.bar)
    assert made.steps >= 1


def test_what_cannot_accompany_is_named() -> None:
    with pytest.raises(BundleError, match="cannot accompany"):
        open_band("tone")
    with pytest.raises(BundleError, match="no-such-band"):
        open_band("no-such-band")


def test_old_names_are_still_understood() -> None:
    assert band_named("house") == band_named("pattern") == "pattern"
    assert band_named("usual") == band_named("auto") == auto_band()
    assert isinstance(open_band("house"), PatternBand)
