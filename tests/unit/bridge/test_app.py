"""What puts a session and its ports together."""

from pathlib import Path
from typing import Any

import pytest

from bridge.__main__ import settings_from
from bridge.app import App
from bridge.settings import Settings
from bridge.voices import FIRST_VOICE, voices_of
from engine.errors import ControlError
from engine.messages.session import NOW, Applied, BandStart, Command, Failed, Load, Panic, Set, Unload, When
from engine.models.tone import ToneControls
from engine.session.slot import VoiceStatus


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


class _Voices(_Posted):
    """A session with these voices."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = set(names)

    def voices(self) -> list[VoiceStatus]:
        return [
            VoiceStatus(name=name, bundle="tone", seed=0, playing=True, loaded=True, loading=False, controls=None)
            for name in self.names
        ]


def test_the_name_of_a_voice_is_free_once_it_is_unloaded() -> None:
    """Eight at one time, not for good."""
    names = [f"v{n}" for n in range(8)]
    app = app_of(*names)
    app.session, app._controls = _Voices(*names), dict.fromkeys(names, ToneControls())
    for _ in range(20):
        with pytest.raises(ControlError, match="unload one"):
            app.post(Load(voice="another", bundle="tone"))
        app._note(Applied(number=1, command=Unload(voice="v3"), voice="v3", sample=0, latency_ms=0.0))
        assert "v3" in app._names, "it is loaded again, or still"
        app.session.names.discard("v3")
        app._note(Applied(number=1, command=Unload(voice="v3"), voice="v3", sample=0, latency_ms=0.0))
        assert "v3" not in app._space.voices
        app.post(Load(voice="v3", bundle="tone"))
        app.session.names.add("v3")
        app._controls["v3"] = ToneControls()


def test_the_name_of_a_voice_that_never_came_up_is_free() -> None:
    app = app_of(*(f"v{n}" for n in range(7)))
    for _ in range(3):
        app.post(Load(voice="typo", bundle="tone"))
        app._note(Failed(number=1, command=Load(voice="typo", bundle="tone"), reason="no memory"))
    app.post(Load(voice="v8", bundle="tone"))
    assert "typo" not in app._names


def test_without_a_bundle_the_voice_plays_that_help_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a published bundle of another family comes first."""
    starters = Path(__file__).parents[3] / "engine" / "starter"
    for name in ("aaa", "musika-44k"):
        (tmp_path / name).symlink_to(starters / "musika-live")
    monkeypatch.setenv("RIPIENO_BUNDLES", str(tmp_path))
    ((voice, info),) = voices_of(Settings())
    assert (voice, info.name) == ("musika", FIRST_VOICE)
    with pytest.raises(SystemExit):
        settings_from(["--help"])
    assert f"default: {FIRST_VOICE}" in capsys.readouterr().out
