"""The table of published checkpoints is complete."""

import re

import pytest

from export.sources import SOURCES, Source, table


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_source_says_where_under_which_licence_and_whom_to_cite(source: Source) -> None:
    assert source.url.startswith("https://")
    assert source.files
    assert source.licence
    assert source.citation
    for file, digest in source.sha256 or ():
        assert file in source.files
        assert re.fullmatch("[0-9a-f]{64}", digest)


def test_names_are_unique_and_all_in_the_table() -> None:
    names = [source.name for source in SOURCES]
    assert len(set(names)) == len(names)
    assert all(name in table() for name in names)


def test_an_unknown_checksum_is_called_unknown() -> None:
    assert ("sha256 not known" in table()) == any(source.sha256 is None for source in SOURCES)
