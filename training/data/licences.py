"""Which music a shipped model may learn from, decided for each file from what its index says."""

import re
from typing import Final

__all__ = ["UNKNOWN", "may_ship"]

UNKNOWN: Final = "unknown"
"""The licence of files whose folder has no index."""

# What asks that works made from it are shared alike, or forbids uses, keeps a file out, whatever else is said of it.
_NEVER: Final = re.compile(r"gpl|\bsa\b|share.?alike|\bnc\b|non.?commercial|\bnd\b|no.?deriv|artistic|unknown", re.I)
_ALLOWED: Final = re.compile(r"\bmit\b|\bbsd\b|\bcc0\b|\bcc.?by\b|\bpublic.domain\b|\bapache\b", re.I)


def may_ship(licence: str) -> bool:
    """Whether weights trained on a file of this licence may be shipped: permissive, attribution or public domain only.

    A licence that nothing is known about may not.
    """
    return bool(_ALLOWED.search(licence)) and not _NEVER.search(licence)
