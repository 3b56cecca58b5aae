"""Every streamer keeps the Streamer protocol, and every bundle that is shipped: one line an implementation."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from engine.bundles.bundle import makes_sound, open_streamer
from engine.models.musicgen.streamer import MusicgenLive
from engine.models.tone import ToneStreamer
from engine.protocols.streamer import Streamer
from tests.contract.streamer import CHECKS, Make
from tests.tiny_bundles import open_tiny_musika
from tests.tiny_musicgen import open_tiny

STARTERS = Path(__file__).parents[2] / "engine" / "starter"


def shipped(name: str) -> Make:
    """Opens a starter; twice at most, since checks ask for it again and again."""

    @cache
    def two() -> Iterator[Streamer[Any, Any]]:
        return cycle([open_streamer(name), open_streamer(name)])

    return lambda: next(two())


STREAMERS: dict[str, Make] = {
    "tone": ToneStreamer,
    "tone at 22050 Hz": lambda: ToneStreamer(sample_rate=22050, frames=4, hop=256),
    "musika": open_tiny_musika,
    "musika told of density and tempo": lambda: open_tiny_musika(condition=2, conditions=["density", "tempo"]),
    "musicgen": lambda: MusicgenLive(open_tiny("plain")),
    "musicgen in stereo": lambda: MusicgenLive(open_tiny("stereo")),
    "musicgen that follows melodies": lambda: MusicgenLive(open_tiny("melody")),
    "musicgen that is conducted": lambda: MusicgenLive(open_tiny("conducted")),
    "musicgen without words": lambda: MusicgenLive(open_tiny("wordless")),
    **{path.name: shipped(path.name) for path in sorted(STARTERS.glob("*/")) if makes_sound(str(path))},
}


@pytest.mark.parametrize("name", STREAMERS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_streamer_keeps_its_contract(check: Callable[[Callable[[], Streamer[Any, Any]]], None], name: str) -> None:
    check(STREAMERS[name])


def test_every_shipped_bundle_of_sound_is_under_the_contract() -> None:
    assert {"tone", "musika-live", "musicgen-live"} <= set(STREAMERS)
