"""A band's view inside a session: plans, notes and counts as events, to be polled."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from bridge.band.view import BandStatus, chord_names
from engine.band.actions import Dropped, Planned
from engine.messages.session import BandCounts, BandNote, BandPlan, Event

__all__ = ["BandEvents"]

_EVENTS_KEPT: Final = 10_000


class BandEvents:
    """A `BandView` that turns what it is shown into events. Threads: `take` any; everything else the band's.

    Args:
        say: takes lines for people.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.status: BandStatus | None = None
        self._events: deque[Event] = deque(maxlen=_EVENTS_KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def add(self, event: Event) -> None:
        """Add an event of another kind."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """The events since the last call, oldest first; of more than 10 000 the oldest are lost."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return events

    def show_plan(self, news: Planned | Dropped) -> None:
        """A planned bar as `BandPlan`, its `BandNote`s and the counts so far."""
        if isinstance(news, Dropped):
            return  # counted; what is played instead has an event of its own
        notes = [
            BandNote(bar=news.bar, role=role, start=n.start, pitch=n.pitch, length=n.length, velocity=n.velocity)
            for role, played in news.tracks.items() for n in played
        ]  # fmt: skip
        self._events.append(
            BandPlan(
                bar=news.bar,
                source=news.source,
                chords=chord_names(news),
                notes=len(notes),
                ahead_ms=1000.0 * news.ahead_s,
            )
        )
        self._events.extend(notes)
        if self.status is not None:
            self._events.append(_counts(self.status))

    def show_status(self, status: BandStatus) -> None:
        """Keep it for the next counts."""
        self.status = status


def _counts(seen: BandStatus) -> BandCounts:
    return BandCounts(
        made=seen.counts["made"], fallbacks=seen.fallbacks, late=seen.counts["late"], failed=seen.counts["failed"],
        ons=seen.out.ons, offs=seen.out.offs, stale=seen.out.stale, sounding=seen.out.sounding,
    )  # fmt: skip
