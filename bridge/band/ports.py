"""A band's ports: MIDI output, MIDI input, and an audio output for its own sound, opened and closed together."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from bridge.audio.opening import open_port
from bridge.audio.port import AudioPort
from bridge.band.keys import MidiInbox
from bridge.band.options import BandOptions
from bridge.band.tones import Sound
from bridge.midi.out import MidiOutput, NoOutput, OutStats
from bridge.midi.output_commands import OutputCommand
from bridge.midi.ports import MidiInput
from bridge.midi.sender import SenderSetup
from bridge.midi.sources import NoMidiError

__all__ = ["BandPorts", "NoteOutput", "OpenPorts", "open_ports"]


class NoteOutput(Protocol):
    """A MIDI output, or its replacement where there is none."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    @property
    def stats(self) -> OutStats:
        """Counts so far."""
        ...

    def send(self, command: OutputCommand) -> bool:
        """Carry out a command; False if the port is away and the command is dropped."""
        ...

    def lateness(self) -> list[float]:
        """Seconds by which each note-on since the last call left late."""
        ...

    def poll(self) -> list[str]:
        """Lines for people since the last call."""
        ...

    def stop(self) -> None:
        """End all notes and close."""
        ...


class BandPorts:
    """Open ports. Threads: one owner.

    Args:
        output: of notes.
        keys: the MIDI input, if there is one.
        sound: plays what goes to `output`, too.
        audio: the port that reads `sound`, if it is ours to close.
    """

    def __init__(
        self,
        output: NoteOutput,
        keys: MidiInput | None = None,
        sound: Sound | None = None,
        audio: AudioPort | None = None,
    ) -> None:
        self.output = output
        self._keys, self._sound, self._audio = keys, sound, audio

    @property
    def name(self) -> str:
        """Output and input for people."""
        keys = f"; MIDI in: {self._keys.name}" if self._keys is not None else ""
        return f"MIDI out: {self.output.name}{keys}"

    def send(self, command: OutputCommand) -> None:
        """Carry out a command at the output and in the sound."""
        self.output.send(command)
        if self._sound is not None:
            self._sound.apply(command)

    def poll(self) -> Iterator[str]:
        """Lines for people since the last call."""
        for port in (self.output, self._keys, self._audio):
            yield from port.poll() if port is not None else ()

    def closers(self) -> Sequence[Callable[[], None]]:
        """Functions that close the ports, the output first, which ends every note; call all, even if one raises."""
        return [port.stop for port in (self.output, self._keys, self._audio) if port is not None]


OpenPorts = Callable[[BandOptions, SenderSetup, MidiInbox, Sound | None, Callable[[str], None]], BandPorts]
"""Opens the ports of a band, as `open_ports`."""


def open_ports(
    options: BandOptions, setup: SenderSetup, inbox: MidiInbox, sound: Sound | None, say: Callable[[str], None]
) -> BandPorts:
    """Open what `options` ask for; nothing stays open after an error.

    Args:
        setup: of the MIDI output.
        inbox: takes what arrives at the MIDI input.
        sound: plays the notes, too, and is read by its giver; None: `options.sound` names an audio output for one.
        say: takes lines for people.
    Raises:
        PortError: no such port.
        SettingsError: no such soundfont.
    """
    opened: list[MidiOutput | NoOutput | MidiInput | AudioPort] = []
    try:
        output = _open_output(options, setup, sound, say)
        opened.append(output)
        keys = _open_input(options, inbox, say)
        opened += [keys] if keys is not None else []
        audio: AudioPort | None = None
        if options.sound and sound is None:
            sound, audio = _open_sound(options, say)
        return BandPorts(output, keys, sound, audio)
    except BaseException:
        for port in reversed(opened):
            port.stop()
        raise


def _open_output(
    options: BandOptions, setup: SenderSetup, sound: Sound | None, say: Callable[[str], None]
) -> MidiOutput | NoOutput:
    """The MIDI output; a band with sound of its own may do without."""
    if options.sink == "none":
        return NoOutput()
    try:
        return MidiOutput(options.sink, setup)
    except NoMidiError as error:
        if not options.sound and sound is None:
            raise
        say(f"no MIDI out: {error}")
        return NoOutput()


def _open_input(options: BandOptions, inbox: MidiInbox, say: Callable[[str], None]) -> MidiInput | None:
    """The MIDI input; a band with sound of its own and its own clock may do without."""
    if options.source == "none":
        return None
    try:
        return MidiInput(options.source, inbox, timing=options.follow)
    except NoMidiError as error:
        if not options.sound or options.follow:
            raise
        say(f"no MIDI in: {error}")
        return None


def _open_sound(options: BandOptions, say: Callable[[str], None]) -> tuple[Sound, AudioPort]:
    from bridge.band.fluid import open_sound

    port = open_port(None if options.sound == "default" else options.sound)
    try:
        sound, line = open_sound(port.sample_rate, lambda: port.latency_s, options.soundfont)
        port.start(sound.read)
    except BaseException:
        port.stop()
        raise
    say(f"sound: {port.name}, {line}")
    return sound, port
