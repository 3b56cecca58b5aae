"""Whatever happens, every note-on that leaves is answered by exactly one note-off, and no exception escapes."""

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.midi.clock import ClockFollower
from bridge.midi.output_commands import (
    AllNotesOff,
    AllSoundOff,
    Book,
    OutputCommand,
    Raw,
    Release,
    SetPulse,
    StartClock,
    StopClock,
    Strike,
    Withdraw,
)
from bridge.midi.sender import Sender, SenderSetup
from engine.band.accompanist import Accompanist
from engine.band.actions import Action, BandSettings, CancelNotes, PlayNotes, ReleaseNotes, RequestBar
from engine.band.ledger import SHORTEST_S, Booking, DueMessage, Ledger
from engine.band.patterns import PatternBand
from engine.music.harmony import parse_progression
from engine.music.pulse import Pulse
from engine.music.score import Note
from engine.protocols.accompanist import BAR_TICKS, BarMade, BarRequest

SEQUENCES = 10_000
PATTERN = PatternBand()


class Synthesizer:
    """Keeps what sounds by what it is sent. A lost port loses what is sent; the synthesizer goes on sounding."""

    def __init__(self) -> None:
        self.sounding: Counter[tuple[int, int]] = Counter()
        self.ons = self.offs = 0
        self.began: dict[tuple[int, int], float] = {}
        self.shortest_s = math.inf
        self.orphans = 0

    def send(self, message: bytes, now_s: float, *, forced: bool = False) -> None:
        if len(message) < 3:
            return
        kind, key = message[0] & 0xF0, (message[0] & 0x0F, message[1])
        if kind == 0x90:
            assert message[2] > 0
            self.ons += 1
            self.sounding[key] += 1
            self.began[key] = now_s
            assert self.sounding[key] == 1, "struck again before it was let go"
        elif kind == 0x80:
            self.offs += 1
            self.orphans += not self.sounding[key]
            self.sounding[key] -= 1
            if not forced:
                self.shortest_s = min(self.shortest_s, now_s - self.began[key])
            assert self.sounding[key] == 0, "let go without being struck"


def booking(chance: random.Random, number: int, tick: float) -> Booking:
    start = tick + chance.choice((0.0, -960.0, 120.0, chance.uniform(-100.0, 4000.0)))
    end = start + chance.choice((0.0, -50.0, 1.0, 120.0, 480.0, 5000.0, math.inf))
    return Booking(number, start, end, chance.randrange(3), 60 + chance.randrange(4), chance.randrange(128))


def ledger_sequence(seed: int) -> Synthesizer:
    """One random life of a ledger: notes booked and struck, stops, panics, losses, tempo changes, jumps, floods."""
    chance, ledger, heard = random.Random(seed), Ledger(), Synthesizer()
    now, number, away = 100.0, 0, False
    pulse: Pulse | None = Pulse(now, 0.0, 120.0)
    struck: list[Booking] = []

    def take(dues: Sequence[DueMessage], *, forced: bool = False) -> None:
        assert not (away and dues), "nothing can be sent to a port that has gone"
        for due in dues:
            heard.send(due.message, now, forced=forced)

    for _ in range(chance.randrange(5, 60)):
        what = chance.random()
        tick = 0.0 if pulse is None else pulse.tick_at(now)
        if what < 0.35:
            notes = [booking(chance, number + i, tick) for i in range(chance.choice((1, 2, 5, 40)))]
            number += len(notes)
            ledger.book(notes)
        elif what < 0.6:
            now += chance.choice((0.0, 0.001, 0.005, 0.02, 0.3, 5.0))
            take(ledger.due(now, pulse))
        elif what < 0.68:
            number += 1
            struck.append(booking(chance, number, tick))
            take(ledger.strike(number, struck[-1].channel, struck[-1].pitch, struck[-1].velocity, now))
        elif what < 0.76 and struck:
            key = struck.pop(chance.randrange(len(struck)))
            take(ledger.release(key.id, key.channel, key.pitch, now))
        elif what < 0.82:
            pulse = None if chance.random() < 0.3 else Pulse(now, tick, chance.uniform(20.0, 400.0))
        elif what < 0.86:
            take(ledger.all_notes_off(now), forced=True)
            pulse = Pulse(now, chance.uniform(0.0, 1e6), 120.0)  # locate
        elif what < 0.90:
            take(ledger.finish(now, panic=chance.random() < 0.5), forced=True)
        elif what < 0.94:
            ledger.withdraw(tick + chance.uniform(-100.0, 1000.0), chance.choice((None, (0,), (1, 2))))
        elif not away and chance.random() < 0.5:
            ledger.port_lost()
            away = True
        elif away:
            away = False
            take(ledger.port_back(now), forced=True)
    if away:
        away = False
        take(ledger.port_back(now), forced=True)
    take(ledger.finish(now), forced=True)
    assert (ledger.counts.ons, ledger.counts.offs) == (heard.ons, heard.offs)
    return heard


def test_every_note_on_is_answered_once_in_ten_thousand_lives_of_a_ledger() -> None:
    ons = 0
    for seed in range(SEQUENCES):
        heard = ledger_sequence(seed)
        assert (+heard.sounding, heard.offs, heard.orphans) == ({}, heard.ons, 0), f"sequence {seed}"
        assert heard.shortest_s >= SHORTEST_S - 1e-9, f"sequence {seed}"
        ons += heard.ons
    assert ons > 5 * SEQUENCES  # it is not quiet because nothing is played


MESSAGE = st.one_of(
    st.tuples(st.sampled_from((0x90, 0x80, 0x91, 0x99)), st.integers(30, 90), st.integers(0, 127)).map(bytes),
    st.binary(max_size=5),
    st.sampled_from((b"\xf8", b"\xfa", b"\xfb", b"\xfc", b"\xff", b"\xfe", b"\xf2\x10\x00", b"\xb0\x7b\x00")),
)
STEP = st.one_of(
    st.tuples(st.just("hear"), st.lists(MESSAGE, max_size=30)),
    st.tuples(st.just("wait"), st.sampled_from((0.001, 0.02, 0.3, 1.0, 2.5))),
    st.tuples(st.just("answer"), st.sampled_from(("right", "wrong", "mad", "never", "failed"))),
    st.tuples(st.just("tempo"), st.floats(20.0, 400.0)),
    st.tuples(st.just("locate"), st.floats(0.0, 1e7)),
    st.tuples(st.sampled_from(("stop", "panic", "restart", "again")), st.none()),
)


class Stage:
    """Accompanist, maker and sender as they are on stage, under a clock that only this test moves."""

    def __init__(self) -> None:
        self.now, self.heard = 10.0, Synthesizer()
        self.band = Accompanist(BandSettings(progression=parse_progression("Am F C G"), warmup=0, split=50))
        self.asked: BarRequest | None = None
        self.forced = False
        self.clock = ClockFollower()
        self.sender = self.fresh()
        self.keys: dict[tuple[int, int], int] = {}
        self.ids = 0

    def fresh(self) -> Sender:
        owed = tuple(key for key, count in self.heard.sounding.items() if count)
        setup = SenderSetup(clock=True, channels=(0, 1, 2, 3, 4, 9), owed=owed)
        self.forced = True
        sender = Sender(lambda message: self.heard.send(message, self.now, forced=self.forced), setup, lambda: self.now)
        self.forced = False
        return sender

    def order(self, *orders: OutputCommand) -> None:
        self.forced = True
        for order in orders:
            self.sender.apply(order)
        self.forced = False

    def turn(self) -> None:
        self.act(self.band.advance(self.now))
        self.sender.send_due()

    def act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case RequestBar(request):
                    self.asked = request
                case PlayNotes(notes):
                    self.order(Book(notes))
                case CancelNotes(tick):
                    self.order(Withdraw(tick, (1, 2, 3, 4, 9)))
                case ReleaseNotes():
                    self.order(AllNotesOff())

    def set(self, pulse: Pulse | None, *, jumped: bool) -> None:
        self.act(self.band.set_pulse(pulse, jumped=jumped))
        if jumped or pulse is None:
            self.order(StopClock(), AllNotesOff())
        self.order(SetPulse(pulse))
        if pulse is not None and jumped:
            self.order(Raw((b"\xc1\x20",)), StartClock(pulse.tick_at(self.now)))

    def hear(self, message: bytes) -> None:
        self.clock.feed(message, self.now)
        self.band.receive(message, self.now)
        if len(message) >= 3 and max(message[1:3]) < 128 and message[0] in (0x90, 0x80):
            key = (0, message[1])
            if message[0] == 0x90 and message[2]:
                self.ids -= 1
                self.keys[key] = self.ids
                self.order(Strike(self.ids, *key, message[2]))
            elif key in self.keys:
                self.order(Release(self.keys.pop(key), *key))

    def answer(self, how: str) -> None:
        request, self.asked = self.asked, None
        if request is None:
            return
        answer = PATTERN.make(request)
        match how:
            case "right":
                self.band.bar_made(answer, self.now)
            case "wrong":
                self.band.bar_made(BarMade(number=request.number + 7, bar=request.bar, bars=answer.bars), self.now)
            case "mad":
                notes = tuple(Note(i * 7, i % 128, 100_000) for i in range(2000))
                bar = {"bass": notes, "nobody": notes, "drum": notes[:3]}
                self.band.bar_made(BarMade(number=request.number, bar=request.bar, bars=(bar, bar, bar)), self.now)
            case "failed":
                self.band.bar_failed(request.number, "as it happens")

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(
                end, self.now + max(0.0005, min(self.sender.wait_s(), self.band.next_s(self.now) - self.now))
            )
            self.turn()


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_nothing_hangs_whatever_is_played_ordered_answered_or_lost(steps: list[tuple[str, object]]) -> None:
    stage = Stage()
    stage.set(Pulse(stage.now, 0.0, 120.0), jumped=True)
    doings: dict[str, Callable[[], None]] = {
        "stop": lambda: stage.set(None, jumped=False),
        "again": lambda: stage.set(Pulse(stage.now, 0.0, 120.0), jumped=True),
        "panic": lambda: stage.order(AllSoundOff()),
    }
    for what, value in steps:
        if what in doings:
            doings[what]()
        elif what == "hear" and isinstance(value, list):
            for message in value:
                stage.hear(message)
        elif what == "wait" and isinstance(value, float):
            stage.wait(value)
        elif what == "answer" and isinstance(value, str):
            stage.answer(value)
        elif what == "tempo" and isinstance(value, float) and stage.band.pulse is not None:
            stage.set(stage.band.pulse.at_tempo(value, stage.now), jumped=False)
        elif what == "locate" and isinstance(value, float):
            stage.set(Pulse(stage.now, value, 120.0), jumped=True)
        elif what == "restart":  # the sender's process dies, another takes the port over
            stage.sender = stage.fresh()
            stage.order(SetPulse(stage.band.pulse))
        stage.turn()
    stage.forced = True
    stage.sender.finish()
    assert not +stage.heard.sounding
    assert stage.heard.ons == stage.heard.offs


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(MESSAGE, st.floats(0.0, 3.0)), max_size=200))
def test_any_bytes_leave_a_clock_that_goes_forward_or_stands(messages: list[tuple[bytes, float]]) -> None:
    clock, now = ClockFollower(), 5.0
    for message, gap in messages:
        now += gap * gap * 0.05
        clock.feed(message, now)
        pulse = clock.pulse()
        if pulse is not None:
            assert 19.9 <= pulse.tempo_bpm <= 400.1
            assert math.isfinite(pulse.tick_at(now))


@pytest.mark.parametrize("role", ["bass", "drum", "guitar", "piano", "string"])
def test_pattern_band_keeps_to_its_bar_whatever_the_chords(role: str) -> None:
    chance = random.Random(role)
    names = ("C", "F#m7b5/C", "N", "G5", "Bbmaj9", "Esus4", "C#dim7")
    for seed in range(200):
        row = parse_progression(" ".join(chance.choice(names) for _ in range(4)))
        chords = tuple(tuple(chance.choice((*bar, None)) for _ in range(4)) for bar in row[:2])
        request = BarRequest(
            number=1, bar=seed, first=seed, tracks={}, known=0, targets=(role,), chords=chords, tempo_bpm=120.0,
            deadline_s=0.0, seed=seed,
        )  # fmt: skip
        for bar in PATTERN.make(request).bars:
            for note in bar.get(role, ()):
                assert 0 <= note.start < BAR_TICKS
                assert note.length >= 1
