"""What is recorded beside the mix."""

import time
from pathlib import Path

import numpy as np
import pytest

from engine.messages.session import Event, Failed, Record, Recorded, RecordStop, Set
from engine.music.audio import read_audio
from engine.session.session import Session, VoiceSpec

RATE = 48_000


def noise(samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (2, samples)).astype(np.float32)


class Evening:
    """A session whose input is noise, heard up to 1000 samples behind the mix."""

    def __init__(self, folder: Path) -> None:
        self.session = Session(RATE, voices=(VoiceSpec(name="tone"),), folder=folder, in_process=True)
        self.mix, self.heard = np.zeros((2, 0), np.float32), noise(10 * RATE, 1)
        self.events: list[Event] = []
        self.silent = False

    def play(self, samples: int) -> None:
        for _ in range(0, samples, 480):
            self.mix = np.concatenate([self.mix, self.session.read(480)], axis=1)
            until = self.mix.shape[1] - 1_000
            first = self.session.hearing.end
            if until > first and not self.silent:
                self.session.hear(self.heard[:, first:until], first)
            self.events += self.session.poll()

    def recorded(self, count: int) -> dict[str, np.ndarray]:
        """The files of that many finished recordings."""
        deadline = time.monotonic() + 30.0
        while len(done := [event for event in self.events if isinstance(event, Recorded)]) < count:
            assert time.monotonic() < deadline, self.events
            time.sleep(0.01)
            self.events += self.session.poll()
        return {Path(event.path).name: read_audio(event.path)[0] for event in done}


def test_the_input_is_recorded_beside_the_mix_sample_for_sample(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    with evening.session as session:
        evening.play(9_600)
        session.post(Record(name="a.wav"))
        evening.play(48_000)
        session.post(RecordStop())
        evening.play(9_600)
        files = evening.recorded(2)
        mix, heard = files["a.wav"], files["a-input.wav"]
        assert mix.shape == heard.shape
        (first,) = [
            at for at in range(9_000, 12_000) if np.array_equal(evening.mix[:, at : at + 4_800], mix[:, :4_800])
        ]
        np.testing.assert_array_equal(mix, evening.mix[:, first : first + mix.shape[1]])
        np.testing.assert_array_equal(heard, evening.heard[:, first : first + mix.shape[1]])


def test_an_input_that_has_gone_holds_no_recording_up(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    with evening.session as session:
        evening.play(9_600)
        session.post(Record(name="a.flac"))
        evening.play(9_600)
        evening.silent = True
        evening.play(9_600)
        session.post(RecordStop())
        evening.play(2 * RATE)
        files = evening.recorded(2)
        assert files["a.flac"].shape == files["a-input.flac"].shape
        assert not files["a-input.flac"][:, -8_000:].any()
        assert files["a-input.flac"][:, :4_800].any()


def test_a_session_that_closes_keeps_what_was_heard_until_then(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    with evening.session as session:
        evening.play(9_600)
        session.post(Record(name="a.wav"))
        evening.play(48_000)
    heard = read_audio(tmp_path / "a-input.wav")[0]
    assert 0 < read_audio(tmp_path / "a.wav")[0].shape[1] - heard.shape[1] <= 1_000
    assert heard.any()


def test_without_an_input_the_mix_is_recorded_alone(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    evening.silent = True
    with evening.session as session:
        session.post(Record(name="a.wav"))
        evening.play(9_600)
        session.post(RecordStop())
        evening.play(9_600)
        assert list(evening.recorded(1)) == ["a.wav"]
    assert [path.name for path in tmp_path.glob("*.wav")] == ["a.wav"]


def test_an_input_that_is_yet_to_come_is_recorded_from_the_start(tmp_path: Path) -> None:
    """As with --record and --input: the recording begins before the input's first sound."""
    evening = Evening(tmp_path)
    with evening.session as session:
        session.hearing.expected = True
        session.post(Record(name="a.wav"))
        evening.play(9_600)
        session.post(RecordStop())
        evening.play(9_600)
        sounds = evening.recorded(2)
        assert np.array_equal(sounds["a-input.wav"], evening.heard[:, : sounds["a.wav"].shape[1]])


def test_an_input_that_cannot_be_recorded_leaves_the_mix_alone(tmp_path: Path) -> None:
    evening, name = Evening(tmp_path), "n" * 192 + ".wav"
    with evening.session as session:
        evening.play(9_600)
        number = session.post(Record(name=name))
        evening.play(9_600)
        (failed,) = [event for event in evening.events if isinstance(event, Failed)]
        assert failed.number == number
        assert "only the mix" in failed.reason
        session.post(RecordStop())
        evening.play(9_600)
        assert list(evening.recorded(1)) == [name]


def test_turning_the_input_is_kept_in_the_take_for_people(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    with evening.session as session:
        session.post(Set(("input", "gain"), -6.0))
        evening.play(4_800)
        assert session.take is not None
        take = session.take
    assert '"turned":"input/gain","value":-6.0' in take.read_text("utf-8")


@pytest.mark.parametrize("gain", [-12.0, 6.0])
def test_gain_changes_what_is_heard_and_nothing_that_sounds(gain: float, tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    with evening.session as session:
        session.post(Set(("input", "gain"), gain))
        evening.play(48_000)
        expected = np.clip(evening.heard[:, 24_000:40_000] * 10 ** (gain / 20), -1.0, 1.0)
        np.testing.assert_allclose(session.hearing.last(16_000, 40_000), expected, atol=1e-4)
