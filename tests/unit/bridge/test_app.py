"""What puts a session and its ports together."""

from pathlib import Path
from typing import Any

import pytest

from bridge.app import App
from bridge.settings import Settings
from engine.errors import ControlError
from engine.messages.session import NOW, BandStart, Command, Load, Panic, Set, When


class _Faulty:
    """A session whose news cannot be had three times, and then can."""

    def __init__(self, app: App) -> None:
        self.app, self.polls = app, 0

    def poll(self) -> list[Any]:
        self.polls += 1
        if self.polls <= 3:
            raise OSError("no news")
        self.app._ended.set()
        return []


class _Silent:
    def poll(self) -> list[str]:
        return ["the device is back"]


def test_a_mistake_does_not_end_the_news_and_is_told_once() -> None:
    said: list[str] = []
    app: Any = App(Settings(), say=said.append)
    app.session, app.audio = _Faulty(app), _Silent()
    app._carry()
    assert app.session.polls == 4
    assert said == ["internal error while handling events: OSError: no news", "the device is back"]


class _Posted:
    """A session that keeps what it is asked."""

    def __init__(self) -> None:
        self.commands: list[Command] = []

    def post(self, command: Command, when: When = NOW) -> int:
        self.commands.append(command)
        return len(self.commands)


def app_of(*voices: str) -> Any:
    app: Any = App(Settings(), say=lambda line: None)
    app.session, app._names = _Posted(), set(voices)
    return app


def test_a_load_is_passed_on_without_a_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes in the thread that answers OSC; the voice's process hashes the bundle."""
    monkeypatch.setattr("hashlib.sha256", lambda *_: 1 // 0)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: 1 // 0)
    app = app_of("musika")
    for bundle in ("musika-live", "musicgen-live", "tone"):
        app.post(Load(voice="musika", bundle=bundle))
    assert [command.bundle for command in app.session.commands] == ["musika-live", "musicgen-live", "tone"]


@pytest.mark.parametrize(
    ("bundle", "says"),
    [
        ("getmusic-live", "getmusic-live makes notes, not sound"),
        ("nothing", "no bundle 'nothing'"),
        ("../engine/starter/musika-live", "no bundle"),
        (str(Path(__file__).parents[3] / "engine" / "starter" / "musika-live"), "no bundle"),
        ("", "no bundle"),
    ],
)
def test_a_load_of_what_is_no_voice_is_refused_at_once(bundle: str, says: str) -> None:
    app = app_of("musika")
    with pytest.raises(ControlError, match=says):
        app.post(Load(voice="musika", bundle=bundle))
    assert not app.session.commands


def test_a_ninth_voice_is_refused_and_the_eight_can_still_be_loaded() -> None:
    """Each is a process of its own."""
    app = app_of("v1")
    for number in range(1, 9):
        app.post(Load(voice=f"v{number}", bundle="tone"))
    with pytest.raises(ControlError, match="the limit of 8 voices is reached; load into one of"):
        app.post(Load(voice="v9", bundle="tone"))
    app.post(Load(voice="v3", bundle="tone"))
    assert [command.voice for command in app.session.commands] == [*(f"v{n}" for n in range(1, 9)), "v3"]
    with pytest.raises(ControlError, match="the limit of 8 voices is reached"):
        app.post(Load(voice="v9", bundle="tone"))


class _Band:
    """A session band that keeps what it is asked."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def panic(self) -> None:
        self.calls.append("panic")

    def post(self, command: Command, when: When) -> int:
        self.calls.append(command)
        return -1


def test_panic_reaches_the_band_and_the_voices() -> None:
    app = app_of("musika")
    app.band = _Band()
    app.post(Panic())
    assert (app.band.calls, app.session.commands) == (["panic"], [Panic()])


def test_commands_of_the_band_reach_it_alone() -> None:
    app = app_of("musika")
    app.band = _Band()
    for command in (BandStart(), Set(("band", "steps"), 4)):
        assert app.post(command) == -1
    assert (len(app.band.calls), app.session.commands) == (2, [])
    app.post(Set(("musika", "gain"), 0.0))
    assert (len(app.band.calls), len(app.session.commands)) == (2, 1)
