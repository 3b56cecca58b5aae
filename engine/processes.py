"""The machine that a process runs on: how many processor cores it may use."""

import os

__all__ = ["cores"]


def cores() -> int:
    """Processor cores that this process may use, at least 1."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on every system
        return max(1, os.cpu_count() or 1)
