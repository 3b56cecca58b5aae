"""Tests in real time, beside whatever else the machine does."""

from pathlib import Path

import pytest

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A machine that stands still for a second fails what is right, so each gets three tries; the report shows them.

    What is wrong fails three times.
    """
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=2))
