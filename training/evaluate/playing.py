"""How well a conducted language model follows beats and chords: it plays pieces in which both are known.

The pieces themselves and what the codec makes of them are measured as well: no model can do better than these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from engine.music.arrays import I64
from engine.music.audio import Audio, soft_limit
from training.config import Data
from training.data.captions import caption
from training.data.described import PARTS, Described, Played, attributes, step_features
from training.data.synth import stems
from training.evaluate.sound import beat_report, chord_recovery
from training.models.musicgen_files import MusicgenParts
from training.models.musicgen_sampling import sample_codes
from training.task import Table

__all__ = ["PlayingScore", "listen", "playing_table"]

_BARS: Final = 4
_SEED: Final = 900_002  # of a corpus that no recipe trains on
_PROMPT: Final = 2  # bars that a continuation is given
_NEAR: Final = 0.04  # share of the tempo by which a found one may be wrong
_HEADER: Final = ("measured", "tempo within 4 %", "beats off, ms", "beat contrast", "chord root", "chord triad")


@dataclass(frozen=True, slots=True)
class PlayingScore:
    """What was measured in one piece.

    Args:
        tempo: found within 4 %, octaves and triplets allowed. off_ms: by how much the beats are late or early.
        contrast: of beats, see `BeatReport`. root, triad: shares of bars whose chord is recognised.
    """

    tempo: bool
    off_ms: float
    contrast: float
    root: float
    triad: float


def listen(piece: Played, audio: Audio, sample_rate: int, first_bar: int = 0) -> PlayingScore:
    """Compare sound [C, N] that begins at `first_bar` with what the piece says of it."""
    tempo = piece.piece.tempo_bpm
    beat, seconds = 60.0 / tempo, audio.shape[1] / sample_rate
    beats = beat * np.arange(int(seconds / beat + 0.5), dtype=np.float64)
    bars = int(seconds / (4.0 * beat) + 0.01)
    starts = [bar for bar in range(bars) if len(piece.piece.chords[first_bar + bar]) == 1]
    beaten = beat_report(audio, sample_rate, tempo, beats)
    parts = [audio[:, round(4 * beat * b * sample_rate) : round(4 * beat * (b + 1) * sample_rate)] for b in starts]
    chords = [
        chord_recovery(part, sample_rate, [0.0], piece.piece.chords[first_bar + bar])
        for bar, part in zip(starts, parts, strict=True)
    ]
    root, triad = (float(np.mean([getattr(c, name) for c in chords] or [0.0])) for name in ("root", "triad"))
    return PlayingScore(beaten.octave_error <= _NEAR, abs(beaten.lag_ms), beaten.contrast, root, triad)


def playing_table(made: MusicgenParts, count: int) -> Table:
    """Pieces for the whole band as they are, through the codec, played by the model, and continued by it.

    Args:
        count: pieces; each takes as many steps as it has frames, a few times.
    """
    corpus = Described(Data(pieces=count, bars=_BARS, seed=_SEED))
    pieces = [Played(corpus.played(entry).piece, PARTS) for entry in corpus.entries]
    ways: Mapping[str, Callable[[Played, int], Audio]] = {
        "the pieces": lambda piece, _: _sound(piece, made.codec.config.sample_rate),
        "through the codec": lambda piece, _: _decoded(made, _coded(made, piece)),
        "played, guidance 1": lambda piece, seed: _played(made, piece, seed, 1.0),
        "played, guidance 3": lambda piece, seed: _played(made, piece, seed, 3.0),
        "continued without conditions": lambda piece, seed: _continued(made, piece, seed),
    }
    rows: list[tuple[str, ...]] = [_HEADER]
    for name, way in ways.items():
        first = _PROMPT if name.startswith("continued") else 0
        scores = [
            listen(piece, way(piece, seed), made.codec.config.sample_rate, first) for seed, piece in enumerate(pieces)
        ]
        rows.append(_row(name, scores))
    return Table(f"{count} pieces of {_BARS} bars; chords of bars that have one", tuple(rows))


def _row(name: str, scores: list[PlayingScore]) -> tuple[str, ...]:
    return (
        name,
        f"{np.mean([h.tempo for h in scores]):.0%}",
        f"{np.median([h.off_ms for h in scores]):.0f}",
        f"{np.median([h.contrast for h in scores]):.2f}",
        f"{np.mean([h.root for h in scores]):.0%}",
        f"{np.mean([h.triad for h in scores]):.0%}",
    )


def _sound(piece: Played, sample_rate: int) -> Audio:
    layers = stems(piece.piece, sample_rate)
    return soft_limit(np.sum([layers[part] for part in piece.parts], axis=0, dtype=np.float32))


@torch.no_grad()
def _coded(made: MusicgenParts, piece: Played) -> I64:
    config = made.codec.config
    sound = torch.from_numpy(_sound(piece, config.sample_rate))
    sound = sound if config.channels == 2 else sound.mean(dim=0, keepdim=True)
    return made.codec.encode(sound[None])[0].numpy()


@torch.no_grad()
def _decoded(made: MusicgenParts, codes: I64) -> Audio:
    return made.codec.decode(torch.from_numpy(codes)[None])[0].numpy()


@torch.no_grad()
def _played(made: MusicgenParts, piece: Played, seed: int, guidance: float) -> Audio:
    """As the piece's words, time and chords ask for."""
    config, notes = made.codec.config, made.notes
    frames = int(piece.piece.duration_s * config.frame_rate)
    words = caption(attributes(piece, 0.0, piece.piece.duration_s), np.random.default_rng(seed))
    numbers = torch.from_numpy(made.vocabulary.numbers(words, int(notes["text_length"])))[None]
    mask = (numbers > 0).float()
    features = step_features(piece, 0, frames, config.hop, config.sample_rate)
    codes = sample_codes(
        made.lm,
        frames,
        context=made.lm.condition(made.text_encoder(numbers, mask), mask),
        features=torch.from_numpy(features)[None] if made.lm.config.features else None,
        delays=notes["delays"],
        generator=torch.Generator().manual_seed(seed),
        guidance=guidance,
        guided_features=int(notes.get("guided", 0)),
    )
    return _decoded(made, codes)


@torch.no_grad()
def _continued(made: MusicgenParts, piece: Played, seed: int) -> Audio:
    """The second half of the piece as the model goes on after the first, with neither words nor time nor chords."""
    config, whole = made.codec.config, _coded(made, piece)
    known = round(_PROMPT * 240.0 / piece.piece.tempo_bpm * config.frame_rate)
    features = torch.zeros(1, made.lm.config.features, whole.shape[1]) if made.lm.config.features else None
    codes = sample_codes(
        made.lm,
        whole.shape[1],
        features=features,
        prompt=whole[:, :known],
        delays=made.notes["delays"],
        generator=torch.Generator().manual_seed(seed),
    )
    return _decoded(made, codes)[:, known * config.hop :]
