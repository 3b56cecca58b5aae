"""Errors that export raises on purpose."""

__all__ = ["WeightsError"]


class WeightsError(ValueError):
    """A file is not the checkpoint that it was taken for; the message says which file, what was got and wanted."""
