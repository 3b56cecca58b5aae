"""A Piece to stereo sound, and to the conditions of each moment of it.

`python -m training.data.synth OUT.wav --seed 3 --genre techno --bars 8` renders one for listening.
"""

import argparse
import math
from collections.abc import Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final, get_args

import numpy as np
import numpy.typing as npt

from engine.music.arrays import F32
from engine.music.audio import Audio, soft_limit, write_audio
from engine.music.harmony import Chord
from engine.music.units import samples_per_tick
from training.data.compose import Genre, Piece, PieceError, Style, compose
from training.data.piece import GENRES, TICKS_PER_BAR
from training.data.voices import STEMS, Sound, drum, tone

__all__ = ["conditions", "main", "render", "stems"]

# Level of each instrument at velocity 1: the beat stays the strongest onset, chords the strongest tones.
LEVELS: Final = MappingProxyType(
    {
        "kick": 0.493, "clap": 0.468, "open_hat": 0.221, "hat": 0.221, "rim": 0.425, "pulse": 0.468, "shaker": 0.255,
        "bass": 0.17, "sub": 0.17, "pad": 0.136, "stab": 0.221, "warm": 0.221, "arp": 0.145,
    }
)  # fmt: skip
PANS: Final = MappingProxyType({"hat": 0.25, "open_hat": -0.2, "rim": -0.4, "shaker": 0.35})
# How much a kick ducks bass and chords, by genre.
DUCKING: Final = MappingProxyType({"techno": 0.55, "ambient": 0.12})
_TAIL_S: Final = 1.0
_BRIGHTNESS_STEPS: Final = 64


def render(piece: Piece, sample_rate: int = 44100, *, loop: bool = False) -> Audio:
    """Render a piece; tick 0 is sample 0 and every onset lies on the sample nearest to its tick.

    Args:
        sample_rate: Hz.
        loop: sounds that run over the end go on at the start, so that the piece repeats without a seam; else
            they are cut with a fade of 5 ms.
    Returns:
        Float32 [2, N], N the samples of whole bars, below 0.85. Its level is fixed, never fitted to the piece.
    """
    return soft_limit(_sum_of(stems(piece, sample_rate, loop=loop)))


def stems(piece: Piece, sample_rate: int = 44100, *, loop: bool = False) -> dict[str, Audio]:
    """The four layers of `render`, "drums", "bass", "chords" and "arp", each [2, N]; their sum is what it limits."""
    rate = samples_per_tick(piece.tempo_bpm, sample_rate)
    count = round(piece.bars * TICKS_PER_BAR * rate)
    tail = round(_TAIL_S * sample_rate)
    layers = {name: np.zeros((2, count + tail), np.float32) for name in ("drums", "bass", "chords", "arp")}
    kicks: list[int] = []
    cache: dict[tuple[str, int, int, int], Sound] = {}
    for hit in piece.hits:
        start = round(hit.start_tick * rate)
        level = round(piece.brightness[hit.start_tick // TICKS_PER_BAR] * _BRIGHTNESS_STEPS)
        key = (hit.instrument, hit.pitch, hit.length_ticks if hit.pitch else 0, level)
        sound = cache.get(key)
        if sound is None:
            sound = cache[key] = _voice(piece, hit.instrument, hit.pitch, hit.length_ticks * rate, level, sample_rate)
        if hit.instrument in ("kick", "pulse"):
            kicks.append(start)
        left, right = _gains(piece.style, hit.instrument, hit.pitch)
        layer = layers[STEMS[hit.instrument]]
        end = min(start + len(sound), layer.shape[1])
        scaled = sound[: end - start] * np.float32(hit.velocity * LEVELS[hit.instrument])
        layer[0, start:end] += scaled * np.float32(left)
        layer[1, start:end] += scaled * np.float32(right)
    duck = _ducking(kicks, count + tail, DUCKING[piece.genre], sample_rate)
    layers["bass"] *= duck
    layers["chords"] *= duck
    if piece.genre == "ambient":
        for name, amount in (("chords", 0.25), ("arp", 0.5)):
            layers[name] += _ambience(layers[name], sample_rate) * np.float32(amount)
    return {name: _closed(layer, count, loop, sample_rate) for name, layer in layers.items()}


def conditions(piece: Piece, ticks: npt.ArrayLike) -> dict[str, F32]:
    """What holds at each of T ticks (any numbers; they wrap at the end of the piece).

    Returns:
        Float32 "chroma" and "bass" [12, T], 0 or 1; "density", "brightness", "bar_phase" and "beat_phase" [T] in
        0..1 (a phase is below 1); "genre" [T], 0 techno, 1 ambient.
    """
    at = np.asarray(ticks, np.float64).reshape(-1)
    bar_position = (at / TICKS_PER_BAR) % piece.bars
    # A tick a hair below 0 wraps to exactly the end in floating point.
    bar = np.minimum(bar_position.astype(np.int64), piece.bars - 1)
    # The float32 below 1 whose four beats stay below 1 too: no phase may round up to the next bar.
    phase = np.minimum(bar_position - bar, 1.0 - 2.0**-24)
    shares = np.array([len(chords) for chords in piece.chords])
    first = np.concatenate(([0], np.cumsum(shares)[:-1]))
    index = first[bar] + (phase * shares[bar]).astype(np.int64)
    flat: list[Chord] = [chord for chords in piece.chords for chord in chords]
    values = {
        "chroma": np.stack([chord.chroma() for chord in flat], axis=1)[:, index],
        "bass": np.stack([chord.bass_vector() for chord in flat], axis=1)[:, index],
        "density": np.array(piece.density)[bar],
        "brightness": np.array(piece.brightness)[bar],
        "genre": np.full(len(at), GENRES.index(piece.genre)),
        "bar_phase": phase,
        "beat_phase": np.minimum((4.0 * phase) % 1.0, 1.0 - 2.0**-24),
    }
    return {name: np.asarray(value, np.float32) for name, value in values.items()}


def _sum_of(layers: dict[str, Audio]) -> Audio:
    """The layers added up, [2, N]."""
    total = np.zeros_like(next(iter(layers.values())))
    for layer in layers.values():
        total += layer
    return total


def _voice(piece: Piece, instrument: str, pitch: int, length: float, level: int, sample_rate: int) -> Sound:
    brightness = level / _BRIGHTNESS_STEPS
    if STEMS[instrument] == "drums":
        return drum(instrument, piece.style, brightness, sample_rate)
    return tone(instrument, pitch, length / sample_rate, piece.style, brightness, sample_rate)


def _gains(style: Style, instrument: str, pitch: int) -> tuple[float, float]:
    """Left and right of equal power; tones spread by pitch class, bass and kick stay in the middle."""
    pan = PANS.get(instrument, 0.0)
    if STEMS[instrument] in ("chords", "arp"):
        # Neighbouring chord tones lie on opposite sides, a pitch class always on the same.
        pan = 0.8 * (((5 * pitch) % 12) / 5.5 - 1.0)
    angle = math.pi / 4.0 * (1.0 + pan * (0.2 + 0.8 * style.width))
    return math.sqrt(2.0) * math.cos(angle), math.sqrt(2.0) * math.sin(angle)


def _ducking(kicks: Sequence[int], count: int, depth: float, sample_rate: int) -> Sound:
    """Gain [count] that falls by `depth` in 4 ms at each kick and comes back in about a quarter second."""
    length = round(0.3 * sample_rate)
    t = np.arange(length, dtype=np.float32) / np.float32(sample_rate)
    dip = np.minimum(t / np.float32(0.004), 1.0) * np.exp(t * np.float32(-1.0 / 0.08))
    dip *= np.clip((0.3 - t) / np.float32(0.05), 0.0, 1.0)
    gain = np.ones(count, np.float32)
    for start in kicks:
        end = min(start + length, count)
        gain[start:end] = 1.0 - np.float32(depth) * dip[: end - start]
    return gain


@lru_cache(maxsize=4)
def _taps(sample_rate: int) -> tuple[tuple[int, int, float], ...]:
    """Echoes (channel, delay in samples, gain) that thin out over 0.28 s, different left and right."""
    rng = np.random.default_rng(1)
    taps = []
    for channel in range(2):
        for index in range(12):
            time_s = 0.012 + 0.27 * ((index + rng.uniform(0.2, 0.8)) / 12.0) ** 1.3
            sign = 1.0 if rng.random() < 0.5 else -1.0
            taps.append((channel, round(time_s * sample_rate), sign * 0.4 * math.exp(-time_s / 0.11)))
    return tuple(taps)


def _ambience(layer: Audio, sample_rate: int) -> Audio:
    """A short room [2, N]: echoes of the middle signal, within 0.3 s."""
    middle = layer.mean(axis=0)
    room = np.zeros_like(layer)
    for channel, delay, gain in _taps(sample_rate):
        room[channel, delay:] += middle[:-delay] * np.float32(gain)
    return room


def _closed(layer: Audio, count: int, loop: bool, sample_rate: int) -> Audio:
    """[2, count]: what lies beyond goes to the start, or is cut with a fade."""
    sound = layer[:, :count].copy()
    if loop:
        tail = layer[:, count:]
        for start in range(0, tail.shape[1], count):
            part = tail[:, start : start + count]
            sound[:, : part.shape[1]] += part
    else:
        fade = min(count, round(0.005 * sample_rate))
        sound[:, count - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return sound


def main(argv: Sequence[str] | None = None) -> int:
    """Render one piece to a file; 0 when done, 1 when it cannot be composed or written, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m training.data.synth", description="Render a seeded piece.")
    parser.add_argument("out", help="sound file to write, .wav or .flac")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--genre", choices=get_args(Genre), default="techno")
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--tempo-bpm", type=float)
    parser.add_argument("--density", type=float, help="0..1 for the whole piece; drawn for each bar if absent")
    parser.add_argument("--brightness", type=float, help="0..1, likewise")
    parser.add_argument("--sample-rate", type=int, default=44100, help="Hz")
    parser.add_argument("--loop", action="store_true", help="let tails go on at the start")
    options = parser.parse_args(argv)
    try:
        piece = compose(
            options.seed,
            options.genre,
            bars=options.bars,
            tempo_bpm=options.tempo_bpm,
            density=options.density,
            brightness=options.brightness,
        )
        sound = render(piece, options.sample_rate, loop=options.loop)
        write_audio(options.out, sound, options.sample_rate)
    except (PieceError, OSError) as error:
        print(error)
        return 1
    names = " | ".join(" ".join(map(str, chords)) for chords in piece.chords)
    print(f"{options.out}: {piece.genre}, {piece.bars} bars at {piece.tempo_bpm:g} bpm, {piece.duration_s:.1f} s")
    print(f"chords: {names}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
