"""What inputs have in common that give sound to a listener a turn at a time."""

import abc
import threading

from bridge.audio.input import Listener
from bridge.notices import Notices
from engine.music.audio import Audio

__all__ = ["InputThread"]


class InputThread(abc.ABC):
    """Takes turns in a thread of its own, or in a test's.

    Args:
        thread: its name.
        pause_s: between two turns.
    """

    def __init__(self, thread: str, pause_s: float) -> None:
        self.notices = Notices()
        self.poll = self.notices.poll
        self._name, self._pause_s = thread, pause_s
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._next = 0  # the session's sample of what is given next
        self._samples = self._jumps = 0

    def start(self, listener: Listener) -> None:
        """Take turns in a thread of its own until `stop`."""
        self.begin(listener)
        self._thread = threading.Thread(target=self._take_turns, name=self._name, daemon=True)
        self._thread.start()

    def begin(self, listener: Listener) -> None:
        """Give what comes in to `listener` from now on, a turn at a time."""
        self._listener = listener

    def stop(self) -> None:
        """End the thread; safe to call twice, and without `start`."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @abc.abstractmethod
    def turn(self) -> None:
        """Hand on what has come since the last turn."""

    def _give(self, audio: Audio) -> None:
        """Give [C, N] to the listener, next to what came before."""
        first, self._next = self._next, self._next + audio.shape[1]
        self._samples += audio.shape[1]
        if self._listener is None:
            return
        try:
            self._listener(audio, first)
        except Exception as error:  # a mistake of ours costs this sound, never what comes after it
            self.notices.fault("the input could not be passed on", error)

    def _take_turns(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self.turn()
