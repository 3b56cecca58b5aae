"""GETMusic's facts: checked when read, written back as they were."""

from typing import Any

import pytest

from engine.bundles.bundle import describe
from engine.errors import ManifestError
from engine.models.getmusic.facts import GetmusicFacts
from tests.tiny_getmusic import facts


def test_facts_are_written_as_they_were_read() -> None:
    starter = describe("getmusic-live").facts
    assert GetmusicFacts.from_mapping(starter).to_mapping() == starter
    assert GetmusicFacts.from_mapping(facts()).to_mapping() == facts(features=0)


@pytest.mark.parametrize(
    "change", [{"window": 0}, {"dictionary": None}, {"key_shift": "up"}, {"lagged_chords": "no"}, {"warmth": 9.0}]
)
def test_facts_that_make_no_sense_are_refused_with_a_remedy(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=rf"getmusic: fact '{next(iter(change))}' .*wanted.*export"):
        GetmusicFacts.from_mapping(facts(**change))
