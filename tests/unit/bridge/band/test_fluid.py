"""The band through FluidSynth, where it is installed; plain tones and one line that says why, where it is not."""

import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.band.fluid import FluidSound, open_sound, soundfonts
from bridge.band.tones import BandSound
from bridge.midi.output_commands import AllNotesOff, AllSoundOff, Book, Raw, Release, SetPulse, Strike, Withdraw
from bridge.settings import SettingsError
from engine.band.ledger import Booking
from engine.music.audio import Audio
from engine.music.pulse import Pulse

RATE = 24_000


def test_without_the_library_there_are_plain_tones_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    monkeypatch.setattr("bridge.band.fluid.soundfonts", lambda: [Path("some.sf2")])
    sound, line = open_sound(RATE, lambda: 0.0)
    assert isinstance(sound, BandSound)
    assert "[fluid]" in line
    assert "\n" not in line


def test_without_a_soundfont_there_are_plain_tones_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.band.fluid.soundfonts", list)
    sound, line = open_sound(RATE, lambda: 0.0)
    assert isinstance(sound, BandSound)
    assert "--soundfont" in line


def test_a_soundfont_asked_for_by_name_is_not_replaced() -> None:
    with pytest.raises(SettingsError, match=r"nothing\.sf2"):
        open_sound(RATE, lambda: 0.0, "nothing.sf2")


class Room:
    """A sound card that reads blocks of 120 frames (5 ms) under a clock that only the test moves."""

    def __init__(self, soundfont: Path, latency_s: float) -> None:
        self.now = 10.0
        self.sound = FluidSound(soundfont, RATE, lambda: latency_s, lambda: self.now)
        self.sound.apply(Raw((bytes((0xC3, 16)),)))  # an organ holds its keys
        self.sound.apply(SetPulse(Pulse(10.0, 0.0, 125.0)))  # a tick a millisecond

    def listen(self, seconds: float) -> Audio:
        blocks = []
        for _ in range(round(seconds / 0.005)):
            blocks.append(self.sound.read(120))
            self.now += 0.005
        return np.concatenate(blocks, axis=1)


@pytest.fixture(params=[0.0, 0.08])
def room(request: pytest.FixtureRequest) -> Room:
    pytest.importorskip("fluidsynth", reason="FluidSynth is not installed", exc_type=ImportError)
    found = soundfonts()
    if not found:
        pytest.skip("no soundfont here")
    return Room(found[0], request.param)


def loud(sound: Audio) -> float:
    return float(np.abs(sound).max(initial=0.0))


def test_note_is_heard_at_its_tick_and_ends(room: Room) -> None:
    room.sound.apply(Book((Booking(1, 300, 700, 3, 69, 110),)))
    heard = room.listen(2.5)
    latency_s = 10.0 + heard.shape[1] / RATE - room.now + room.sound._clock._latency_s()
    first_s = float(np.flatnonzero(np.abs(heard).max(axis=0) > 1e-3)[0]) / RATE + latency_s
    assert first_s == pytest.approx(0.3, abs=0.02)
    assert loud(heard[:, int(0.3 * RATE) : int(0.6 * RATE)]) > 0.01
    assert loud(heard[:, int(2.0 * RATE) :]) < 0.005
    assert heard.dtype == np.float32
    assert room.sound._ledger.counts.ons == room.sound._ledger.counts.offs == 1


def test_every_key_ends_at_a_hush_a_release_and_a_panic(room: Room) -> None:
    room.sound.apply(Book((Booking(1, 0, 9000, 3, 60, 110), Booking(2, 0, 9000, 1, 40, 110))))
    room.sound.apply(Strike(3, 3, 72, 100))
    room.listen(0.3)
    room.sound.apply(Release(3, 3, 72))
    room.sound.apply(AllNotesOff())
    room.listen(0.1)
    assert not room.sound._ledger.sounding
    room.sound.apply(Strike(4, 3, 72, 100))
    room.sound.apply(Book((Booking(5, 5000, 6000, 3, 60, 110),)))
    room.sound.apply(Withdraw(4000))
    room.listen(0.1)
    room.sound.apply(AllSoundOff())
    assert loud(room.listen(3.0)[:, -RATE:]) < 0.005
    counts = room.sound._ledger.counts
    assert counts.ons == counts.offs == 4
