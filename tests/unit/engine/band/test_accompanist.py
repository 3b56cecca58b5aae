"""The accompanist asks in time, plays what it gets, and has something else when it gets nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from engine.band.accompanist import Accompanist
from engine.band.actions import (
    SOURCES,
    Action,
    BandSettings,
    CancelNotes,
    Dropped,
    Planned,
    PlayNotes,
    ReleaseNotes,
    RequestBar,
)
from engine.band.ledger import Booking
from engine.band.patterns import PatternBand
from engine.music.harmony import parse_progression
from engine.music.pulse import Pulse
from engine.protocols.accompanist import BAR_TICKS, BarMade, BarRequest

PATTERN = PatternBand()
SETTINGS = BandSettings(progression=parse_progression("Am F C G"), warmup=0)
BAR_S = 2.0
Answer = Callable[[BarRequest], float | None]
"""How long a request takes; None: no answer ever."""


class Concert:
    """An accompanist under a clock that only the test moves, and a maker as slow as the test wants."""

    def __init__(self, settings: BandSettings = SETTINGS, answer: Answer = lambda request: 0.1) -> None:
        self.now, self.band, self.answer = 100.0, Accompanist(settings), answer
        self.asked: list[tuple[float, BarRequest]] = []
        self.planned: list[Planned] = []
        self.dropped: list[Dropped] = []
        self.played: list[Booking] = []
        self.unplayed: list[float] = []
        self.silences = 0
        self._flying: list[tuple[float, BarMade]] = []
        self.set_pulse(Pulse(self.now + BAR_S, 0.0, 120.0))  # a bar of count-in

    def bars(self, count: float) -> "Concert":
        """Go on for so many bars."""
        end = self.now + count * BAR_S
        while self.now < end:
            for at_s, made in [row for row in self._flying if row[0] <= self.now]:
                self._flying.remove((at_s, made))
                self.band.bar_made(made, self.now)
            self._act(self.band.advance(self.now))
            due = [at_s for at_s, _ in self._flying]
            step = min([self.band.next_s(self.now), self.now + 0.01, *due])
            self.now = min(end, max(step, self.now + 0.001))
        return self

    def set_pulse(self, pulse: Pulse | None, *, jumped: bool = False) -> None:
        self._act(self.band.set_pulse(pulse, jumped=jumped))

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case RequestBar(request):
                    self.asked.append((self.now, request))
                    seconds = self.answer(request)
                    if seconds is not None:
                        self._flying.append((self.now + seconds, PATTERN.make(request)))
                case PlayNotes(notes):
                    self.played += notes
                case CancelNotes(tick):
                    self.unplayed.append(tick)
                case ReleaseNotes():
                    self.silences += 1
                case Planned():
                    self.planned.append(action)
                case Dropped():
                    self.dropped.append(action)

    def press(self, pitch: int, seconds: float = 0.2, velocity: int = 90) -> None:
        self.band.receive((0x90, pitch, velocity), self.now)
        self.band.receive((0x80, pitch, 0), self.now + seconds)

    @property
    def sources(self) -> list[str]:
        return [news.source for news in self.planned]


def test_every_bar_is_made_one_bar_ahead_and_none_twice() -> None:
    concert = Concert().bars(12)
    assert [news.bar for news in concert.planned] == list(range(12))
    assert set(concert.sources) == {"made"}
    assert all(0.0 < news.ahead_s < BAR_S for news in concert.planned)
    lines = {int(note.start // BAR_TICKS) for note in concert.played}
    assert lines == set(range(12))
    assert [str(news.chords[0]) for news in concert.planned[:4]] == ["Am", "F", "C", "G"]


def test_it_listens_before_it_joins() -> None:
    concert = Concert(replace(SETTINGS, warmup=2)).bars(6)
    assert [news.bar for news in concert.planned] == [2, 3, 4, 5]


def test_quick_maker_is_asked_later_and_so_knows_more() -> None:
    phases = [
        [(at_s - 100.0) / BAR_S % 1.0 for at_s, _ in Concert(answer=lambda r, s=s: s).bars(10).asked]
        for s in (0.05, 0.6, 0.9)
    ]
    for rows, low, high in zip(phases, (0.74, 0.49, 0.49), (0.76, 0.55, 0.51), strict=True):
        assert 0.49 <= rows[0] <= 0.51
        assert all(low <= row <= high for row in rows[1:])


def test_request_tells_what_was_played_and_that_the_rest_is_unknown() -> None:
    concert = Concert().bars(2.25)
    concert.press(72)
    concert.bars(0.52)
    _, request = concert.asked[-1]
    assert request.bar == 2
    assert request.first == 0
    assert [(note.start, note.pitch) for note in request.tracks["lead"]] == [(BAR_TICKS + 480, 72)]
    assert BAR_TICKS + 0.7 * BAR_TICKS < request.known < BAR_TICKS + 0.8 * BAR_TICKS
    assert max(note.start for note in request.tracks["bass"]) >= BAR_TICKS  # the bar that plays is told, too
    assert [str(row[0]) for row in request.chords] == ["Am", "F", "C", "G"]
    assert request.deadline_s < 100.0 + 3 * BAR_S


def test_context_is_as_long_as_wanted() -> None:
    concert = Concert(replace(SETTINGS, context=4)).bars(10)
    _, request = concert.asked[-1]
    assert request.first == request.bar - 4
    assert all(0 <= note.start < 4 * BAR_TICKS for notes in request.tracks.values() for note in notes)
    assert len(request.chords) == 6


@pytest.mark.parametrize("seconds", [1.2, None])
def test_missing_bar_is_replaced_by_the_reserve_of_the_one_before(seconds: float | None) -> None:
    concert = Concert(answer=lambda request: seconds if request.bar == 5 else 0.1).bars(8)
    assert concert.sources[5] == "reserve"
    assert concert.planned[5].tracks == PATTERN.make(concert.asked[4][1]).bars[1]
    assert concert.planned[5].ahead_s > 0.0


def test_late_answer_is_dropped_and_the_next_bar_is_asked_for_as_usual() -> None:
    concert = Concert(answer=lambda request: 1.2 if request.bar == 5 else 0.1).bars(8)
    assert [(news.bar, news.why) for news in concert.dropped] == [(5, "late")]
    assert concert.band.counts["late"] == 1
    assert concert.sources[6:] == ["made", "made"]
    assert sum(1 for note in concert.played if note.start == 5 * BAR_TICKS and note.channel == 1) == 1


def test_fallbacks_come_in_order_when_the_maker_is_silent_for_good() -> None:
    concert = Concert(answer=lambda request: 0.1 if request.bar < 4 else None).bars(10)
    assert concert.sources == ["made"] * 4 + ["reserve"] + ["repeat"] * 5
    for news in concert.planned[5:]:
        assert news.tracks == concert.planned[news.bar % 4 if news.bar % 4 else 4].tracks
    assert len(concert.asked) == 5  # one in flight, never two


def test_without_anything_to_repeat_the_chord_is_held() -> None:
    concert = Concert(answer=lambda request: None).bars(3)
    assert concert.sources == ["pad"] * 3
    assert {note.pitch % 12 for note in concert.planned[0].tracks["string"]} == {9, 0, 4}
    assert concert.planned[0].tracks["bass"][0].pitch % 12 == 9


def test_without_a_chord_there_is_silence_rather_than_a_guess() -> None:
    concert = Concert(BandSettings(warmup=0), answer=lambda request: None).bars(2)
    assert concert.sources == ["silence"] * 2
    assert not concert.played


def test_failed_job_is_told_and_asked_for_again_while_there_is_time() -> None:
    concert = Concert(answer=lambda request: None).bars(0.6)
    concert.band.bar_failed(concert.asked[-1][1].number, "as it happens")
    concert.answer = lambda request: 0.1
    concert.bars(0.4)
    assert [news.why for news in concert.dropped] == ["as it happens"]
    assert concert.sources == ["made"]


def test_held_chord_goes_before_the_progression_and_is_followed_while_there_is_time() -> None:
    concert = Concert(replace(SETTINGS, split=60)).bars(3.84)
    assert str(concert.planned[-1].chords[0]) == "G"
    for pitch in (50, 53, 57):
        concert.band.receive((0x90, pitch, 90), concert.now)
    concert.bars(0.16)
    assert [str(news.chords[0]) for news in concert.planned[-2:]] == ["G", "Dm"]
    assert concert.planned[-1].bar == 3
    assert concert.unplayed == [3 * BAR_TICKS]


def test_chord_that_is_heard_is_taken_for_the_next_bar() -> None:
    concert = Concert(BandSettings(warmup=1)).bars(1.01)
    for pitch in (62, 65, 69):
        concert.press(pitch, 0.4)
        concert.bars(0.2)
    concert.bars(0.4)
    assert str(concert.planned[-1].chords[0]) == "Dm"


def test_band_follows_the_players_loudness_half_way() -> None:
    def loudness(velocity: int) -> float:
        concert = Concert()
        for _ in range(24):
            concert.press(72, velocity=velocity)
            concert.bars(0.25)
        return sum(note.velocity for note in concert.played[-40:]) / 40

    assert loudness(40) < 0.8 * loudness(90)
    assert loudness(120) > loudness(90)


def test_stop_ends_everything_and_an_answer_after_it_is_not_played() -> None:
    concert = Concert(answer=lambda request: 0.3).bars(3.6)
    count = len(concert.played)
    concert.set_pulse(None)
    concert.bars(2)
    assert concert.silences == 1
    assert len(concert.played) == count
    concert.set_pulse(Pulse(concert.now, 0.0, 120.0), jumped=True)
    concert.bars(3)
    assert [news.bar for news in concert.planned[-3:]] == [1, 2, 3]


def test_jump_silences_and_goes_on_from_there() -> None:
    concert = Concert().bars(4.3)
    concert.set_pulse(Pulse(concert.now, 40 * BAR_TICKS + 100.0, 120.0), jumped=True)
    concert.bars(2)
    assert concert.silences == 1
    assert [news.bar for news in concert.planned[-2:]] == [41, 42]


def test_tempo_change_moves_the_deadline_and_nothing_is_missed() -> None:
    concert = Concert()
    for step in range(20):
        tempo = 60.0 + 17.0 * (step % 9)
        assert concert.band.pulse is not None
        concert.set_pulse(concert.band.pulse.at_tempo(tempo, concert.now))
        concert.bars(0.7)
    assert set(concert.sources) == {"made"}
    bars = [news.bar for news in concert.planned]
    assert bars == list(range(len(bars)))


def test_mad_answer_is_cut_to_what_can_be_played() -> None:
    concert = Concert(answer=lambda request: None).bars(0.6)
    made = PATTERN.make(concert.asked[-1][1])
    bars = ({**made.bars[0], "kazoo": made.bars[0]["bass"], "bass": made.bars[0]["bass"] * 1000},)
    concert.band.bar_made(replace(made, bars=bars), concert.now)
    concert.bars(0.1)
    assert "kazoo" not in concert.planned[-1].tracks
    assert len(concert.planned[-1].tracks["bass"]) <= 512


def test_counts_name_every_source() -> None:
    assert set(SOURCES) <= set(Accompanist(SETTINGS).counts)


def test_a_conductor_goes_before_the_progression_and_a_change_is_made_again_in_time() -> None:
    concert, told = Concert(), parse_progression("D")[0] * 4
    concert.band.conductor_chords = lambda bar: told
    concert.bars(1.82)
    assert {str(chord) for chord in concert.planned[-1].chords} == {"D"}
    made_for = concert.planned[-1].bar
    told = parse_progression("Em")[0] * 4
    concert.bars(0.15)
    assert [news.bar for news in concert.planned].count(made_for) == 2
    assert {str(chord) for chord in concert.planned[-1].chords} == {"Em"}


def test_where_a_conductor_says_nothing_the_progression_holds() -> None:
    concert = Concert()
    concert.band.conductor_chords = lambda bar: (None,) * 4
    concert.bars(2.6)
    assert [str(news.chords[0]) for news in concert.planned] == ["Am", "F"][: len(concert.planned)]


def test_wishes_hold_from_the_next_bar_and_a_register_is_met_by_octaves() -> None:
    concert = Concert().bars(1.2)
    concert.band.set_settings(replace(SETTINGS, targets=("bass",), register={"bass": 60}))
    concert.bars(2.0)
    last = concert.planned[-1].tracks
    assert set(last) == {"bass"}
    assert all(54 <= note.pitch <= 74 for note in last["bass"])
