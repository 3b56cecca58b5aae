"""Sound fonts: found by name on the system, and which keys each of their presets can play, read from the file itself.

Fonts are never copied into the project. A note outside the keys of a preset would be silent without a word, so every
renderer asks here first (`Preset.nearest`).
"""

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from engine.errors import EngineError

__all__ = ["DRUM_BANK", "FONTS", "FontError", "FontFile", "Preset", "find_font", "read_presets"]

FOLDERS: Final = ("/usr/share/sounds/sf2", "/usr/share/soundfonts", "/usr/local/share/sounds/sf2")
DRUM_BANK: Final = 128
_KEY_RANGE, _INSTRUMENT, _SAMPLE = 43, 41, 53  # generators of the SoundFont 2 format, section 8.1.2


class FontError(EngineError):
    """A sound font is missing or cannot be read: the message names the file and the package that brings it."""


@dataclass(frozen=True, slots=True)
class FontFile:
    """A sound font by name.

    Args:
        file: its file name.
        package: of Debian and Ubuntu.
        licence: of its samples.
    """

    file: str
    package: str
    licence: str


FONTS: Final = {
    "musescore": FontFile("MuseScore_General_Full.sf2", "musescore-general-soundfont-lossless", "MIT"),
    "fluid": FontFile("FluidR3_GM.sf2", "fluid-soundfont-gm", "MIT"),
}
"""The fonts that the corpus is made with, by the name of the room that each stands for."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One sound of a font.

    Args:
        name: as the font has it.
        keys: the MIDI keys that sound, ascending.
    """

    name: str
    keys: tuple[int, ...]

    def nearest(self, pitch: int) -> int | None:
        """The key nearest to `pitch` among those whole octaves away, or None if there is none."""
        inside = [key for key in self.keys if (key - pitch) % 12 == 0]
        return min(inside, key=lambda key: (abs(key - pitch), key), default=None)


def find_font(name: str) -> Path:
    """The file of one of `FONTS`.

    Raises:
        FontError: no such name, or not installed; the message names the package.
    """
    if name not in FONTS:
        raise FontError(f"got sound font {name!r}, wanted one of {', '.join(FONTS)}")
    font = FONTS[name]
    for folder in FOLDERS:
        if (path := Path(folder) / font.file).is_file():
            return path
    raise FontError(f"{font.file} is in none of {', '.join(FOLDERS)}: apt-get install {font.package}")


def _chunks(data: bytes) -> Iterator[tuple[str, bytes]]:
    place = 0
    while place + 8 <= len(data):
        name, size = data[place : place + 4].decode("ascii", "replace"), *struct.unpack_from("<I", data, place + 4)
        yield name, data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _tables(path: Path) -> dict[str, bytes]:
    """The tables of presets and instruments; the samples before them are passed over."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"RIFF" or file.read(8)[4:] != b"sfbk":
                raise FontError(f"{path}: not a SoundFont 2 file")
            while head := file.read(8):
                name, size = head[:4], *struct.unpack("<I", head[4:])
                kind = file.read(4)
                if (name, kind) == (b"LIST", b"pdta"):
                    return dict(_chunks(file.read(size - 4)))
                file.seek(size - 4 + size % 2, 1)
    except (OSError, struct.error) as error:
        raise FontError(f"{path}: cannot be read ({error})") from None
    raise FontError(f"{path}: holds no presets")


def _zones(bags: bytes, generators: bytes, first: int, last: int, link: int) -> list[tuple[int, int, int]]:
    """(lowest key, highest key, what is linked to) of each zone; a zone without a link holds for all after it."""
    low, high, found = 0, 127, []
    for bag in range(first, last):
        start, end = (struct.unpack_from("<H", bags, 4 * (bag + step))[0] for step in (0, 1))
        values = dict(struct.iter_unpack("<HH", generators[4 * start : 4 * end]))
        keys = values.get(_KEY_RANGE)
        own = (low, high) if keys is None else (keys & 255, keys >> 8)
        if link in values:
            found.append((*own, values[link]))
        elif bag == first:
            low, high = own
    return found


@lru_cache(maxsize=8)
def read_presets(path: Path) -> dict[tuple[int, int], Preset]:
    """All presets of a font by (bank, program); bank 128 holds drum kits.

    Raises:
        FontError: not a sound font, or cut short.
    """
    tables = _tables(path)
    try:
        heads = [tables["inst"][place : place + 22] for place in range(0, len(tables["inst"]), 22)]
        first_bags = [struct.unpack_from("<H", head, 20)[0] for head in heads]
        instruments = [
            [(low, high) for low, high, _ in _zones(tables["ibag"], tables["igen"], first, last, _SAMPLE)]
            for first, last in itertools.pairwise(first_bags)
        ]
        presets = [tables["phdr"][place : place + 38] for place in range(0, len(tables["phdr"]), 38)]
        found = {}
        for head, following in itertools.pairwise(presets):
            program, bank, first = struct.unpack_from("<HHH", head, 20)
            last = struct.unpack_from("<H", following, 24)[0]
            keys = np.zeros(128, bool)
            for low, high, number in _zones(tables["pbag"], tables["pgen"], first, last, _INSTRUMENT):
                for inner_low, inner_high in instruments[number]:
                    keys[max(low, inner_low) : min(high, inner_high) + 1] = True
            name = head[:20].split(b"\0")[0].decode("latin-1")
            found[bank, program] = Preset(name, tuple(int(key) for key in np.flatnonzero(keys)))
    except (KeyError, IndexError, struct.error) as error:
        raise FontError(f"{path}: its tables of presets are broken ({error!r})") from None
    return found
