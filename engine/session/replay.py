"""A take sounds again: the same players, the same commands at the same chunks, the same changes of lanes.

Nothing here depends on time, so the sound is the live mix bit for bit, on a machine that computes alike.
"""

import re
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.audio.mixer import Fades, Lane, LaneChange, Mixer
from engine.audio.ring import Ring
from engine.bundles.bundle import FOLDERS_VARIABLE
from engine.bundles.opening import identity_of, open_voice
from engine.controls import with_value
from engine.errors import ControlError, TakeError
from engine.music.audio import Audio
from engine.music.soundwriter import replacing_sound
from engine.protocols.streamer import restore
from engine.session.guest import GuestReader
from engine.session.take import PlayerLog, Take, read_take
from engine.worker.orders import Order, OrderRefused
from engine.worker.process import Identify, Opener, ring_capacity
from engine.worker.worker import Pacing, Worker

__all__ = ["render_take", "replay"]

_PIECE: Final = 1024


class _Scripted:
    """A player of a take: makes its chunks on demand, obeying each order before the chunk that obeyed it live."""

    def __init__(
        self,
        log: PlayerLog,
        opener: Opener,
        identify: Identify,
        rate: int,
        keep: set[int],
        states: dict[tuple[int, int], bytes],
        folder: Path | None = None,
    ) -> None:
        self.ring = Ring(ring_capacity(rate))
        self._script: deque[tuple[int, Order | int]] = deque(log.script)
        self._number, self._keep, self._states = log.number, keep, states
        chunk, state = 0, None
        streamer = opener(_found(log, identify), **log.options)
        if log.resume is not None:
            if log.resume not in states:
                raise TakeError(f"player {log.number} continues a state of player {log.resume[0]} that is not there")
            chunk, state = log.resume[1], restore(streamer, states[log.resume])
        self._worker = Worker(
            streamer,
            self.ring,
            session_rate=rate,
            conductor=log.conductor,
            pacing=Pacing(fill=0),
            seed=log.seed,
            controls=_with_values(streamer.controls(), log),
            state=state,
            chunk=chunk,
            folder=folder,
        )
        self._begun = False

    def make_until(self, position: int) -> None:
        """Have sound up to `position`, as far as the take goes."""
        while self.ring.written < position:
            self._obey()
            if not self._begun:
                return
            self._step()

    def make_chunks(self, chunk: int) -> None:
        """Make every chunk before `chunk`, so that its state there is known."""
        while self._worker.chunk < chunk:
            self._obey()
            self._step()

    def _obey(self) -> None:
        while self._script and self._script[0][0] <= self._worker.chunk:
            what = self._script.popleft()[1]
            if isinstance(what, Order):
                self._worker.obey(what)
                for report in self._worker.take_reports():
                    if isinstance(report, OrderRefused):  # what was refused when it was live is not in the take
                        raise TakeError(f"player {self._number} cannot do what it did: {report.reason}")
            else:
                self._worker.begin_at(what)
                self._begun = True

    def _step(self) -> None:
        self._worker.make_chunk()
        self._worker.take_reports()
        self._remember()  # as it was live: right after a chunk, before the orders for the next

    def _remember(self) -> None:
        if self._worker.chunk in self._keep:
            self._states.setdefault((self._number, self._worker.chunk), self._worker.pickled())


def _found(log: PlayerLog, identify: Identify) -> str:
    """The bundle of a player: where it was, or by its name wherever it is now, as long as it is the same."""
    if not log.identity:
        return log.bundle
    seen = ""
    for reference in dict.fromkeys((log.bundle, re.split(r"[/\\]", log.bundle)[-1])):
        identity = identify(reference)
        if identity == log.identity:
            return reference
        seen = seen or identity
    raise TakeError(
        f"bundle '{log.bundle}' is {seen[:12] or 'not here'}, the take had {log.identity[:12]}; fetch that one, and "
        f"name its folder in {FOLDERS_VARIABLE}"
    )


def _with_values(controls: Any, log: PlayerLog) -> Any:
    for path, value in log.controls:
        try:
            controls = with_value(controls, path, value)
        except ControlError:
            continue  # carried over from another bundle, as when it was live
    return controls


@dataclass(slots=True)
class _Company:
    """All players of a take, each opened when it is first needed."""

    take: Take
    opener: Opener
    identify: Identify
    players: dict[int, _Scripted] = field(default_factory=dict)
    states: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def player(self, number: int) -> _Scripted:
        if number not in self.players:
            log = self.take.players.get(number)
            if log is None:
                raise TakeError(f"a voice plays player {number}, of which the take says nothing")
            if log.resume is not None:
                self.player(log.resume[0]).make_chunks(log.resume[1])
            keep = {p.resume[1] for p in self.take.players.values() if p.resume and p.resume[0] == number}
            take = self.take
            self.players[number] = _Scripted(
                log, self.opener, self.identify, take.sample_rate, keep, self.states, take.folder
            )
        return self.players[number]


def replay(
    take: Take,
    opener: Opener = open_voice,
    identify: Identify = identity_of,
    *,
    first: int = 0,
    last: int | None = None,
) -> Iterator[Audio]:
    """The mix of a take, piece by piece.

    Args:
        take: as read by `read_take`.
        opener, identify: open its bundles; tell whether they are those of the take.
        first, last: session samples; what comes before `first` is made too, since sound depends on its past, but not
            given. None: to the end of the take.
    Yields:
        [2, N], up to 1024 samples at a time.
    Raises:
        TakeError: the take contradicts itself, or a bundle has changed since.
        BundleError: a bundle it names is not here.
    """
    rate = take.sample_rate
    fades = Fades.at(rate)
    margin = max(fades.begin, fades.swap) + 2 * fades.cover
    company = _Company(take, opener, identify)
    # Takes from before there was a limiter do not name its ceiling: what was too loud was cut off.
    mixer = Mixer(rate, ceiling_db=take.header.get("ceiling_db"))
    for voice in take.voices:
        lane = Lane(
            rate, fades, lambda _: 0, script=take.turns[voice], rings=lambda number: company.player(number).ring
        )
        mixer.lanes = (*mixer.lanes, lane)
    needed = [stay for voice in take.voices for stay in _stays(take.turns[voice], margin)]
    end = take.end if last is None else min(last, take.end)
    with closing(GuestReader(take.folder, take.guests, rate)) as guests:
        while mixer.position < end:
            until = min(end, mixer.position + _PIECE)
            needed = [stay for stay in needed if stay[1] is None or stay[1] > mixer.position]
            for begin, _, number in needed:
                if begin < until:
                    company.player(number).make_until(until + margin)
            sound = mixer.read(until - mixer.position, guests.read(mixer.position, until - mixer.position))
            if until > first:
                yield sound[:, max(0, first - (until - sound.shape[1])) :]


def _stays(turns: list[LaneChange], margin: int) -> list[tuple[int, int | None, int]]:
    """(first, last or None, player) of each stretch in which a lane reads a player's ring."""
    ends = [*(turn.sample + margin for turn in turns[1:]), None][: len(turns)]
    return [(t.sample, end, t.player) for t, end in zip(turns, ends, strict=True) if t.player]


def render_take(
    path: str | Path, out: str | Path, opener: Opener = open_voice, identify: Identify = identity_of
) -> int:
    """Replay a take into a sound file (.wav 32-bit float, .flac 24-bit); gives its length in samples.

    A file of this name is replaced once all of the sound is made, not before.

    Raises:
        TakeError, BundleError: see `replay`.
        RecordError: the ending is unknown, or the file cannot be written.
        OSError: the take cannot be read.
    """
    take, out = read_take(path), Path(out)
    for log in take.players.values():
        _found(log, identify)  # now, rather than in the middle
    first, last = take.header.get("window") or [0, take.end]
    with replacing_sound(out, take.sample_rate) as file:
        for sound in replay(take, opener, identify, first=first, last=last):
            file.write(sound)
    return file.samples
