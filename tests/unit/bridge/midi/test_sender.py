"""Orders become messages at their time."""

from bridge.midi.output_commands import (
    AllNotesOff,
    AllSoundOff,
    Book,
    Raw,
    Release,
    SetPulse,
    StartClock,
    StopClock,
    Strike,
    Withdraw,
)
from bridge.midi.sender import Sender, SenderSetup
from engine.band.ledger import Booking
from engine.music.pulse import Pulse


class SenderUnderTest:
    """A sender under a clock that only the test moves."""

    def __init__(self, setup: SenderSetup | None = None) -> None:
        self.now = 10.0
        self.sent: list[tuple[float, str]] = []
        self.sender = Sender(
            lambda message: self.sent.append((round(self.now, 4), message.hex())),
            setup or SenderSetup(),
            lambda: self.now,
        )
        self.sender.apply(SetPulse(Pulse(10.0, 0.0, 125.0)))  # a tick a millisecond

    def send(self, message: bytes) -> None:
        self.sent.append((round(self.now, 4), message.hex()))

    def until(self, end: float) -> list[tuple[float, str]]:
        while (wait := self.sender.wait_s()) <= end - self.now:
            self.now += max(0.0, wait) + 1e-7
            self.sender.send_due()
        self.now = end
        sent, self.sent = self.sent, []
        return sent


def test_notes_leave_at_their_tick() -> None:
    out = SenderUnderTest()
    out.sender.apply(Book((Booking(1, 100, 250, 9, 36, 99), Booking(2, 120, 250, 1, 40))))
    assert out.until(11.0) == [(10.1, "992463"), (10.12, "91285a"), (10.25, "892400"), (10.25, "812800")]
    report = out.sender.report()
    assert (report.ons, report.offs, report.sounding, report.booked) == (2, 2, 0, 0)
    assert len(report.late_s) == 2
    assert max(report.late_s) < 1e-3
    assert out.sender.report().late_s == ()


def test_known_delay_is_made_up_for_by_leaving_early() -> None:
    out = SenderUnderTest(SenderSetup(lead_s=0.02))
    out.sender.apply(Book((Booking(1, 100, 200, 0, 60),)))
    assert out.until(11.0) == [(10.08, "903c5a"), (10.18, "803c00")]


def test_clock_goes_with_the_notes() -> None:
    out = SenderUnderTest(SenderSetup(clock=True))
    out.sender.apply(StartClock(0.0))
    sent = out.until(10.4801)
    assert sent[0] == (10.0, "fa")
    assert [message for _, message in sent[1:]] == ["f8"] * 25
    assert sent[25][0] == 10.48
    out.sender.apply(StopClock())
    out.sender.apply(StopClock())
    assert [message for _, message in out.until(11.0)] == ["fc"]


def test_without_a_clock_none_is_sent() -> None:
    out = SenderUnderTest()
    out.sender.apply(StartClock(0.0))
    assert out.until(11.0) == []


def test_withdraw_hush_and_panic() -> None:
    out = SenderUnderTest(SenderSetup(channels=(3,)))
    out.until(10.0)
    out.sender.apply(Book(tuple(Booking(n, 100 * n, 100 * n + 1000, 3, 60 + n) for n in range(1, 4))))
    out.sender.apply(Withdraw(300))
    assert [message for _, message in out.until(10.5)] == ["933d5a", "933e5a"]
    out.sender.apply(AllNotesOff())
    assert [message for _, message in out.until(10.6)] == ["833d00", "833e00"]
    out.sender.apply(AllSoundOff())
    assert [message for _, message in out.until(10.7)] == ["b34000", "b37b00", "b37800"]


def test_keys_are_passed_on_at_once() -> None:
    out = SenderUnderTest()
    out.sender.apply(Strike(-1, 0, 60, 80))
    out.now = 10.2
    out.sender.apply(Release(-1, 0, 60))
    assert out.until(11.0) == [(10.0, "903c50"), (10.2, "803c00")]


def test_second_sender_ends_what_the_first_left_and_sets_programs_again() -> None:
    out = SenderUnderTest(SenderSetup(channels=(1,), owed=((1, 40), (9, 36)), raw=(b"\xc1\x20",)))
    assert [message for _, message in out.until(10.0)] == ["c120", "812800", "892400", "b14000", "b17b00"]
    out.sender.apply(Raw((b"\xc1\x21",)))
    assert [message for _, message in out.until(10.0)] == ["c121"]


def test_end_is_quiet() -> None:
    out = SenderUnderTest(SenderSetup(clock=True, channels=(0,)))
    out.sender.apply(StartClock(0.0))
    out.sender.apply(Book((Booking(1, 0, 9000, 0, 60),)))
    out.until(10.1)
    out.sender.finish()
    assert [message for _, message in out.sent] == ["fc", "803c00", "b04000", "b07b00"]
