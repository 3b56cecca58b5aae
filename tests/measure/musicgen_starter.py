"""Does a starter bundle of the language model follow words, keep what it goes on with, and play as it is conducted?

``python -m tests.measure.musicgen_starter BUNDLE [--only words] [--json OUT]`` plays through the engine what people
would hear, and listens: librosa finds tempo and beats, `chord_recovery` chords, a linear classifier taught with
composed pieces who plays. Beside each figure stands what the same listeners say of composed pieces that went through
the codec alone: no model can be heard to do better than these. The numbers of the model card.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.audio.level import limited
from engine.bundles.bundle import open_model
from engine.conductor import Conductor
from engine.models.musicgen.conditioning import TempoAndChords, led_by_ear, over_detected_chords
from engine.models.musicgen.model import Musicgen, MusicgenControls
from engine.music.arrays import F32, F64, Mask
from engine.music.audio import Audio
from engine.music.harmony import Chord
from training.config import Data
from training.data.described import PARTS, Described, Played, attributes
from training.evaluate.sound import chord_recovery
from training.evaluate.words import asked_text, taught

_HELD = Data(pieces=64, bars=10, seed=900_004)  # no recipe trains on these
_WORDS_S, _HEARD_S, _NEW_S = 8.0, 6.0, 8.0
_NEAR = 0.04  # share of a tempo by which a found one may be wrong
_BARS = 8
_TONAL = tuple(name for name in PARTS if name != "drums")


@dataclass(frozen=True, slots=True)
class Band:
    """A bundle, played from beginning to end."""

    model: Musicgen
    controls: MusicgenControls

    @property
    def rate(self) -> int:
        return self.model.codec.sample_rate

    def play(
        self, seconds: float, *, text: str = "", given: Audio | None = None, lead: TempoAndChords | None = None,
        guidance: float = 3.0, seed: int = 0,
    ) -> Audio:  # fmt: skip
        """New sound [1, N]; a lead counts from the first sample of what was `given`."""
        model, hop = self.model, self.model.codec.hop
        prompt = np.zeros((model.facts.codebooks, 0), np.int64)
        if given is not None:
            prompt = model.codec.encode(given[None, :, : given.shape[1] // hop * hop])[0]
        frames = round(seconds * self.rate / hop)
        words = model.conditions(text, guided=guidance != 1.0, changing=lead is not None)

        def told(frame: int, count: int) -> F32 | None:
            if lead is None or not count:
                return None
            return lead.features(frame, count, hop, self.rate, model.facts.features)

        state = model.begin(words, prompt, seed=seed, frames=frames, features=told(0, prompt.shape[1]))
        controls = replace(self.controls, guidance=guidance)
        made = []
        while not state.ended:
            row = told(state.origin + state.steps - 1, 1)
            frame = model.step(state, controls, None if row is None else row[0])
            if frame is not None:
                made.append(frame)
        codes = np.concatenate([prompt, np.stack(made, axis=1)], axis=1)
        return limited(model.codec.decode(codes[None])[0][:, prompt.shape[1] * hop :])

    def through(self, audio: Audio) -> Audio:
        """Sound [2 or 1, N] as the codec gives it back."""
        hop = self.model.codec.hop
        mono = audio.mean(axis=0, keepdims=True)[:, : audio.shape[1] // hop * hop]
        return self.model.codec.decode(self.model.codec.encode(mono[None]))[0]


def led_at(tempo_bpm: float, rate: int, chords: Sequence[Chord] = ()) -> TempoAndChords:
    conductor = Conductor(rate)
    conductor.set_tempo(tempo_bpm, 0.0)
    if chords:
        conductor.set_progression(tuple((chord,) for chord in chords), 0)
    return TempoAndChords(conductor)


def beats_of(audio: Audio, rate: int) -> tuple[float, F64]:
    """Tempo in bpm and seconds of beats, found by librosa."""
    import librosa

    tempo, frames = librosa.beat.beat_track(y=audio.mean(axis=0), sr=rate, hop_length=256)
    return float(np.atleast_1d(tempo)[0]), np.asarray(librosa.frames_to_time(frames, sr=rate, hop_length=256))


def right_tempo(audio: Audio, rate: int, tempo_bpm: float) -> bool:
    """Within 4 %, an octave too fast or too slow allowed."""
    found, _ = beats_of(audio, rate)
    return min(abs(found - tempo_bpm * f) / (tempo_bpm * f) for f in (0.5, 1.0, 2.0)) <= _NEAR


def percent(values: Sequence[bool] | Sequence[float] | F64) -> float:
    return round(100.0 * float(np.mean(values)), 1)


# words


def asked(prompts: int) -> list[tuple[str, Mask, float]]:
    """Genre, parts and tempo of each prompt; every other one asks for a single part."""
    rng = np.random.default_rng(2026)
    tempos = rng.permutation(np.linspace(92.0, 148.0, prompts).round())
    made = []
    for index in range(prompts):
        parts = rng.random(len(PARTS)) < 0.6
        if index % 2 or not parts.any():
            parts = np.arange(len(PARTS)) == index // 2 % len(PARTS)
        made.append((("techno", "ambient")[index // 2 // len(PARTS) % 2], parts, float(tempos[index])))
    return made


def words(band: Band, prompts: int, lessons: int) -> dict[str, object]:
    """What is heard when words are all that is said, and when they conduct, as they do in ``ripieno continue``."""
    listener, unheard = taught(band.through, band.rate, lessons)
    figures: dict[str, object] = {
        "listener, pieces it has not heard": _parts([(parts, listener.hears(s, band.rate)) for s, parts in unheard])
    }
    pieces = [piece for piece, _ in _held(prompts)]
    sounds = [band.through(_cut(piece, band.rate, 0.0, _WORDS_S)) for piece in pieces]
    tempos = [right_tempo(s, band.rate, p.piece.tempo_bpm) for s, p in zip(sounds, pieces, strict=True)]
    figures["pieces through the codec"] = {"tempo": percent(tempos)}
    for name, guidance, conducts in (
        ("words alone, guidance 1", 1.0, False),
        ("words alone, guidance 3", 3.0, False),
        ("words that conduct, guidance 1", 1.0, True),
        ("words that conduct, guidance 3", 3.0, True),
    ):
        pairs, tempos = [], []
        for seed, (genre, parts, tempo) in enumerate(asked(prompts)):
            text = f"{asked_text(genre, parts)}, {tempo:.0f} bpm"
            lead = led_at(tempo, band.rate) if conducts else None
            sound = band.play(_WORDS_S, text=text, lead=lead, guidance=guidance, seed=seed)
            pairs.append((parts, listener.hears(sound, band.rate)))
            tempos.append(right_tempo(sound, band.rate, tempo))
        figures[name] = {"tempo": percent(tempos), **_parts(pairs)}
        tell(name, figures[name])
    return figures


def _parts(pairs: Sequence[tuple[Mask, Mask]]) -> dict[str, float]:
    right = np.stack([wanted == heard for wanted, heard in pairs])
    shares = {part: percent(share) for part, share in zip(PARTS, right.T, strict=True)}
    return {**shares, "parts": percent(right.ravel()), "all four parts": percent(right.all(axis=1))}


# going on


def _held(count: int) -> Iterator[tuple[Played, int]]:
    corpus = Described(replace(_HELD, pieces=count))
    for index, entry in enumerate(corpus.entries):
        yield corpus.played(entry), index


def _cut(piece: Played, rate: int, first_s: float, length_s: float) -> Audio:
    from engine.music.audio import soft_limit
    from training.data.synth import stems

    layers = stems(piece.piece, rate)
    whole = soft_limit(np.sum([layers[part] for part in piece.parts], axis=0, dtype=np.float32))
    begin = round(first_s * rate)
    return whole[:, begin : begin + round(length_s * rate)].mean(axis=0, keepdims=True)


def pitch_classes(audio: Audio, rate: int) -> F64:
    """[12] how much of each is heard."""
    import librosa

    tones = librosa.effects.harmonic(audio.mean(axis=0))
    return np.asarray(librosa.feature.chroma_cens(y=tones, sr=rate).mean(axis=1), np.float64)


def same_key(given: Audio, sound: Audio, rate: int) -> bool:
    """Whether of all twelve transpositions of what was given its own is most like the sound."""
    before, after = pitch_classes(given, rate), pitch_classes(sound, rate)
    if min(before.std(), after.std()) < 1e-6:
        return False  # nothing that has a pitch
    return int(np.argmax([np.corrcoef(np.roll(before, shift), after)[0, 1] for shift in range(12)])) == 0


def by_ear(band: Band, given: Audio, guidance: float, seed: int) -> Audio:
    """As ``ripieno continue`` does: with the pulse and over the chords that are heard in what is given."""
    return band.play(_NEW_S, given=given, lead=led_by_ear(given, band.rate), guidance=guidance, seed=seed)


def in_time(band: Band, piece: Played, given: Audio, seed: int) -> Audio:
    """As live: in a transport's time, over the chords that are heard in what is given."""
    lead = over_detected_chords(given, band.rate, led_at(piece.piece.tempo_bpm, band.rate))
    return band.play(_NEW_S, given=given, lead=lead, guidance=band.controls.guidance, seed=seed)


def going_on(band: Band, count: int) -> dict[str, object]:
    """Eight seconds after six of a piece nobody trained on, told no word: its tempo and its key, where it has one."""
    ways: Mapping[str, Callable[[Played, Audio, int], Audio]] = {
        "the piece's own, through the codec": lambda piece, _, __: band.through(
            _cut(piece, band.rate, _HEARD_S, _NEW_S)
        ),
        "gone on with, told nothing": lambda _, given, seed: band.play(_NEW_S, given=given, guidance=1.0, seed=seed),
        "gone on with, by ear, guidance 1": lambda _, given, seed: by_ear(band, given, 1.0, seed),
        "gone on with, by ear, guidance 3": lambda _, given, seed: by_ear(band, given, 3.0, seed),
        "gone on with, in a transport's time": lambda piece, given, seed: in_time(band, piece, given, seed),
    }
    figures: dict[str, object] = {}
    audible: dict[str, list[bool]] = {}
    for name, way in ways.items():
        tempos, keys = [], []
        for piece, index in _held(count):
            given = _cut(piece, band.rate, 0.0, _HEARD_S)
            sound = way(piece, given, index)
            tempos.append(right_tempo(sound, band.rate, piece.piece.tempo_bpm))
            tonal = any(part in _TONAL for part in piece.parts)
            if tonal and attributes(piece, 0.0, _HEARD_S + _NEW_S).key is not None:  # chords that follow a key
                keys.append(same_key(given, sound, band.rate))
        audible = audible or {"tempo": tempos, "key": keys}
        figures[name] = {
            "tempo": percent(tempos),
            "key": percent(keys),
            "tempo, where the piece's own is found": percent(
                [t for t, a in zip(tempos, audible["tempo"], strict=True) if a]
            ),
            "key, where the piece's own is found": percent([k for k, a in zip(keys, audible["key"], strict=True) if a]),
        }
        tell(name, figures[name])
    return figures


# conducted


def conducted(band: Band, renders: int) -> dict[str, object]:
    """Eight bars under tempos from 90 to 150 and a triad a bar, everybody playing."""
    rng = np.random.default_rng(2026)
    asks = [
        (float(tempo), [_triad(rng) for _ in range(_BARS)], ("techno", "ambient")[index % 2])
        for index, tempo in enumerate(np.linspace(90.0, 150.0, renders))
    ]
    everybody = np.ones(len(PARTS), np.bool_)
    figures: dict[str, object] = {}
    for guidance in (1.0, 3.0):
        tempos, away, roots, triads = [], [], [], []
        for seed, (tempo, chords, genre) in enumerate(asks):
            period = 60.0 / tempo
            sound = band.play(
                4 * period * _BARS, text=asked_text(genre, everybody), guidance=guidance, seed=seed,
                lead=led_at(tempo, band.rate, chords),
            )  # fmt: skip
            _, beats = beats_of(sound, band.rate)
            tempos.append(right_tempo(sound, band.rate, tempo))
            if len(beats):
                away.append(1000.0 * float(np.median([abs(b - round(b / period) * period) for b in beats])))
            heard = chord_recovery(sound, band.rate, [4 * period * bar for bar in range(_BARS + 1)], chords)
            roots.append(heard.root)
            triads.append(heard.triad)
        name = f"conducted, guidance {guidance:g}"
        figures[name] = {
            "tempo": percent(tempos), "beats off, median ms": round(float(np.median(away)), 1),
            "renders within 40 ms": percent([a <= 40.0 for a in away]), "chord root": percent(roots),
            "chord triad": percent(triads),
        }  # fmt: skip
        tell(name, figures[name])
    return figures


def _triad(rng: np.random.Generator) -> Chord:
    root = int(rng.integers(12))
    return Chord(root, "maj" if rng.random() < 0.5 else "min", root)


def tell(name: str, figures: object) -> None:
    print(f"{name}: {json.dumps(figures)}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--pieces", type=int, default=48, help="that are gone on with (48)")
    parser.add_argument("--renders", type=int, default=32, help="that are conducted (32)")
    parser.add_argument("--lessons", type=int, default=300, help="pieces that the listener is taught with (300)")
    parser.add_argument("--only", default="", choices=["conducted", "going on", "words"])
    parser.add_argument("--temperature", type=float, help="others than the bundle's")
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = open_model(args.bundle, "continue", threads=1)
    drawing = {"temperature": args.temperature, "top_k": args.top_k}
    band = Band(model, replace(model.controls, **{name: value for name, value in drawing.items() if value is not None}))
    parts: Mapping[str, Callable[[], dict[str, object]]] = {
        "conducted": lambda: conducted(band, args.renders),
        "going on": lambda: going_on(band, args.pieces),
        "words": lambda: words(band, args.prompts, args.lessons),
    }
    figures = {name: part() for name, part in parts.items() if args.only in ("", name)}
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json is not None:
        args.json.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
