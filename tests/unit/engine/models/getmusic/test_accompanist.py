"""A band of a network: the bar that was asked for, in time, whatever the player has not played yet."""

from dataclasses import replace

import numpy as np
import pytest

from engine.models.getmusic.accompanist import GetmusicAccompanist
from engine.models.getmusic.facts import GetmusicFacts
from engine.models.getmusic.model import Getmusic, GetmusicControls
from engine.models.getmusic.network import Network, Prediction
from engine.music.harmony import parse_chord
from engine.music.score import Note
from engine.protocols.accompanist import BAR_TICKS, BEATS, BarMade, BarRequest
from tests.tiny_getmusic import facts, open_tiny_graphs

MELODY = tuple(Note(240 * i, 60 + (i * 5) % 12, 240, 100) for i in range(44))
CHORDS = tuple((parse_chord(name),) * BEATS for name in ("Am", "F", "C", "G") * 3)


class Slow:
    """A network that takes its time, on a clock of its own, and remembers what it was asked."""

    def __init__(self, network: Network, seconds: float) -> None:
        self._network, self._seconds = network, seconds
        self.rows, self.context, self.window = network.rows, network.context, network.window
        self.conducted = network.conducted
        self.now_s = 0.0
        self.asked: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def predict(
        self, tokens: np.ndarray, given: np.ndarray, t: int, asked: np.ndarray, features: np.ndarray | None = None
    ) -> Prediction:
        self.now_s += self._seconds
        self.asked.append((tokens.copy(), given.copy(), asked.copy()))
        return self._network.predict(tokens, given, t, asked, features)


def maker_of(kind: str = "network", seconds: float = 0.01, **more: object) -> tuple[GetmusicAccompanist, Slow]:
    made = Getmusic.of(open_tiny_graphs(kind, **more))
    slow = Slow(made.network, seconds)
    model = Getmusic(slow, GetmusicFacts.from_mapping(facts(**more)))
    return GetmusicAccompanist(model, GetmusicControls(steps=8), clock=lambda: slow.now_s), slow


def request_of(**more: object) -> BarRequest:
    asked = BarRequest(
        number=7, bar=6, first=0, tracks={"lead": MELODY, "bass": (Note(0, 33, 480, 70), Note(1920, 36, 480, 70))},
        known=5 * BAR_TICKS + 960, targets=("bass", "drum", "piano"), chords=CHORDS[:8], tempo_bpm=120.0,
        deadline_s=100.0, seed=3,
    )  # fmt: skip
    return replace(asked, **more)


def notes_in(made: BarMade) -> list[Note]:
    return [note for bar in made.bars for notes in bar.values() for note in notes]


@pytest.mark.parametrize(("kind", "window"), [("network", 128), ("window", 32)])
def test_it_makes_the_bars_that_were_asked_for(kind: str, window: int) -> None:
    maker, _ = maker_of(kind, window=window)
    made = maker.make(request_of())
    assert (made.number, made.bar, len(made.bars)) == (7, 6, 2)
    assert all(set(bar) == {"bass", "drum", "piano"} for bar in made.bars)
    assert notes_in(made)
    assert all(0 <= note.start < BAR_TICKS for note in notes_in(made))
    assert 8 < made.steps <= 8 + 4


@pytest.mark.parametrize(("kind", "window"), [("network", 128), ("window", 32)])
def test_the_same_request_gets_the_same_answer(kind: str, window: int) -> None:
    maker, _ = maker_of(kind, window=window)
    first = maker.make(request_of())
    maker.make(request_of(bar=7, seed=9))
    assert maker.make(request_of()).bars == first.bars
    assert maker.make(request_of(seed=4)).bars != first.bars


@pytest.mark.parametrize(("left_s", "most"), [(0.5, 12), (0.07, 4), (0.035, 1), (0.0, 1)])
def test_it_is_in_time(left_s: float, most: int) -> None:
    maker, slow = maker_of(seconds=0.01)
    maker.warm()
    slow.asked.clear()
    made = maker.make(request_of(deadline_s=slow.now_s + left_s))
    assert 1 <= len(slow.asked) <= most
    assert made.seconds <= max(left_s, 0.011)
    assert len(made.bars) >= 1


def test_a_network_that_gets_slower_ends_the_bar_early() -> None:
    maker, slow = maker_of(seconds=0.01)
    maker.warm()
    slow._seconds = 0.05
    slow.asked.clear()
    made = maker.make(request_of(deadline_s=slow.now_s + 0.2))
    assert made.seconds <= 0.2
    assert len(made.bars) == 1
    assert set(made.bars[0]) == {"bass", "drum", "piano"}


def test_what_the_player_has_not_played_is_unknown_not_silent() -> None:
    maker, slow = maker_of()
    maker.make(request_of(bars=1))
    tokens, given, asked = slow.asked[0]
    known = 5 * 16 + 8
    assert asked[0, 0, known:].all()
    assert not asked[0, 0, :known].any()
    assert not given[0, 0, known:].any()
    assert given[0, 0, :known].all()
    assert (tokens[0, 0, known:] == slow.rows.mask).all()


def test_what_is_unknown_in_a_kept_past_is_left_empty() -> None:
    maker, slow = maker_of("window", window=16)
    maker.make(request_of(bars=1))
    tokens, _, asked = slow.asked[0]
    assert (tokens[0, 0, 5 * 16 + 8 : 6 * 16] == slow.rows.empty).all()
    assert asked[0, 0, 6 * 16 :].all()
    assert not asked[0, 0, : 6 * 16].any()


def test_the_reserve_hears_the_bar_before_it() -> None:
    maker, slow = maker_of()
    made = maker.make(request_of())
    tokens = slow.asked[-1][0][0]
    line = 6 * 16
    begun = [note.start // 120 for note in made.bars[0]["bass"]]
    assert np.flatnonzero(tokens[2, line : line + 16] != 15).tolist() == sorted(set(begun))


def test_roles_that_are_not_wanted_are_not_made() -> None:
    maker, slow = maker_of()
    made = maker.make(request_of(targets=("drum",), bars=1))
    assert set(made.bars[0]) == {"drum"}
    assert not slow.asked[0][2][0, 2:4].any()


def test_notes_are_in_the_key_of_the_player_and_as_loud_as_before() -> None:
    """A piece a semitone higher is the same grid, so the same notes a semitone higher; drums stay."""
    maker, _ = maker_of(key_shift="near")
    here = maker.make(request_of(bars=1, chords=((None,) * BEATS,) * 7))
    up = {role: tuple(replace(n, pitch=n.pitch + 1) for n in notes) for role, notes in request_of().tracks.items()}
    there = maker.make(request_of(bars=1, tracks=up, chords=((None,) * BEATS,) * 7))
    for role, move in (("bass", 1), ("piano", 1), ("drum", 0)):
        moved = tuple(replace(note, pitch=note.pitch + move) for note in here.bars[0][role])
        assert there.bars[0][role] == moved
    assert {note.velocity for note in here.bars[0]["bass"]} <= {70}


def test_chords_are_told_bar_by_bar_and_late_where_the_network_learned_it_so() -> None:
    for lagged, bar in ((True, 1), (False, 0)):
        maker, slow = maker_of(lagged_chords=lagged, key_shift="none")
        maker.make(request_of(bars=1))
        roots = slow.asked[0][0][0, 12]
        dictionary = maker.model.dictionary
        assert roots[bar * 16] == dictionary.roots[9]  # A
        assert roots[bar * 16 + 16] == dictionary.roots[5]  # F


def test_a_wanted_density_reaches_the_bar() -> None:
    maker, _ = maker_of()
    few, many = (maker.make(request_of(bars=1, density={"drum": share})).bars[0]["drum"] for share in (0.0, 1.0))
    assert not few
    assert len({note.start for note in many}) == 16


def test_a_band_can_begin_with_nothing() -> None:
    maker, _ = maker_of()
    made = maker.make(request_of(bar=0, first=0, tracks={}, known=0, chords=CHORDS[:2]))
    assert len(made.bars) == 2
