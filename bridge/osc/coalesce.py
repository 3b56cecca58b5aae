"""Many values for one control in a short time become the last of them.

The first goes at once, so a single turn of a knob is never delayed; what follows within a tick waits for its end.
While anything waits everything waits, so controls change in the order in which they were sent.
"""

from typing import Final, Generic, TypeVar

from engine.messages.session import Set

__all__ = ["TICK_S", "Coalescer"]

TICK_S: Final = 0.002

K = TypeVar("K")


class Coalescer(Generic[K]):
    """Holds back changes of controls. Threads: one. K: who sent a change."""

    def __init__(self) -> None:
        self.coalesced = 0
        self._sent_s: dict[tuple[str, ...], float] = {}
        self._held: dict[tuple[str, ...], tuple[Set, K]] = {}
        self._due_s = 0.0

    def offer(self, changes: list[Set], sender: K, now_s: float) -> list[tuple[Set, K]]:
        """Take changes that belong together; those to be made now come back."""
        recent = [s for change in changes if now_s - (s := self._sent_s.get(change.path, -1.0)) < TICK_S]
        if not self._held and not recent:
            self._sent_s.update((change.path, now_s) for change in changes)
            return [(change, sender) for change in changes]
        if not self._held:
            self._due_s = min(recent) + TICK_S
        for change in changes:
            if self._held.pop(change.path, None) is not None:
                self.coalesced += 1
            self._held[change.path] = (change, sender)
        return []

    def flush(self, now_s: float) -> list[tuple[Set, K]]:
        """All that is held, in order."""
        held = list(self._held.values())
        self._held.clear()
        self._sent_s.update((change.path, now_s) for change, _ in held)
        return held

    def take_due(self, now_s: float) -> list[tuple[Set, K]]:
        """All that is held, if its tick is over."""
        return self.flush(now_s) if self._held and now_s >= self._due_s else []

    def wait_s(self, now_s: float) -> float | None:
        """Seconds to the end of the tick; None if nothing is held."""
        return max(0.0, self._due_s - now_s) if self._held else None
