"""The band's plain tones sound when their notes are due, at their pitch, and end when they are told to."""

import numpy as np
import pytest

from bridge.band.tones import BandSound
from bridge.midi.output_commands import AllNotesOff, Book, SetPulse, StopClock, Withdraw
from engine.band.ledger import Booking
from engine.music.audio import Audio
from engine.music.pulse import Pulse

RATE = 24_000


class Room:
    """A sound card that reads blocks of 120 frames (5 ms) under a clock that only the test moves."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self.now = 10.0
        self.sound = BandSound(RATE, lambda: latency_s, lambda: self.now)
        self.sound.apply(SetPulse(Pulse(10.0, 0.0, 125.0)))  # a tick a millisecond

    def listen(self, seconds: float) -> Audio:
        blocks = []
        for _ in range(round(seconds / 0.005)):
            blocks.append(self.sound.read(120))
            self.now += 0.005
        return np.concatenate(blocks, axis=1)


def first_sound_s(heard: Audio) -> float:
    return float(np.flatnonzero(np.abs(heard).max(axis=0) > 1e-4)[0]) / RATE


@pytest.mark.parametrize("latency_s", [0.0, 0.08])
def test_note_is_heard_at_its_tick_whatever_the_latency(latency_s: float) -> None:
    room = Room(latency_s)
    room.sound.apply(Book((Booking(1, 300, 500, 9, 38, 100),)))
    assert first_sound_s(room.listen(0.6)) + latency_s == pytest.approx(0.3, abs=0.001)


def test_key_has_its_pitch_and_ends() -> None:
    room = Room()
    room.sound.apply(Book((Booking(1, 0, 1000, 3, 69, 100),)))
    heard = room.listen(1.5)
    spectrum = np.abs(np.fft.rfft(heard[0, :RATE]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert np.abs(heard[:, : int(0.9 * RATE)]).max() > 0.01
    assert np.abs(heard[:, int(1.05 * RATE) :]).max() == 0.0


def test_hush_ends_at_once_without_a_click_and_forgets_the_rest() -> None:
    room = Room()
    room.sound.apply(Book((Booking(1, 0, 4000, 4, 60, 120), Booking(2, 800, 900, 1, 40, 120))))
    before = room.listen(0.5)
    room.sound.apply(AllNotesOff())
    after = room.listen(1.0)
    assert np.abs(after[:, int(0.04 * RATE) :]).max() == 0.0
    joined = np.concatenate([before[0, -200:], after[0, :2000]])
    assert np.abs(np.diff(joined)).max() < 0.05


def test_withdrawn_notes_are_not_heard() -> None:
    room = Room()
    room.sound.apply(Book((Booking(1, 100, 200, 1, 40), Booking(2, 100, 200, 9, 36))))
    room.sound.apply(Withdraw(50, (1, 9)))
    room.sound.apply(StopClock())
    assert np.abs(room.listen(0.4)).max() == 0.0


def test_full_band_stays_within_the_scale() -> None:
    room = Room()
    notes = [Booking(n, 0, 500, channel, 36 + n, 127) for n, channel in enumerate([0, 1, 2, 3, 4, 9] * 8)]
    room.sound.apply(Book(tuple(notes)))
    heard = room.listen(0.5)
    assert np.isfinite(heard).all()
    assert 0.1 < np.abs(heard).max() <= 1.0
