"""Musika's facts: checked when read, written back as they were."""

from typing import Any

import pytest

from engine.errors import ManifestError
from engine.models.musika.facts import MusikaFacts, named_conditions
from tests.tiny_bundles import MUSIKA_FACTS


def test_facts_are_written_as_they_were_read() -> None:
    assert MusikaFacts.from_mapping(MUSIKA_FACTS).to_mapping() == MUSIKA_FACTS
    told = {**MUSIKA_FACTS, "condition": 1, "conditions": ["tempo"]}
    assert MusikaFacts.from_mapping(told).to_mapping() == told


@pytest.mark.parametrize(("count", "names"), [(0, ()), (1, ("density",)), (2, ("density", "tempo"))])
def test_conditions_that_are_only_counted_keep_their_meaning(count: int, names: tuple[str, ...]) -> None:
    assert MusikaFacts.from_mapping({**MUSIKA_FACTS, "condition": count}).conditions == names


@pytest.mark.parametrize("names", [["tempo"], ["tempo", "density"]])
def test_conditions_that_are_named_keep_their_order(names: list[str]) -> None:
    facts = MusikaFacts.from_mapping({**MUSIKA_FACTS, "condition": len(names), "conditions": names})
    assert facts.conditions == tuple(names)


@pytest.mark.parametrize(
    "change",
    [
        {"condition": 1, "conditions": ["pitch"]}, {"condition": 2, "conditions": ["tempo"]},
        {"condition": 2, "conditions": ["tempo", "tempo"]}, {"conditions": "tempo"}, {"condition": 3},
        {"mu": "loud"}, {"sigma": float("nan")}, {"seq_len": 15}, {"hop": 16.0}, {"block": True}, {"noise": [3]},
    ],
)  # fmt: skip
def test_facts_that_make_no_sense_are_refused_with_a_remedy(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"^musika.*(wanted|multiple).*export"):
        MusikaFacts.from_mapping({**MUSIKA_FACTS, **change})


def test_a_missing_fact_is_named() -> None:
    facts = {name: value for name, value in MUSIKA_FACTS.items() if name != "latent"}
    with pytest.raises(ManifestError, match="fact 'latent' is missing"):
        MusikaFacts.from_mapping(facts)


def test_unknown_conditions_are_refused() -> None:
    with pytest.raises(ValueError, match="wanted 1 of density, tempo"):
        named_conditions(["pitch"], 1)
