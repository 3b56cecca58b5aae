"""What a model does not know of a text prompt is named, and so is what it knows."""

from pathlib import Path

import engine
from engine.models.words import known_words

TOKENIZER = Path(engine.__file__).parent / "starter" / "musicgen-live" / "tokenizer.json"


def test_words_that_the_starter_does_not_know_are_named_once_and_in_order() -> None:
    known = known_words(TOKENIZER.read_text("utf-8"))
    assert known is not None
    assert known.unknown("Slow Piano and trombone, 128 bpm, piano, in A minor") == ("piano", "trombone")
    advice = known.advice("slow piano")
    assert advice.startswith("this model does not know piano; it knows ")
    assert "ambient" in advice
    assert "128" not in advice


def test_a_text_that_is_known_needs_no_advice() -> None:
    known = known_words(TOKENIZER.read_text("utf-8"))
    assert known is not None
    assert known.advice("techno with drums and bass, 128 bpm, C# minor") == ""
    assert known.advice("") == ""


def test_tokenizers_of_parts_of_words_know_no_unknown_words() -> None:
    assert known_words('{"model": {"type": "Unigram", "vocab": [["a", 0.0]]}}') is None
    broken = '{"model": {"type": "WordLevel", "vocab": {}}, "pre_tokenizer": {"pattern": {"Regex": "("}}}'
    assert known_words(broken) is None
