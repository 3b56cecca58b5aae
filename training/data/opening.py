"""The corpus that a recipe asks for: rendered band music, a folder of sound files, or composed pieces."""

import logging
from pathlib import Path

from training.config import Data
from training.data.composed import Composed
from training.data.corpus import Corpus
from training.data.described import Described
from training.data.store import Samples

__all__ = ["open_corpus", "open_samples"]

log = logging.getLogger(__name__)


def open_corpus(data: Data) -> Corpus:
    """The corpus that a recipe asks for.

    Raises:
        DataError: the folder holds nothing that can be read.
    """
    if not data.folder:
        return Composed(data)
    # Only here: composed pieces must train on machines without sound file libraries.
    from training.data.audio import Folder
    from training.data.band.folder import is_corpus
    from training.data.band.stored import BandCorpus

    if is_corpus(Path(data.folder)):
        return BandCorpus(Path(data.folder))
    corpus = Folder(Path(data.folder), Path(data.cache))
    for problem in corpus.problems:
        log.warning("%s", problem)
    return corpus


def open_samples(corpus: Corpus, cache: Path, sample_rate: int, valid: float, shortest: int) -> Samples:
    """Sound of a corpus at one rate: read from its own files where they allow it, else from a copy in the cache.

    Args: those of `Samples`.
    """
    if isinstance(corpus, Composed | Described):  # these train on machines without sound file libraries
        return Samples(corpus, cache, sample_rate, valid, shortest)
    from training.data.band.fluid import SAMPLE_RATE
    from training.data.band.stored import BandCorpus, BandCuts

    if isinstance(corpus, BandCorpus) and sample_rate == SAMPLE_RATE:
        return BandCuts(corpus, valid, shortest)
    return Samples(corpus, cache, sample_rate, valid, shortest)
