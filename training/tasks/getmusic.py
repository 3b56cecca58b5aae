"""GETMusic's trainings: the published one, and ours for a network that plays live.

Published: windows of 512 columns, whole rows hidden by the absorbing schedule, the variational bound in its cheap form
(cross-entropy at hidden cells, weighted by 1 / t) with the auxiliary term, t by importance. Ours: two streams (see
`training.data.band_batches`), pitch and duration hidden together, spans, levels and chords known or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW, Optimizer

from engine.music.grid import decode
from engine.music.midifile import write_midi
from engine.music.score import ROLES, TempoChange
from training.config import Recipe
from training.data.band_batches import PartProfile, live_batch, stream_places, stream_view
from training.data.grids import BAR, Grids, Transposer, Window
from training.data.licences import may_ship
from training.data.masks import Chances
from training.evaluate.band_defaults import typical_playing
from training.evaluate.band_play import live_player, play_on
from training.evaluate.pianoroll import piano_roll
from training.models.getmusic import Cells
from training.models.getmusic_files import load, metadata
from training.models.getmusic_live import GetmusicLive, GetmusicLiveConfig
from training.task import Batch, Preview, Stepper, Table, Task, TrainingError

__all__ = ["FILE", "LiveBand", "cross_entropy"]

FILE = "getmusic.safetensors"

_KEYS = (*ROLES, "duration")
_WARMTH = 1.25  # drawn at 1, many cells at once, a band keeps to the likeliest lengths and strums too evenly


def cross_entropy(logits: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """By kind of row, weighted sums of cross-entropy."""
    sums = {}
    for key in _KEYS:
        each = functional.cross_entropy(logits[key].float(), batch[f"answer_{key}"], reduction="none")
        sums[key] = (each * batch[f"weight_{key}"]).sum()
    return sums


@dataclass(frozen=True, kw_only=True)
class LiveBand:
    """Train the network that plays live.

    Args:
        model: widths.
        store: folder of the prepared grids.
        bars: in a stretch of music.
        window: bars of a window: what is played and what comes.
        moved: share of stretches that are moved to another key.
        chances: how often each situation is practised.
        weight_decay: AdamW's.
        songs, passes, temperature, pull: with which a run is measured: held-out songs, network passes for a window, how
            freely is drawn (1 as learned), how strongly towards the chords (see `training.evaluate.sampler.fill`).
    """

    model: GetmusicLiveConfig = field(default_factory=GetmusicLiveConfig)
    store: str = "runs/bands"
    bars: int = 8
    window: int = 2
    moved: float = 0.3
    chances: Chances = field(default_factory=Chances)
    weight_decay: float = 0.01
    songs: int = 32
    passes: int = 10
    temperature: float = 1.0
    pull: float = 2.0

    def build(self, recipe: Recipe) -> Task:
        return _GetmusicLiveTask(self, recipe)

    def measure(self, folder: Path) -> list[Table]:
        """The published network beside simple players, on held-out songs.

        Raises:
            TrainingError: `folder` holds no live network.
        """
        from training.evaluate.band_report import measure

        try:
            loaded = load(folder / FILE)
        except (OSError, ValueError) as error:
            raise TrainingError(f"{folder} holds no live network to measure ({error}); train one first") from None
        if not isinstance(loaded.network, GetmusicLive):
            raise TrainingError(f"{folder / FILE} is the published network; measure a live one")
        grids = Grids(Path(self.store))
        if grids.dictionary.text != loaded.dictionary.text:
            raise TrainingError(f"{folder / FILE} speaks another dictionary than {self.store}: prepare it again")
        network = loaded.network
        predict, past = live_player(network, self.window * BAR), network.config.context - self.window * BAR

        def play(windows: Sequence[Window], first: int, levels: bool) -> list[np.ndarray]:
            return play_on(
                windows, first, predict, grids.dictionary, steps=self.passes, seed=0, levels=levels,
                context=past, temperature=self.temperature, pull=self.pull,
            )  # fmt: skip

        how = f"{self.passes} passes for two bars, temperature {self.temperature:g}, chord pull {self.pull:g}"
        return measure(grids, play, how, songs=self.songs)


def _licence(of_pieces: Sequence[str]) -> str:
    """That of weights: the code's, as long as all that they learned from may be shipped."""
    names = ", ".join(of_pieces)
    return f"MIT; learned from pieces under {names}" if all(map(may_ship, of_pieces)) else f"as the pieces: {names}"


def _spread(network: GetmusicLive) -> None:
    """Begin with weights that keep a signal's size (Glorot and Bengio, 2010).

    With smaller ones chords have no effect for thousands of steps: measured on the bass's pitches from chords, 200
    steps bring 2.5 nats a note instead of 3.1.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear) and module is not network.parts:
            nn.init.xavier_uniform_(module.weight)


class _GetmusicLiveTask(Task):
    def __init__(self, settings: LiveBand, recipe: Recipe) -> None:
        if settings.bars % settings.window:
            raise TrainingError(f"got {settings.bars} bars in windows of {settings.window}: a multiple is wanted")
        self._settings, self._recipe = settings, recipe
        self._grids = Grids(Path(settings.store))
        self._dictionary = self._grids.dictionary
        self._network = GetmusicLive(self._dictionary, settings.model)
        _spread(self._network)
        self._transposer, self._profile = Transposer(self._dictionary), PartProfile(self._dictionary)
        self._columns, self._width = settings.bars * BAR, settings.window * BAR
        self._places = torch.from_numpy(stream_places(self._columns, self._width))
        self._view = torch.from_numpy(stream_view(self._columns, self._width))

    def modules(self) -> dict[str, nn.Module]:
        return {"network": self._network}

    def optimisers(self) -> dict[str, Optimizer]:
        optim = self._recipe.optim
        # Norms and offsets are left alone.
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self._network.parameters() if p.ndim > 1]},
            {"params": [p for p in self._network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return {"network": AdamW(groups, optim.lr, optim.betas, optim.eps, self._settings.weight_decay)}

    def averaged(self) -> tuple[str, ...]:
        return ("network",)

    def _draw(self, rng: np.random.Generator, count: int, *, held_out: bool = False) -> list[Window]:
        drawn = [self._grids.draw(self._columns, rng, held_out=held_out) for _ in range(count)]
        if held_out:
            return drawn
        low, high = self._transposer.LOW, self._transposer.HIGH
        shifts = np.where(rng.random(count) < self._settings.moved, rng.integers(low, high + 1, count), 0)
        return [self._transposer.moved(one, int(shift)) for one, shift in zip(drawn, shifts, strict=True)]

    def _tensors(self, drawn: list[Window], rng: np.random.Generator) -> Batch:
        arrays = live_batch(drawn, self._width, self._dictionary, self._profile, self._settings.chances, rng)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def batch(self, step: int, rng: np.random.Generator) -> Batch:
        return self._tensors(self._draw(rng, self._recipe.batch), rng)

    def _losses(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Nats for each cell that was to be found, by kind of row and together."""
        device = batch["tokens"].device
        cells = Cells(tuple(batch[f"cells_{role}"] for role in ROLES), batch["cells_duration"])
        logits = network(
            batch["tokens"], batch["given"], batch["t"], batch["features"],
            self._places.to(device), self._view.to(device), cells,
        )  # fmt: skip
        total = batch["targets"].sum().clamp_min(1.0)
        losses = {key: value / total for key, value in cross_entropy(logits, batch).items()}
        return {**losses, "loss": torch.stack(list(losses.values())).sum()}

    def training_step(self, batch: Batch, stepper: Stepper) -> dict[str, Tensor]:
        losses = self._losses(self._network, batch)
        stepper.update({"network": losses["loss"]})
        return losses

    def evaluate(self, averages: Mapping[str, nn.Module]) -> dict[str, float]:
        device = next(self._network.parameters()).device
        rng = np.random.default_rng(0)
        sums: dict[str, float] = {}
        rounds = 4
        for _ in range(rounds):
            batch = self._tensors(self._draw(rng, 16, held_out=True), rng)
            losses = self._losses(averages["network"], {name: value.to(device) for name, value in batch.items()})
            for name, value in losses.items():
                sums[f"held_{name}"] = sums.get(f"held_{name}", 0.0) + float(value) / rounds
        return sums

    def preview(self, step: int, averages: Mapping[str, nn.Module]) -> Preview | None:
        rng = np.random.default_rng(1)
        network = averages["network"]
        assert isinstance(network, GetmusicLive)
        drawn = self._draw(rng, 2, held_out=bool(self._grids.pieces(held_out=True)))
        player = live_player(network, self._width)
        made = play_on(drawn, 0, player, self._dictionary, steps=8, seed=1)
        pictures, files = {}, {}
        for number, (grid, window) in enumerate(zip(made, drawn, strict=True)):
            pictures[f"made_{number}"] = piano_roll(grid, self._dictionary)
            pictures[f"real_{number}"] = piano_roll(window.grid, self._dictionary)
            score = decode(grid, self._dictionary, window.entry.shift)
            files[f"made_{number}.mid"] = write_midi(replace(score, tempos=(TempoChange(0, window.entry.tempo_bpm),)))
        return Preview(pictures=pictures, files=files)

    def publish(self, folder: Path, averages: Mapping[str, nn.Module]) -> None:
        tensors = {name: value.detach().cpu().contiguous() for name, value in averages["network"].state_dict().items()}
        notes = {
            "source": f"trained by this program on {len(self._grids.entries)} pieces of {self._settings.store}",
            "licence": _licence(sorted({entry.licence for entry in self._grids.entries})),
            "lagged_chords": False,
            "key_shift": "near",
            "usual": typical_playing(self._grids),
            "warmth": _WARMTH,
        }
        safetensors.torch.save_file(tensors, folder / FILE, metadata(self._network, self._dictionary, notes))
