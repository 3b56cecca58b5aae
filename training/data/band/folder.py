"""A corpus as a folder: ``pieces/NNNNNN.flac`` with a ``.json`` beside each, and ``index.jsonl`` with a line for each.

A piece is written beside and moved into place, the sound first; then its line is added. So interrupted work loses at
most the piece it was at, and a piece whose record is there is whole.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from engine.music.audio import Audio
from engine.music.files import sha256_of
from training.data.band.fluid import SAMPLE_RATE
from training.data.band.piece import VERSION, BandPiece
from training.data.corpus import DataError

__all__ = ["INDEX", "CorpusFolder", "is_corpus"]

INDEX: Final = "index.jsonl"
_ABOUT: Final = "about.json"
_LISTED: Final = (
    "number",
    "duration_s",
    "held_out",
    "tune",
    "licence",
    "room",
    "tempo_bpm",
    "notes_moved",
    "notes_dropped",
)


def is_corpus(folder: Path) -> bool:
    """Whether a folder holds a corpus of rendered band music."""
    return (folder / INDEX).is_file() and (folder / "pieces").is_dir()


@dataclass(frozen=True)
class CorpusFolder:
    """Reads and writes one corpus.

    Args:
        path: the folder.
    """

    path: Path

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Take a folder, or continue in it.

        Raises:
            DataError: it holds a corpus made with other settings, or other files.
        """
        about = {"version": VERSION, **settings}
        file = self.path / _ABOUT
        if file.exists():
            found = json.loads(file.read_text("utf-8"))
            if found != about:
                raise DataError(f"{self.path} was made with {found}, not {about}: use these, or choose another folder")
            return
        if self.path.exists() and any(self.path.iterdir()):
            raise DataError(f"{self.path} holds other files: choose an empty folder")
        (self.path / "pieces").mkdir(parents=True, exist_ok=True)
        (self.path / INDEX).touch()
        file.write_text(json.dumps(about) + "\n", "utf-8")

    def sound(self, number: int) -> Path:
        """The FLAC file of a piece."""
        return self.path / "pieces" / f"{number:06d}.flac"

    def record(self, number: int) -> dict[str, Any]:
        """What is known of a piece, see docs/corpus.md.

        Raises:
            OSError: it is not there.
        """
        text = self.sound(number).with_suffix(".json").read_text("utf-8")
        found: dict[str, Any] = json.loads(text)
        return found

    def has(self, number: int) -> bool:
        """Whether a piece is there, whole."""
        return self.sound(number).with_suffix(".json").is_file()

    def write(self, piece: BandPiece) -> None:
        """Write sound (16 bits), then record; the index is not touched."""
        path = self.sound(piece.record["number"])
        draft = path.with_name(f".{path.name}")
        soundfile.write(draft, _sixteen_bits(piece.audio), SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        record = {**piece.record, "checksum": sha256_of(draft)}
        draft.replace(path)
        text = path.with_suffix(".json")
        draft = text.with_name(f".{text.name}")
        draft.write_text(json.dumps(record, separators=(",", ":")), "utf-8")
        draft.replace(text)

    def add(self, number: int) -> dict[str, Any]:
        """Add the line of a piece to the index, in one write; returns what the line says."""
        record = self.record(number)
        parts = [part["instrument"] for part in record["timeline"]["parts"]]
        line = {name: record[name] for name in (*_LISTED, "checksum")}
        line |= {"style": record["timeline"]["style"], "instruments": parts, "caption": record["captions"][0]}
        text = json.dumps(line, separators=(",", ":")) + "\n"
        handle = os.open(self.path / INDEX, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(handle, text.encode("utf-8"))
        finally:
            os.close(handle)
        return line

    def index(self) -> list[dict[str, Any]]:
        """A line for each finished piece, by number; a last line that was cut off is left out.

        Raises:
            DataError: there is no index, or a line in it is broken.
        """
        try:
            text = (self.path / INDEX).read_text("utf-8")
        except OSError as error:
            raise DataError(f"{self.path}: no corpus that can be read ({error})") from None
        whole = text[: text.rfind("\n") + 1]
        try:
            lines = {line["number"]: line for line in map(json.loads, whole.splitlines())}
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path / INDEX}: a line is broken ({error!r}); remove it and run again") from None
        return [lines[number] for number in sorted(lines)]

    def mend(self) -> None:
        """Remove a last line of the index that was cut off."""
        file = self.path / INDEX
        text = file.read_bytes()
        if text and not text.endswith(b"\n"):
            draft = file.with_name(f".{INDEX}")
            draft.write_bytes(text[: text.rfind(b"\n") + 1])
            draft.replace(file)


def _sixteen_bits(audio: Audio) -> np.ndarray[Any, np.dtype[np.int16]]:
    """[N, 2] from [2, N]."""
    return np.ascontiguousarray(np.clip(np.round(audio.T * 32767.0), -32768, 32767), np.int16)
