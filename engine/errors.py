"""Every error that engine raises on purpose, grouped by who has to act.

A message says what was got, what was wanted, and what to do about it.
"""

__all__ = [
    "BundleError",
    "ControlError",
    "EngineError",
    "ManifestError",
    "RecordError",
    "ShapeError",
    "TakeError",
]


class EngineError(Exception):
    """Root of everything raised on purpose."""


class ControlError(EngineError, ValueError):
    """A value cannot be taken: send another one."""


class ManifestError(EngineError):
    """A graph does not say what it must about itself: export it again."""


class BundleError(EngineError):
    """Files of a bundle are wrong, changed or missing: fetch or export the bundle again."""


class TakeError(EngineError):
    """A take cannot be replayed: it is damaged, or it names a bundle that is not here."""


class RecordError(EngineError):
    """Sound cannot be written: make room, or choose another folder."""


class ShapeError(EngineError, ValueError):
    """Arrays that do not fit together: a mistake of ours."""
