"""What puts a session and its ports together."""

from typing import Any

from bridge.app import App
from bridge.settings import Settings


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
    assert said == ["while carrying news: OSError: no news", "the device is back"]
