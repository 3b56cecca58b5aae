"""What all tests share: where larger data lies, bundles given by hand, and a guard against hanging for ever."""

import faulthandler
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_LONGEST_S = 240.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bundles", default=None, metavar="DIR", help="folder of released bundles to test as well")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data that lies beside the checkout, where there is one."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data beside the checkout (looked for ../{folder.parent.name}/{folder.name})")
    return folder


@pytest.fixture(autouse=True)
def _no_test_hangs() -> Iterator[None]:
    """After four minutes a test shows where it stands and ends the run: a hang must not eat all the time there is."""
    faulthandler.dump_traceback_later(_LONGEST_S, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
