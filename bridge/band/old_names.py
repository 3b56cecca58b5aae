"""Old names of bands on the command line, in TOML and over OSC: accepted, with a note on the present name."""

from collections.abc import Callable

from engine.band.names import OLD_NAMES

__all__ = ["OldBandNames"]


class OldBandNames:
    """Accepts old names of bands, and says once for each what it is called now.

    Args:
        say: takes lines for people.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: set[str] = set()

    def current(self, name: str, usage: str) -> str:
        """The present name of a band. `usage` is what was written, with ``{}`` for the name: ``--band {}``."""
        current = OLD_NAMES.get(name, name)
        if current != name and name not in self._said:
            self._said.add(name)
            self._say(f"{usage.format(name)} is now {usage.format(current)}")
        return current
