"""Names of bands that are no bundles, and the old words for them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["AUTO", "OLD_NAMES", "PATTERN"]

PATTERN: Final = "pattern"
"""The pattern band, which needs no weights."""

AUTO: Final = "auto"
"""The first installed bundle that can accompany, else `PATTERN`."""

OLD_NAMES: Final[Mapping[str, str]] = MappingProxyType({"house": PATTERN, "usual": AUTO})
"""Old name to present name; both are accepted."""
