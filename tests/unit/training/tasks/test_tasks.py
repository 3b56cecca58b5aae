"""Every phase of Musika's training runs, learns, freezes what it must and hands on what the next one needs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit.training.test_loop import assert_same
from training.config import Data, Optim, Recipe, RecipeError
from training.loop import fit
from training.losses import samples_for
from training.models.musika import M22, MusikaConfig, build, load, save
from training.task import Stepper
from training.tasks import codec
from training.tasks.autoencoder import Adversarial, Level1Magnitude, Level1Sound, Level2Latents, Level2Sound
from training.tasks.latent_gan import LatentGan, continue_latents, truncated_normal

NANO = MusikaConfig(
    sample_rate=8000, hop=64, level1=8, latent=8, encoder=(32, 32), encoder2=(16,) * 7, decoder2=(16,) * 7,
    decoder=(24, 24, 16, 16), generator=(32, 32, 24, 24, 16, 16), critic=(16,) * 5, seq_len=64,
)  # fmt: skip
NANO22 = replace(
    M22, sample_rate=8000, hop=64, level1=8, latent=8, encoder=(16,) * 5, encoder2=(16,) * 6, decoder2=(16,) * 5,
    decoder=(16,) * 5, generator=NANO.generator, critic=(16,) * 6,
)  # fmt: skip
SMALL = Adversarial(critic=(4, 4, 4, 4), hops=(32, 128, 512))


class Hand(Stepper):
    """A stepper without a loop."""

    def __init__(self, task) -> None:
        self.task, self.step, self.device = task, 0, torch.device("cpu")
        self.generator = torch.Generator().manual_seed(0)

    def update(self, losses):
        for index, (name, loss) in enumerate(losses.items()):
            optimiser = self.task.optimisers()[name]
            weights = [p for group in optimiser.param_groups for p in group["params"]]
            more = index + 1 < len(losses)
            for p, g in zip(
                weights, torch.autograd.grad(loss, weights, retain_graph=more, allow_unused=True), strict=True
            ):
                p.grad = g
        for name in losses:
            self.task.optimisers()[name].step()

    def mean(self, value: Tensor) -> float:
        return float(value.detach())


def recipe(task, tmp_path: Path, **changes) -> Recipe:
    values = {
        "task": task, "steps": 4, "batch": 2, "precision": "32-true", "save_every": 0, "log_every": 0,
        "preview_every": 4, "evaluate_every": 4, "optim": Optim(lr=2e-3),
        "data": Data(pieces=3, bars=1, valid=0.3, cache=str(tmp_path / "cache"), workers=0),
    }  # fmt: skip
    return Recipe(**(values | changes))


def whole(tmp_path: Path, model: MusikaConfig = NANO) -> str:
    """A random autoencoder as a file."""
    torch.manual_seed(0)
    networks = {name: build(model, name) for name in ("encoder", "encoder2", "decoder2", "decoder")}
    save(tmp_path / "start.safetensors", model, networks, {})
    return str(tmp_path / "start.safetensors")


def settings(name: str, start: str, model: MusikaConfig = NANO):
    return {
        "ae1": Level1Magnitude(model=model),
        "ae2": Level1Sound(start=start, weights=SMALL),
        "ae3": Level2Latents(start=start),
        "ae4": Level2Sound(start=start, weights=SMALL),
    }[name]


def test_four_phases_one_after_the_other_and_a_generator_for_them(tmp_path: Path) -> None:
    start, before = "", {}
    moved = {"ae1": {"encoder", "decoder"}, "ae2": {"decoder"}, "ae3": {"encoder2", "decoder2"}, "ae4": {"decoder2"}}
    for name, names in moved.items():
        out = tmp_path / name
        outcome = fit(recipe(settings(name, start), tmp_path), out, accelerator="cpu", quiet=True, curves=False)
        assert outcome.finished
        assert outcome.skipped == 0
        start = str(out / "musika.safetensors")
        model, networks, _ = load(Path(start))
        assert model == NANO
        after = {key: net.state_dict() for key, net in networks.items()}
        for key in before:
            same = all(torch.equal(before[key][k], v) for k, v in after[key].items())
            assert same == (key not in names), (name, key)
        before = after
        assert (out / "previews/step-000000004/remade.wav").stat().st_size > 10_000
        assert '"kind": "evaluate"' in (out / "metrics.jsonl").read_text()
    out = tmp_path / "gan"
    gan = recipe(LatentGan(start=start, small=True), tmp_path)
    assert fit(gan, out, accelerator="cpu", quiet=True, curves=False).finished
    _, networks, notes = load(out / "musika.safetensors")
    assert set(networks) == {"encoder", "encoder2", "decoder2", "decoder", "generator", "critic"}
    assert notes["switch"] == pytest.approx(-1.0 + 4e-4)
    assert list((tmp_path / "cache").glob("latents-*/*.npy"))


@pytest.mark.parametrize("name", ["ae1", "ae2", "ae3", "ae4"])
@pytest.mark.parametrize("model", [NANO, NANO22], ids=["m44", "m22"])
def test_every_phase_learns_one_batch_by_heart(tmp_path: Path, name: str, model: MusikaConfig) -> None:
    start = whole(tmp_path, model)
    torch.manual_seed(0)
    task = recipe(settings(name, start, model), tmp_path).task.build(recipe(settings(name, start, model), tmp_path))
    task.prepare(torch.device("cpu"))
    for module in task.frozen().values():
        module.eval().requires_grad_(False)
    batch, stepper = task.batch(0, np.random.default_rng(0)), Hand(task)
    assert batch["audio"].shape == (2, samples_for(128, 64))
    losses = [float(task.training_step(batch, stepper)["distance"].detach()) for _ in range(75)]
    assert np.mean(losses[-5:]) < 0.9 * losses[0]


def test_phase_is_learned_only_through_sound(tmp_path: Path) -> None:
    """Phase 1 leaves the phase head alone, phase 2 moves it."""
    for name, moves in (("ae1", False), ("ae2", True)):
        task = settings(name, whole(tmp_path)).build(recipe(settings(name, whole(tmp_path)), tmp_path))
        task.prepare(torch.device("cpu"))
        head = dict(task.modules()["decoder"].named_parameters())["phase.body.conv.weight"]
        before = head.detach().clone()
        task.training_step(task.batch(0, np.random.default_rng(0)), Hand(task))
        assert torch.equal(before, head) != moves


def gan_task(tmp_path: Path, model: MusikaConfig = NANO, **changes):
    chosen = recipe(LatentGan(start=whole(tmp_path, model), **changes), tmp_path)
    torch.manual_seed(0)
    task = chosen.task.build(chosen)
    task.prepare(torch.device("cpu"))
    return task


def test_sides_are_swapped_for_half_of_the_batches_and_whole_ones(tmp_path: Path) -> None:
    task = gan_task(tmp_path)
    swapped = 0
    for step in range(40):
        real = task.batch(step, np.random.default_rng(step))["real"]
        again, _ = task.latents.windows(2, 128, np.random.default_rng(step))
        straight = np.array_equal(real.numpy(), again)
        crossed = np.array_equal(real.numpy(), np.concatenate([again[:, 8:], again[:, :8]], axis=1))
        assert straight or crossed
        swapped += crossed
    assert 10 < swapped < 30


def test_batches_hold_two_patches_of_coordinates_with_conditions_below(tmp_path: Path) -> None:
    task = gan_task(tmp_path, conditions=("density", "tempo"))
    batch = task.batch(0, np.random.default_rng(0))
    assert batch["real"].shape == (2, 16, 128)
    assert batch["coordinates"].shape == (2, 18, 128)
    assert torch.equal(batch["coordinates"][:, 16:], batch["conditions"])
    assert torch.equal(batch["coordinates"][:, 8:16, :1].expand(-1, -1, 128), batch["coordinates"][:, 8:16])
    assert 0.0 <= batch["conditions"][:, 0].min() < batch["conditions"][:, 0].max() <= 1.0
    again = task.batch(0, np.random.default_rng(0))
    assert all(torch.equal(value, again[name]) for name, value in batch.items())


def test_a_step_moves_both_networks_once_and_the_switch(tmp_path: Path) -> None:
    task = gan_task(tmp_path)
    batch, stepper = task.batch(0, np.random.default_rng(0)), Hand(task)
    values = task.training_step(batch, stepper)
    assert task.switch == pytest.approx(-1.0 + 1e-4)
    assert float(values["penalty_weight"]) == 10.0
    assert {int(s["step"]) for o in task.optimisers().values() for s in o.state.values()} == {1}


def test_both_gradients_come_from_the_same_forward_pass(tmp_path: Path) -> None:
    """The generator is judged by the discriminator as it was before this step."""
    first, second = gan_task(tmp_path), gan_task(tmp_path)
    for group in second.optimisers()["critic"].param_groups:
        group["lr"] = 0.5  # a discriminator that leaps must not be felt by the generator before the next step
    for task in (first, second):
        task.training_step(task.batch(0, np.random.default_rng(0)), Hand(task))
    weights = [list(task.generator.state_dict().values()) for task in (first, second)]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


@pytest.mark.parametrize("conditions", [(), ("density", "tempo")])
def test_generators_of_both_variants_and_kinds_train(tmp_path: Path, conditions: tuple[str, ...]) -> None:
    for model in (NANO, NANO22):
        task = gan_task(tmp_path, model, conditions=conditions)
        stepper = Hand(task)
        for step in range(2):
            values = task.training_step(task.batch(step, np.random.default_rng(step)), stepper)
            assert all(torch.isfinite(value) for value in values.values())
        averages = {"generator": task.generator}
        measured = task.evaluate(averages)
        assert set(measured) == {"frechet", *(f"{name}_error" for name in conditions)}
        assert all(np.isfinite(value) for value in measured.values())
        sound = task.preview(0, averages).sounds["made1"]
        assert sound.shape == (2, samples_for(2 * model.seq_len * model.frames_per_latent, 64))
        assert np.isfinite(sound).all()


def test_a_generator_that_is_resumed_goes_on_exactly(tmp_path: Path) -> None:
    chosen = recipe(
        LatentGan(start=whole(tmp_path), conditions=("density",)), tmp_path, steps=6, preview_every=0, evaluate_every=0
    )
    run = {"accelerator": "cpu", "quiet": True, "curves": False}
    straight = fit(chosen, tmp_path / "a", **run)
    fit(chosen, tmp_path / "b", until=3, **run)
    assert_same(straight.checkpoint, fit(chosen, tmp_path / "b", resume=True, **run).checkpoint)


def test_recipes_without_their_start_say_which_comes_first(tmp_path: Path) -> None:
    for task in (Level1Sound(), Level2Latents(start=str(tmp_path / "no.safetensors"))):
        with pytest.raises(RecipeError, match=r"recipe before this one"):
            task.build(recipe(task, tmp_path))
    save(tmp_path / "half.safetensors", NANO, {"encoder": build(NANO, "encoder")}, {})
    half = LatentGan(start=str(tmp_path / "half.safetensors"))
    with pytest.raises(RecipeError, match="has no encoder2, decoder2, decoder"):
        half.build(recipe(half, tmp_path))
    with pytest.raises(RecipeError, match="wanted some of density, tempo"):
        LatentGan(conditions=("mood",))


def test_long_recordings_are_encoded_in_parts_without_seams(tmp_path: Path) -> None:
    model, networks = codec.started(whole(tmp_path), "encoder", "encoder2")
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, samples_for(300 * 16, 64) + 50)).astype(np.float32)
    latents = codec.encode_audio(model, networks, audio, torch.device("cpu"))
    assert latents.shape == (16, 300)
    inner = codec.encode_audio(model, networks, audio[:, 250 * 1024 :], torch.device("cpu"))
    assert np.abs(latents[:, 250:] - inner).max() < 1e-5
    assert codec.encode_audio(model, networks, audio[:, :1000], torch.device("cpu")).shape == (16, 0)
    right = codec.encode_audio(model, networks, audio[::-1], torch.device("cpu"))
    assert np.abs(right[:8] - latents[8:]).max() < 1e-5


def test_blocks_are_decoded_alone(tmp_path: Path) -> None:
    model, networks = codec.started(whole(tmp_path), "decoder2", "decoder")
    latents = torch.randn(2, 8, 12)
    both = codec.decode_frames(model, networks, latents)[0]
    alone = codec.decode_frames(model, networks, latents[:, :, 4:8])[0]
    assert torch.allclose(both[:, :, 64:128], alone, atol=1e-6)
    with_noise = codec.decode_frames(model, networks, latents, torch.Generator().manual_seed(0))[0]
    assert with_noise.shape == both.shape == (2, 129, 192)
    x = torch.arange(48.0).reshape(2, 3, 8)
    assert torch.equal(codec.side_by_side(codec.in_blocks(x, 4), 2), x)
    assert torch.equal(codec.in_blocks(x, 4)[1], x[0, :, 4:])


def test_a_longer_piece_begins_like_a_shorter_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    generator, device = build(NANO, "generator").eval(), torch.device("cpu")
    short, long = (continue_latents(NANO, generator, patches, 7, device) for patches in (2, 9))
    assert long.shape == (16, 9 * 64)
    assert torch.allclose(long[:, :128], short, atol=1e-6)
    assert not torch.allclose(continue_latents(NANO, generator, 2, 8, device), short)


def test_truncation_redraws_and_does_not_clip() -> None:
    values = truncated_normal(np.random.default_rng(0), (20_000,), 1.0)
    assert values.abs().max() <= 1.0
    assert int((values.abs() == 1.0).sum()) <= 1  # clipping would pile a third of them up there
    assert float(values.std()) == pytest.approx(0.54, abs=0.01)  # of a normal truncated at one deviation
