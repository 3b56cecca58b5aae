"""Files on disk: checksums, names that every system takes, files of one folder, and drafts moved into place."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from engine.errors import ControlError

__all__ = ["check_name", "file_in", "is_portable", "replacing", "sha256_of", "shortened"]

_PIECE: Final = 1 << 20
_NAME_BYTES: Final = 200
_READ_BYTES: Final = 255  # what most file systems hold; asking for more is an error of theirs
_SHOWN: Final = 60  # characters of a name, in an error
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*", re.IGNORECASE)


def sha256_of(path: Path, each: Callable[[int], object] | None = None) -> str:
    """The sha256 of a file, as 64 hexadecimal digits; read in pieces of 1 MiB, so memory stays small.

    Args:
        each: called after each piece with the bytes read so far: to show progress, to let other work run, or to stop by
            raising an error.
    Raises:
        OSError: the file cannot be read.
    """
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            done += len(piece)
            if each is not None:
                each(done)
    return digest.hexdigest()


def is_portable(name: str) -> bool:
    """Whether Windows, macOS and Linux all take this as the name of a file: it never leads out of its folder.

    Refused are empty names, separators of folders, other reserved or unprintable characters, names of devices, names
    that end in a dot or a space, and names longer than 200 bytes: most file systems hold 255, and a number and an
    ending may be added.

    Source:
        Microsoft, Naming Files, Paths, and Namespaces: reserved characters and device names.
    """
    return (
        _stays_in_folder(name)
        and not set(name) & set('<>"|?*')
        and len(name.encode("utf-8", "replace")) <= _NAME_BYTES
        and name == name.rstrip(". ")
    )


def _stays_in_folder(name: str) -> bool:
    """Whether a name can only mean a file of its folder, on any system, even if some systems refuse it."""
    plain = all(ord(letter) >= 32 and letter not in ":/\\\x7f" for letter in name)
    return (
        plain
        and len(name.encode("utf-8", "replace")) <= _READ_BYTES
        and name.rstrip(". ") != ""
        and not _RESERVED.fullmatch(name.split(".")[0])
    )


def shortened(name: str) -> str:
    """A name as an error shows it, in quotes and never longer than a line."""
    return repr(name if len(name) <= _SHOWN else f"{name[: _SHOWN - 3]}...")


def check_name(name: str, wanted: str = "the name of a sound file") -> None:
    """Whether a name that comes from outside, such as by OSC, can be that of a file in a folder; asks no disk.

    What is there already may have a name that another system refuses, such as ``what?.wav``; `is_portable` is for new
    files.

    Args:
        wanted: what the error asks for.
    Raises:
        ControlError: the name is a path or a device.
    """
    if not _stays_in_folder(name):
        raise ControlError(f"wanted {wanted} in the session folder, got {shortened(name)}")


def file_in(folder: Path | None, name: str, wanted: str = "the name of a sound file") -> Path:
    """The path of a file of the session's folder, for a name that comes from outside.

    Args:
        folder: None if the session has none.
        wanted: what the error asks for.
    Raises:
        ControlError: as `check_name`; or there is no such file, or it is a link that leads out of the folder.
    """
    check_name(name, wanted)
    path = None if folder is None else folder / name
    if path is None or not path.is_file():
        raise ControlError(f"wanted {wanted} in the session folder, got {shortened(name)}: there is none of this name")
    if path.resolve().parent != path.parent.resolve():
        raise ControlError(f"wanted {wanted} in the session folder, got {shortened(name)}: a link that leads elsewhere")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside `path`, with the same ending, to write to. It takes the place of `path` once the block has ended.

    If the block raises, or has written or left no draft, `path` stays as it was. The draft never stays behind.

    Raises:
        OSError: the draft cannot be moved into place.
    """
    draft = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield draft
        if draft.exists():
            draft.replace(path)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
