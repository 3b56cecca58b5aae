"""A language model's cached steps are what it says of the whole, wherever one goes on, forks or goes back."""

import pickle
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import ControlError, ShapeError
from engine.models.musicgen.melody import chroma_filters, melody_classes, no_melody
from engine.models.musicgen.model import Musicgen, MusicgenControls, apart, together
from engine.models.musicgen.state import Conditions, MusicgenState
from engine.music.codes import delayed
from engine.music.conducting import GUIDED_FEATURES
from tests.tiny_musicgen import ENTRIES, KINDS, open_tiny, tiny_parts
from training.models.musicgen import LM, guided

GREEDY = MusicgenControls(temperature=0.0)
WINDOW, KEEP = KINDS["plain"].window, KINDS["plain"].keep


def prompt_of(model: Musicgen, frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, ENTRIES, (model.facts.codebooks, frames))


def told_of(kind: str, guided_too: bool = True) -> Conditions:
    model = open_tiny(kind)
    return model.conditions("slow piano" if KINDS[kind].text else "", guided=guided_too)


def drawn(
    model: Musicgen, state: MusicgenState, frames: int, controls: MusicgenControls | None = None
) -> Iterator[np.ndarray]:
    while frames:
        frame = model.step(state, controls)
        if frame is not None:
            frames -= 1
            yield frame


def play(model: Musicgen, state: MusicgenState, frames: int, controls: MusicgenControls | None = None) -> np.ndarray:
    return np.stack(list(drawn(model, state, frames, controls)), axis=1)


def torch_words(kind: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors of the words, and their mask."""
    text, length = tiny_parts(kind).text, KINDS[kind].text_length
    assert text is not None
    pieces, mask = torch.tensor([[2, 4]]), torch.ones(1, 2)
    if length:
        pieces, mask = torch.tensor([[2, 4] + [0] * (length - 2)]), torch.tensor([[1.0, 1.0] + [0.0] * (length - 2)])
    vectors: torch.Tensor = text(pieces, mask)
    return vectors, mask


def torch_context(kind: str, guided_too: bool) -> torch.Tensor | None:
    """What torch's model is told by the same words."""
    parts = tiny_parts(kind)
    if parts.text is None:
        return None
    vectors, mask = torch_words(kind)
    melody = torch.from_numpy(no_melody(235))[None] if KINDS[kind].lm.chroma else None
    told = parts.lm.condition(vectors, mask, melody)
    untold = parts.lm.condition(vectors, 0 * mask, melody)
    assert told is not None
    assert untold is not None
    return torch.cat([told, untold]) if guided_too else told


def as_told(kind: str, features: torch.Tensor, rows: int) -> torch.Tensor:
    """[rows, S, F] of [1, S, F]: with what words say; a second row is told the time alone."""
    features, lm = features.repeat(rows, 1, 1), tiny_parts(kind).lm
    if lm.config.character:
        features[:1, :, -lm.config.character :] = lm.read(*torch_words(kind))[:, None]
    if features.shape[2]:
        features[1:, :, -GUIDED_FEATURES:] = 0.0
    return features


def torch_greedy(
    kind: str, prompt: np.ndarray, frames: int, guidance: float, features: torch.Tensor | None
) -> np.ndarray:
    """Greedy codes, everything worked out anew for each step."""
    lm: LM = tiny_parts(kind).lm
    plan, total = delayed(prompt.shape[1] + frames, KINDS[kind].delays), prompt.shape[1] + frames
    sequence = np.full((plan.codebooks, plan.length), ENTRIES)
    np.put_along_axis(sequence, plan.steps[:, : prompt.shape[1]], prompt, axis=1)
    wanted, rows = plan.unknown(prompt.shape[1]), 2 if guidance != 1.0 else 1
    with torch.no_grad():
        context = torch_context(kind, rows == 2)
        for step in range(plan.first_unknown(prompt.shape[1]), plan.length):
            codes = torch.from_numpy(sequence[:, :step])[None].repeat(rows, 1, 1)
            told = None if features is None else as_told(kind, features[:, :step], rows)
            logits = lm(codes, context, features=told)[:, :, -1]
            best = (guided(logits, guidance) if rows == 2 else logits)[0].argmax(dim=1).numpy()
            sequence[:, step] = np.where(wanted[:, step], best, sequence[:, step])
    return plan.codes(sequence)[:, prompt.shape[1] : total]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [0, 1, 9])
def test_steps_say_what_torch_says_of_the_whole(kind: str, guidance: float, known: int) -> None:
    if guidance != 1.0 and not KINDS[kind].text:
        pytest.skip("a model that is told nothing is not guided")
    model, features = open_tiny(kind), None
    prompt = prompt_of(model, known)
    if model.facts.features:
        features = torch.randn(1, WINDOW, model.facts.features, generator=torch.Generator().manual_seed(1))
    state = model.begin(
        told_of(kind, guidance != 1.0), prompt, frames=25, features=None if features is None else features[0].numpy()
    )
    got = play(model, state, 25, MusicgenControls(temperature=0.0, guidance=guidance))
    assert state.ended
    assert np.array_equal(got, torch_greedy(kind, prompt, 25, guidance, features))
    with pytest.raises(ShapeError, match="has ended"):
        model.step(state)


def torch_logits(kind: str, state: MusicgenState) -> np.ndarray:
    """What torch says follows the steps of a window, all of them at once."""
    books = np.arange(len(state.delays))[:, None]
    columns = state.codes[books, state.margin + np.arange(state.steps)[None] - 1 - state.delays[:, None]]
    features = as_told(kind, torch.from_numpy(state.features[: state.steps])[None], state.conditions.batch)
    with torch.no_grad():
        logits = tiny_parts(kind).lm(
            torch.from_numpy(columns)[None].repeat(state.conditions.batch, 1, 1),
            torch_context(kind, state.conditions.guided),
            features=features if features.shape[2] else None,
        )
    made: np.ndarray = logits[:, :, -1].numpy()
    return made


@pytest.mark.parametrize("guided_too", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_cached_logits_are_those_of_the_whole(kind: str, guided_too: bool) -> None:
    model = open_tiny(kind)
    state = model.begin(told_of(kind, guided_too), prompt_of(model, 7))
    for frames in (1, 20):
        play(model, state, frames)
        model.prefill(state)
        assert np.abs(torch_logits(kind, state) - state.cache.logits).max() < 1e-4
        assert state.cache.logits.std() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_is_kept_and_its_late_codebooks_are_not_drawn(kind: str) -> None:
    model = open_tiny(kind)
    prompt = prompt_of(model, 9)
    state = model.begin(told_of(kind), prompt, frames=1)
    play(model, state, 1)
    assert np.array_equal(state.codes[:, state.margin : state.margin + 9], prompt)


@pytest.mark.parametrize("kind", KINDS)
def test_forks_and_rewound_states_go_on_to_the_bit(kind: str) -> None:
    model = open_tiny(kind)
    state = model.begin(told_of(kind), prompt_of(model, 9), seed=4)
    play(model, state, 5)
    frozen, frames = state.fork(), state.steps - 1
    other = state.fork()
    other.seed = 5
    first = play(model, state, 30)
    assert not np.array_equal(play(model, other, 30), first)
    thawed = pickle.loads(pickle.dumps(frozen))
    assert np.array_equal(play(model, thawed, 30), first)
    logits = thawed.cache.logits.copy()
    model.rewind(state, frames)
    assert np.array_equal(play(model, state, 30), first)
    assert np.array_equal(state.cache.logits, logits)
    model.rewind(state, 9)  # where the prompt ends
    again = play(model, state, 35)
    assert np.array_equal(again[:, 5:], first)


def test_one_goes_back_only_to_what_is_still_there() -> None:
    model = open_tiny()
    state = model.begin(told_of("plain"), prompt_of(model, 9))
    play(model, state, 5)
    for frames in (8, state.steps):
        with pytest.raises(ShapeError, match=r"frames 9\.\.17 can be gone back to"):
            model.rewind(state, frames)


@pytest.mark.parametrize("kind", ["plain", "stereo", "melody"])
def test_a_next_window_is_a_fresh_prompt_of_the_newest_frames(kind: str) -> None:
    model = open_tiny(kind)
    prompt = prompt_of(model, 20)
    state = model.begin(told_of(kind), prompt, seed=2)
    heard = np.concatenate([prompt, play(model, state, WINDOW)], axis=1)
    model.prefill(state)
    assert state.origin == WINDOW + model.facts.latest + 1 - KEEP
    assert np.array_equal(
        state.codes[:, state.margin : state.margin + heard.shape[1] - state.origin], heard[:, state.origin :]
    )
    assert (state.codes[:, : state.margin] == ENTRIES).all()
    assert np.abs(torch_logits(kind, state) - state.cache.logits).max() < 1e-4


@pytest.mark.parametrize("kind", ["plain", "stereo", "melody"])
def test_a_window_heard_beside_the_last_is_the_same_window(kind: str) -> None:
    model = open_tiny(kind)
    plain = model.begin(told_of(kind), prompt_of(model, 20), seed=2)
    beside = model.begin(told_of(kind), prompt_of(model, 20), seed=2, seamless=True)
    logits = []
    for state in (plain, beside):
        rows = []
        for _ in range(4 * WINDOW):
            model.step(state, GREEDY)
            rows.append(state.cache.logits.copy())
        logits.append(np.stack(rows))
        assert state.origin > 2 * KEEP
    assert np.abs(logits[0] - logits[1]).max() < 1e-4
    assert np.array_equal(plain.codes, beside.codes)


def test_no_step_of_a_seamless_sequence_hears_more_than_three() -> None:
    model = open_tiny()
    state = model.begin(told_of("plain"), seamless=True)
    assert state.next_cache is not None
    model.step(state)
    heard = state.cache.fed + state.next_cache.fed
    for _ in range(3 * WINDOW):
        model.step(state)
        # At a change the full cache becomes the next_cache one and is empty at once.
        now = state.cache.fed + state.next_cache.fed
        assert now - heard <= 3
        heard = now


def test_a_rotary_model_lets_go_of_the_oldest() -> None:
    """The first layer hears only embeddings: what is kept must be as if the newest alone had been heard."""
    model = open_tiny("conducted")
    state = model.begin(told_of("conducted"), prompt_of(model, 20))
    size = sum(value.nbytes for value in state.cache.arrays.values())
    for round_ in range(1, 4):
        play(model, state, WINDOW)
        assert state.origin >= round_ * KEEP
        newest = model.begin(state.conditions)
        newest.codes[:], newest.features[:], newest.steps = state.codes, state.features, state.cache.fed
        model.prefill(newest)
        for name in ("k.0", "v.0"):
            kept, fresh = (each.cache.arrays[name][:, :, : newest.steps] for each in (state, newest))
            assert np.abs(kept - fresh).max() < 1e-5
            assert kept.std() > 0.01
    assert sum(value.nbytes for value in state.cache.arrays.values()) == size
    assert state.codes.shape[1] == state.margin + WINDOW + model.facts.latest + 1


def test_an_endless_stream_is_what_a_model_with_a_window_has_learned() -> None:
    """Two layers of twelve steps each hear 23 steps: whatever was let go of, the newest say what all would."""
    model = open_tiny("conducted")
    assert 2 * KINDS["conducted"].lm.window - 1 <= KEEP
    state = model.begin(told_of("conducted"), prompt_of(model, 20))
    for _ in range(30):
        play(model, state, 7)
        model.prefill(state)
        assert np.abs(torch_logits("conducted", state) - state.cache.logits).max() < 1e-4
    assert state.origin > 2 * KEEP


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    model = open_tiny()
    made = [
        play(
            model,
            model.begin(told_of("plain"), prompt_of(model, 5), seed=seed),
            20,
            MusicgenControls(top_k=8, top_p=0.9),
        )
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_only_the_likeliest_are_drawn() -> None:
    model = open_tiny()
    state, sure = (model.begin(told_of("plain"), prompt_of(model, 5)) for _ in range(2))
    one = play(model, state, 20, MusicgenControls(top_k=1, temperature=2.0))
    assert np.array_equal(one, play(model, sure, 20, GREEDY))


def test_words_and_guidance_are_heard() -> None:
    model = open_tiny()
    made = []
    for words, guidance in (("slow piano", 3.0), ("fast drums", 3.0), ("slow piano", 6.0)):
        state = model.begin(model.conditions(words), prompt_of(model, 5))
        model.step(state, GREEDY)
        logits = state.cache.logits
        made.append(logits[1] + guidance * (logits[0] - logits[1]))
    assert np.abs(made[0] - made[1]).max() > 1e-3
    assert np.abs(made[0] - made[2]).max() > 1e-3
    assert not model.conditions("").guided


def test_other_words_may_be_told_on_the_way() -> None:
    model = open_tiny()
    state, told = (
        model.begin(model.conditions("slow piano"), prompt_of(model, 5)),
        model.conditions("fast drums fast drums"),
    )
    play(model, state, 5)
    other = state.fork()
    model.set_conditions(other, told)
    model.prefill(state)
    model.prefill(other)
    assert np.abs(state.cache.logits[0] - other.cache.logits[0]).max() > 1e-3
    assert np.abs(state.cache.logits[1] - other.cache.logits[1]).max() < 1e-5  # nothing was and is told there
    with pytest.raises(ShapeError, match="begin it anew"):
        model.set_conditions(state, model.conditions("slow", guided=False))


@pytest.mark.parametrize("kind", ["plain", "conducted", "stereo"])
def test_words_may_come_where_none_were_told(kind: str) -> None:
    """Until then one row does for two; afterwards it is as if there had been two from the beginning."""
    model = open_tiny(kind)
    nothing = model.conditions("", changing=True)
    assert (nothing.batch, nothing.rows) == (2, 1)
    one = model.begin(nothing, prompt_of(model, 20), seed=3, seamless=True)
    two = model.begin(replace(nothing, alike=False), prompt_of(model, 20), seed=3, seamless=True)
    for frames, words in ((50, ""), (30, "slow piano"), (30, ""), (40, "fast drums")):
        for state in (one, two):
            model.set_conditions(state, model.conditions(words, changing=True))
        assert np.array_equal(play(model, one, frames, GREEDY), play(model, two, frames, GREEDY))
        model.prefill(one)
        model.prefill(two)
        assert np.abs(one.cache.logits[: one.conditions.rows] - two.cache.logits[: one.conditions.rows]).max() < 1e-4
    assert one.conditions.rows == 2


def test_chords_may_come_where_none_were_told() -> None:
    """As with words: afterwards it is as if there had been two rows from the beginning, the second without chords."""
    model = open_tiny("conducted")
    nothing, features = model.conditions("", changing=True), np.zeros(model.facts.features, np.float32)
    chord = features.copy()
    chord[-GUIDED_FEATURES:] = 1.0
    one = model.begin(nothing, prompt_of(model, 20), seed=3)
    two = model.begin(replace(nothing, alike=False), prompt_of(model, 20), seed=3)
    for told, rows in ((features, 1), (chord, 2), (features, 2)):
        for _ in range(30):
            assert np.array_equal(model.step(one, GREEDY, told), model.step(two, GREEDY, told))
        assert one.conditions.rows == rows
    heard = np.tile(chord, (20, 1))
    assert model.begin(nothing, prompt_of(model, 20), features=heard).conditions.rows == 2
    assert model.begin(model.conditions("", guided=False), prompt_of(model, 20), features=heard).conditions.rows == 1


def test_a_melody_is_heard_where_it_is_taken() -> None:
    model, tone = open_tiny("melody"), np.sin(2 * np.pi * 440 * np.arange(40000) / 32000)[None].astype(np.float32)
    told = model.conditions("slow", tone)
    assert told.before == 236
    state, without = (model.begin(each) for each in (told, model.conditions("slow")))
    for each in (state, without):
        model.prefill(each)
    assert np.abs(state.cache.logits[0] - without.cache.logits[0]).max() > 1e-3
    assert np.abs(state.cache.logits[1] - without.cache.logits[1]).max() == 0.0
    with pytest.raises(ControlError, match="takes no melody"):
        open_tiny().conditions("", tone)
    with pytest.raises(ControlError, match="takes no words"):
        open_tiny("wordless").conditions("slow")


def test_the_strongest_pitch_class_is_told() -> None:
    hz = 440.0 * 2.0 ** (np.array([-9, 0, 2, 8]) / 12)  # c, a, b, f
    sound = np.concatenate([np.sin(2 * np.pi * f * np.arange(1 << 15) / 32000) for f in hz]).astype(np.float32)
    classes = melody_classes(sound, 32000).argmax(axis=1)
    middles = (np.arange(4) + 0.5) * (1 << 15) / (1 << 12)
    assert [int(classes[int(at)]) for at in middles] == [0, 9, 11, 5]
    assert np.array_equal(melody_classes(sound, 32000, 50)[: len(classes)].argmax(axis=1), classes)
    assert not melody_classes(np.zeros(100, np.float32), 32000)[:, 1:].any()


def test_pitch_classes_are_weighed_as_by_the_release() -> None:
    librosa = pytest.importorskip("librosa")
    wanted = librosa.filters.chroma(sr=32000, n_fft=1 << 14, tuning=0, n_chroma=12)
    assert np.abs(chroma_filters(32000) - wanted).max() < 1e-6


def test_codes_of_both_sides_are_told_together() -> None:
    codes = np.arange(2 * 4 * 5).reshape(2, 4, 5)
    assert together(codes)[:4, 0].tolist() == [codes[0, 0, 0], codes[1, 0, 0], codes[0, 1, 0], codes[1, 1, 0]]
    assert np.array_equal(apart(together(codes), 2), codes)


def test_a_wrong_prompt_is_refused() -> None:
    model = open_tiny()
    with pytest.raises(ShapeError, match=r"codes \[4, T\], got \[3, 5\]"):
        model.begin(told_of("plain"), np.zeros((3, 5), np.int64))
    with pytest.raises(ShapeError, match=r"are 0\.\.31, got 0\.\.32"):
        model.begin(told_of("plain"), np.full((4, 5), 32) * np.eye(4, 5, dtype=np.int64))


@pytest.mark.parametrize("kind", ["plain", "conducted"])
def test_sound_comes_as_late_as_is_declared(kind: str) -> None:
    model = open_tiny(kind)
    state = model.begin(told_of(kind), prompt_of(model, 9))
    sound, at, steps = model.codec.begin_decode(), 0, 0
    model.codec.decode_step(sound, prompt_of(model, 9)[None])
    while at <= 9:
        frame = model.step(state)
        steps += 1
        if frame is not None:
            model.codec.decode_step(sound, frame[None, :, None])
        at = sound.sounded
    # The first step says the first code of frame 9; its sound is whole so many steps later.
    assert steps - 1 == sum(model.facts.latency_frames.values())
