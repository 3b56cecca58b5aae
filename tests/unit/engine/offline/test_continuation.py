"""A sound is gone on with where it ends; what was given stays, and what is made is kept when one has heard enough."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.level import limited
from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.cli.continuation import continue_main
from engine.conductor import Conductor
from engine.errors import BundleError, ControlError, EngineError, RecordError
from engine.models.musicgen import prompt
from engine.models.musicgen.conditioning import (
    Harmony,
    TempoAndChords,
    detected_harmony,
    over_detected_chords,
    tempo_in,
    timed_by_ear,
)
from engine.music.conducting import STEP_FEATURES, TIME_FEATURES
from engine.music.harmony import parse_chord, parse_progression
from engine.music.soundwriter import WavFile
from engine.offline.continuation import ContinueTask, continued
from engine.protocols.streamer import Progress, finish, work
from tests.tiny_musicgen import open_tiny, write_tiny

FADE_S = 0.06
RATE = 32000


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for kind in ("plain", "stereo", "melody", "conducted"):
        write_tiny(folder / kind, kind)
    return folder


@pytest.fixture(autouse=True)
def here(bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDERS_VARIABLE, str(bundles))
    monkeypatch.chdir(tmp_path)


def sound(seconds: float = 1.5, rate: int = 44100, channels: int = 2) -> Path:
    times = np.arange(int(seconds * rate)) / rate
    rows = [0.3 * np.sin(2 * np.pi * hz * times) for hz in (220.0, 330.0)][:channels]
    soundfile.write("in.wav", np.stack(rows, axis=1), rate, subtype="FLOAT")
    return Path("in.wav")


def task(**changes: object) -> ContinueTask:
    base = ContinueTask(source=None, out=Path("out.wav"), seconds=0.6, bundle="plain", context=0.5)
    return replace(base, **changes)  # type: ignore[arg-type]


def read(path: str = "out.wav") -> tuple[np.ndarray, int]:
    made, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return made.T, rate


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (32000, 1), (22050, 2)])
@pytest.mark.parametrize("bundle", ["plain", "stereo"])
def test_what_was_given_stays_and_is_gone_on_with(bundle: str, rate: int, channels: int) -> None:
    source = sound(rate=rate, channels=channels)
    given, _ = read("in.wav")
    made = work(continued(task(source=source, bundle=bundle)))
    whole, got_rate = read()
    assert (got_rate, whole.shape) == (rate, (channels, given.shape[1] + round(0.6 * rate)))
    kept = given.shape[1] - round(FADE_S * rate)
    assert np.array_equal(whole[:, :kept], given[:, :kept])
    assert not np.array_equal(whole[:, kept : given.shape[1]], given[:, kept:])
    assert np.isfinite(whole).all()
    assert np.abs(whole).max() <= 1.0
    assert whole[:, given.shape[1] :].std() > 1e-3
    assert (made.made, made.prompt_s, made.complete) == (0.6, 0.5, True)


def test_what_fades_in_is_the_same_moment_as_the_codec_hears_it() -> None:
    """With one rate throughout, the fade ends in exactly what the codec makes of the prompt, in its place."""
    source = sound(rate=32000, channels=1)
    given, _ = read("in.wav")
    work(continued(task(source=source)))
    whole, _ = read()
    model, hop = open_tiny("plain"), 640
    codes = model.codec.encode(given[None, :, -25 * hop :])
    heard = limited(model.codec.decode(codes)[0])
    # The last frames hear what comes after: what lies before is final.
    samples = slice(25 * hop - 3 * hop, 25 * hop - 3 * hop + 100)
    share = (np.arange(100) + 0.5) / (3 * hop)
    wanted = share * heard[:, samples] + (1 - share) * given[:, -3 * hop :][:, :100]
    got = whole[:, given.shape[1] - 3 * hop :][:, :100]
    near = np.abs(got - wanted).max()
    assert near < 0.02 * np.abs(heard).max()


def test_sound_from_nothing_has_the_models_rate_and_channels() -> None:
    for bundle, channels in (("plain", 1), ("stereo", 2)):
        work(continued(task(bundle=bundle, text="slow piano")))
        made, rate = read()
        assert (rate, made.shape) == (32000, (channels, 19200))
        assert made.std() > 1e-3


def test_the_same_seed_makes_the_same_file_and_words_another() -> None:
    made = []
    for changes in ({}, {}, {"seed": 1}, {"text": "fast drums"}):
        work(continued(task(**changes)))
        made.append(read()[0])
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[3])


@pytest.mark.filterwarnings("error")
def test_what_is_no_number_is_not_passed_on() -> None:
    sound()
    given, rate = read("in.wav")
    given[:, 1000:1010], given[:, 60000:60010], given[:, 61000] = np.nan, np.inf, -np.inf
    soundfile.write("in.wav", given.T, rate, subtype="FLOAT")
    for bundle in ("plain", "conducted"):
        work(continued(task(source=Path("in.wav"), bundle=bundle)))
        made, _ = read()
        assert np.isfinite(made).all()
        assert np.abs(made).max() <= 1.0
        assert not made[:, 1000:1010].any()


@pytest.mark.parametrize("rate", [1, 8, 999])
def test_a_rate_that_no_sound_has_is_refused(rate: int) -> None:
    soundfile.write("in.wav", np.zeros(400), rate)
    with pytest.raises(OSError, match=f"in.wav: {rate} samples a second are no sound"):
        work(continued(task(source=Path("in.wav"), bundle="conducted")))


def test_new_sound_may_stand_alone() -> None:
    source = sound()
    work(continued(task(source=source, alone=True)))
    alone, rate = read()
    work(continued(task(source=source)))
    whole, _ = read()
    assert alone.shape[1] == round(0.6 * rate) + round(FADE_S * rate)
    assert np.array_equal(alone[:, -round(0.6 * rate) :], whole[:, -round(0.6 * rate) :])


def test_musical_time_is_followed_where_it_is_known() -> None:
    made = []
    for tempo in (90.0, 140.0):
        conductor = Conductor(48000)
        conductor.set_tempo(tempo, 0.0)
        work(continued(task(source=sound(), bundle="conducted", conductor=conductor)))
        made.append(read()[0])
    assert not np.array_equal(made[0], made[1])
    with pytest.raises(ControlError, match="neither tempo nor chords"):
        work(continued(task(conductor=Conductor(48000))))


def test_the_pulse_of_what_is_given_is_kept() -> None:
    given = 0.001 * np.random.default_rng(0).standard_normal((1, 6 * 32000))
    for beat in range(9):
        given[:, round((0.2 + 0.6 * beat) * 32000) :][:, :400] += 0.5
    soundfile.write("beats.wav", given.T, 32000, subtype="FLOAT")
    lead = timed_by_ear(given.astype(np.float32), 32000)
    assert lead is not None
    assert lead.conductor.tempo_at(0.0) == pytest.approx(100.0, abs=0.5)
    assert abs((lead.before_s + 0.2 + 0.3) % 0.6 - 0.3) < 0.03  # a beat lies on the first of them
    made = []
    for changes in ({}, {"by_ear": False}):
        work(continued(task(source=Path("beats.wav"), bundle="conducted", context=5.0, **changes)))
        made.append(read()[0])
    assert not np.array_equal(made[0], made[1])
    hiss = 0.05 * np.random.default_rng(0).standard_normal((3 * 32000, 1))
    soundfile.write("hiss.wav", hiss, 32000, subtype="FLOAT")
    for changes in ({}, {"by_ear": False}):
        work(continued(task(source=Path("hiss.wav"), bundle="conducted", **changes)))
        made.append(read()[0])
    assert np.array_equal(made[2], made[3])  # there is nothing to keep


@pytest.mark.parametrize("tempo", [0.0, 120.0])
def test_the_chords_of_what_is_given_are_kept(tempo: float) -> None:
    """With a pulse or without, unless other chords are asked for."""
    times = np.arange(RATE) / RATE
    triads = [(220.0, 261.6, 329.6), (174.6, 220.0, 261.6)]
    bars = [np.sum([0.1 * np.sin(2 * np.pi * hz * times) for hz in triad], axis=0) for triad in triads * 2]
    soundfile.write("chords.wav", np.concatenate(bars), RATE, subtype="FLOAT")
    conductor = None
    if tempo:
        conductor = Conductor(48000)
        conductor.set_tempo(tempo, 0.0)
        conductor.set_meter(2)
    given, _ = read("chords.wav")
    lead = over_detected_chords(given, RATE, None if conductor is None else TempoAndChords(conductor))
    assert lead is not None
    assert lead.harmony is not None
    heard = [[(chord.root, chord.quality) for chord in bar] for bar in lead.harmony.bars]
    assert heard == ([[(9, "min")], [(5, "maj")]] if tempo else [[(9, "min"), (5, "maj")]])
    assert lead.timed == bool(tempo)
    features = lead.features(0, 50, 640, 32000, STEP_FEATURES)
    assert np.array_equal(np.flatnonzero(features[0, -31:-19]), [0, 4, 9])
    assert bool(features[:, :TIME_FEATURES].any()) == bool(tempo)
    asked = Conductor(48000)
    asked.set_tempo(120.0, 0.0)
    asked.set_meter(2)
    told = {"conductor": asked, "progression": parse_progression("Am F")}
    made = []
    for changes in ({"conductor": conductor}, {"conductor": conductor, "by_ear": False}, told):
        work(continued(task(source=Path("chords.wav"), bundle="conducted", context=3.0, **changes)))
        made.append(read()[0])
    assert not np.array_equal(made[0], made[1])
    assert np.array_equal(made[0], made[2]) == bool(tempo)


def test_chords_that_are_heard_go_round_and_fill_what_is_not_told() -> None:
    minor, major = parse_chord("Am"), parse_chord("F")
    harmony = Harmony(((minor,), (major, minor)), 3)
    conductor = Conductor(32000)
    conductor.set_chord(parse_chord("C"), 4.0 * 32000)
    conductor.set_chord(None, 5.0 * 32000)
    told = harmony.fill(conductor.span(0, 10, 32000, 32000))  # a frame is half a bar
    wanted = [major, minor, minor, minor, parse_chord("C"), minor, minor, minor, major, minor]
    assert np.array_equal(told.chroma, np.stack([chord.chroma() for chord in wanted], axis=1))
    assert np.array_equal(told.bass, np.stack([chord.bass_vector() for chord in wanted], axis=1))


@pytest.mark.parametrize(
    ("bars", "wanted"),
    [("Am F Am", "Am F"), ("Am F C", "Am F C C"), ("Am Am Am", "Am"), ("Am F C G Am F", "Am F C G"), ("Am", "Am")],
)
def test_what_was_heard_goes_round_in_one_two_or_four_bars(bars: str, wanted: str) -> None:
    """Bars of 1.6 s; the sound begins in the middle of a half bar and ends in the middle of another."""
    rate = 16000
    rows = []
    for name in bars.split():
        times = np.arange(round(1.6 * rate)) / rate
        pitches = [60 + (pitch - 60) % 12 for pitch in parse_chord(name).pitch_classes]
        rows.append(np.sum([0.1 * np.sin(2 * np.pi * 440.0 * 2 ** ((p - 69) / 12) * times) for p in pitches], axis=0))
    whole = np.concatenate(rows)[None].astype(np.float32)
    cut = round(0.5 * rate)
    conductor = Conductor(48000)
    conductor.set_tempo(150.0, 0.0)
    bar = 1.6 * 48000
    end = 7 * bar + (len(rows) * 1.6 - 0.3) * 48000
    harmony = detected_harmony(whole[:, cut : whole.shape[1] - round(0.3 * rate)], rate, conductor, end)
    assert harmony is not None
    assert harmony.first_bar == 7
    assert [bar[0] for bar in harmony.bars] == [parse_chord(name) for name in wanted.split()]
    assert all(len(bar) == 1 for bar in harmony.bars)


def test_a_tempo_in_words_is_kept_by_sound_from_nothing() -> None:
    conductor = Conductor(48000)
    conductor.set_tempo(90.0, 0.0)
    made = []
    chords = {"progression": parse_progression("Am F")}
    for changes in (
        {},
        {"conductor": conductor},
        {"text": "slow drums at 91 bpm"},
        chords,
        chords | {"conductor": conductor},
    ):
        work(continued(task(**{"bundle": "conducted", "text": "slow drums at 90 bpm"} | changes)))
        made.append(read()[0])
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert np.array_equal(made[3], made[4])  # chords are played in that tempo
    assert not np.array_equal(made[0], made[3])
    work(continued(task(bundle="plain", text="slow drums at 90 bpm")))  # follows no time: words are words


@pytest.mark.parametrize(
    ("text", "tempo"),
    [("128 bpm", 128.0), ("Fast, 99.5BPM", 99.5), ("drums", None), ("12 bpm", None), ("999 bpm", None), ("", None)],
)
def test_words_name_a_tempo(text: str, tempo: float | None) -> None:
    assert tempo_in(text) == tempo


def test_a_melody_is_followed_where_it_is_taken() -> None:
    work(continued(task(bundle="melody", text="slow")))
    without = read()[0]
    work(continued(task(bundle="melody", text="slow", melody=sound())))
    assert not np.array_equal(read()[0], without)
    with pytest.raises(ControlError, match="takes no melody"):
        work(continued(task(melody=sound())))


def test_asked_to_end_it_keeps_what_is_made() -> None:
    source, told = sound(), list[Progress]()
    given, rate = read("in.wav")
    made = work(continued(task(source=source, seconds=60.0)), told.append, late=lambda: len(told) > 25)
    whole, _ = read()
    assert not made.complete
    assert made.made == pytest.approx(told[-1].done / 50)
    assert whole.shape[1] == given.shape[1] + round(made.made * rate)
    assert "interrupted" in next(made.summary())


def test_asked_to_end_before_there_is_sound_it_writes_nothing() -> None:
    made = finish(continued(task()))
    assert list(made.summary()) == ["interrupted before there was any sound; no file was written"]
    assert os.listdir() == []


def test_closed_it_leaves_nothing() -> None:
    job = continued(task())
    for _ in range(5):
        next(job)
    assert os.listdir() != []
    job.close()
    assert os.listdir() == []


def test_ctrl_c_keeps_what_is_made(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import engine.cli.continuation as verb

    def hurried(asked: ContinueTask) -> object:
        for at, progress in enumerate(inner := continued(asked)):
            if at == 12:
                signal.raise_signal(signal.SIGINT)
            late = yield progress
            if late:
                try:
                    inner.send(True)
                except StopIteration as end:
                    return end.value
        return None

    monkeypatch.setattr(verb, "continued", hurried)
    assert continue_main(["out.wav", "--bundle", "plain", "--seconds", "60", "--threads", "1"]) == 130
    assert "then interrupted" in capsys.readouterr().err
    assert 0 < read()[0].shape[1] < 32000
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_command_says_what_it_made_and_draws_it(capsys: pytest.CaptureFixture[str]) -> None:
    sound()
    words = "in.wav out.flac --bundle plain --seconds 0.5 --context 0.5 --text slow --picture out.png --top-k 8"
    assert continue_main([*words.split(), "--threads", "1", "--temperature", "0.8", "--guidance", "2"]) == 0
    told = capsys.readouterr().err
    assert "0.5 s of new sound" in told
    assert "CC0-1.0" in told
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")
    assert soundfile.info("out.flac").subtype == "PCM_24"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("missing.wav out.wav", "missing.wav"),
        ("in.wav in.wav", "is the file that is read"),
        ("in.wav out.mp3", r"written as \.wav or \.flac"),
        ("in.wav no/out.wav", "cannot be written"),
        ("in.wav out.wav --seconds 0", "more than 0"),
        ("in.wav out.wav --temperature 9", "--temperature takes 0..4"),
        ("in.wav out.wav --tempo 5", "20..400"),
        ("in.wav out.wav --bundle tone", "does not work with 'ripieno continue'"),
        ("in.wav out.wav --bundle plain --melody in.wav", "takes no melody"),
        ("short.wav out.wav --bundle plain", "too few to be continued"),
        ("text.wav out.wav --bundle plain", "not readable as sound"),
        ("nowhere.wav out.wav --bundle plain", "nowhere.wav: no such file"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: str, wanted: str, capsys: pytest.CaptureFixture[str]) -> None:
    sound()
    soundfile.write("short.wav", np.zeros(100), 44100)
    Path("text.wav").write_text("no sound")
    assert continue_main([*words.split(), "--threads", "1"]) == 1
    told = capsys.readouterr().err
    assert len(told.strip().splitlines()) == 1
    assert wanted.replace("\\", "") in told
    assert not Path("out.wav").exists()
    assert not list(Path().glob(".*part"))


def test_without_a_bundle_one_is_told_where_they_go(monkeypatch: pytest.MonkeyPatch) -> None:
    work(continued(task(bundle="")))  # the first there is
    assert read()[0].size
    monkeypatch.setenv(FOLDERS_VARIABLE, "")
    with pytest.raises((BundleError, EngineError)):
        work(continued(task(bundle="plain")))


def test_loud_sound_is_bent_and_odd_sound_silenced() -> None:
    quiet = np.linspace(-0.9, 0.9, 101, dtype=np.float32)[None]
    assert np.array_equal(limited(quiet), quiet)
    loud = limited(np.array([[1.0, 3.0, -50.0, np.nan, np.inf, -np.inf]], np.float32))
    assert np.isfinite(loud).all()
    assert np.abs(loud).max() <= 1.0
    assert 0.9 < loud[0, 0] < loud[0, 1]
    assert loud[0, 3] == 0.0


def test_a_full_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WavFile, "write", full)
    with pytest.raises(RecordError, match="No space left"):
        work(continued(task()))
    assert os.listdir() == []


def test_words_that_the_model_does_not_know_are_named() -> None:
    made = work(continued(task(bundle="musicgen-live", text="slow piano", seconds=0.2)))
    assert made.notes[0].startswith("this model does not know piano; it knows")
    assert made.notes[0] in list(made.summary())
    made = work(continued(task(bundle="musicgen-live", text="techno", seconds=0.2)))
    assert not [note for note in made.notes if "know" in note]


def test_what_comes_out_far_softer_than_the_prompt_or_silent_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sound()
    for level, said in ((1e-5, "all but silent"), (0.02, "21 dB softer than the prompt"), (0.2, "")):
        with monkeypatch.context() as patch:
            patch.setattr("engine.offline.continuation.limited", lambda made, level=level: np.full_like(made, level))
            notes = work(continued(task(source=source, context=1.0))).notes
        assert (said in notes[0]) if said else notes == ()


def test_peaks_of_what_was_given_are_kept_or_said_to_be_cut_off() -> None:
    sound()
    given, rate = read("in.wav")
    given[:, 2000:2100] = 1.7
    soundfile.write("in.wav", given.T, rate, subtype="FLOAT")
    made = work(continued(task(source=Path("in.wav"))))
    assert (read()[0][:, 2000:2100] == np.float32(1.7)).all()
    assert not any("cut off" in note for note in made.notes)
    made = work(continued(task(source=Path("in.wav"), out=Path("out.flac"))))
    assert read("out.flac")[0].max() == pytest.approx(1.0, abs=1e-4)
    assert any("peaks of 1.70" in note and ".wav" in note for note in made.notes)


def test_a_sound_whose_channels_cancel_each_other_is_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """In mono it would be silence."""
    sound(channels=1)
    mono, rate = read("in.wav")
    soundfile.write("in.wav", np.concatenate([mono, -mono]).T, rate, subtype="FLOAT")
    seen: list[np.ndarray] = []
    real = prompt.together
    monkeypatch.setattr(prompt, "together", lambda codes: (seen.append(codes), real(codes))[1])
    work(continued(task(source=Path("in.wav"))))
    soundfile.write("in.wav", mono.T, rate, subtype="FLOAT")
    work(continued(task(source=Path("in.wav"))))
    assert np.array_equal(seen[0], seen[1])


def test_surround_sound_is_continued_at_the_front() -> None:
    source = sound()
    given, rate = read("in.wav")
    given = np.concatenate([given] * 3)
    soundfile.write("in.wav", given.T, rate, subtype="FLOAT")
    work(continued(task(source=source)))
    new = read()[0][:, given.shape[1] + rate // 10 :]
    assert new.shape[0] == 6
    assert new[:2].any()
    assert not new[2:].any()
