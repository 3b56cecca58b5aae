"""How a voice's process gets from the name of a bundle to its streamer: called there, so picklable by name."""

from typing import Any

from engine.errors import EngineError
from engine.protocols.streamer import Streamer

__all__ = ["identity_of", "open_voice"]


def open_voice(bundle: str, **options: Any) -> Streamer[Any, Any]:
    """Open a bundle by name or path.

    Raises:
        BundleError: no such bundle, or its files are wrong.
    """
    from engine.bundles.bundle import open_streamer  # loads every family's facts: only where a voice is opened

    return open_streamer(bundle, **options)


def identity_of(bundle: str) -> str:
    """What identifies a bundle's weights: equal text, equal sound. Empty where there are no files."""
    from engine.bundles.bundle import describe

    try:
        return describe(bundle).hash
    except (EngineError, OSError):
        return ""
