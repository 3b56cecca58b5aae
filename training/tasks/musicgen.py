"""MusicGen's training: a language model of a codec's codes, conditioned on text, time, chords and character.

Codes are made once by a codec that an earlier recipe has trained. Published settings are the defaults, except that the
text encoder is one of our own that learns along with the rest; our own model differs in its recipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from engine.music.arrays import I64
from engine.music.audio import Audio
from engine.music.conducting import CHARACTER, FRAME_FEATURES, GUIDED_FEATURES
from training.config import Recipe, RecipeError
from training.data.captions import PATTERN, caption_words, words_in
from training.data.code_store import CodeStore, CodeWindow, described_window
from training.data.described import STEP_FEATURES, Described
from training.data.opening import open_corpus
from training.evaluate.codes import HELD, loss_table
from training.evaluate.playing import playing_table
from training.evaluate.words import words_table
from training.models.codecs import SoundCodec
from training.models.encodec_stream import StreamState, step, streams
from training.models.mdct_codec import MdctCodec
from training.models.musicgen import LM, MusicgenConfig, init_weights
from training.models.musicgen_files import MUSICGEN_FILE, MusicgenParts, load_codec, load_musicgen, save_musicgen
from training.models.musicgen_sampling import sample_codes
from training.models.t5 import T5Config, T5Encoder
from training.models.words import WordVocabulary
from training.task import Batch, Preview, Stepper, Table, Task, TrainingError
from training.tasks.caption_pretraining import load_or_pretrain
from training.tasks.codec import digest
from training.tasks.musicgen_batches import ConditionDropout, TokenBatches

__all__ = ["TrainLM", "encoded"]

_HELD_ITEMS: Final = 16
_AT_ONCE: Final = 500  # frames that are encoded together
_PREVIEW_S: Final = 8.0
_MEASURED: Final = 400  # frames of each piece in tables


@dataclass(frozen=True, kw_only=True)
class TrainLM:
    """Train a language model of codes.

    Args:
        codec: file of a codec, such as a run of an `encodec` recipe publishes.
        width, layers, rotary, window: see `MusicgenConfig`.
        text_width, text_layers, text_heads: of the text encoder.
        frames: of a training item.
        starts: share of steps with items of `start_frames` instead, and as many more of them: text counts most
            at a beginning, later the codes themselves show which parts play.
        reading: steps of caption pretraining of the text encoder, on a composed corpus; it is then frozen, and what it
            reads is a condition of each step.
        decay: of weights, decoupled.
        dropout: the conditions of a step, and how often each is left out.
        temperature, top_k: how codes are drawn by default, as the bundle will say.
        listened: pieces that are played and listened to when a run is measured, and four times as many texts.
    """

    codec: str = "runs/encodec_32k/encodec.safetensors"
    width: int = 1024
    layers: int = 24
    rotary: bool = False
    window: int = 0
    text_width: int = 768
    text_layers: int = 4
    text_heads: int = 12
    frames: int = 1500
    starts: float = 0.0
    start_frames: int = 128
    reading: int = 0
    decay: float = 0.1
    dropout: ConditionDropout = field(default_factory=ConditionDropout)
    listened: int = 8
    temperature: float = 1.0
    top_k: int = 250

    def build(self, recipe: Recipe) -> Task:
        return _NextTokenTask(self, recipe)

    def measure(self, folder: Path) -> list[Table]:
        """How well a run predicts codes, with and without its conditions, and how well it follows them when it plays.

        Raises:
            TrainingError: nothing was published there.
        """
        try:
            made = load_musicgen(folder / MUSICGEN_FILE)
        except ValueError as error:
            raise TrainingError(f"{error}; train the recipe first") from None
        tables = [_measured(made)]
        if self.listened:
            tables += [playing_table(made, self.listened), words_table(made, 4 * self.listened, 25 * self.listened)]
        return tables


class _NextTokenTask(Task):
    def __init__(self, settings: TrainLM, recipe: Recipe) -> None:
        self._settings, self._recipe = settings, recipe
        try:
            self._codec, _ = load_codec(Path(settings.codec))
        except ValueError as error:
            raise RecipeError(f"task.codec: {error}; train a codec first, or give its file") from None
        data = recipe.data
        corpus = open_corpus(data) if data.folder else Described(data)
        texts = [path.read_text("utf-8") for path in sorted(Path(data.folder).rglob("*.txt"))] if data.folder else []
        words = {*caption_words(), *(word for text in texts for word in words_in(text))}
        self._vocabulary = WordVocabulary(tuple(sorted(words)), PATTERN)
        codec = self._codec.config
        self._lm = LM(
            MusicgenConfig(
                width=settings.width,
                layers=settings.layers,
                codebooks=codec.codebooks,
                entries=codec.entries,
                text=settings.text_width,
                rotary=settings.rotary,
                window=settings.window,
                features=STEP_FEATURES if settings.dropout.conducted else 0,
                character=len(CHARACTER) if settings.dropout.conducted and settings.reading else 0,
            )
        )
        init_weights(self._lm)
        width = settings.text_width
        head = width // settings.text_heads
        self._text = T5Encoder(
            T5Config(
                pieces=len(self._vocabulary),
                width=width,
                heads=settings.text_heads,
                head=head,
                inner=4 * width,
                layers=settings.text_layers,
            )
        )
        if self._lm.reader is not None:
            if not isinstance(corpus, Described):
                raise RecipeError(
                    "task.reading: only of composed pieces it is known who plays; leave it 0 for a folder"
                )
            load_or_pretrain(
                self._text, self._lm.reader, self._vocabulary, corpus, Path(data.cache), steps=settings.reading,
                length=settings.dropout.text_length, p_drop_word=settings.dropout.p_drop_word,
            )  # fmt: skip
        self._batches = TokenBatches(settings.dropout, self._vocabulary, codec.codebooks, codec.entries)
        self._codes = CodeStore(
            corpus,
            Path(data.cache),
            digest({"codec": self._codec}, codec),
            self._encode,
            sample_rate=codec.sample_rate,
            hop=codec.hop,
            folder=data.folder,
            valid=data.valid,
            shortest=settings.frames,
        )

    @torch.no_grad()
    def _encode(self, audio: Audio) -> I64:
        """Codes ``[K, T]`` of sound [2, N]; what does not fill a last frame is left out."""
        return encoded(self._codec, audio)

    @property
    def _reads(self) -> bool:
        """Whether the text encoder has learned before, and stays as it is."""
        return self._lm.reader is not None

    def modules(self) -> dict[str, nn.Module]:
        return {"lm": self._lm} if self._reads else {"lm": self._lm, "text": self._text}

    def frozen(self) -> dict[str, nn.Module]:
        return {"codec": self._codec, "text": self._text} if self._reads else {"codec": self._codec}

    def averaged(self) -> tuple[str, ...]:
        return ("lm",) if self._reads else ("lm", "text")

    def optimisers(self) -> dict[str, Optimizer]:
        optim = self._recipe.optim
        parameters = [*self._lm.parameters(), *(() if self._reads else self._text.parameters())]
        return {"lm": AdamW(parameters, optim.lr, optim.betas, optim.eps, self._settings.decay)}

    def prepare(self, device: torch.device) -> None:
        self._codes.prepare()

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        settings, count = self._settings, self._recipe.batch
        frames = settings.frames
        if rng.random() < settings.starts:
            frames, count = settings.start_frames, count * frames // settings.start_frames
        windows = [self._codes.window(frames, rng) for _ in range(count)]
        return self._batches.batch(windows, rng)

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        losses = self._batches.losses(self._lm, self._text, batch)
        loss = losses.mean()
        stepper.update({"lm": loss})
        return {"loss": loss} | {f"codebook_{index + 1}": value for index, value in enumerate(losses.detach())}

    def _held(self, count: int, frames: int) -> list[CodeWindow]:
        rng, training = np.random.default_rng(0), not self._codes.held_out
        return [self._codes.window(frames, rng, training=training) for _ in range(count)]

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        lm, text = self._averages(averages)
        windows, numbers = self._held(_HELD_ITEMS, self._settings.frames), {}
        for name, batch in self._batches.ways(windows).items():
            losses = self._batches.losses(lm, text, batch)
            numbers[f"held_{name}"] = float(losses.mean())
            if name == "conditioned":
                numbers |= {f"held_codebook_{index + 1}": float(value) for index, value in enumerate(losses)}
        return numbers

    def _averages(self, averages: Mapping[str, nn.Module]) -> tuple[LM, T5Encoder]:
        lm, text = averages["lm"], self._text if self._reads else averages["text"]
        assert isinstance(lm, LM)
        assert isinstance(text, T5Encoder)
        return lm, text

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview | None:
        lm, text = self._averages(averages)
        config = self._codec.config
        frames = min(self._settings.frames, round(_PREVIEW_S * config.frame_rate))
        window = self._held(1, frames)[0]
        batch = self._batches.moved(self._batches.ways([window])["conditioned"], lm)
        codes = sample_codes(
            lm,
            frames,
            context=lm.condition(text(batch["pieces"], batch["mask"]), batch["mask"]),
            features=batch["features"].transpose(1, 2) if self._settings.dropout.conducted else None,
            delays=self._batches.delays,
            generator=torch.Generator(batch["pieces"].device).manual_seed(step),
        )
        both = torch.from_numpy(np.stack([window.codes, codes])).to(batch["pieces"].device)
        real, made = self._codec.decode(both).clamp(-1, 1).cpu().numpy()
        said = f"{window.caption}\n".encode()
        return Preview(config.sample_rate, {"real": real, "made": made}, files={"caption.txt": said})

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        lm, text = self._averages(averages)
        data, settings = self._recipe.data, self._settings
        notes = {
            "source": data.folder or f"{data.pieces} composed pieces, seed {data.seed}",
            "licence": "as its sounds" if data.folder else "MIT",
            "delays": list(self._batches.delays),
            "text_length": settings.dropout.text_length,
            "frames": settings.frames,
            "guidance": 3.0,
            "temperature": settings.temperature,
            "top_k": settings.top_k,
            "guided": GUIDED_FEATURES if settings.dropout.conducted and settings.dropout.p_drop_chords else 0,
            "features": {"frame_features": FRAME_FEATURES, "chroma": 12, "bass": 12, "character": len(CHARACTER)}
            if settings.dropout.conducted
            else {},
        }
        save_musicgen(folder / MUSICGEN_FILE, MusicgenParts(self._codec, lm, text, self._vocabulary.tokenizer(), notes))


@torch.no_grad()
def encoded(codec: SoundCodec, audio: Audio) -> I64:
    """Codes ``[K, T]`` of sound [2, N]; what does not fill a last frame is left out.

    A codec that streams is given a piece at a time, so that length takes no memory; any other hears all at once.
    """
    config, device = codec.config, codec.quantiser.books.device
    sound = torch.from_numpy(np.ascontiguousarray(audio[:, : audio.shape[1] // config.hop * config.hop]))
    sound = (sound if config.channels == 2 else sound.mean(dim=0, keepdim=True))[None]
    if isinstance(codec, MdctCodec):
        return _encoded_frames(codec, sound.to(device))
    if not streams(codec.config):
        return codec.encode(sound.to(device))[0].cpu().numpy()
    state, pieces = StreamState(), torch.split(sound, _AT_ONCE * config.hop, dim=2)
    made = [codec.quantiser.encode(step(codec.encoder, piece.to(device), state)) for piece in pieces]
    return torch.cat(made, dim=2)[0].cpu().numpy()


def _encoded_frames(codec: MdctCodec, sound: Tensor) -> I64:
    """As `encoded`, of sound ``[1, 2, N]`` and a codec that has a cache for each layer."""
    caches, made = codec.encoder.empty(1), []
    for piece in torch.split(sound, _AT_ONCE * codec.config.hop, dim=2):
        latents, caches = codec.encoder.step(piece, caches)
        made.append(codec.quantiser.encode(latents))
    return torch.cat(made, dim=2)[0].cpu().numpy()


@torch.no_grad()
def _measured(made: MusicgenParts) -> Table:
    """Losses on held pieces with and without their conditions, and of the frequencies of codes alone."""
    config, corpus, rng = made.codec.config, Described(HELD), np.random.default_rng(0)
    notes, windows = made.notes, []
    frames = min(int(notes["frames"]), _MEASURED)
    for entry in corpus.entries:
        codes = encoded(made.codec, corpus.audio(entry, config.sample_rate))[:, :frames]
        windows.append(described_window(corpus.played(entry), codes, 0, config.hop, config.sample_rate, rng))
    shortest = min(window.codes.shape[1] for window in windows)
    windows = [CodeWindow(w.codes[:, :shortest], w.caption, w.features[:, :shortest]) for w in windows]
    dropout = ConditionDropout(conducted=made.lm.config.features > 0, text_length=int(notes["text_length"]))
    batches = TokenBatches(dropout, made.vocabulary, config.codebooks, config.entries)
    rows = [(name, batches.losses(made.lm, made.text_encoder, batch)) for name, batch in batches.ways(windows).items()]
    rows.append(("how often", _entropies(np.concatenate([w.codes for w in windows], axis=1), config.entries)))
    return loss_table(f"Cross-entropy in nats, {HELD.pieces} pieces never trained on", rows)


def _entropies(codes: I64, entries: int) -> Tensor:
    """Entropy ``[K]`` in nats of how often each code of these pieces comes: no model, but one that has seen them."""
    counts = torch.stack([torch.bincount(torch.from_numpy(row), minlength=entries) for row in codes]).double()
    share = counts / counts.sum(dim=1, keepdim=True)
    return -(share * share.clamp(min=1e-12).log()).sum(dim=1).float()
