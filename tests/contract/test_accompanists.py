"""Every accompanist keeps the AccompanistModel protocol, the shipped one included: one line an implementation."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from engine.band.patterns import PatternBand
from engine.bundles.bundle import open_model
from engine.models.getmusic.accompanist import GetmusicAccompanist
from engine.models.getmusic.model import Getmusic, GetmusicControls
from engine.music.harmony import parse_chord
from engine.music.score import Note
from engine.protocols.accompanist import BAR_TICKS, BEATS, AccompanistModel, BarMade, BarRequest
from tests.tiny_getmusic import open_tiny_graphs

CONTROLS = GetmusicControls(steps=4)
REQUEST = BarRequest(
    number=7,
    bar=6,
    first=0,
    tracks={
        "lead": tuple(Note(240 * i, 60 + (i * 5) % 12, 240, 100) for i in range(44)),
        "bass": (Note(0, 33, 480, 70), Note(1920, 36, 480, 70)),
    },
    known=5 * BAR_TICKS + 960,
    targets=("bass", "drum", "piano"),
    chords=tuple((parse_chord(name),) * BEATS for name in ("Am", "F", "C", "G") * 2),
    tempo_bpm=120.0,
    deadline_s=100.0,
    seed=3,
)


@cache
def shipped() -> Getmusic:
    return open_model("getmusic-live", "accompany")


def still(model: Getmusic) -> GetmusicAccompanist:
    """On a clock that stands, so that there is always time enough."""
    return GetmusicAccompanist(model, CONTROLS, clock=lambda: 0.0)


MODELS: dict[str, Callable[[], AccompanistModel]] = {
    "patterns": PatternBand,
    "network": lambda: still(Getmusic.of(open_tiny_graphs("network"))),
    "window": lambda: still(Getmusic.of(open_tiny_graphs("window", window=32))),
    "getmusic-live": lambda: still(shipped()),
}


@pytest.fixture(params=MODELS)
def make(request: pytest.FixtureRequest) -> Callable[[], AccompanistModel]:
    return MODELS[request.param]


def bars_of(made: BarMade) -> list[dict[str, tuple[Note, ...]]]:
    return [{role: tuple(notes) for role, notes in bar.items() if notes} for bar in made.bars]


def test_the_same_request_gets_the_same_answer_whatever_was_asked_before(make: Callable[[], AccompanistModel]) -> None:
    model = make()
    first = bars_of(model.make(REQUEST))
    model.make(replace(REQUEST, bar=7, bars=1, seed=9, targets=("guitar",)))
    assert bars_of(model.make(REQUEST)) == first
    assert bars_of(make().make(REQUEST)) == first


def test_a_request_stays_as_it_was(make: Callable[[], AccompanistModel]) -> None:
    request = copy.deepcopy(REQUEST)
    make().make(request)
    assert request == REQUEST


def test_it_answers_what_was_asked_with_notes_of_its_bar(make: Callable[[], AccompanistModel]) -> None:
    made = make().make(REQUEST)
    assert (made.number, made.bar) == (REQUEST.number, REQUEST.bar)
    assert 1 <= len(made.bars) <= REQUEST.bars
    notes = [note for bar in made.bars for each in bar.values() for note in each]
    assert {role for bar in made.bars for role in bar} <= set(REQUEST.targets)
    assert notes
    for note in notes:
        assert 0 <= note.start < BAR_TICKS
        assert 0 <= note.pitch <= 127
        assert 1 <= note.velocity <= 127
        assert note.length > 0


def test_nothing_played_and_nothing_known_is_answered_too(make: Callable[[], AccompanistModel]) -> None:
    empty = replace(REQUEST, tracks={}, chords=((None,) * BEATS,) * 8, known=0)
    assert make().make(empty).bars
