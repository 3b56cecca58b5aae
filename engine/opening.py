"""From the name of a bundle to its streamer, and to what can be known of it without loading it."""

from typing import Any

from engine.models.tone import ToneControls, ToneStreamer
from engine.stream import Streamer

__all__ = ["bundle_hash", "default_controls", "open_voice"]


def open_voice(bundle: str, **options: Any) -> Streamer[Any, Any]:
    """Open a bundle by name or path; ``tone`` is built in and needs none.

    Raises:
        BundleError: no such bundle, or its files are wrong.
    """
    if bundle == "tone":
        return ToneStreamer(**options)
    from engine.bundle import open_streamer  # loads onnxruntime: only where it is wanted

    return open_streamer(bundle, **options)


def default_controls(bundle: str) -> Any:
    """The controls a bundle's voice will have, with their defaults.

    Raises:
        BundleError: no such bundle, or its files are wrong.
    """
    if bundle == "tone":
        return ToneControls()
    from engine.bundle import describe

    return describe(bundle).controls


def bundle_hash(bundle: str) -> str:
    """What identifies a bundle's weights; empty for ``tone``, which has none.

    Raises:
        BundleError: no such bundle, or its files are wrong.
    """
    if bundle == "tone":
        return ""
    from engine.bundle import describe

    return str(describe(bundle).hash)
