"""Dictionaries: their order, their files, and how they are built from what was seen."""

import pytest

from engine.music.score import ROLES
from engine.music.vocabulary import PAD, UNITS, Dictionary, VocabularyError

SEEN = {
    "bass": {(36,): 5, (36, 48): 3},
    "drum": {(36, 42): 9, (38, 42): 4, (36, 38, 42): 1},
    "piano": {(60, 64): 5, (55, 60, 64): 7, (60, 67): 5},
}


def test_a_built_dictionary_has_singles_then_compounds_by_count_then_by_pitch() -> None:
    made = Dictionary.build(SEEN)
    piano = made.ranges["piano"]
    assert [made.pitches(token) for token in piano[128:]] == [(55, 60, 64), (60, 64), (60, 67)]
    assert [made.count(token) for token in piano[128:]] == [7, 5, 5]
    assert all(len(made.ranges[role]) >= 128 for role in ROLES)
    assert made.size == 16 + 6 * 128 + 1 + 3 + 3 + 20
    assert made.count(made.ranges["bass"][36]) == 5


def test_it_can_be_limited_by_share_by_count_and_by_size() -> None:
    sizes = [
        len(Dictionary.build(SEEN, **limit).ranges["drum"]) - 128  # type: ignore[arg-type]
        for limit in ({"share": 0.6}, {"share": 0.9}, {"least": 2}, {"most": 1}, {"most": {"drum": 2}}, {"most": {}})
    ]
    assert sizes == [1, 2, 2, 1, 2, 0]


def test_text_and_dictionary_are_the_same_thing() -> None:
    made = Dictionary.build(SEEN)
    again = Dictionary.read(made.text)
    assert again.text == made.text
    assert again.ranges == made.ranges
    assert "D164 170\t9\n" in made.text  # drums carry 128 in their names, and not in what they sound
    assert again.token("drum", (42, 36)) == made.ranges["drum"][128]
    assert again.token("drum", (42, 37)) is None


def test_names_keep_their_capitals() -> None:
    made = Dictionary.build({})
    assert (made.word(made.token("lead", (7,)) or 0), made.word(made.kinds[6])) == ("M7", "m7")


def test_pad_comes_after_fifteen_lengths() -> None:
    made = Dictionary.build({})
    assert (made.word(PAD), made.word(0), made.word(14)) == ("<pad>", "T1", "T15")
    assert UNITS == (0, 1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 36, 44, 52)


@pytest.mark.parametrize(
    "text",
    [
        "", "T1\t0\n", "nonsense", "\0" * 100, "T1 0\n" * 900,
        Dictionary.build(SEEN).text.replace("B36 48\t", "B36 x\t"),
        Dictionary.build(SEEN).text.replace("B36 48\t", "B48 36\t"),
        Dictionary.build(SEEN).text.replace("P60 67\t", "P60 64\t"),
        Dictionary.build(SEEN).text.replace("M5\t", "M4\t"),
        Dictionary.build(SEEN).text.replace("m7b5\t0\n", ""),
        Dictionary.build(SEEN).text.replace("\t9\n", "\tmany\n"),
        Dictionary.build(SEEN).text + "T3/3\t0\n",
        Dictionary.build(SEEN).text + "T0/3\t0\n",
        Dictionary.build(SEEN).text + "T3/16\t0\n",
        Dictionary.build(SEEN).text + "T3/4\t0\nT3/4\t0\n",
    ],
)  # fmt: skip
def test_what_is_no_dictionary_is_one_sentence(text: str) -> None:
    with pytest.raises(VocabularyError, match=r"dictionary|build it again|wanted"):
        Dictionary.read(text)


def test_a_lowest_note_can_be_longer_than_those_above_it() -> None:
    plain, made = Dictionary.build(SEEN), Dictionary.build(SEEN, splits={(8, 2): 5, (1, 3): 9})
    assert made.text == plain.text + "T2/4\t9\nT9/3\t5\n"
    assert Dictionary.read(made.text).text == made.text
    assert (made.empty, made.mask) == (plain.size + 2, plain.size + 3)
    assert made.length(8, 2) == plain.size + 1
    assert (made.length(8, 8), made.length(2, 8)) == (8, None)
    assert made.parts[made.length(8, 2)].tolist() == [8, 2]
    assert made.parts[[4, PAD, made.ranges["piano"][60], made.empty]].tolist() == [[4, 4], *[[-1, -1]] * 3]
    assert made.lengths == (*range(16), plain.size, plain.size + 1)
    assert made.length_classes[list(made.lengths)].tolist() == list(range(18))
    assert made.length_classes[made.ranges["bass"][40]] == -1
    assert plain.lengths == tuple(range(16))


def test_classes_of_tokens_are_the_names_of_their_notes() -> None:
    made = Dictionary.build(SEEN)
    token = made.token("piano", (55, 60, 64))
    assert token is not None
    assert made.classes["piano"][token - made.ranges["piano"].start].nonzero()[0].tolist() == [0, 4, 7]
    assert made.classes["bass"].sum() == 128 + 1
