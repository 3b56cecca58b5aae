"""The commands of export find the file of every model that they list."""

import pytest

from export.__main__ import _EXPORTED, _IMPORTED, _module


@pytest.mark.parametrize("model", _IMPORTED)
def test_a_model_that_can_be_imported_has_a_converter(model: str) -> None:
    assert callable(_module("rename", model).convert)


@pytest.mark.parametrize("model", _EXPORTED)
def test_a_model_that_can_be_exported_has_an_exporter(model: str) -> None:
    assert callable(_module("graphs", model).export)
