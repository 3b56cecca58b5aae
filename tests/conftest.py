"""What all tests share: where larger data lies, and bundles given by hand."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bundles", default=None, metavar="DIR", help="folder of released bundles to test as well")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of test data that lies beside the checkout, where there is one."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no test data beside the checkout (looked for ../{folder.parent.name}/{folder.name})")
    return folder
