"""The accompanist: requests bar n + 1 while bar n plays, and always has something to play at the bar line.

A pure state machine: input goes in (`set_pulse`, `receive`, `bar_made`, `bar_failed`), actions come out of `advance`.
It owns no clock, no port and no model, so a performance of an hour is tested in a second.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from engine.band.actions import (
    SOURCES,
    Action,
    BandSettings,
    Bar,
    CancelNotes,
    Dropped,
    Planned,
    PlayNotes,
    ReleaseNotes,
    RequestBar,
    pad,
)
from engine.band.capture import NoteCapture, chord_played
from engine.band.ledger import Booking
from engine.music.harmony import NO_CHORD, Chord
from engine.music.pulse import Pulse
from engine.music.score import Note
from engine.protocols.accompanist import BAR_TICKS, BEATS, CHANNELS, BarMade, BarRequest, in_register

__all__ = ["Accompanist"]

_KEPT_BARS: Final = 64
_MOST_NOTES: Final = 512  # in a bar; more come only from a broken model
_CHORD_BARS: Final = 12  # of the player's notes, from which a chord is detected
_TIMED_REQUESTS: Final = 32  # latest requests, from which the typical time of one is taken
_MARGIN: Final = 1.5  # times the typical time is allowed for a slow request


class Accompanist:
    """One band. Threads: one owner.

    Musical time is given by `set_pulse`; ticks below 0 are a count-in. Bars are 4/4.
    """

    def __init__(self, settings: BandSettings) -> None:
        self.settings = settings
        self.conductor_chords: Callable[[int], tuple[Chord | None, ...]] | None = None
        """Gives a conductor's chords of a bar, one a beat; they take precedence over the progression."""
        self.capture = NoteCapture(highest=settings.player == "lead", split=settings.split)
        self.counts = dict.fromkeys((*SOURCES, "late", "failed"), 0)
        self._pulse: Pulse | None = None
        self._bars: dict[int, tuple[Bar, str, tuple[Chord | None, ...]]] = {}
        self._chords: dict[int, tuple[Chord | None, ...]] = {}
        self._reserve: dict[int, tuple[Bar, tuple[Chord | None, ...]]] = {}
        self._open_request: BarRequest | None = None
        self._void = False  # the answer that is expected will not be used
        self._times: deque[float] = deque(maxlen=_TIMED_REQUESTS)
        self._asked_s = 0.0
        self._number = self._ids = 0
        self._bar: int | None = None  # the bar that plays now
        self._actions: list[Action] = []

    @property
    def pulse(self) -> Pulse | None:
        """Musical time as last set; None while it stands still."""
        return self._pulse

    @property
    def bar(self) -> int | None:
        """The bar that plays; None while time stands still."""
        return self._bar

    @property
    def awaiting_bar(self) -> bool:
        """Whether the answer to a request is still expected."""
        return self._open_request is not None

    def planned(self, bar: int) -> tuple[Bar, str] | None:
        """The plan of a bar and its source; None if there is none yet."""
        row = self._bars.get(bar)
        return None if row is None else row[:2]

    def set_pulse(self, pulse: Pulse | None, *, jumped: bool = False) -> list[Action]:
        """Set musical time; None: it stands still. `jumped`: the position was set, plans and notes so far are void.

        Returns:
            Actions to carry out before anything is booked under the new time.
        """
        if (pulse is None and self._pulse is not None) or (pulse is not None and jumped):
            self._drop_plans()
        self._pulse = pulse
        return self._take_actions()

    def set_settings(self, settings: BandSettings) -> None:
        """Use these settings from the next bar on; a bar that is requested or planned stays as it is."""
        self.settings = settings
        self.capture.highest = settings.player == "lead"

    def receive(self, message: Sequence[int], at_s: float) -> None:
        """Take a MIDI message of the player that arrived at `at_s` (perf_counter seconds)."""
        self.capture.feed(message, at_s, None if self._pulse is None else self._pulse.tick_at(at_s))

    def bar_made(self, answer: BarMade, now_s: float) -> None:
        """Take the answer to a request; one that is late or does not belong to the open request is not played."""
        request, void = self._open_request, self._void
        if request is None or answer.number != request.number or answer.bar != request.bar:
            return
        self._open_request, self._void = None, False
        self._times.append(now_s - self._asked_s)
        if void or self._pulse is None or self._bar is None:
            return
        rows = [self._playable(bar) for bar in answer.bars[: request.bars]]
        for ahead, row in enumerate(rows[1:], 1):
            self._reserve[request.bar + ahead] = row, request.chords[request.bar + ahead - request.first]
        taken = self._bars.get(request.bar)
        if not rows or self._bar >= request.bar or taken is not None:
            self.counts["late"] += 1
            self._actions.append(Dropped(request.bar, "late"))
            return
        self._commit(request.bar, rows[0], "made", now_s, request.chords[request.bar - request.first], answer)

    def bar_failed(self, number: int, why: str) -> None:
        """The request with this number has no answer, or the process that had it has ended."""
        if self._open_request is not None and self._open_request.number == number:
            self.counts["failed"] += 1
            self._actions.append(Dropped(self._open_request.bar, why))
            self._open_request, self._void = None, False

    def next_s(self, now_s: float) -> float:
        """The latest time of the next call of `advance`, perf_counter seconds; infinite while time stands still."""
        if self._pulse is None:
            return math.inf
        line_s = self._pulse.time_of(self._next_bar(now_s) * BAR_TICKS)
        begin_s = self._pulse.time_of((self._next_bar(now_s) - 1 + self._phase()) * BAR_TICKS)
        due = (begin_s, line_s - self.settings.safety_s, line_s, self.capture.due_s)
        return min(s for s in due if s > now_s)

    def advance(self, now_s: float) -> list[Action]:
        """The actions that are due now, in order; takes them."""
        self.capture.poll(now_s)
        if self._pulse is not None:
            self._advance(self._pulse, now_s)
        return self._take_actions()

    # inside

    def _take_actions(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions

    def _advance(self, pulse: Pulse, now_s: float) -> None:
        coming = self._next_bar(now_s)
        if self._bar is None or coming - 1 > self._bar:
            self._enter(coming - 1)
        if coming < self.settings.warmup:
            return
        line_s = pulse.time_of(coming * BAR_TICKS)
        inside = 1.0 - (line_s - now_s) * pulse.ticks_per_s / BAR_TICKS
        left_s = line_s - self.settings.safety_s - now_s
        known = self._bars.get(coming)
        if known is not None and self._open_request is None and self._outdated(coming, known[1], known[2], left_s):
            self._reserve[coming] = known[0], known[2]
            del self._bars[coming]
            self._actions.append(CancelNotes(coming * BAR_TICKS))
            known = None
        if known is None and left_s <= 0.0:
            self._fall_back(coming, now_s)
        elif known is None and self._open_request is None and inside >= self._phase():
            self._request(pulse, coming, now_s, line_s)

    def _outdated(self, bar: int, source: str, chords: tuple[Chord | None, ...], left_s: float) -> bool:
        """Whether the chords have changed since a bar was made, and there is time to make it again."""
        if source != "made" or left_s <= _MARGIN * self._typical_s():
            return False
        return self._given_chords(bar) not in (None, chords)

    def _enter(self, bar: int) -> None:
        """Bar `bar` begins."""
        first = self._bar is None
        last, self._bar = self._bar, bar
        if self._pulse is not None and last is not None:
            for past in range(max(last, bar - 4), bar):
                self._chords[past] = self._harmony(past, (past + 1) * BAR_TICKS)
        if not first and bar >= self.settings.warmup and bar not in self._bars:
            self.counts["silence"] += 1
            self._bars[bar] = {}, "silence", self._harmony(bar, bar * BAR_TICKS)
            self._actions.append(Dropped(bar, "nothing was planned"))
        for old in (self._bars, self._chords, self._reserve):
            for number in [number for number in old if number < bar - _KEPT_BARS]:
                del old[number]

    def _request(self, pulse: Pulse, bar: int, now_s: float, line_s: float) -> None:
        settings = self.settings
        first = max(0, bar - settings.context)
        start, now = first * BAR_TICKS, pulse.tick_at(now_s)
        tracks: dict[str, tuple[Note, ...]] = {
            role: notes for role in settings.targets if (notes := self._played(role, first, bar))
        }
        played = self.capture.notes(start, now)
        if played:
            tracks[settings.player] = tuple(_moved(note, -start) for note in played if note.start < bar * BAR_TICKS)
        self._number += 1
        wanted = self._harmony(bar, now)
        after = self._harmony(bar + 1, now)
        past = tuple(self._chords.get(b) or self._harmony(b, now) for b in range(first, bar))
        self._open_request = BarRequest(
            number=self._number,
            bar=bar,
            first=first,
            tracks=tracks,
            known=max(0, min(int(now) - start, (bar - first) * BAR_TICKS)),
            player=settings.player,
            targets=settings.targets,
            chords=(*past, wanted, after),
            tempo_bpm=pulse.tempo_bpm,
            seed=(settings.seed + bar) % 2**31,
            deadline_s=line_s - settings.safety_s,
            density=settings.density,
        )
        self._asked_s, self._void = now_s, False
        self._actions.append(RequestBar(self._open_request))

    def _commit(
        self, bar: int, row: Bar, source: str, now_s: float, chords: tuple[Chord | None, ...],
        answer: BarMade | None = None,
    ) -> None:  # fmt: skip
        pulse = self._pulse
        assert pulse is not None, "bars are only planned while musical time runs"
        self._bars[bar] = row, source, chords
        self.counts[source] += 1
        line, gain = bar * BAR_TICKS, self._gain(bar)
        notes = []
        for role, played in row.items():
            for note in played:
                self._ids += 1
                velocity = min(127, max(1, round(note.velocity * gain)))
                start, end = line + note.start, line + note.end
                notes.append(Booking(self._ids, start, end, CHANNELS[role], note.pitch, velocity))
        if notes:
            self._actions.append(PlayNotes(tuple(sorted(notes, key=lambda booking: booking.start))))
        ahead_s = pulse.time_of(line) - now_s
        seconds, steps = (0.0, 0) if answer is None else (answer.seconds, answer.steps)
        self._actions.append(Planned(bar, source, row, chords, ahead_s, seconds, steps))

    def _fall_back(self, bar: int, now_s: float) -> None:
        assert self._pulse is not None, "only while musical time runs"
        chords = self._harmony(bar, self._pulse.tick_at(now_s))
        spare = self._reserve.get(bar)
        if spare is not None and spare[1] == chords:
            self._commit(bar, spare[0], "reserve", now_s, chords)
            return
        known = [chord for chord in chords if chord is not None and chord != NO_CHORD]
        for number in sorted(self._bars, reverse=True):
            row, source, then = self._bars[number]
            if source in ("made", "reserve") and number < bar and (then == chords or not known):
                self._commit(bar, row, "repeat", now_s, chords)
                return
        if known:
            self._commit(bar, pad(chords, self.settings.targets), "pad", now_s, chords)
        else:
            self._commit(bar, {}, "silence", now_s, chords)

    def _playable(self, bar: Bar) -> Bar:
        """The playable part of an answer: target roles, notes that start in the bar, at most 512 a role."""
        rows = {
            role: in_register(
                tuple(sorted(n for n in notes if 0 <= n.start < BAR_TICKS))[:_MOST_NOTES],
                self.settings.register.get(role),
            )
            for role, notes in bar.items() if role in self.settings.targets
        }  # fmt: skip
        return {role: notes for role, notes in rows.items() if notes}

    def _played(self, role: str, first: int, until: int) -> tuple[Note, ...]:
        """The notes of a role of the band from bar `first` up to bar `until`; ticks from the line of `first`."""
        rows = [(b, self._bars[b][0].get(role, ())) for b in range(first, until) if b in self._bars]
        return tuple(_moved(note, (bar - first) * BAR_TICKS) for bar, notes in rows for note in notes)

    def _given_chords(self, bar: int) -> tuple[Chord | None, ...] | None:
        """Chords held below the split, else a conductor's; None where there are neither."""
        if self.capture.chord is not None:
            return (self.capture.chord,) * BEATS
        row = None if self.conductor_chords is None else self.conductor_chords(bar)
        return row if row is not None and any(chord is not None for chord in row) else None

    def _harmony(self, bar: int, now: float) -> tuple[Chord | None, ...]:
        """Chords of a bar as known at tick `now`: held or conducted, else of the progression, else detected."""
        given, rows = self._given_chords(bar), self.settings.progression
        if given is not None:
            return given
        if rows:
            row = rows[bar % len(rows)]
            return tuple(row[beat * len(row) // BEATS] for beat in range(BEATS))
        at = max(0, min(bar, int(now // BAR_TICKS)))  # a coming bar has the chord of the present one
        first = max(0, at - _CHORD_BARS + 1)
        played = self.capture.notes(first * BAR_TICKS, now)
        return (chord_played(played, first * BAR_TICKS, at - first + 1),) * BEATS

    def _gain(self, bar: int) -> float:
        """Factor for velocities, 1 if the player's mean velocity is 90; `dynamics` scales how far it follows."""
        loudness = self.capture.loudness(max(0, bar - 3) * BAR_TICKS)
        return 1.0 if loudness is None else 1.0 + self.settings.dynamics * (loudness / 90.0 - 1.0)

    def _typical_s(self) -> float:
        """Seconds in which 95 % of the latest requests were answered; infinite before the first."""
        return sorted(self._times)[int(0.95 * (len(self._times) - 1))] if self._times else math.inf

    def _phase(self) -> float:
        """Share of the bar after which the next one is requested."""
        settings = self.settings
        if self._pulse is None or not self._times:
            return settings.earliest
        bar_s = BAR_TICKS / self._pulse.ticks_per_s
        latest = 1.0 - (_MARGIN * self._typical_s() + 2.0 * settings.safety_s) / bar_s
        return max(settings.earliest, min(settings.latest, latest))

    def _next_bar(self, now_s: float) -> int:
        assert self._pulse is not None, "only while musical time runs"
        return math.floor(self._pulse.tick_at(now_s) / BAR_TICKS + 1e-9) + 1

    def _drop_plans(self) -> None:
        """Drop plans and captured notes: time has stopped or jumped."""
        self._actions = [action for action in self._actions if isinstance(action, Planned | Dropped)]
        self._actions.append(ReleaseNotes())
        self.capture.clear()
        for store in (self._bars, self._chords, self._reserve):
            store.clear()
        self._void = self._open_request is not None
        self._bar = None


def _moved(note: Note, ticks: int) -> Note:
    return Note(note.start + ticks, note.pitch, note.length, note.velocity)
