"""A live language model plays what it would offline, wherever it is cut, snapshot, frozen or sent to another future."""

import pickle
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engine.audio.level import limited
from engine.conductor import Conductor
from engine.controls import walk, with_value
from engine.errors import ControlError
from engine.messages.continuation import Branch, Choose, Commit, Continue, Rewind
from engine.models.musicgen.conditioning import Harmony
from engine.models.musicgen.continuation import Continuation
from engine.models.musicgen.model import apart
from engine.models.musicgen.state import Conditions
from engine.models.musicgen.streamer import MusicgenLive, MusicgenLiveControls, MusicgenLiveState, WordedControls
from engine.models.musicgen.timing import ChunkTime
from engine.music.audio import Audio
from engine.music.harmony import parse_chord
from engine.protocols.streamer import Moment, PromptAudio, restore, snapshot
from engine.worker.sources import open_sources
from tests.tiny_musicgen import KINDS, open_tiny

RATE = 48000
HOP = 640
PLAIN = MusicgenLiveControls(guidance=3.0)


def conductor_of(tempo_bpm: float = 120.0) -> Conductor:
    conductor = Conductor(RATE)
    conductor.set_tempo(tempo_bpm, 0.0)
    conductor.set_chord(parse_chord("Am"), 0.0)
    return conductor


class Voice:
    """A streamer with a state, stepped as a worker would."""

    def __init__(self, kind: str = "plain", seed: int = 1, state: MusicgenLiveState | None = None) -> None:
        self.live = MusicgenLive(open_tiny(kind))
        self.spec = self.live.spec
        self.controls = self.live.controls()
        self.state = self.live.begin(seed) if state is None else state
        self.conductor, self.chunk = conductor_of(), 0

    def play(self, chunks: int) -> Audio:
        return np.concatenate([self.step() for _ in range(chunks)], axis=1)

    def step(self) -> Audio:
        spec, ratio = self.spec, RATE / self.spec.sample_rate
        span = self.conductor.span(
            self.chunk * spec.chunk, spec.frames, spec.hop, spec.sample_rate, spec.latency * ratio
        )
        self.chunk += 1
        return self.live.step(self.state, self.controls, span)

    def turn(self, name: str, value: object) -> None:
        self.controls = with_value(self.controls, (name,), value)

    def moment(self) -> Moment:
        sample = self.chunk * self.spec.chunk * RATE // self.spec.sample_rate
        return Moment(sample=sample, sample_rate=RATE, conductor=self.conductor.copy())

    def fork(self) -> "Voice":
        other = Voice.__new__(Voice)
        other.__dict__.update(self.__dict__)
        other.state, other.conductor = self.live.fork(self.state), self.conductor.copy()
        return other


def future_of(
    voice: Voice, frames: int = 9, seed: int = 5, origin: float | None = None, left: int = -1
) -> Continuation:
    """A future from some codes."""
    runner, model = voice.live._strands, voice.live._strands.model
    prompt = np.random.default_rng(seed).integers(0, model.facts.entries, (model.facts.codebooks, frames))
    return Continuation(runner.follow(prompt, seed, runner.conditions("")), origin, left, 0.0)


def alone(voice: Voice, future: Continuation, chunks: int) -> Audio:
    """What a future sounds like by itself."""
    other = voice.fork()
    other.state.sequence, other.state.loop, other.state.left = future.sequence.fork(), None, future.left
    return other.play(chunks)


@pytest.mark.parametrize("kind", KINDS)
def test_it_plays_what_is_said_offline(kind: str) -> None:
    voice, model = Voice(kind), open_tiny(kind)
    sound = voice.play(14)
    frames = 14 * voice.spec.frames
    said = voice.live._strands.emitted(voice.state.sequence)[:, :frames]
    offline = limited(model.codec.decode(apart(said, model.facts.streams)).reshape(voice.spec.channels, -1))
    heard = sound[:, voice.spec.latency :]
    certain = (said.shape[1] - model.codec.look_ahead) * HOP
    count = min(heard.shape[1], certain)
    assert count > 10 * HOP
    assert np.abs(heard[:, :count] - offline[:, :count]).max() < 1e-4
    assert not sound[:, : voice.spec.latency].any()
    if not KINDS[kind].lm.features:
        told = model.conditions("", changing=voice.live._strands.worded)
        state, drawn = model.begin(told, seed=1, seamless=True), []
        while len(drawn) < said.shape[1]:
            frame = model.step(state, PLAIN)
            drawn += [] if frame is None else [frame]
        assert np.array_equal(np.stack(drawn, axis=1), said)


@pytest.mark.parametrize("kind", ["plain", "conducted", "stereo"])
def test_what_is_kept_is_small_and_goes_on_alike(kind: str) -> None:
    voice = Voice(kind)
    voice.play(20)
    data = snapshot(voice.live, voice.state)
    assert len(data) < len(pickle.dumps(voice.state))
    one, two = (voice.fork() for _ in range(2))
    one.state, two.state = restore(one.live, data), restore(two.live, data)
    made = [each.play(10) for each in (voice, one, two)]
    assert np.array_equal(made[1], made[2])
    # Heard at once instead of step by step, and without what a rotary model has let go of: so to some bits only.
    assert np.array_equal(
        voice.live._strands.emitted(voice.state.sequence), voice.live._strands.emitted(one.state.sequence)
    ) or (KINDS[kind].lm.rotary)


def test_a_mark_is_kept_too() -> None:
    voice = Voice()
    voice.play(5)
    voice.live.apply_at(voice.state, Branch(futures=3), None, 100, voice.moment())
    voice.play(3)
    again = voice.fork()
    again.state = restore(voice.live, snapshot(voice.live, voice.state))
    for each in (voice, again):
        each.live.check(each.state, Choose(future=2))
        each.live.apply_at(each.state, Choose(future=2), None, 0, each.moment())
    assert np.abs(voice.play(6) - again.play(6)).max() < 1e-3


@pytest.mark.parametrize("kind", ["plain", "conducted", "stereo"])
@pytest.mark.parametrize("at", [0, 1, 700])
def test_a_future_lands_on_its_sample(kind: str, at: int) -> None:
    voice = Voice(kind)
    voice.play(12)
    without, future = voice.fork(), future_of(voice)
    wanted = alone(voice, future, 6)
    voice.live.apply_at(voice.state, Commit(), future, at, voice.moment())
    got, old = voice.play(5), without.play(5)
    fade = round(0.04 * voice.spec.sample_rate)
    assert np.abs(got[:, :at] - old[:, :at]).max(initial=0.0) < 1e-5
    assert not np.array_equal(got[:, at : at + fade], old[:, at : at + fade])
    there = got[:, at + fade :]
    if not KINDS[kind].lm.features:  # else what it is told of the beat depends on when it lands
        assert np.abs(there - wanted[:, fade : fade + there.shape[1]]).max() < 1e-5
    assert np.abs(got).max() <= 1.0


def test_what_has_passed_by_the_time_it_lands_is_left_out() -> None:
    voice = Voice()
    voice.play(6)
    moment, passed = voice.moment(), 2345
    future = future_of(voice, origin=moment.sample - passed * RATE / voice.spec.sample_rate)
    wanted = alone(voice, future, 8)
    voice.live.apply_at(voice.state, Commit(), future, 0, moment)
    fade = round(0.04 * voice.spec.sample_rate)
    got = voice.play(6)[:, fade:]
    assert np.abs(got - wanted[:, passed + fade : passed + fade + got.shape[1]]).max() < 1e-5


@pytest.mark.parametrize(("seconds", "wanted"), [(1.05, 1.05), (1.5, 1.0), (3.3, 0.8), (0.31, 0.31)])
def test_a_future_that_is_very_late_lands_bars_earlier_and_makes_nothing_at_once(seconds: float, wanted: float) -> None:
    """A bar is half a second, of which a second is made."""
    voice = Voice()
    voice.conductor = conductor_of(480.0)
    voice.play(40)
    moment, future = voice.moment(), future_of(voice)
    voice.live._strands.make(future.sequence, 32000, voice.controls, lambda _: None)
    future = replace(future, origin=moment.sample - seconds * RATE)
    assert voice.live._passed(future, 0, moment) == round(wanted * 32000)


def test_a_future_ends_when_it_was_to_end() -> None:
    voice = Voice()
    voice.play(2)
    voice.live.apply_at(voice.state, Commit(), future_of(voice, left=5000), 0, voice.moment())
    sound = voice.play(4)
    assert np.abs(sound[:, 1300:3700]).max() > 1e-3
    assert not sound[:, 5000:].any()
    steps = voice.state.sequence.lm.steps
    voice.play(3)
    assert voice.state.sequence.lm.steps == steps, "nothing is made that nobody hears"


@pytest.mark.parametrize("kind", ["plain", "conducted"])
def test_a_chosen_future_is_a_direct_run_with_its_seed(kind: str) -> None:
    voice = Voice(kind, seed=7)
    voice.play(9)
    voice.live.apply_at(voice.state, Branch(futures=4), None, 0, voice.moment())
    direct = [voice.fork() for _ in range(3)]
    for index, each in enumerate(direct):
        each.state.turns = ()
        each.state.sequence.lm.seed += index
    voice.step()
    fade, made = round(0.04 * voice.spec.sample_rate), []
    for chosen in (1, 2, 3):
        other = voice.fork()
        other.chunk -= 1  # at the same place in the bar, so that it is told the same
        other.live.check(other.state, Choose(future=chosen))
        other.live.apply_at(other.state, Choose(future=chosen), None, 0, other.moment())
        made.append(other.play(8)[:, fade:])
        assert np.array_equal(made[-1], direct[chosen - 1].play(8)[:, fade:])
    assert not np.array_equal(made[0], made[1])
    assert not np.array_equal(made[1], made[2])


def test_only_what_is_there_can_be_chosen() -> None:
    voice = Voice()
    with pytest.raises(ControlError, match="send branch first"):
        voice.live.check(voice.state, Choose(future=1))
    voice.live.apply_at(voice.state, Branch(futures=2), None, 0, voice.moment())
    voice.step()
    voice.live.check(voice.state, Choose(future=2))
    with pytest.raises(ControlError, match="there are 2 futures, got 3"):
        voice.live.check(voice.state, Choose(future=3))


def test_frozen_the_last_bar_goes_round_and_then_goes_on_where_it_stopped() -> None:
    voice = Voice()
    voice.conductor = conductor_of(480.0)  # a bar is half a second
    bar, fade = voice.spec.sample_rate // 2, round(0.04 * voice.spec.sample_rate)
    before = voice.play(11)
    on = voice.fork().play(16)
    voice.turn("freeze", True)
    steps = voice.state.sequence.lm.steps
    frozen = voice.play(10)
    assert np.array_equal(frozen[:, fade:bar], before[:, before.shape[1] - bar + fade :])
    assert np.array_equal(frozen[:, bar : 2 * bar], frozen[:, :bar])
    assert voice.state.sequence.lm.steps - steps <= 2  # what its seam is made of
    voice.turn("freeze", False)
    thawed = voice.play(12)
    rest = 2 * bar - frozen.shape[1] % bar if frozen.shape[1] % bar > bar else bar - frozen.shape[1] % bar
    assert np.abs(thawed[:, rest : rest + bar] - on[:, :bar]).max() < 1e-5


def test_frozen_it_keeps_to_a_bar_that_has_become_another() -> None:
    voice = Voice()
    voice.conductor = conductor_of(480.0)
    voice.play(11)
    voice.turn("freeze", True)
    voice.play(2)
    voice.conductor.set_tempo(600.0, float(voice.moment().sample))
    sound = voice.play(45)
    bar = round(voice.spec.sample_rate * 0.4)
    late = sound[:, 6 * bar :]
    assert np.array_equal(late[:, :bar], late[:, bar : 2 * bar])


def test_too_little_is_not_frozen() -> None:
    voice = Voice()
    voice.conductor = conductor_of(20.0)
    voice.turn("freeze", True)
    steps = voice.state.sequence.lm.steps
    voice.play(3)
    assert voice.state.sequence.lm.steps > steps
    assert voice.state.loop is None


@pytest.mark.parametrize("kind", ["plain", "conducted"])
def test_going_back_takes_up_what_was_said_there(kind: str) -> None:
    voice = Voice(kind)
    voice.conductor = conductor_of(480.0)
    voice.play(2 if voice.spec.frames == 5 else 5)
    voice.play(40)
    moment = voice.moment()
    bar = RATE // 2
    aim = (moment.sample // bar + 1) * bar
    said = voice.live._strands.emitted(voice.state.sequence)
    future = voice.live.prepare(voice.state, voice.controls, Rewind(bars=1, seed=9, aim=aim), moment)(PromptAudio())
    back = aim - bar - voice.spec.latency * RATE // voice.spec.sample_rate
    frames = back * voice.spec.sample_rate // RATE // HOP
    model = voice.live._strands.model
    prompt = future.sequence.lm.given
    assert np.array_equal(voice.live._strands.emitted(future.sequence)[:, :prompt], said[:, frames - prompt : frames])
    assert future.origin is not None
    assert 0 <= aim - future.origin < HOP * 1.5
    assert future.sequence.ready.shape[1] >= voice.spec.chunk
    assert prompt == min(frames, model.facts.window - model.facts.window // 10)


def test_one_cannot_go_back_before_the_beginning() -> None:
    voice = Voice()
    voice.play(10)
    with pytest.raises(ControlError, match="so much has not been played"):
        voice.live.prepare(voice.state, voice.controls, Rewind(bars=1, aim=RATE), voice.moment())


@pytest.mark.parametrize("kind", ["plain", "melody", "conducted"])
def test_other_words_change_what_is_said(kind: str) -> None:
    voice = Voice(kind)
    voice.play(4)
    other = voice.fork()
    other.turn("text", "slow piano")
    assert other.step().shape == (1, voice.spec.chunk)
    assert other.state.sequence.text == "slow piano"
    made = [each.play(12) for each in (voice, other)]
    assert not np.array_equal(made[0], made[1])
    other.turn("text", "")
    other.play(2)
    assert other.state.sequence.text == ""


def test_words_are_a_control_where_they_are_taken() -> None:
    assert isinstance(Voice("plain").controls, WordedControls)
    names = {control.path for control in walk(Voice("wordless").controls)}
    assert ("text",) not in names
    assert ("temperature",) in names
    wordless, voice = Voice("wordless"), Voice()
    with pytest.raises(ControlError, match="takes no words"):
        wordless.live.prepare(wordless.state, wordless.controls, Continue(text="slow"), wordless.moment())
    with pytest.raises(ControlError, match="takes no melody"):
        voice.live.prepare(voice.state, voice.controls, Continue(melody="hum.wav"), voice.moment())


def planned(voice: Voice, folder: Path, **asked: object) -> Continuation:
    """What comes of a continuation of files in a folder."""
    command = Continue(**asked)  # type: ignore[arg-type]
    given = open_sources(folder, command).audio
    made: Continuation = voice.live.prepare(voice.state, voice.controls, command, voice.moment())(given)
    return made


def test_a_melody_is_followed_and_its_file_is_the_one_that_was_meant(tmp_path: Path) -> None:
    voice, times = Voice("melody"), np.arange(RATE) / RATE
    for name, hz in (("in", 220.0), ("hum", 440.0), ("other", 622.0)):
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * np.sin(2 * np.pi * hz * times), RATE, subtype="FLOAT")
    hum, other, none = (
        planned(voice, tmp_path, source="in.wav", seed=4, **more)
        for more in ({"melody": "hum.wav"}, {"melody": "other.wav"}, {})
    )
    assert (hum.origin, hum.left) == (None, -1)
    assert abs(hum.prompt_s - 1.0) < 0.05
    assert not np.array_equal(hum.sequence.ready, other.sequence.ready)
    assert not np.array_equal(hum.sequence.ready, none.sequence.ready)
    with pytest.raises(ControlError, match="got no audio to continue"):
        voice.live.prepare(voice.state, voice.controls, Continue(source="in.wav"), voice.moment())(PromptAudio())


def test_a_melody_outlives_new_words_and_a_way_back(tmp_path: Path) -> None:
    voice, times = Voice("melody"), np.arange(RATE) / RATE
    for name, hz in (("in", 220.0), ("hum", 440.0)):
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * np.sin(2 * np.pi * hz * times), RATE, subtype="FLOAT")
    future = planned(voice, tmp_path, source="in.wav", seed=4, melody="hum.wav")
    hum = future.sequence.lm.conditions.melody
    assert hum is not None
    voice.live.apply_at(voice.state, Commit(number=1), future, 0, voice.moment())
    voice.play(60)
    voice.controls = with_value(voice.controls, ("text",), "fast drums")
    voice.play(1)
    assert voice.state.sequence.text == "fast drums"
    assert voice.state.sequence.lm.conditions.melody is hum
    back = Rewind(bars=1, aim=voice.moment().sample)
    again = voice.live.prepare(voice.state, voice.controls, back, voice.moment())(PromptAudio())
    assert again.sequence.lm.conditions.melody is hum


def test_bars_of_new_sound_are_counted_by_the_transport(tmp_path: Path) -> None:
    voice = Voice()
    soundfile.write(tmp_path / "in.wav", np.random.default_rng(0).normal(0, 0.1, RATE), RATE, subtype="FLOAT")
    assert planned(voice, tmp_path, source="in.wav", length=1.5).left == 48000
    assert planned(voice, tmp_path, source="in.wav", length_bars=2, length=1.5).left == 4 * 32000


def test_a_jump_begins_anew_without_a_gap() -> None:
    voice, fresh = Voice(), Voice(seed=8)
    voice.play(6)
    voice.live.jump(voice.state, 8)
    fade = round(0.04 * voice.spec.sample_rate)
    got, wanted = voice.play(3)[:, fade:], fresh.play(6)[:, fresh.spec.latency + fade :]
    assert np.abs(got - wanted[:, : got.shape[1]]).max() < 1e-5


def test_a_conducted_voice_hears_the_beat() -> None:
    """With other musical time other codes are said, from the first frame that is told of it."""
    one, two = Voice("conducted"), Voice("conducted")
    two.conductor = conductor_of(93.0)
    said = []
    for voice in (one, two):
        voice.controls = replace(voice.controls, temperature=0.0)
        voice.play(10)
        said.append(voice.live._strands.emitted(voice.state.sequence))
    assert not np.array_equal(said[0], said[1])


def test_it_goes_on_over_the_chords_it_hears_until_it_is_told_others(tmp_path: Path) -> None:
    times = np.arange(4 * RATE) / RATE
    sound = sum(0.1 * np.sin(2 * np.pi * hz * times) for hz in (220.0, 261.6, 329.6))
    soundfile.write(tmp_path / "in.wav", sound, RATE, subtype="FLOAT")
    voice = Voice("conducted")
    voice.conductor = Conductor(RATE)
    file, heard, free = (
        planned(voice, tmp_path, source="in.wav", seed=4, aim=4 * RATE, **more)
        for more in ({}, {"heard_until": 4 * RATE}, {"heard_until": 4 * RATE, "free": True})
    )
    minor = ((parse_chord("Am"),),)
    assert file.sequence.harmony is not None
    assert heard.sequence.harmony is not None
    assert (file.sequence.harmony.bars, heard.sequence.harmony.bars, free.sequence.harmony) == (minor, minor, None)
    assert not np.array_equal(heard.sequence.ready, free.sequence.ready)
    voice.controls = replace(voice.controls, temperature=0.0)
    voice.live.apply_at(voice.state, Commit(number=1), heard, 0, voice.moment())
    by_ear, told, other = voice.fork(), voice.fork(), voice.fork()
    told.conductor.set_chord(parse_chord("Am"), 0.0)
    other.conductor.set_chord(parse_chord("Eb"), 0.0)
    made = [each.play(20) for each in (by_ear, told, other)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    kept_harmony = restore(voice.live, snapshot(voice.live, by_ear.state)).sequence.harmony
    assert kept_harmony == heard.sequence.harmony
    by_ear.play(60)
    again = by_ear.live.prepare(
        by_ear.state, by_ear.controls, Rewind(bars=1, aim=by_ear.moment().sample), by_ear.moment()
    )
    assert again(PromptAudio()).sequence.harmony == heard.sequence.harmony


def test_a_voice_that_has_rehearsed_plays_as_before() -> None:
    made = Voice("conducted")
    made.live.rehearse()
    assert np.array_equal(made.play(3), Voice("conducted").play(3))


def test_a_frame_is_told_from_its_beginning_to_its_end() -> None:
    """So that chords that were heard change in the frame's middle, as a conductor's do; 120 bpm, 480 ticks a beat."""
    spec, conductor = Voice("conducted").spec, Conductor(RATE)
    span = conductor.span(0, spec.frames, spec.hop, spec.sample_rate, spec.latency * RATE / spec.sample_rate)
    for ahead in (0, 123, spec.hop, 5 * spec.hop):
        ticks = ChunkTime(span, spec).beyond(0)(ahead)
        assert ticks is not None
        assert np.allclose(ticks.ticks * spec.sample_rate / 960, [ahead, ahead + spec.hop], atol=1e-6)


def busy(kind: str) -> Voice:
    """A voice amid all that its state can hold: a kept point, a loop, a fade, and a continuation on its way."""
    voice = Voice(kind)
    voice.conductor = conductor_of(480.0)
    voice.play(2)
    voice.live.apply_at(voice.state, Commit(), future_of(voice, seed=3), 0, voice.moment())
    voice.play(12)
    voice.live.apply_at(voice.state, Branch(futures=3), None, 100, voice.moment())
    voice.turn("freeze", True)
    voice.play(1)
    voice.live.apply_at(voice.state, Commit(), future_of(voice), voice.spec.chunk - 10, voice.moment())
    return voice


def rest(voice: Voice, temperature: float, futures: tuple[int, int]) -> Iterator[Audio]:
    """Chunk by chunk: the continuation, let go of, then two futures of the kept point."""
    voice.turn("temperature", temperature)
    for chunk in range(18):
        if chunk == 4:
            voice.turn("freeze", False)
        if chunk in (8, 13):
            command = Choose(future=futures[chunk == 13])
            voice.live.apply_at(voice.state, command, None, 50, voice.moment())
        yield voice.step()


def in_turn(*plays: Iterator[Audio]) -> list[Audio]:
    """What each plays, when they take turns chunk by chunk."""
    chunks = list(zip(*plays, strict=True))
    return [np.concatenate(each, axis=1) for each in zip(*chunks, strict=True)]


@pytest.mark.parametrize("kind", ["plain", "conducted", "melody"])
def test_a_fork_of_a_continuation_shares_no_memory(kind: str) -> None:
    """Keys and values, codes, decoder, loop, kept point and what is on its way: of each, one for each."""
    voice = busy(kind)
    assert voice.state.mark is not None
    assert voice.state.loop is not None
    assert voice.state.turns[0].sequence is not None
    alone_ = []
    for temperature, futures in ((1.0, (1, 2)), (4.0, (3, 2))):
        copy = voice.fork()
        copy.state = pickle.loads(pickle.dumps(voice.state))
        alone_ += in_turn(rest(copy, temperature, futures))
    fork = voice.fork()
    together_ = in_turn(rest(voice, 1.0, (1, 2)), rest(fork, 4.0, (3, 2)))
    assert np.array_equal(together_[0], alone_[0])
    assert np.array_equal(together_[1], alone_[1])
    assert not np.array_equal(alone_[0], alone_[1])


def test_nothing_that_changes_is_in_two_forks() -> None:
    """Every array of the state, wherever it lies; conditions are never changed and may be shared."""
    voice = busy("conducted")
    voice.step()
    fork = voice.live.fork(voice.state)
    mine, others = list(arrays_of(voice.state)), [array for _, array in arrays_of(fork)]
    assert [name for name, array in mine if any(np.shares_memory(array, other) for other in others)] == []


def arrays_of(value: object, name: str = "state") -> Iterator[tuple[str, np.ndarray]]:
    """All arrays under a value with their places, but for conditions and the codebooks' delays."""
    if isinstance(value, np.ndarray):
        if value.size and not name.endswith(".delays"):
            yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from arrays_of(each, f"{name}.{key}")
    elif isinstance(value, tuple | list):
        for index, each in enumerate(value):
            yield from arrays_of(each, f"{name}.{index}")
    elif is_dataclass(value) and not isinstance(value, Conditions | Harmony):
        for each in fields(value):
            if each.name not in ("bound", "feeds"):
                yield from arrays_of(getattr(value, each.name), f"{name}.{each.name}")


def test_a_kept_point_stays_however_often_it_is_chosen_from() -> None:
    voice = Voice()
    voice.play(5)
    voice.live.apply_at(voice.state, Branch(futures=3), None, 0, voice.moment())
    voice.step()
    fade, made = round(0.04 * voice.spec.sample_rate), []
    for _ in range(2):
        voice.live.apply_at(voice.state, Choose(future=2), None, 0, voice.moment())
        made.append(voice.play(6)[:, fade:])
    assert np.array_equal(made[0], made[1])
