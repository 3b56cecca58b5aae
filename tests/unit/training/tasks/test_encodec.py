"""A codec of ours learns, resumes where it stopped, runs piece by piece, and its codebooks follow what they hear."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training import checkpoint
from training.config import Data, Optim, Recipe
from training.evaluate.codes import score_codec, si_snr_db
from training.loop import fit
from training.models.encodec import ENCODEC_24, ENCODEC_LIVE, Encodec, EncodecConfig, parameters
from training.models.encodec_critic import MultiStftCritic
from training.models.encodec_stream import StreamState, step, streams
from training.models.musicgen_files import CODEC_FILE, load_codec, load_musicgen
from training.recipes.encodec_32k import RECIPE as PUBLISHED
from training.recipes.encodec_live import RECIPE as LIVE
from training.task import TrainingError
from training.tasks.encodec import TrainCodec
from training.tasks.encodec_books import Follower
from training.tasks.encodec_losses import Balancer, MelDistance

SMALL = EncodecConfig(
    sample_rate=8000, ratios=(4, 4, 2), filters=4, width=16, lstm=1, codebooks=3, entries=16, causal=True, reflect=False
)


def _recipe(folder: Path, **changes: object) -> Recipe:
    task = TrainCodec(
        model=SMALL, frames=40, windows=(64, 256), critic_windows=(256, 64), critic_width=4, critic_from=3,
        quantised_from=2, dropout=0.3,
        exponent=1.0, wave=2.0, mel=4.0, judged=0.5, matched=0.5, quieter_db=3.0,
    )  # fmt: skip
    values: dict[str, object] = {
        "task": task, "steps": 6, "batch": 4, "precision": "32-true", "save_every": 0, "log_every": 1,
        "preview_every": 0, "evaluate_every": 0,
        "data": Data(pieces=3, bars=1, workers=0, valid=0.3, cache=str(folder / "cache")),
        "optim": Optim(lr=6e-3, betas=(0.8, 0.99), eps=1e-8, average=0.9),
    }  # fmt: skip
    return Recipe(**(values | changes))  # type: ignore[arg-type]


def _rows(run: Path, kind: str) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [row for row in rows if row["kind"] == kind]


def test_live_codec_is_small_and_hears_no_future() -> None:
    codec = Encodec(ENCODEC_LIVE)
    assert parameters([codec.encoder, codec.decoder]) < 3_000_000
    assert ENCODEC_LIVE.frame_rate == 50.0
    assert streams(ENCODEC_LIVE)


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, shortcut=True, channels=2, lstm=2)], ids=["mono", "stereo"])
def test_piece_by_piece_is_what_it_is_at_once(config: EncodecConfig) -> None:
    torch.manual_seed(0)
    codec = Encodec(config).eval()
    sound = torch.randn(2, config.channels, 30 * config.hop)
    with torch.no_grad():
        latents, state = codec.encoder(sound), StreamState()
        parts = [step(codec.encoder, part, state) for part in sound.split([c * config.hop for c in (1, 5, 24)], dim=2)]
        assert torch.allclose(torch.cat(parts, dim=2), latents, atol=1e-6)
        made, state = codec.decoder(latents), StreamState()
        first = step(codec.decoder, latents[:, :, :7], state)
        other = state.fork()
        rest = [step(codec.decoder, part, state) for part in latents[:, :, 7:].split([1, 2, 20], dim=2)]
        assert torch.allclose(torch.cat([first, *rest], dim=2), made, atol=1e-6)
        assert torch.equal(step(codec.decoder, latents[:, :, 7:8], other), rest[0])


def test_what_hears_the_future_does_not_run_piece_by_piece() -> None:
    for config in (ENCODEC_24, replace(SMALL, causal=False), replace(SMALL, group_norm=True)):
        assert not streams(config)


def test_codebooks_find_the_places_that_latents_come_from() -> None:
    generator = torch.Generator().manual_seed(0)
    config = replace(SMALL, codebooks=2, entries=32)
    codec, follower = Encodec(config), Follower(config)
    places = 3.0 * torch.randn(8, config.width, generator=generator)
    away = []
    for _ in range(60):
        chosen = places[torch.randint(8, (4, 50), generator=generator)]
        latents = chosen + 0.05 * torch.randn(chosen.shape, generator=generator)
        made = follower(codec.quantiser, latents.transpose(1, 2), torch.full((4,), 2), generator)
        away.append(float((made.latents.transpose(1, 2) - latents).square().mean()))
    assert away[-1] < 0.01  # noise that is left is 0.05 ^ 2; places are 9 apart
    assert 0.15 < float(made.used) <= 1.0  # 8 of 32 entries in the first, noise all over the second
    codes = codec.quantiser.encode(latents.transpose(1, 2))
    # Entries have moved on since, by a hundredth of what was new.
    assert float((codec.quantiser.decode(codes) - made.latents).square().mean()) < 0.01


def test_an_entry_nobody_uses_moves_to_where_latents_are() -> None:
    generator = torch.Generator().manual_seed(1)
    config = replace(SMALL, codebooks=1, entries=4)
    codec, follower = Encodec(config), Follower(config, decay=0.5)
    latents = torch.randn(2, config.width, 50, generator=generator)
    follower(codec.quantiser, latents, torch.ones(2, dtype=torch.int64), generator)
    codec.quantiser.books[0, 2] = 100.0
    for _ in range(8):
        follower(codec.quantiser, latents, torch.ones(2, dtype=torch.int64), generator)
    assert float(codec.quantiser.books.abs().max()) < 5.0


def test_the_gradient_goes_straight_through_and_dropped_codebooks_say_nothing() -> None:
    config = replace(SMALL, codebooks=3)
    codec, follower = Encodec(config), Follower(config)
    latents = torch.randn(3, config.width, 20, requires_grad=True)
    made = follower(codec.quantiser, latents, torch.tensor([1, 2, 3]), torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad((made.latents * 2.0).sum(), latents)
    assert torch.allclose(gradient, torch.full_like(gradient, 2.0))
    away = (made.latents - latents).detach().square().mean(dim=(1, 2))
    assert away[0] > away[1] > away[2]


def test_codebooks_that_no_item_comes_to_stay_what_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    codec, follower = Encodec(SMALL), Follower(SMALL)
    latents = torch.randn(2, SMALL.width, 40, generator=generator)
    follower(codec.quantiser, latents, torch.full((2,), 3), generator)
    before = codec.quantiser.books.clone()
    made = follower(codec.quantiser, 2.0 * latents, torch.ones(2, dtype=torch.int64), generator)
    assert bool(made.commitment.isfinite())
    assert not torch.equal(codec.quantiser.books[0], before[0])
    assert torch.allclose(codec.quantiser.books[1:], before[1:], atol=0.1)


def test_balanced_losses_pull_by_their_weights_whatever_their_scale() -> None:
    balancer = Balancer({"loud": 1.0, "soft": 3.0})
    made = torch.randn(2, 1, 50, requires_grad=True)
    one, two = made[:, :, :25].sum(), made[:, :, 25:].sum()
    for _ in range(3):
        pull = balancer.pull({"loud": 1e6 * one, "soft": 1e-6 * two}, made, float)
    sizes = pull[:, :, :25].norm(), pull[:, :, 25:].norm()
    assert float(sizes[1] / sizes[0]) == pytest.approx(3.0, rel=1e-4)
    again = Balancer({"loud": 1.0, "soft": 3.0})
    again.load_state(json.loads(json.dumps(balancer.state())))
    losses = {"loud": 1e3 * one, "soft": two}
    assert torch.equal(again.pull(losses, made, float), balancer.pull(losses, made, float))


def test_mel_distance_is_nothing_for_equal_sounds_and_grows() -> None:
    distance, sound = MelDistance(8000, (64, 256)), 0.1 * torch.randn(2, 1, 2000)
    values = [float(distance(sound + amount * torch.randn_like(sound), sound)) for amount in (0.0, 0.02, 0.2)]
    assert values[0] == 0.0
    assert values[0] < values[1] < values[2]


def test_judges_see_phases() -> None:
    torch.manual_seed(0)
    critic, sound = MultiStftCritic((256, 64), 4), torch.randn(1, 1, 1000)
    one, two = critic(sound)[0], critic(-sound)[0]
    assert [scores.shape[0] for scores in one] == [1, 1]
    assert not torch.allclose(one[0], two[0])


def test_si_snr_is_what_it_says() -> None:
    target = torch.randn(1, 1, 100_000, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(1, 1, 100_000, generator=torch.Generator().manual_seed(1))
    assert float(si_snr_db(0.3 * (target + 0.1 * noise), target)) == pytest.approx(20.0, abs=0.1)


def test_a_tiny_codec_learns(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, steps=60, evaluate_every=10, preview_every=60)
    fit(recipe, tmp_path / "run", accelerator="cpu", quiet=True, curves=False)
    held = _rows(tmp_path / "run", "evaluate")
    assert held[-1]["si_snr_db_3"] > held[0]["si_snr_db_3"] + 8.0
    codec, notes = load_codec(tmp_path / "run" / CODEC_FILE)
    assert notes["licence"] == "MIT"
    (table,) = recipe.task.measure(tmp_path / "run")  # type: ignore[attr-defined]
    assert len(table.rows) == 1 + codec.config.codebooks
    previews = {path.name for path in (tmp_path / "run").rglob("*.wav")}
    assert previews == {"real.wav", "made.wav"}


def test_resumed_is_never_stopped(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path)
    whole = fit(recipe, tmp_path / "whole", accelerator="cpu", quiet=True, curves=False)
    fit(recipe, tmp_path / "parts", until=4, accelerator="cpu", quiet=True, curves=False)
    parts = fit(recipe, tmp_path / "parts", resume=True, accelerator="cpu", quiet=True, curves=False)
    one, two = checkpoint.load(whole.checkpoint), checkpoint.load(parts.checkpoint)
    assert one.weights.keys() == two.weights.keys()
    assert all(torch.equal(value, two.weights[name]) for name, value in one.weights.items())
    assert all(torch.equal(value, two.optimisers[name]) for name, value in one.optimisers.items())
    assert one.about["state"] == two.about["state"]


def test_half_precision_trains(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, steps=5, precision="bf16-mixed")
    fit(recipe, tmp_path / "run", accelerator="cpu", quiet=True, curves=False)
    rows = _rows(tmp_path / "run", "train")
    assert all(row["skipped"] == 0 and row["mel"] > 0 for row in rows)


def test_published_and_our_recipe_fit_together() -> None:
    for recipe, codebooks in ((PUBLISHED, 2048), (LIVE, 1024)):
        assert isinstance(recipe.task, TrainCodec)
        assert recipe.task.model.entries == codebooks
        assert recipe.task.frames * recipe.task.model.hop >= max(recipe.task.windows)


def test_crops_too_short_for_their_windows_are_refused(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, task=TrainCodec(model=SMALL, frames=2, windows=(64, 256), critic_windows=(64,)))
    with pytest.raises(TrainingError, match="wanted 256 or more"):
        recipe.task.build(recipe)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"no")
    with pytest.raises(ValueError, match="not readable"):
        load_codec(path)
    with pytest.raises(ValueError, match="not readable"):
        load_musicgen(tmp_path / "absent.safetensors")


def test_more_codebooks_take_more_bits() -> None:
    codec = Encodec(SMALL).eval()
    scores = score_codec(codec, 0.1 * torch.randn(2, 1, 4096))
    assert [score.codebooks for score in scores] == [1, 2, 3]
    assert [score.kbit_s for score in scores] == pytest.approx([1.0, 2.0, 3.0])
