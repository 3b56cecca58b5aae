"""When a voice whose worker has ended is started again, and from which state.

A worker that dies soon after it was resumed may have died of its snapshot: then the next one begins anew.
"""

from typing import Final

from engine.session.slot import Slot

__all__ = ["Restarts"]

_BACK_OFF_S: Final = (0.0, 0.0, 0.5, 1.0, 2.0, 4.0)  # before each restart within a minute; then it is given up
_WITHIN_S: Final = 60.0
_SOON_S: Final = 5.0


class Restarts:
    """Failures of one voice. Threads: the session's housekeeping."""

    def __init__(self) -> None:
        self.snapshot: tuple[int, int, bytes] | None = None
        """(worker, chunk, pickled state) to begin the next worker with; None: from its seed."""
        self.due_s: float | None = None
        """When the next worker is to be started, by the session's clock; None: never."""
        self._failures: list[float] = []

    @property
    def failures(self) -> int:
        """How many there were within a minute, up to the latest."""
        return len(self._failures)

    def ended(self, cast: Slot, now_s: float) -> None:
        """A worker has ended without being asked to: `due_s` and `snapshot` say what comes next."""
        never_ready = not cast.ready and not self._failures
        early = cast.resumed and now_s - cast.begun_s < _SOON_S
        saved = cast.player.ring.load()
        if early:
            self.snapshot = None
        elif saved is not None and cast.ready:
            self.snapshot = cast.number, *saved
        self._failures = [at_s for at_s in self._failures if now_s - at_s < _WITHIN_S] + [now_s]
        hopeless = never_ready or self.failures > len(_BACK_OFF_S)
        self.due_s = None if hopeless else now_s + _BACK_OFF_S[self.failures - 1]

    def due(self, now_s: float) -> bool:
        """Whether the next worker is to be started now."""
        return self.due_s is not None and now_s >= self.due_s

    def cancel(self) -> None:
        """The voice is unloaded: nothing is started again."""
        self.snapshot, self.due_s = None, None

    def reset(self) -> None:
        """Another bundle plays: what the one before did no longer counts."""
        self.cancel()
        self._failures = []
