"""MusicGen's facts: checked when read, written back as they were."""

from typing import Any

import pytest

from engine.bundles.bundle import describe
from engine.errors import ManifestError
from engine.models.musicgen.facts import MusicgenFacts

STARTER = "musicgen-live"


def test_facts_are_written_as_they_were_read() -> None:
    facts = describe(STARTER).facts
    assert MusicgenFacts.from_mapping(facts).to_mapping() == facts


def test_defaults_of_drawing_may_be_missing() -> None:
    facts = {name: value for name, value in describe(STARTER).facts.items() if name not in ("temperature", "top_k")}
    read = MusicgenFacts.from_mapping(facts)
    assert (read.temperature, read.top_k) == (1.0, 250)


@pytest.mark.parametrize("change", [{"guided": 62}, {"keep": 512}, {"rotary": None}, {"codebooks": "4"}])
def test_facts_that_make_no_sense_are_refused_with_a_remedy(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="export the model again"):
        MusicgenFacts.from_mapping({**describe(STARTER).facts, **change})
