"""A language model of codes learns what it is told, resumes where it stopped, and is published whole."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.music.codes import delayed
from engine.music.conducting import CHARACTER, FRAME_FEATURES, GUIDED_FEATURES
from training import checkpoint
from training.config import Data, Optim, Recipe, RecipeError
from training.data.captions import PATTERN, caption, caption_words, words_in
from training.data.code_store import CodeStore, CodeWindow
from training.data.corpus import DataError
from training.data.described import PARTS, STEP_FEATURES, Described, Played, attributes, step_features
from training.data.synth import stems
from training.evaluate.codes import code_losses
from training.evaluate.playing import listen
from training.evaluate.words import asked_text, taught
from training.loop import fit
from training.models.encodec import Encodec, EncodecConfig, init_weights
from training.models.musicgen_files import CODEC_FILE, MUSICGEN_FILE, load_codec, load_musicgen, save_codec
from training.models.musicgen_sampling import sample_codes
from training.models.words import PAD, UNKNOWN, WordVocabulary
from training.recipes.musicgen_live import RECIPE as LIVE
from training.recipes.musicgen_small import RECIPE as SMALL
from training.task import TrainingError
from training.tasks.musicgen import TrainLM, encoded
from training.tasks.musicgen_batches import ConditionDropout, TokenBatches

CODEC = EncodecConfig(
    sample_rate=8000, ratios=(8, 5, 4), filters=4, width=8, lstm=1, codebooks=4, entries=16, causal=True, reflect=False
)


@pytest.fixture(scope="module")
def codec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec that was never trained: its codes are as good as any to be learned."""
    torch.manual_seed(0)
    codec = Encodec(CODEC)
    init_weights(codec)
    codec.quantiser.books.normal_()
    path = tmp_path_factory.mktemp("codec") / CODEC_FILE
    save_codec(path, codec, {"licence": "MIT"})
    return path


def _recipe(folder: Path, codec: Path, **changes: object) -> Recipe:
    task = TrainLM(
        codec=str(codec), width=64, layers=2, rotary=True, window=24, text_width=16, text_layers=1, text_heads=2,
        frames=40,
        dropout=ConditionDropout(conducted=True, text_length=12), listened=1,
    )  # fmt: skip
    values: dict[str, object] = {
        "task": task, "steps": 6, "batch": 4, "precision": "32-true", "save_every": 0, "log_every": 1,
        "preview_every": 0, "evaluate_every": 0,
        "data": Data(pieces=4, bars=2, workers=0, valid=0.3, cache=str(folder / "cache")),
        "optim": Optim(lr=3e-3, betas=(0.9, 0.95), eps=1e-8, clip=1.0, average=0.9),
    }  # fmt: skip
    return Recipe(**(values | changes))  # type: ignore[arg-type]


def _fit(recipe: Recipe, out: Path, **how: object) -> Path:
    return fit(recipe, out, accelerator="cpu", quiet=True, curves=False, **how).checkpoint  # type: ignore[arg-type]


def _rows(run: Path, kind: str) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if row["kind"] == kind]


def test_some_steps_are_of_beginnings_as_many_frames_in_all(tmp_path: Path, codec_file: Path) -> None:
    recipe = _recipe(tmp_path, codec_file)
    assert isinstance(recipe.task, TrainLM)
    task = replace(recipe, task=replace(recipe.task, starts=0.5, start_frames=10, reading=2)).task.build(recipe)
    task.prepare(torch.device("cpu"))
    shapes = {tuple(task.batch(0, np.random.default_rng(seed))["codes"].shape) for seed in range(12)}
    assert shapes == {(4, 4, 40), (16, 4, 10)}


def test_a_tiny_model_learns_and_is_published_whole(tmp_path: Path, codec_file: Path) -> None:
    recipe = _recipe(tmp_path, codec_file, steps=80, evaluate_every=80, preview_every=80)
    _fit(recipe, tmp_path / "run")
    losses = [row["loss"] for row in _rows(tmp_path / "run", "train")]
    assert np.mean(losses[-10:]) < 0.75 * np.mean(losses[:5])
    held = _rows(tmp_path / "run", "evaluate")[-1]
    assert {"held_conditioned", "held_others_words", "held_no_words", "held_no_chords", "held_no_time"} <= held.keys()
    made = load_musicgen(tmp_path / "run" / MUSICGEN_FILE)
    assert made.lm.config.rotary
    assert made.notes["delays"] == [0, 1, 2, 3]
    told = {"frame_features": FRAME_FEATURES, "chroma": 12, "bass": 12, "character": len(CHARACTER)}
    assert made.notes["features"] == told
    codec, _ = load_codec(tmp_path / "run" / MUSICGEN_FILE)
    assert torch.equal(codec.quantiser.books, load_codec(codec_file)[0].quantiser.books)
    assert made.vocabulary.words == caption_words()
    table, heard, words = recipe.task.measure(tmp_path / "run")  # type: ignore[attr-defined]
    assert (len(heard.rows), len(words.rows)) == (6, 4)
    assert [row[0] for row in table.rows][1:] == [
        "conditioned", "others_words", "no_words", "no_chords", "no_time", "no_character", "how often",
    ]  # fmt: skip
    previews = {path.name for path in (tmp_path / "run").rglob("*") if path.suffix in (".wav", ".txt")}
    assert previews == {"real.wav", "made.wav", "caption.txt"}


def test_resumed_is_never_stopped(tmp_path: Path, codec_file: Path) -> None:
    recipe = _recipe(tmp_path, codec_file)
    whole = checkpoint.load(_fit(recipe, tmp_path / "whole"))
    _fit(recipe, tmp_path / "parts", until=3)
    parts = checkpoint.load(_fit(recipe, tmp_path / "parts", resume=True))
    assert whole.weights.keys() == parts.weights.keys()
    assert all(torch.equal(value, parts.weights[name]) for name, value in whole.weights.items())
    assert all(torch.equal(value, parts.optimisers[name]) for name, value in whole.optimisers.items())


def test_half_precision_trains_items_without_words(tmp_path: Path, codec_file: Path) -> None:
    dropout = ConditionDropout(conducted=True, text_length=12, p_drop_text=1.0)
    task = replace(_recipe(tmp_path, codec_file).task, dropout=dropout)  # type: ignore[type-var]
    _fit(_recipe(tmp_path, codec_file, task=task, steps=2, precision="bf16-mixed"), tmp_path / "run")
    assert all(row["skipped"] == 0 and row["loss"] > 0 for row in _rows(tmp_path / "run", "train"))


def test_long_sounds_have_the_codes_they_have_at_once(codec_file: Path) -> None:
    codec, _ = load_codec(codec_file)
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 1100 * 160 + 7)).astype(np.float32)
    whole = codec.encode(torch.from_numpy(sound[:, : 1100 * 160].mean(axis=0)[None, None]))[0].numpy()
    assert (encoded(codec, sound) == whole).mean() > 0.999  # sums in another order may tip a balance


def _window(frames: int, text: str = "sad techno with bass") -> CodeWindow:
    codes = np.arange(4 * frames).reshape(4, frames) % 16
    return CodeWindow(codes, text, np.ones((STEP_FEATURES, frames), np.float32))


def _asking(**changes: object) -> TokenBatches:
    whole = ConditionDropout(
        conducted=True, text_length=6, p_drop_text=0.0, p_drop_time=0.0, p_drop_chords=0.0, p_drop_character=0.0
    )
    dropout = replace(whole, **changes)  # type: ignore[arg-type]
    return TokenBatches(dropout, WordVocabulary(caption_words(), PATTERN), 4, 16)


def test_each_step_foretells_the_next_of_the_delay_pattern() -> None:
    window = _window(7)
    batch = _asking().batch([window], np.random.default_rng(0))
    codes, targets, said = (batch[name][0].numpy() for name in ("codes", "targets", "said"))
    assert (codes[:, 0] == 16).all()
    assert (codes[:, 1:] == targets[:, :-1]).all()
    for book in range(4):
        assert not said[book, :book].any()
        assert said[book, book:].all()
        assert (targets[book, book:] == window.codes[book, : 7 - book]).all()
        assert (targets[book, :book] == 16).all()


def test_what_is_left_out_is_left_out_whole() -> None:
    windows = [_window(5)] * 3
    rng = np.random.default_rng(0)
    assert not _asking(p_drop_text=1.0).batch(windows, rng)["mask"].any()
    character = len(CHARACTER)
    timeless = _asking(p_drop_time=1.0).batch(windows, rng)["features"]
    assert not timeless[:, :, :-character].any()
    assert timeless[:, :, -character:].all()
    chordless = _asking(p_drop_chords=1.0).batch(windows, rng)["features"]
    assert not chordless[:, :, -GUIDED_FEATURES:-character].any()
    assert chordless[:, :, :-GUIDED_FEATURES].all()
    assert chordless[:, :, -character:].all()
    assert not _asking(p_drop_character=1.0).batch(windows, rng)["features"][:, :, -character:].any()
    some = _asking(p_drop_character=0.5).batch([_window(5)] * 40, rng)["features"][:, :, -character:]
    assert 0.15 < float(some[:, 0].mean()) < 0.35  # all of some items, and some of others
    assert torch.equal(some, some[:, :1].expand_as(some))
    forgotten = _asking(p_drop_word=1.0).batch(windows, rng)
    assert set(forgotten["pieces"].flatten().tolist()) == {PAD, UNKNOWN}
    assert forgotten["mask"].sum() == 3 * 4
    told = _asking().batch(windows, rng)
    assert told["features"].all()
    assert UNKNOWN not in told["pieces"]


def test_what_is_told_reaches_the_logits_and_no_earlier_step(tmp_path: Path, codec_file: Path) -> None:
    torch.manual_seed(0)
    task = _recipe(tmp_path, codec_file).task.build(_recipe(tmp_path, codec_file))
    lm, text = task.modules()["lm"].eval(), task.modules()["text"].eval()
    asking, frames = _asking(), 8

    def logits(words: str, later: float = 1.0) -> torch.Tensor:
        window = _window(frames, words)
        window.features[:, 5:] = later
        batch = asking.batch([window], np.random.default_rng(0))
        with torch.no_grad():
            context = lm.condition(text(batch["pieces"], batch["mask"]), batch["mask"])  # type: ignore[operator]
            made = lm(batch["codes"], context, features=batch["features"])
        assert isinstance(made, torch.Tensor)
        return made

    told = logits("sad techno with bass")
    assert float((logits("bright ambient with bells") - told).abs().max()) > 1e-4
    moved = (logits("sad techno with bass", later=-1.0) - told).abs().amax(dim=(0, 1, 3))
    assert float(moved[:5].max()) == 0.0
    assert float(moved[5:].min()) > 1e-4


def test_losses_count_only_what_is_said() -> None:
    logits = torch.zeros(1, 2, 3, 8)
    logits[0, :, 1:, 5] = 100.0
    targets = torch.full((1, 2, 3), 5)
    targets[0, :, 0] = 8  # the special code, of which there are no logits
    said = torch.tensor([[False, True, True], [False, True, True]])
    assert code_losses(logits, targets, said).tolist() == [0.0, 0.0]
    assert float(code_losses(logits * 0, targets, said)[0]) == pytest.approx(np.log(8), abs=1e-5)


def test_playing_keeps_the_prompt_and_hears_guidance(tmp_path: Path, codec_file: Path) -> None:
    torch.manual_seed(0)
    task = _recipe(tmp_path, codec_file).task.build(_recipe(tmp_path, codec_file))
    lm = task.modules()["lm"].eval()
    prompt = np.random.default_rng(0).integers(0, 16, (4, 5))
    features = torch.randn(1, STEP_FEATURES, 12)
    made = []
    for guidance in (1.0, 1.0, 8.0):
        generator = torch.Generator().manual_seed(1)
        context = 3.0 * torch.ones(1, 2, 64)
        how = {"context": context, "features": features, "prompt": prompt, "delays": (0, 1, 2, 3)}
        made.append(sample_codes(lm, 12, generator=generator, guidance=guidance, top_k=8, **how))  # type: ignore[arg-type]
    assert all((codes[:, :5] == prompt).all() and codes.shape == (4, 12) for codes in made)
    assert all(codes.min() >= 0 and codes.max() < 16 for codes in made)
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()


def test_playing_draws_from_what_one_pass_over_all_steps_gives(tmp_path: Path, codec_file: Path) -> None:
    torch.manual_seed(0)
    task = _recipe(tmp_path, codec_file).task.build(_recipe(tmp_path, codec_file))
    lm = task.modules()["lm"].eval()
    codes = sample_codes(lm, 9, delays=(0, 1, 2, 3), generator=torch.Generator().manual_seed(0), top_k=1)
    plan = delayed(9)
    sequence = torch.from_numpy(plan.sequence(codes, 16))
    with torch.no_grad():
        best = lm(sequence[None, :, :-1])[0].argmax(dim=2)
    said = torch.from_numpy(plan.said[:, 1:])
    assert bool((best == sequence[:, 1:])[said].all())


def test_captions_say_what_is_known_in_many_ways() -> None:
    corpus = Described(Data(pieces=12, bars=4, seed=3))
    vocabulary = WordVocabulary(caption_words(), PATTERN)
    rng = np.random.default_rng(0)
    texts = set()
    for entry in corpus.entries:
        played = corpus.played(entry)
        known = attributes(played, 0.0, 6.0)
        assert set(known.parts) <= set(played.parts)
        for _ in range(20):
            text = caption(known, rng)
            texts.add(text)
            assert not vocabulary.unknown(text)
            if "bpm" in text:
                assert f"{round(played.piece.tempo_bpm)} bpm" in text
            if {"drums", "beat"} & set(words_in(text)) and "no" not in text and "without" not in text:
                assert "drums" in known.parts
    assert len(texts) > 200
    assert max(len(words_in(text)) for text in texts) <= 24


def test_parts_that_do_not_play_are_not_heard() -> None:
    corpus = Described(Data(pieces=30, bars=1, seed=5))
    everybody = [entry for entry in corpus.entries if corpus.played(entry).parts == PARTS]
    some = [entry for entry in corpus.entries if corpus.played(entry).parts != PARTS]
    assert 4 <= len(everybody) <= 22
    without = next(entry for entry in some if "drums" not in corpus.played(entry).parts)
    assert np.abs(corpus.audio(without, 8000)).max() <= 0.85
    tempo, onsets = corpus.rhythm(everybody[0])
    assert tempo == corpus.played(everybody[0]).piece.tempo_bpm
    assert (np.diff(onsets) > 0).all()


def test_listening_hears_the_piece_itself() -> None:
    corpus = Described(Data(pieces=4, bars=4, seed=8))
    heard = []
    for entry in corpus.entries:
        whole = Played(corpus.played(entry).piece, PARTS)
        layers = stems(whole.piece, 16000)
        sound = sum(layers.values())
        heard.append(listen(whole, sound, 16000))
        later = listen(whole, np.roll(sound, round(0.25 * 60.0 / whole.piece.tempo_bpm * 16000), axis=1), 16000)
        assert later.off_ms > heard[-1].off_ms
    assert np.mean([h.tempo for h in heard]) >= 0.75
    assert np.median([h.off_ms for h in heard]) < 25.0
    assert np.mean([h.root for h in heard]) > 0.6


def test_a_taught_listener_hears_who_plays() -> None:
    listener, unheard = taught(lambda sound: sound, 8000, 60)
    right = np.stack([listener.hears(sound, 8000) == parts for sound, parts in unheard])
    assert len(unheard) == 15
    assert right.mean() > 0.8
    vocabulary = WordVocabulary(caption_words(), PATTERN)
    for parts in ([True, True, False, False], [False, False, False, True], [True] * 4):
        assert not vocabulary.unknown(asked_text("techno", np.array(parts)))


def test_step_features_go_on_from_window_to_window() -> None:
    corpus = Described(Data(pieces=1, bars=4))
    played = corpus.played(corpus.entries[0])
    whole = step_features(played, 0, 60, 640, 32000)
    assert whole.shape == (STEP_FEATURES, 60)
    assert np.array_equal(whole[:, 20:], step_features(played, 20, 40, 640, 32000))
    assert (whole[-GUIDED_FEATURES + 24 : -len(CHARACTER)].sum(axis=0) <= 1.0).all()  # one bass
    assert np.abs(whole[-len(CHARACTER) :]).max() <= 1.0
    parts = whole[-len(CHARACTER) :][: len(PARTS), 0]
    assert [part for part, plays in zip(PARTS, parts, strict=True) if plays == 1.0] == list(played.parts)


def test_unknown_words_and_long_texts_are_borne() -> None:
    vocabulary = WordVocabulary(("a minor", "bass", "techno"), PATTERN)
    assert vocabulary.numbers("Techno in A minor, bass!", 6).tolist() == [4, UNKNOWN, 2, 3, PAD, PAD]
    assert vocabulary.numbers("techno " * 9, 3).tolist() == [4, 4, 4]
    assert vocabulary.numbers("", 2).tolist() == [PAD, PAD]
    assert vocabulary.unknown("techno tuba") == ["tuba"]
    assert WordVocabulary.read(vocabulary.tokenizer()) == vocabulary
    with pytest.raises(ValueError, match="whole words"):
        WordVocabulary.read("{}")


def test_the_tokenizer_file_means_the_same() -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="comes with what published text encoders need")
    vocabulary = WordVocabulary(caption_words(), PATTERN)
    theirs = tokenizers.Tokenizer.from_str(vocabulary.tokenizer())
    for text in ("Sad TECHNO, with bass & drums; 124 bpm, in F# minor", "a tuba in a minor, no drums", "", "??"):
        ids = theirs.encode(text).ids
        assert ids == [n for n in vocabulary.numbers(text, 40).tolist() if n != PAD]


def test_codes_are_made_once(tmp_path: Path) -> None:
    made = []

    def encode(audio: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        made.append(1)
        return np.zeros((2, audio.shape[1] // 160), np.int64)

    def store(shortest: int) -> CodeStore:
        corpus = Described(Data(pieces=3, bars=1))
        return CodeStore(
            corpus, tmp_path, "ab", encode, sample_rate=8000, hop=160, folder="", valid=0.3, shortest=shortest
        )

    first = store(20)
    first.prepare()
    again = store(20)
    again.prepare()
    assert len(made) == 3
    one, two = (s.window(20, np.random.default_rng(4)) for s in (first, again))
    assert one.caption == two.caption
    assert np.array_equal(one.features, two.features)
    with pytest.raises(DataError, match="longer"):
        again.window(100_000, np.random.default_rng(0))


def test_a_folder_is_told_of_by_texts_beside_its_sounds(tmp_path: Path, codec_file: Path) -> None:
    from engine.music.audio import write_audio

    sounds = tmp_path / "music"
    sounds.mkdir()
    for name in ("one", "two"):
        noise = np.random.default_rng(0 if name == "one" else 1).uniform(-0.3, 0.3, (2, 16000)).astype(np.float32)
        write_audio(sounds / f"{name}.wav", noise, 8000)
        (sounds / f"{name}.txt").write_text("slow tuba", "utf-8")
    task = TrainLM(codec=str(codec_file), width=64, layers=1, text_width=16, text_layers=1, text_heads=2, frames=40)
    data = Data(folder=str(sounds), cache=str(tmp_path / "cache"), workers=0, valid=0.0)
    _fit(_recipe(tmp_path, codec_file, task=task, data=data, steps=2), tmp_path / "run")
    made = load_musicgen(tmp_path / "run" / MUSICGEN_FILE)
    assert not made.vocabulary.unknown("slow tuba")
    assert made.lm.config.features == 0
    assert made.notes["licence"] != "MIT"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, tmp_path / "absent.safetensors")
    with pytest.raises(RecipeError, match="train a codec first"):
        recipe.task.build(recipe)
    with pytest.raises(TrainingError, match="train the recipe first"):
        recipe.task.measure(tmp_path)  # type: ignore[attr-defined]


def test_recipes_are_published_shape_and_ours() -> None:
    assert isinstance(SMALL.task, TrainLM)
    assert isinstance(LIVE.task, TrainLM)
    assert (SMALL.task.width, SMALL.task.layers, SMALL.task.rotary, SMALL.task.dropout.conducted) == (
        1024, 24, False, False,
    )  # fmt: skip
    assert LIVE.task.rotary
    assert LIVE.task.dropout.conducted
