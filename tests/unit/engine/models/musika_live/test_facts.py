"""musika-live's facts: checked when read, written back as they were."""

from typing import Any

import pytest

from engine.bundles.bundle import describe
from engine.errors import ManifestError
from engine.models.musika_live.facts import MusikaLiveFacts

STARTER = "musika-live"


def test_facts_are_written_as_they_were_read() -> None:
    facts = describe(STARTER).facts
    assert MusikaLiveFacts.from_mapping(facts).to_mapping() == facts


@pytest.mark.parametrize(
    "change", [{"gates": 7}, {"hop": 0}, {"oscillator_hz": []}, {"style": None}, {"controls": "all"}]
)
def test_facts_that_make_no_sense_are_refused_with_a_remedy(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"musika_live.*export"):
        MusikaLiveFacts.from_mapping({**describe(STARTER).facts, **change})
