"""A codec's training: sound through codes and back, judged by ear-like distances and by critics.

Published settings of EnCodec are the defaults; our own causal codecs differ in their recipes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam, Optimizer

from engine.music.arrays import F32, I16
from training.config import Recipe
from training.data.augment import draw_variation, varied
from training.data.corpus import Corpus
from training.data.described import Described
from training.data.opening import open_corpus, open_samples
from training.data.store import Samples
from training.evaluate.codes import codec_table, score_codec
from training.models.codecs import SoundCodec, SoundCodecConfig, build_codec
from training.models.encodec import ENCODEC_32, Encodec, init_weights
from training.models.encodec_critic import MultiStftCritic
from training.models.musicgen_files import CODEC_FILE, load_codec, save_codec
from training.task import Batch, Preview, Stepper, Table, Task, TrainingError
from training.tasks.encodec_books import Follower
from training.tasks.encodec_losses import Balancer, MelDistance, believed, doubted, matching

__all__ = ["TrainCodec"]

_MEASURED: Final = 8  # held-out crops that are measured while training goes on


@dataclass(frozen=True, kw_only=True)
class TrainCodec:
    """Train a codec.

    Args:
        model: sizes.
        frames: of a crop; its length in samples is this times the codec's hop.
        windows: of the mel distance. exponent: see `MelDistance`.
        windows_a_step: how many of them, drawn anew, each step compares; 0 is all. Fewer cost less, and teach the same.
        sides: whether every second step compares the mel bands of middle and side instead of left and right, so that
            the image is learned, too.
        relative: the wave's loss is the squared error beside the power of the sound, instead of absolute differences.
        quantised_from: the step from which sound goes through codes; before it codebooks would chase what moves fast.
        critic_windows, critic_width: of the judges. critic_from: the step from which they learn and count.
        wave, mel, judged, matched: weights of the balanced losses.
        commitment: weight of the distance to the codebooks, which is not balanced.
        dropout: share of items that go through fewer codebooks than all, so that each bitrate is a codec.
        quieter_db: sounds are made softer by up to this much, so that no level is learned by heart.
        recordings: a folder of further sound files. recorded: share of crops that are taken from there.
        varied: share of crops that are changed (see `training.data.augment`).
        mixed: share of crops that sound together with another.
    """

    model: SoundCodecConfig = ENCODEC_32
    frames: int = 50
    windows: tuple[int, ...] = (64, 128, 256, 512, 1024)
    windows_a_step: int = 0
    sides: bool = False
    relative: bool = False
    exponent: float = 2.0
    quantised_from: int = 0
    critic_windows: tuple[int, ...] = (1024, 2048, 512, 256, 128)
    critic_width: int = 32
    critic_from: int = 0
    wave: float = 0.1
    mel: float = 2.0
    judged: float = 4.0
    matched: float = 4.0
    commitment: float = 1.0
    dropout: float = 0.0
    quieter_db: float = 0.0
    recordings: str = ""
    recorded: float = 0.0
    varied: float = 0.0
    mixed: float = 0.0

    def build(self, recipe: Recipe) -> Task:
        return _Coding(self, recipe)

    def measure(self, folder: Path) -> list[Table]:
        """How near the sound is that a run's codec gives back.

        Raises:
            TrainingError: nothing was published there.
        """
        try:
            codec, _ = load_codec(folder / CODEC_FILE)
        except ValueError as error:
            raise TrainingError(f"{error}; train the recipe first") from None
        return [codec_table(codec)]


class _Coding(Task):
    def __init__(self, settings: TrainCodec, recipe: Recipe) -> None:
        self._settings, self._recipe = settings, recipe
        model = settings.model
        self._codec, self._follower = build_codec(model), Follower(model)
        if isinstance(self._codec, Encodec):
            init_weights(self._codec)
        # The end of a crop is not complete where sound leaves late.
        self._end = settings.frames * model.hop - (0 if isinstance(self._codec, Encodec) else self._codec.delay)
        self._critic = MultiStftCritic(settings.critic_windows, settings.critic_width, model.channels)
        self._mel = MelDistance(model.sample_rate, settings.windows, exponent=settings.exponent)
        weights = {name: getattr(settings, name) for name in ("wave", "mel", "judged", "matched")}
        self._balancer = Balancer(weights)
        longest = max(*settings.windows, *settings.critic_windows)
        self._length = settings.frames * model.hop
        if self._length < longest:
            raise TrainingError(f"task.frames={settings.frames} is {self._length} samples, wanted {longest} or more")
        data = recipe.data
        corpus = open_corpus(data) if data.folder else Described(data)
        self._samples = self._store(corpus)
        self._recordings: Samples | None = None
        if settings.recorded:
            self._recordings = self._store(open_corpus(replace(data, folder=settings.recordings)))

    def _store(self, corpus: Corpus) -> Samples:
        data = self._recipe.data
        rate = self._settings.model.sample_rate
        return open_samples(corpus, Path(data.cache), rate, data.valid, self._length)

    def modules(self) -> dict[str, nn.Module]:
        return {"codec": self._codec, "follower": self._follower, "critic": self._critic}

    def frozen(self) -> dict[str, nn.Module]:
        return {"mel": self._mel}

    def averaged(self) -> tuple[str, ...]:
        return ("codec",)

    def optimisers(self) -> dict[str, Optimizer]:
        optim = self._recipe.optim
        critic_lr = optim.lr if optim.critic_lr is None else optim.critic_lr
        return {
            "codec": Adam(self._codec.parameters(), optim.lr, optim.betas, optim.eps),
            "critic": Adam(self._critic.parameters(), critic_lr, optim.betas, optim.eps),
        }

    def prepare(self, device: torch.device) -> None:
        self._samples.prepare()
        if self._recordings is not None:
            self._recordings.prepare()

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        count = self._recipe.batch
        gains = 10.0 ** (-rng.uniform(0.0, self._settings.quieter_db, (count, 1, 1)) / 20.0)
        sounds = self._crops(count, rng, training=True) * gains.astype(np.float32)
        books = self._settings.model.codebooks
        fewer = rng.random(count) < self._settings.dropout
        counts = np.where(fewer, rng.integers(1, books + 1, count), books)
        return {"audio": torch.from_numpy(sounds), "counts": torch.from_numpy(counts)}

    def _crops(self, count: int, rng: np.random.Generator, *, training: bool) -> F32:
        """``[count, channels, N]``; of one channel: left, right or the middle, by chance."""
        rows = []
        for _ in range(count):
            cut = self._sound(rng, training)
            if training and self._settings.mixed and rng.random() < self._settings.mixed:
                cut = (cut + float(rng.uniform(0.2, 1.0)) * self._sound(rng, training)) * np.float32(0.7)
            if self._settings.model.channels == 1:
                side = int(rng.integers(3))
                cut = cut.mean(axis=0, keepdims=True) if side == 2 else cut[side : side + 1]
            rows.append(cut)
        return np.stack(rows)

    def _sound(self, rng: np.random.Generator, training: bool) -> F32:
        """One stereo crop, changed or not."""
        settings, store = self._settings, self._samples
        if self._recordings is not None and rng.random() < settings.recorded:
            store = self._recordings
        if not (training and settings.varied and rng.random() < settings.varied):
            return _floats(store.cut(self._length, rng, training=training))
        variation = draw_variation(rng)
        cut = _floats(store.cut(round(self._length * variation.speed), rng, training=training))
        return varied(cut, self._length, variation, settings.model.sample_rate)

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        settings, audio = self._settings, batch["audio"]
        latents = self._codec.encoder(audio)
        measured = {"latents": latents.detach().square().mean()}
        commitment = audio.new_zeros(())
        if stepper.step < settings.quantised_from:
            self._follower.watch(latents)
            made = self._codec.decoder(latents).float()
        else:
            through = self._follower(self._codec.quantiser, latents, batch["counts"], stepper.generator)
            made, commitment = self._codec.decoder(through.latents).float(), through.commitment
            measured |= {"commitment": commitment, "used": through.used}
        made, audio = made[..., : self._end], audio[..., : self._end]
        wave = _relative(made, audio) if settings.relative else functional.l1_loss(made, audio)
        both = (_sides(made), _sides(audio)) if settings.sides and stepper.step % 2 else (made, audio)
        losses = {"wave": wave, "mel": self._mel(*both, self._windows(stepper.generator))}
        updates: dict[str, Tensor] = {}
        if stepper.step >= settings.critic_from:
            real_scores, real = self._critic(audio)
            made_scores, seen = self._critic(made)
            losses |= {"judged": believed(made_scores), "matched": matching(real, seen)}
            updates["critic"] = doubted(real_scores, made_scores)
        pull = self._balancer.pull(losses, made, stepper.mean)
        # A number whose gradient is the balanced one: what is moved is moved by `pull` and nothing else.
        updates["codec"] = (made * pull).sum() + settings.commitment * commitment
        stepper.update(updates)
        return losses | measured | ({"critic": updates["critic"]} if "critic" in updates else {})

    def _windows(self, generator: torch.Generator) -> tuple[int, ...]:
        """Those of the mel distance that this step compares."""
        windows, count = self._settings.windows, self._settings.windows_a_step
        if not count:
            return windows
        order = torch.randperm(len(windows), generator=generator, device=generator.device)
        return tuple(windows[int(index)] for index in order[:count])

    def state(self) -> dict[str, float]:
        return self._balancer.state()

    def load_state(self, state: Mapping[str, float]) -> None:
        self._balancer.load_state(state)

    def _held(self, averages: Mapping[str, nn.Module]) -> tuple[SoundCodec, Tensor]:
        codec = averages["codec"]
        assert isinstance(codec, SoundCodec)
        training = not self._samples.held_out
        crops = self._crops(_MEASURED, np.random.default_rng(0), training=training)
        return codec, torch.from_numpy(crops).to(codec.quantiser.books.device)

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for score in score_codec(*self._held(averages)):
            numbers[f"si_snr_db_{score.codebooks}"] = score.si_snr_db
            numbers[f"mel_db_{score.codebooks}"] = score.mel_db
        return numbers

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview | None:
        codec, sounds = self._held(averages)
        made = codec.decode(codec.encode(sounds))
        sides = [part.permute(1, 0, 2).flatten(1).clamp(-1, 1).cpu().numpy() for part in (sounds, made)]
        return Preview(self._settings.model.sample_rate, {"real": sides[0], "made": sides[1]})

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        codec = averages["codec"]
        assert isinstance(codec, SoundCodec)
        data = self._recipe.data
        notes = {"source": data.folder or f"{data.pieces} composed pieces, seed {data.seed}", "licence": "MIT"}
        save_codec(folder / CODEC_FILE, codec, notes if not data.folder else notes | {"licence": "as its sounds"})


def _floats(cut: I16) -> F32:
    out: F32 = cut.astype(np.float32) / np.float32(32767.0)
    return out


def _sides(sound: Tensor) -> Tensor:
    """Middle and side ``[B, 2, N]`` of left and right."""
    left, right = sound[:, 0], sound[:, 1]
    return torch.stack([0.5 * (left + right), 0.5 * (left - right)], dim=1)


def _relative(made: Tensor, target: Tensor) -> Tensor:
    """Squared error beside the power of each item, near-silence counted as -60 dB."""
    power = target.square().mean(dim=(1, 2)) + 1e-6
    return ((made - target).square().mean(dim=(1, 2)) / power).mean()
