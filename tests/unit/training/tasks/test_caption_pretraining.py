"""An encoder that has read captions says with any word's vector what the whole caption said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.music.conducting import CHARACTER
from engine.music.harmony import Key
from training.config import Data
from training.data.captions import PATTERN, caption_words
from training.data.described import Attributes, Described
from training.models.t5 import T5Config, T5Encoder
from training.models.words import WordVocabulary
from training.tasks import caption_pretraining
from training.tasks.caption_pretraining import TARGETS, character, load_or_pretrain, read, targets

VOCABULARY = WordVocabulary(caption_words(), PATTERN)
SIZES = T5Config(pieces=len(VOCABULARY), width=32, heads=2, head=16, inner=64, layers=1)


def encoder(seed: int = 0) -> T5Encoder:
    torch.manual_seed(seed)
    return T5Encoder(SIZES)


def reader() -> torch.nn.Linear:
    return torch.nn.Linear(SIZES.width, len(CHARACTER))


def corpus() -> Described:
    return Described(Data(pieces=6, bars=2))


def test_what_is_to_be_read_is_what_is_known() -> None:
    known = Attributes("techno", 240.0, Key(9, "minor"), 0.25, 0.75, ("bass",))
    row = targets(known)
    assert row.shape == (TARGETS,)
    assert row[:8].tolist() == [0, 1, 0, 0, 1, 1.0, 0.25, 0.75]
    assert np.flatnonzero(row[8:]).tolist() == [12 + 9]
    assert not targets(replace(known, key=None))[8:].any()
    assert character(known).tolist() == [-1, 1, -1, -1, 1, -0.5, 0.5]


def test_reading_is_learned() -> None:
    first = read(encoder(), reader(), VOCABULARY, corpus(), steps=4, length=16, p_drop_word=0.0)
    last = read(encoder(), reader(), VOCABULARY, corpus(), steps=150, length=16, p_drop_word=0.1)
    assert last < 0.5 * first


def test_it_is_learned_once_and_begins_alike_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, other, ears = encoder(), encoder(1), encoder(2), reader()
    load_or_pretrain(one, ears, VOCABULARY, corpus(), tmp_path, steps=3, length=16, p_drop_word=0.1)
    monkeypatch.setattr(caption_pretraining, "read", lambda *_, **__: pytest.fail("it was learned before"))
    load_or_pretrain(two, ears, VOCABULARY, corpus(), tmp_path, steps=3, length=16, p_drop_word=0.1)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    with pytest.raises(pytest.fail.Exception):
        load_or_pretrain(other, ears, VOCABULARY, corpus(), tmp_path, steps=4, length=16, p_drop_word=0.1)
    assert len(list(tmp_path.iterdir())) == 1
