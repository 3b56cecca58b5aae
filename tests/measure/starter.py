"""Does a starter bundle play in time, follow chords, and sound like its genre?

``python -m tests.measure.starter BUNDLE [--json OUT] [--picture OUT.png]`` renders the bundle
under many conditions and compares what is heard with what was asked: the numbers and the picture of the model card.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.conductor import Conductor
from engine.graphs.graph import open_graph
from engine.models.musika_live.streamer import Follow, LiveStyle, MusikaLive, MusikaLiveControls
from engine.music.audio import Audio
from engine.music.harmony import Chord
from engine.offline.spectrogram import mel_levels
from training.data.compose import compose
from training.data.piece import GENRES, Genre, Piece
from training.data.synth import render
from training.evaluate.sound import Gaussian, chord_recovery, frechet, gaussian, log_mel_features, onset_rate

RATE = 44100


@dataclass(frozen=True, slots=True)
class Asked:
    """One render's conditions."""

    seed: int
    tempo_bpm: float
    genre: int
    density: float
    brightness: float
    chords: tuple[Chord, ...]


def play(model: MusikaLive, asked: Asked, seconds: float) -> Audio:
    """[2, seconds x RATE], clipped as the session does."""
    conductor = Conductor(RATE)
    conductor.set_tempo(asked.tempo_bpm, 0.0)
    conductor.set_progression(tuple((chord,) for chord in asked.chords), 0)
    controls = MusikaLiveControls(
        style=LiveStyle(seed=asked.seed, genre=float(asked.genre)),
        follow=Follow(),
        density=asked.density,
        brightness=asked.brightness,
    )
    state, spec = model.begin(asked.seed), model.spec
    count = round(seconds * RATE)
    chunks = [
        model.step(state, controls, conductor.span(first, spec.frames, spec.hop, RATE))
        for first in range(0, count, spec.chunk)
    ]
    return np.clip(np.concatenate(chunks, axis=1)[:, :count], -1.0, 1.0)


def conditions(renders: int) -> list[Asked]:
    """Tempo 90..150 and density 0..1 in even steps, each in its own order; a major or minor triad for each bar."""
    rng = np.random.default_rng(2026)
    tempos = np.linspace(90.0, 150.0, renders)
    densities = rng.permutation(np.linspace(0.0, 1.0, renders))
    return [
        Asked(
            seed=1000 + index,
            tempo_bpm=float(tempos[index]),
            genre=index % 2,
            density=float(densities[index]),
            brightness=float(rng.uniform(0.0, 1.0)),
            chords=tuple(_triad(rng) for _ in range(20)),
        )
        for index in range(renders)
    ]


def _triad(rng: np.random.Generator) -> Chord:
    root = int(rng.integers(12))
    return Chord(root, "maj" if rng.random() < 0.5 else "min", root)


def rank_correlation(a: Sequence[float], b: Sequence[float]) -> float:
    """Spearman's, without ties."""

    def ranks(values: Sequence[float]) -> npt.NDArray[np.float64]:
        return np.argsort(np.argsort(np.asarray(values))).astype(np.float64)

    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def contact_sheet(sounds: list[tuple[Asked, Audio]], path: Path) -> None:
    """A spectrogram of each render, four in a row."""
    from PIL import Image, ImageDraw

    width, height, columns = 260, 120, 4
    sheet = Image.new("RGB", (columns * width, -(-len(sounds) // columns) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for index, (asked, audio) in enumerate(sounds):
        levels = mel_levels(audio, RATE, width - 8, height - 24)[::-1]
        grey = np.clip(255.0 * (levels + 90.0) / 80.0, 0.0, 255.0).astype(np.uint8)
        x, y = index % columns * width + 4, index // columns * height
        sheet.paste(Image.fromarray(grey), (x, y + 18))
        title = f"{GENRES[asked.genre]} {asked.tempo_bpm:.0f} bpm, density {asked.density:.2f}"
        pen.text((x, y + 3), title, fill="black")
    sheet.quantize(64).save(path, optimize=True)


def measure(model: MusikaLive, renders: int, seconds: float, picture: Path | None = None) -> dict[str, object]:
    """All figures; `rows` has one entry a render."""
    import librosa

    rows, sounds = [], []
    for asked in conditions(renders):
        audio = play(model, asked, seconds)
        sounds.append((asked, audio))
        mono = audio.mean(axis=0)
        tempo, frames = librosa.beat.beat_track(y=mono, sr=RATE, hop_length=256)
        found = float(np.atleast_1d(tempo)[0])
        beats = librosa.frames_to_time(frames, sr=RATE, hop_length=256)
        period = 60.0 / asked.tempo_bpm
        away = [abs(beat - round(beat / period) * period) for beat in beats]
        octaves = [abs(found - asked.tempo_bpm * f) / (asked.tempo_bpm * f) for f in (0.5, 1.0, 2.0)]
        bars = int(seconds // (4 * period))
        chords = chord_recovery(audio, RATE, [4 * period * bar for bar in range(bars + 1)], asked.chords[:bars])
        rows.append(
            {
                "genre": GENRES[asked.genre],
                "tempo_bpm": round(asked.tempo_bpm, 2),
                "found_bpm": round(found, 2),
                "tempo_right": min(octaves) <= 0.02,
                "beat_ms": round(1000.0 * float(np.median(away)), 1) if away else None,
                "chord_root": round(chords.root, 3),
                "chord_triad": round(chords.triad, 3),
                "density": round(asked.density, 3),
                "onsets_s": round(onset_rate(audio, RATE), 3),
                "clipped": int((np.abs(audio) >= 1.0).sum()),
                "dc_db": round(20.0 * float(np.log10(max(np.abs(audio.mean(axis=1)).max(), 1e-9))), 1),
                "finite": bool(np.isfinite(audio).all()),
            }
        )
    if picture is not None:
        contact_sheet(sounds, picture)
    return {
        "rows": rows,
        **_summary(rows),
        "density_rank_correlation": {genre: density_sweep(model, index) for index, genre in enumerate(GENRES)},
        "frechet": genre_distances(model),
    }


def density_sweep(model: MusikaLive, genre: int, points: int = 16, seconds: float = 10.0) -> float:
    """Rank correlation of density and onsets heard a second, over random styles; at 120 bpm, as tempo counts too."""
    rng = np.random.default_rng(7 + genre)
    asked, heard = np.linspace(0.0, 1.0, points), []
    for index, density in enumerate(asked):
        chords = tuple(_triad(rng) for _ in range(8))
        at = Asked(3000 + index, 120.0, genre, float(density), 0.6, chords)
        heard.append(onset_rate(play(model, at, seconds), RATE))
    return round(rank_correlation(list(asked), heard), 3)


def _summary(rows: list[dict[str, object]]) -> dict[str, object]:
    def column(name: str, genre: str | None = None) -> list[float]:
        return [float(str(r[name])) for r in rows if r[name] is not None and genre in (None, r["genre"])]

    return {
        "tempo_right": sum(bool(r["tempo_right"]) for r in rows),
        "renders": len(rows),
        "beat_ms_median": float(np.median(column("beat_ms"))),
        "chord_triad_mean": float(np.mean(column("chord_triad"))),
        "clipped": sum(column("clipped")),
        "worst_dc_db": max(column("dc_db")),
    }


def play_piece(model: MusikaLive, piece: Piece, style_seed: int) -> Audio:
    """The bundle under the tempo, chords, density and brightness of a composed piece, in a style of its own."""
    conductor = Conductor(RATE)
    conductor.set_tempo(piece.tempo_bpm, 0.0)
    conductor.set_progression(piece.chords, 0)
    state, spec = model.begin(style_seed), model.spec
    chunks = []
    for first in range(0, int(piece.duration_s * RATE) - spec.chunk, spec.chunk):
        bar = int(first / RATE * piece.tempo_bpm / 240.0)
        controls = MusikaLiveControls(
            style=LiveStyle(seed=style_seed, genre=float(GENRES.index(piece.genre))),
            density=piece.density[bar],
            brightness=piece.brightness[bar],
        )
        chunks.append(model.step(state, controls, conductor.span(first, spec.frames, spec.hop, RATE)))
    return np.clip(np.concatenate(chunks, axis=1), -1.0, 1.0)


def genre_distances(model: MusikaLive, pieces: int = 24) -> dict[str, float]:
    """Frechet distances from the bundle, and from other real pieces, to held-out pieces of either genre.

    What is asked of the bundle is drawn as the corpus draws it (tempo, chords, density and brightness bar by bar), from
    seeds of its own: else the distance would tell how the questions differ, not the answers. Held-out seeds lie beyond
    all that are trained on.
    """

    def heard(genre: Genre, first: int, real: bool, count: int = pieces) -> Gaussian:
        rows = []
        for seed in range(first, first + count):
            piece = compose(seed, genre, bars=8)
            rows.append(log_mel_features(render(piece) if real else play_piece(model, piece, seed), RATE))
        return gaussian(np.concatenate(rows))

    held = {genre: heard(genre, 900_000, True, 2 * pieces) for genre in GENRES}
    result = {}
    for genre in GENRES:
        for kind, seen in (("made", heard(genre, 800_000, False)), ("real", heard(genre, 950_000, True))):
            for other in GENRES:
                result[f"{kind} {genre} to held-out {other}"] = round(frechet(seen, held[other]), 2)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--renders", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=30.0)
    args = parser.parse_args()
    model = MusikaLive(open_graph(args.bundle / "generator.onnx"), open_graph(args.bundle / "decoder.onnx"))
    figures = measure(model, args.renders, args.seconds, args.picture)
    text = json.dumps(figures, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
