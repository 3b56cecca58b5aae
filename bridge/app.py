"""A Session and its ports: constructed, started and stopped in order; events are carried between them."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.audio.opening import open_port
from bridge.audio.port import BLOCK, NULL, AudioPort, NoDeviceError
from bridge.band.old_names import OldBandNames
from bridge.band.options import BandOptions
from bridge.band.session_band import concerns_band
from bridge.live_input import LiveInput, beside, open_live_input
from bridge.midi.maps import ControllerMap, maps_of
from bridge.osc.server import OscServer
from bridge.osc.space import AddressSpace
from bridge.settings import Settings, host_and_port, shown_address
from bridge.voices import MOST_VOICES, check_sound, figures, session_folder, voices_of
from engine.audio.input import INPUT
from engine.band.actions import BandSettings
from engine.band.process import band_named
from engine.bundles.bundle import BundleInfo
from engine.controls import Value, get_value
from engine.errors import ControlError, EngineError
from engine.messages.session import (
    NOW,
    Applied,
    Command,
    Event,
    Failed,
    Load,
    Panic,
    Progression,
    Record,
    Stop,
    Swapped,
    Telemetry,
    Unload,
    VoiceUp,
    When,
)
from engine.session.session import Session, VoiceSpec

if TYPE_CHECKING:
    from bridge.band.session_band import SessionBand
    from bridge.midi.ports import MidiInput

__all__ = ["App", "voices_of"]

_POLL_S: Final = 0.01
_FADE_S: Final = 0.1
_MOST_FAULTS: Final = 20
_FINDER_S: Final = 2.0  # longest wait, while stopping, for a MIDI system that does not answer


@dataclass(slots=True)
class App:
    """One session with its ports.

    Threads: `open`, `run`, `close` by the main thread; a thread of its own carries events.

    Args:
        settings: of the session.
        say: receives messages for people, from any thread.
        show: receives all events, from the thread that carries them.
    """

    settings: Settings
    say: Callable[[str], None] = print
    show: Callable[[Sequence[Event]], None] = lambda events: None
    session: Session = field(init=False)
    audio: AudioPort = field(init=False)
    server: OscServer | None = field(init=False, default=None)
    midi: "MidiInput | None" = field(init=False, default=None)
    band: "SessionBand | None" = field(init=False, default=None)
    live_input: LiveInput | None = field(init=False, default=None)
    page: Any = field(init=False, default=None)
    _space: AddressSpace = field(init=False)
    _maps: tuple[ControllerMap, ...] = field(init=False, default=())
    _controls: dict[str, object] = field(init=False, default_factory=dict)
    _names: set[str] = field(init=False, default_factory=set)
    _telemetry: Telemetry | None = field(init=False, default=None)
    _ended: threading.Event = field(init=False, default_factory=threading.Event)
    _carrier: threading.Thread | None = field(init=False, default=None)
    _finder: threading.Thread | None = field(init=False, default=None)
    _clock: tuple[int, float] = field(init=False, default=(0, 0.0))

    def open(self) -> None:
        """Open all ports and start to play.

        Raises:
            EngineError: a device, bundle or port named in the settings is not available; nothing is left running.
        """
        settings = self.settings
        voices = voices_of(settings)
        folder = session_folder(settings)
        self.audio = self._open_audio()
        self._controls = {name: info.controls for name, info in voices}
        self._names = set(self._controls)
        self.session = self._open_session(voices, folder)
        try:
            if settings.band:
                self.band = self._open_band()
            self.live_input = open_live_input(settings, self.session, self.audio)
            self._space = self._addresses()
            self._maps = maps_of(settings.maps, self._space.control)
            self.server = self._open_osc()
            self.session.start()  # processes load while the ports open
            if settings.progression:
                self.session.post(Progression(chords=settings.progression), NOW)
            source = self.session.read if self.band is None else self.band.mixed
            self.audio.start(source if self.live_input is None else self.live_input.source(source))
            self.session.output_latency_ms = 1000.0 * self.audio.latency_s
            if self.live_input is not None:
                self.live_input.start()
            self.server.start()
            if self.band is not None:
                self.band.start()
        except BaseException:
            self._abandon()
            raise
        self._open_page()
        if self.settings.midi_in != "none":
            self._finder = threading.Thread(target=self._open_midi, name="midi-finder", daemon=True)
            self._finder.start()
        if settings.record is not None:
            self.session.post(Record(name=settings.record), NOW)
        self._carrier = threading.Thread(target=self._carry, name="events", daemon=True)
        self._carrier.start()
        self._greet(voices, folder)

    def run(self, until: Callable[[], bool] | None = None) -> None:
        """Wait until `close` is called or `until` returns True."""
        while not self._ended.wait(0.1):
            if until is not None and until():
                return

    def close(self) -> None:
        """Fade out, then stop ports, session and threads, in this order; safe to call twice."""
        if self._ended.is_set():
            return
        for status in self.session.voices():
            self.session.post(Stop(voice=status.name), NOW)
        if self.band is not None:
            self._quietly(self.band.stop)
        time.sleep(_FADE_S + self.audio.latency_s)
        self._ended.set()
        if self._finder is not None:
            self._finder.join(_FINDER_S)
        if self.midi is not None:
            self._quietly(self.midi.stop)
        for port in (self.page, self.server):
            if port is not None:
                self._quietly(port.stop)
        if self._carrier is not None:
            self._carrier.join()
        if self.live_input is not None:
            self._quietly(self.live_input.stop)
        self._quietly(self.audio.stop)
        self._quietly(self.session.close)

    # called by ports

    def post(self, command: Command, when: When = NOW) -> int:
        """`Session.post` for commands from outside: a bundle is given by name, never as a path.

        Raises:
            ControlError: no bundle of sound has this name, or the limit of voices is reached.
        """
        if concerns_band(command):
            if self.band is None:
                raise ControlError("no band is loaded: start with --band, such as --band auto")
            return self.band.post(command, when)
        if isinstance(command, Panic) and self.band is not None:
            self.band.panic()
        if isinstance(command, Load):
            check_sound(command.bundle)
            if len(self._names | {command.voice}) > MOST_VOICES:
                raise ControlError(
                    f"the limit of {MOST_VOICES} voices is reached; load into one of {', '.join(self._names)}, or "
                    "unload one first"
                )
            self._names.add(command.voice)
        return self.session.post(command, when)

    def value(self, path: tuple[str, ...]) -> Value | None:
        """The present value of the control at (voice, ...), None if there is none."""
        if path[0] in ("transport", "harmony"):
            return self.session.conductor().settings().get("/".join(path))
        if path[0] == "band":
            return None if self.band is None else self.band.value(path[1:])
        heard = {INPUT: self.session.hearing.controls}
        controls = {**self._controls, **self.session.controls(), **heard}.get(path[0])
        try:
            return None if controls is None else get_value(controls, path[1:])
        except ControlError:
            return None

    def sample_at(self, unix_s: float) -> int:
        """The session's sample that is read at a Unix time."""
        return self.session.position + round((unix_s - time.time()) * self.session.sample_rate)

    def status(self) -> list[tuple[str, int | float | str]]:
        """The state of the session, as (name, value) rows of ``/status``."""
        seen, stats = self._telemetry, self.audio.stats
        rows: list[tuple[str, int | float | str]] = [
            ("state", "playing" if any(v.playing and v.loaded for v in self.session.voices()) else "ready"),
            ("device", self.audio.name),
            ("sample_rate", self.session.sample_rate),
            ("sample", self.session.position),
            ("device_underruns", stats.underruns),
            ("device_flags", stats.device_flags),
        ]
        if seen is not None:
            rows += [("bar", seen.bar), ("tempo", seen.tempo_bpm), ("chord", seen.chord), ("underruns", seen.underruns)]
            rows += [("limiter_db", seen.limiter_db)]
        rows += self.band.status() if self.band is not None else []
        rows += self.live_input.status(-120.0 if seen is None else seen.input_db) if self.live_input is not None else []
        for voice in self.session.voices():
            state = "loading" if not voice.loaded else "playing" if voice.playing else "stopped"
            rows += [("voice", voice.name), ("bundle", Path(voice.bundle).name)]
            rows += [row for each in seen.voices if each.voice == voice.name for row in figures(each)] if seen else []
            rows += [("voice_state", state)]
        return rows

    # inside

    def _open_audio(self) -> AudioPort:
        settings = self.settings
        left, right = settings.channels
        try:
            return open_port(
                settings.device,
                sample_rate=settings.rate,
                channels=(left, right),
                lead_ms=settings.lead_ms,
                beside=beside(settings),
            )
        except NoDeviceError as error:
            if settings.device is not None:  # named by the user: silence instead would go unnoticed
                raise
            self.say(f"no audio output, playing silently: {error}")
            return open_port(NULL, sample_rate=settings.rate)

    def _open_session(self, voices: Sequence[tuple[str, BundleInfo]], folder: Path) -> Session:
        settings = self.settings
        specs = [
            VoiceSpec(
                name=name,
                bundle=info.name if info.path is None else str(info.path),
                seed=settings.seed,
                playing=settings.play,
            )
            for name, info in voices
        ]
        return Session(
            self.audio.sample_rate,
            voices=specs,
            folder=folder,
            tempo_bpm=settings.tempo,
            fill_ms=settings.fill_ms,
            output_latency_ms=1000.0 * self.audio.latency_s,
            input_history_s=settings.input_history_s,
            header={"bundles": {name: info.hash for name, info in voices}},
        )

    def _open_osc(self) -> OscServer:
        host, port = host_and_port(self.settings.osc)
        return OscServer(
            host,
            port,
            self._space,
            post=self.post,
            sample_at=self.sample_at,
            status=self.status,
            value=self.value,
            reply_port=self.settings.reply,
        )

    def _open_band(self) -> "SessionBand":
        from bridge.band.session_band import SessionBand

        settings, audio = self.settings, self.audio
        band = OldBandNames(self.say).current(settings.band, "--band {}")
        options = BandOptions(
            band=band_named(band), source="none", sink=settings.band_out, soundfont=settings.soundfont,
            settings=BandSettings(warmup=0, seed=settings.seed),
        )  # fmt: skip
        # The ring of a device holds its lead less the block that is read: the first of that block waits for the rest.
        block_s = BLOCK / audio.sample_rate
        return SessionBand(
            options, self.session, lambda: max(0.0, audio.latency_s - block_s), self.say, sounding=settings.band_sound
        )

    def _addresses(self) -> AddressSpace:
        band = None if self.band is None else self.band.band.controls
        return AddressSpace(self._controls, band, None if self.live_input is None else self.session.hearing.controls)

    def _open_midi(self) -> None:
        """Look for a keyboard in a thread of its own, so that playing does not wait for it."""
        from bridge.midi.pedals import PedalBoard, pedals_of, press
        from bridge.midi.ports import MidiCommands, MidiInput
        from bridge.midi.sources import NoMidiError

        try:
            player = MidiCommands(self.post, maps=self._maps)
            listener = player if self.band is None else self.band.listener(player)
            pedals = PedalBoard(
                pedals_of(self.settings.pedals), lambda asked: press(asked, self._space, self.post, self.say), listener
            )
            midi = MidiInput(self.settings.midi_in, pedals)
        except NoMidiError as error:
            if self.settings.midi_in:
                self.say(f"no MIDI input: {error}")
            return
        except EngineError as error:
            self.say(f"no MIDI input: {error}")
            return
        self.midi = midi
        self.say(f"MIDI input: {midi.name}")

    def _open_page(self) -> None:
        """The OSCQuery page, if asked for."""
        if self.settings.oscquery is None or self.server is None:
            return
        from bridge.web.oscquery import OscQuery

        host, _ = host_and_port(self.settings.osc)
        try:
            self.page = OscQuery(host, self.settings.oscquery, self._tree, self.server.port)
            self.page.start()
            self.say(f"OSCQuery: http://{shown_address(host, self.page.port)}")
        except EngineError as error:
            self.say(f"no OSCQuery page: {error}")

    def _tree(self) -> dict[str, Any]:
        return self._space.as_oscquery(self.value)

    def _carry(self) -> None:
        """Carry events to server and display until the end."""
        faults: set[str] = set()
        while not self._ended.wait(_POLL_S):
            try:
                self._carry_once()
            except Exception as error:  # a bug must not end the events; said once, as it may repeat for ever
                fault = f"internal error while handling events: {type(error).__name__}: {error}"
                if fault not in faults and len(faults) < _MOST_FAULTS:
                    faults.add(fault)
                    self.say(fault)

    def _carry_once(self) -> None:
        events = [*self.session.poll(), *(self.band.poll() if self.band is not None else ())]
        for event in events:
            self._note(event)
        for port in (self.audio, self.midi, self.live_input):
            for line in port.poll() if port is not None else ():
                self.say(line)
        if events:
            if self.server is not None:
                self.server.publish(events)
            self.show(events)

    def _note(self, event: Event) -> None:
        match event:
            case Telemetry():
                self._telemetry = event
            case VoiceUp() | Swapped():
                now = self.session.controls()
                self._names |= set(now)
                if any(type(now[name]) is not type(self._controls.get(name)) for name in now):
                    self._readdress({**self._controls, **now})
            case Applied(command=Unload(voice=name)):
                self._forget(name)
            case Failed(command=Load(voice=name)) if name not in self._controls:
                self._names.discard(name)

    def _forget(self, name: str) -> None:
        """A voice is unloaded: its name is free, unless another bundle is already under it."""
        if not any(voice.name == name and (voice.loaded or voice.loading) for voice in self.session.voices()):
            self._names.discard(name)
            self._readdress({voice: self._controls[voice] for voice in self._controls if voice != name})

    def _readdress(self, controls: dict[str, object]) -> None:
        """Serve the addresses of these voices from now on."""
        self._controls = controls
        self._space = self._addresses()
        if self.server is not None:
            self.server.set_space(self._space)

    def _greet(self, voices: Sequence[tuple[str, BundleInfo]], folder: Path) -> None:
        host, _ = host_and_port(self.settings.osc)
        port = self.server.port if self.server is not None else 0
        names = ", ".join(f"{name} ({info.name})" for name, info in voices)
        self.say(f"voices: {names}")
        self.say(f"audio output: {self.audio.name} at {self.audio.sample_rate} Hz")
        if self.live_input is not None:
            self.say(f"audio input: {self.live_input.name}")
        self.say(f"OSC at {shown_address(host, port)} (UDP and TCP); replies also to port {self.settings.reply}")
        self.say(f"takes and recordings: {folder}")

    def _abandon(self) -> None:
        self._ended.set()
        for port in (self.band, self.server, self.live_input):
            if port is not None:
                self._quietly(port.stop)
        self._quietly(self.audio.stop)
        self._quietly(self.session.close)

    def _quietly(self, end: Callable[[], None]) -> None:
        """Stop one port; an error must not keep the others from being stopped."""
        try:
            end()
        except Exception as error:
            self.say(f"while stopping: {type(error).__name__}: {error}")
