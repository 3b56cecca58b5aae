"""What a session reports: commands once they sound, and ten times a second its levels, latencies and underruns."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from engine.audio.input import InputHistory
from engine.audio.level import peak_db
from engine.audio.mixer import Mixer
from engine.messages.session import Telemetry, VoiceTelemetry
from engine.session.slot import SessionContext
from engine.session.voice import Voice
from engine.worker.orders import needs_preparation

__all__ = ["TelemetryReporter"]

_EVERY_S: Final = 0.1


class TelemetryReporter:
    """Threads: the session's housekeeping; `output_latency_ms` may be set by any."""

    def __init__(self, stage: SessionContext, mixer: Mixer, hearing: InputHistory, output_latency_ms: float) -> None:
        self.output_latency_ms = output_latency_ms
        self._stage, self._mixer, self._hearing = stage, mixer, hearing
        self._told_s, self._latency_ms = -1.0, 0.0
        self._continue_ms: dict[str, float] = {}

    def tell(self, voices: Collection[Voice], first: int, read_s: float) -> None:
        """Add what there is to tell to the stage's events.

        Args:
            first: the first sample of the latest read, and `read_s` the clock when it was asked for.
        """
        stage, waiting = self._stage, []
        for event in stage.due_to_sound:
            if event.sample >= self._mixer.position:
                waiting.append(event)
                continue
            at_ms = 1000.0 * (read_s + (event.sample - first) / stage.sample_rate)
            latency_ms = max(0.0, at_ms - event.latency_ms) + self.output_latency_ms
            self._latency_ms = max(self._latency_ms, latency_ms)
            if needs_preparation(event.command):
                self._continue_ms[event.voice] = latency_ms
            stage.events.append(replace(event, latency_ms=latency_ms))
        stage.due_to_sound[:] = waiting
        now_s = stage.clock()
        if now_s - self._told_s >= _EVERY_S:
            self._told_s = now_s
            stage.events.append(self._telemetry(voices))

    def _telemetry(self, voices: Collection[Voice]) -> Telemetry:
        conductor, here = self._stage.conductor, self._mixer.position
        bar, beat = conductor.bar_at(float(here))
        chord = conductor.chord_at(conductor.tick_at(float(here)), float(here))
        level, self._mixer.peak = self._mixer.peak, 0.0
        latency_ms, self._latency_ms = self._latency_ms, 0.0
        input_db, self._hearing.peak = self._hearing.level, 0.0
        reduction_db = 0.0
        if self._mixer.limiter is not None:
            reduction_db, self._mixer.limiter.reduction_db = self._mixer.limiter.reduction_db, 0.0
        return Telemetry(
            sample=here,
            bar=bar,
            beat=beat,
            tempo_bpm=conductor.tempo_at(float(here)),
            chord="" if chord is None else str(chord),
            level_db=peak_db(level),
            underruns=sum(voice.covers for voice in voices),
            latency_ms=latency_ms,
            input_db=input_db,
            limiter_db=round(reduction_db, 1),
            voices=tuple(self._of(voice, here) for voice in voices),
        )

    def _of(self, voice: Voice, here: int) -> VoiceTelemetry:
        ring = None if voice.player is None else voice.player.ring
        ahead = 0 if ring is None else max(0, ring.written - here)
        level, voice.lane.peak = voice.lane.peak, 0.0
        return VoiceTelemetry(
            voice=voice.name,
            bundle=voice.bundle,
            playing=voice.playing,
            level_db=peak_db(level),
            fill_ms=1000.0 * ahead / self._stage.sample_rate,
            realtime=0.0 if ring is None else ring.realtime,
            late=voice.covers,
            cpu=0.0 if ring is None else ring.cpu,
            prepared_s=voice.prepared_s,
            continue_ms=self._continue_ms.get(voice.name, 0.0),
        )
