"""A sound file in, a longer one out: encoded as a prompt, continued by the model, and decoded.

What is given stays as it is; only its last moments fade into what the codec makes of them, so that the new sound joins
without a seam. The result has the given sound's rate and channels; sound from nothing has the model's.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.audio.level import limited, peak_of
from engine.audio.resample import Resampler
from engine.conductor import Bars, Conductor
from engine.errors import ControlError, RecordError
from engine.models.musicgen.conditioning import TempoAndChords, over_detected_chords, tempo_in, timed_by_ear
from engine.models.musicgen.model import Musicgen, MusicgenControls, apart
from engine.models.musicgen.prompt import codes_of, melody_of
from engine.models.musicgen.state import MusicgenState
from engine.music.arrays import I64
from engine.music.audio import Audio, read_audio, to_channels
from engine.music.files import replacing
from engine.music.soundwriter import SOUND_ENDINGS, sound_file
from engine.music.units import amplitude_to_db
from engine.protocols.streamer import Job, Progress

__all__ = ["ContinueTask", "Continued", "continued"]


_VERB: Final = "continue"
_FADE: Final = 3  # frames over which the given sound fades into what the codec makes of it
_PIECE: Final = 10  # frames that are turned into sound at a time: fewer make the codec slower
_SILENT_DB: Final = -50.0  # root mean square
_UNLIKE_DB: Final = 9.0  # from the prompt's level: half or twice as loud, and more
_FLUSH: Final = 4096  # samples of silence that press the last ones out of a resampler


@dataclass(frozen=True, kw_only=True, slots=True)
class ContinueTask:
    """What to continue, and how.

    Args:
        source: sound file; None for sound from nothing.
        out: .wav or .flac.
        seconds: of new sound. context: seconds of the source used as the prompt, 0 for as many as possible.
        text: words; empty for none. melody: sound file whose melody is followed.
        bundle: name or path; empty for the first that continues sound.
        conductor: musical time, counted from the file's first sample, for models that follow it. None: sound from
            nothing keeps the tempo that the words name, if they do.
        beats: of a bar, without a conductor. progression: chords, one entry a bar from the file's first sample on.
        by_ear: what is not given is estimated from the sound, where it has any: its beat, and its chords, repeated.
        alone: write the new sound without what was given.
        picture: file to draw a spectrogram into. threads: of the network.
    """

    source: Path | None
    out: Path
    seconds: float = 20.0
    context: float = 10.0
    text: str = ""
    melody: Path | None = None
    bundle: str = ""
    seed: int = 0
    controls: MusicgenControls = field(default_factory=MusicgenControls)
    conductor: Conductor | None = None
    beats: int = 4
    progression: Bars = ()
    by_ear: bool = True
    alone: bool = False
    picture: Path | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not 0.0 < self.seconds <= 86400.0 or not 0.0 <= self.context <= 3600.0:
            raise ControlError(
                f"seconds of new sound are more than 0, those of context 0 or more; got {self.seconds:g} and "
                f"{self.context:g}"
            )
        if self.out.suffix.lower() not in SOUND_ENDINGS:
            raise ControlError(f"{self.out}: sound is written as .wav or .flac; rename the file")
        if self.source is not None and self.out.exists() and self.out.samefile(self.source):
            raise ControlError(f"{self.out} is the file that is read, which stays as it is: choose another name")


@dataclass(frozen=True, kw_only=True, slots=True)
class Continued:
    """What was made.

    Args:
        path: written. licence: of the weights. sample_rate: Hz.
        prompt_s, made: seconds of the prompt, and of new sound. asked: that were wanted.
        begin_s: until the given sound was taken in. took_s: of work on the new sound.
        steps: of the network on the new sound.
        notes: sentences about what is not as one would expect: words that are not known, a level far from the prompt's.
    """

    path: str
    licence: str
    sample_rate: int
    prompt_s: float
    made: float
    asked: float
    begin_s: float
    took_s: float
    steps: int
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return self.made >= self.asked

    def summary(self) -> Iterator[str]:
        """The result in lines of text."""
        if not self.made:
            yield "interrupted before there was any sound; no file was written"
            return
        more = "" if self.complete else f" of {self.asked:.1f} s, then interrupted"
        prompt = f"prompt of {self.prompt_s:.1f} s, " if self.prompt_s else ""
        speed = self.steps / max(self.took_s, 1e-9)
        yield (
            f"{self.path}: {prompt}{self.made:.1f} s of new sound{more}, "
            f"{self.made / max(self.took_s, 1e-9):.1f} times real time ({speed:.0f} steps per second)"
        )
        if self.licence:
            yield f"licence of the weights: {self.licence}"
        yield from self.notes


def continued(task: ContinueTask) -> Job[Continued]:
    """A job that listens, plays on, and writes. Asked to end early it keeps what is made; closed it leaves nothing.

    Raises:
        BundleError: there is no bundle that continues sound. ControlError: the model cannot do what is asked.
        OSError: a sound cannot be read. RecordError: the result cannot be written.
    """
    from engine.bundles.bundle import describe, first_for, open_model

    name = task.bundle or first_for(_VERB)
    licence = describe(name).licence
    without = frozenset() if task.text else frozenset({"text"})
    model: Musicgen = open_model(name, _VERB, threads=task.threads, without=without)
    began_s = time.perf_counter()
    given, rate = (None, model.codec.sample_rate) if task.source is None else read_audio(task.source)
    prompt = codes_of(model, given, rate, task.context)
    melody = None if task.melody is None else melody_of(model, *read_audio(task.melody))
    lead = _lead(model, task, given, rate)
    # Chords are guided by as words are.
    told = model.conditions(task.text, melody, guided=task.controls.guidance != 1.0, changing=lead is not None)
    frame_rate = model.codec.sample_rate / model.codec.hop
    frames = int(np.ceil(task.seconds * frame_rate))
    first = 0 if given is None else given.shape[1] * frame_rate / rate - prompt.shape[1]
    playing = _ModelStepper(model, lead, first)
    state = model.begin(told, prompt, seed=task.seed, frames=frames, features=playing.features(0, prompt.shape[1]))
    model.prefill(state)
    begin_s = time.perf_counter() - began_s
    steps, began_s = 0, time.perf_counter()
    try:
        with replacing(task.out) as draft, _FileWriter(draft, task, model, given, rate, prompt) as joiner:
            made: list[I64] = []
            asked = yield Progress(0, frames)
            while not state.ended and not asked:
                frame = playing.step(state, task.controls)
                steps += 1
                if frame is None:
                    continue
                made.append(frame)
                if len(made) == _PIECE:
                    joiner.write(np.stack(made, axis=1))
                    made = []
                asked = yield Progress(joiner.frames + len(made), frames)
            joiner.write(np.stack(made, axis=1) if made else prompt[:, :0], last=True)
    except OSError as error:
        raise RecordError(f"{task.out} cannot be written ({error}); choose another folder") from None
    took_s = time.perf_counter() - began_s
    if task.picture is not None and joiner.frames:
        _draw(task, joiner)
    return Continued(
        path=str(task.out), licence=licence, sample_rate=rate, prompt_s=prompt.shape[1] / frame_rate,
        made=joiner.frames / frame_rate, asked=task.seconds, begin_s=begin_s, took_s=took_s, steps=steps,
        notes=tuple(_notes(model, task, joiner, _level_db(given, rate, task.context))),
    )  # fmt: skip


def _notes(model: Musicgen, task: ContinueTask, made: "_FileWriter", given_db: float | None) -> Iterator[str]:
    """What a listener would wonder about; `given_db` is the root mean square of the prompt."""
    if not made.frames:
        return
    if model.words is not None and model.words.known is not None and (advice := model.words.known.advice(task.text)):
        yield advice
    if made.cut_off > 1.0:
        yield (
            f"{task.source} has peaks of {made.cut_off:.2f} times full scale, which a FLAC file cannot hold: they are "
            "cut off; write a .wav file to keep them"
        )
    made_db = made.level_db
    if made_db < _SILENT_DB:
        yield f"the new sound is all but silent ({made_db:.0f} dB): try another --seed or --text"
    elif given_db is not None and given_db > _SILENT_DB and abs(made_db - given_db) > _UNLIKE_DB:
        yield (
            f"the new sound is {abs(made_db - given_db):.0f} dB {'softer' if made_db < given_db else 'louder'} than "
            "the prompt: try another --seed, or a prompt more like what this model was trained on"
        )


def _level_db(given: Audio | None, rate: int, seconds: float) -> float | None:
    """Root mean square of the prompt."""
    if given is None:
        return None
    part = given[:, -round(seconds * rate) :] if seconds else given
    return amplitude_to_db(float(np.sqrt(np.mean(np.square(part, dtype=np.float64))))) if part.size else None


def _lead(model: Musicgen, task: ContinueTask, given: Audio | None, rate: int) -> TempoAndChords | None:
    """Musical time and chords, from the first sample that is given: as asked, as words say, or by ear.

    Raises:
        ControlError: the model follows nothing of what is asked.
    """
    if not model.facts.features:
        if task.conductor is not None or task.progression:
            raise ControlError("this bundle follows neither tempo nor chords: leave them out, or choose another")
        return None
    lead = None if task.conductor is None else TempoAndChords(task.conductor.copy())
    if lead is None and given is not None and task.by_ear:
        lead = timed_by_ear(given, rate, task.beats)
    tempo = tempo_in(task.text) if given is None else None
    if lead is None and (tempo is not None or task.progression):
        lead = TempoAndChords(Conductor(model.codec.sample_rate, beats_per_bar=task.beats))
        lead.conductor.set_tempo(tempo or 120.0, 0.0)
    if lead is not None and task.progression:
        lead.conductor.set_progression(task.progression, 0)
    return over_detected_chords(given, rate, lead) if given is not None and task.by_ear else lead


class _ModelStepper:
    """Steps of a model, told of what leads it, if anything does.

    Args:
        first: frames of the given sound before the prompt's first.
    """

    def __init__(self, model: Musicgen, lead: TempoAndChords | None, first: float) -> None:
        if lead is not None:
            lead = replace(lead, before_s=lead.before_s + first * model.codec.hop / model.codec.sample_rate)
        self._model, self._lead = model, lead

    def features(self, frame: int, count: int) -> Any:
        """[count, F] of frames counted from the prompt's first; None where nothing leads."""
        if self._lead is None or not count:
            return None
        codec = self._model.codec
        return self._lead.features(frame, count, codec.hop, codec.sample_rate, self._model.facts.features)

    def step(self, state: MusicgenState, controls: MusicgenControls) -> I64 | None:
        told = self.features(state.origin + state.steps - 1, 1)
        return self._model.step(state, controls, None if told is None else told[0])


class _FileWriter:
    """The file in the making: what was given, a fade, and codes as sound.

    Raises:
        RecordError: the file cannot be written.
    """

    def __init__(
        self, path: Path, task: ContinueTask, model: Musicgen, given: Audio | None, rate: int, prompt: I64
    ) -> None:
        self._model, self._streams = model, model.facts.streams
        self.frames, self.rate = 0, rate
        codec, channels = model.codec, model.facts.streams * model.codec.channels
        self._state = codec.begin_decode(self._streams)
        self.channels = channels if given is None else len(given)
        self._resampler = Resampler(codec.sample_rate, rate, channels)
        lead = min(_FADE, prompt.shape[1])
        self._skip = (prompt.shape[1] - lead) * codec.hop  # of the decoded prompt, before the fade
        self._fade = _lead_in(given, lead * codec.hop * rate // codec.sample_rate, task.alone)
        self._wanted, self._written = 0, 0
        self._power, self._measured = 0.0, 0  # of new sound
        self._file = sound_file(path, rate, self.channels, shown=task.out)
        self.cut_off = 0.0
        """Peak of what was given where the file cannot hold more than 1; else 0."""
        if given is not None and not task.alone:
            self.cut_off = peak_of(given) if path.suffix.lower() == ".flac" else 0.0
            self._file.write(given[:, : given.shape[1] - self._fade.shape[1]])
        self._lead = lead
        self._decode(prompt)

    @property
    def level_db(self) -> float:
        """Root mean square of the new sound so far."""
        return amplitude_to_db(math.sqrt(self._power / max(1, self._measured)))

    def __enter__(self) -> "_FileWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self.frames:
            self._file.path.unlink(missing_ok=True)  # there is nothing new in it

    def write(self, codes: I64, *, last: bool = False) -> None:
        """Go on with codes [K, T]; with `last` all that is left is written."""
        self.frames += codes.shape[1]
        self._decode(codes, last)
        if last:
            whole = (self._lead + self.frames) * self._model.codec.hop
            self._wanted = round(whole * self.rate / self._model.codec.sample_rate)
            self._put(np.zeros((self._streams * self._model.codec.channels, _FLUSH), np.float32))

    def _decode(self, codes: I64, last: bool = False) -> None:
        sound = self._model.codec.decode_step(self._state, apart(codes, self._streams), last=last)
        sound = sound.reshape(sound.shape[0] * sound.shape[1], sound.shape[2])
        cut = min(self._skip, sound.shape[1])
        self._skip -= cut
        self._put(sound[:, cut:])

    def _put(self, sound: Audio) -> None:
        made = limited(to_channels(self._resampler.process(np.ascontiguousarray(sound)), self.channels))
        if self._wanted:
            made = made[:, : self._wanted - self._written]
        if not made.shape[1]:
            return
        at, length = self._written, self._fade.shape[1]
        new = made[:, max(0, length - at) :]
        self._power += float(np.square(new, dtype=np.float64).sum())
        self._measured += new.size
        count = max(0, min(length - at, made.shape[1]))
        self._written += made.shape[1]
        if count:
            share = ((np.arange(at, at + count) + 0.5) / length).astype(np.float32)
            made[:, :count] = share * made[:, :count] + (1.0 - share) * self._fade[:, at : at + count]
        self._file.write(made)


def _lead_in(given: Audio | None, samples: int, alone: bool) -> Audio:
    """[C, n]: the end of the given sound that the new one fades in over; silence where it is not written."""
    if given is None:
        return np.zeros((1, 0), np.float32)
    end = given[:, given.shape[1] - samples :] if samples else given[:, :0]
    return np.zeros_like(end) if alone else end


def _draw(task: ContinueTask, joiner: _FileWriter) -> None:
    import soundfile

    from engine.offline.spectrogram import Picture, save_picture

    with soundfile.SoundFile(str(task.out)) as file:
        sound = file.read(int(600.0 * file.samplerate), dtype="float32", always_2d=True)
    words = f"   {task.text}" if task.text else ""
    title = f"{'' if task.source is None else task.source.name + ' continued'}{words}   seed {task.seed}".strip()
    if len(sound):
        save_picture(task.picture or "", sound.T, joiner.rate, None, Picture(title=title))
