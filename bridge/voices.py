"""The voices of a session before and while it plays: which bundles they are, which names are free, their figures."""

import time
from pathlib import Path
from typing import Final

from bridge.settings import Settings, SettingsError
from engine.bundles.bundle import TONE, BundleInfo, bundles, describe, makes_sound
from engine.errors import ControlError, EngineError
from engine.messages.session import VoiceTelemetry

__all__ = ["FIRST_VOICE", "MOST_VOICES", "check_sound", "figures", "session_folder", "voices_of"]

FIRST_VOICE: Final = "musika-live"
"""What plays if no bundle is named."""

MOST_VOICES: Final = 8
"""At one time: each is a process of its own."""


def voices_of(settings: Settings) -> list[tuple[str, BundleInfo]]:
    """(voice name, bundle) of the first voices; a voice is named after its family, and numbered from the second on.

    Raises:
        BundleError: a bundle is missing or damaged.
    """
    names = settings.bundles or (_starter(),)
    rows: list[tuple[str, BundleInfo]] = []
    for name in names:
        info = describe(name)
        count = sum(row[0].rstrip("0123456789") == info.voice for row in rows)
        rows.append((info.voice if not count else f"{info.voice}{count + 1}", info))
    return rows


def _starter() -> str:
    """The voice that help names, whatever else is installed; where it is missing, another one that plays by itself."""
    named = [info for info in bundles() if info.streams and info.name != TONE]
    # What continues sound can play by itself, too, but is meant to continue a player.
    best = sorted(named, key=lambda info: (info.name != FIRST_VOICE, info.continues))
    return best[0].name if best else TONE


def figures(seen: VoiceTelemetry) -> list[tuple[str, int | float | str]]:
    """Speed of a voice, and the times of its last continuation, once there was one."""
    rows: list[tuple[str, int | float | str]] = [("realtime", seen.realtime)]
    return rows + ([("prepared_s", seen.prepared_s), ("continue_ms", seen.continue_ms)] if seen.continue_ms else [])


def check_sound(bundle: str) -> None:
    """Whether a bundle of this name can be a voice. Hashes nothing: the voice's process does, before it sounds.

    Raises:
        ControlError: there is none, or it makes notes.
    """
    try:
        if makes_sound(bundle, paths=False):
            return
    except EngineError as error:
        raise ControlError(str(error)) from None
    raise ControlError(f"{bundle} makes notes, not sound; 'ripieno bundles' lists those that can be voices")


def session_folder(settings: Settings) -> Path:
    folder = Path(settings.session) if settings.session else Path("takes") / time.strftime("%Y-%m-%d-%H%M%S")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = f"cannot create the folder {folder} ({error.strerror}); choose another with --session"
        raise SettingsError(why) from None
    return folder.resolve()
