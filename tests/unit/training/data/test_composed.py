"""Composed pieces are the same everywhere for the same numbers, and others for other numbers."""

import numpy as np
import pytest

from training.config import Data
from training.data.composed import Composed
from training.data.opening import open_corpus

RATE = 8000


def test_composed_pieces_are_known_by_what_they_are() -> None:
    data = Data(pieces=3, bars=1)
    corpus, again = Composed(data), open_corpus(data)
    assert corpus.entries == again.entries
    assert len({entry.checksum for entry in corpus.entries}) == 3
    assert not {e.checksum for e in Composed(Data(pieces=3, bars=1, seed=1)).entries} & {
        e.checksum for e in corpus.entries
    }
    entry = corpus.entries[0]
    audio = corpus.audio(entry, RATE)
    assert audio.shape[0] == 2
    assert audio.shape[1] == pytest.approx(entry.duration_s * RATE, abs=2)
    tempo, onsets = corpus.rhythm(entry)
    assert tempo == corpus.piece(entry).tempo_bpm
    assert np.all(np.diff(onsets) > 0)
    assert onsets[-1] < entry.duration_s
