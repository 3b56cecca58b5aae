"""The manifest of a graph file, read without loading the graph.

Creating an onnxruntime session takes up to seconds and holds the GIL; asking a file what it is must not. An ONNX file
is one protocol-buffer message (ModelProto); its fields are stepped over, by length, until the metadata.

Source: ``onnx.proto`` (ModelProto.metadata_props = 14, StringStringEntryProto key = 1, value = 2) and the encoding of
protocol buffers: a field is a varint ``number << 3 | kind``; kind 0 varint, 1 eight bytes, 2 length and bytes, 5 four.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from engine.errors import BundleError, ManifestError
from engine.graphs.manifest import METADATA_KEY, Manifest

__all__ = ["MAX_FILE", "manifest_in", "read_manifest", "read_metadata"]

MAX_FILE: Final = 2**31 - 1
"""Bytes of the greatest graph file we read: protocol buffers end there too."""

_MAX_ENTRY: Final = 1 << 20  # bytes of one metadata entry
_MAX_FIELDS: Final = 4096  # fields at the top of a file; real ones have about a dozen
_METADATA_FIELD: Final = 14


def read_manifest(path: Path) -> Manifest:
    """What the graph file at `path` says about itself.

    Raises:
        BundleError: it is not an ONNX file, or cannot be read.
        ManifestError: it is one, but says nothing, or nothing that we understand.
    """
    return manifest_in(read_metadata(path), path)


def manifest_in(metadata: Mapping[str, str], path: Path) -> Manifest:
    """The manifest among a file's metadata.

    Raises:
        ManifestError: there is none, or none that we understand.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        raise ManifestError(f"{path} is a graph without a manifest of ours; export the model with 'ripieno export'")
    try:
        manifest = Manifest.from_json(text)
    except ManifestError as error:
        raise ManifestError(f"{path}: {error}") from None
    texts = (manifest.family, manifest.role, manifest.bundle, manifest.build, manifest.source, manifest.licence)
    if not all(isinstance(text, str) for text in (*texts, *manifest.state)) or not isinstance(manifest.facts, dict):
        raise ManifestError(f"{path}: manifest holds values of the wrong kind; export the model again")
    return manifest


def read_metadata(path: Path) -> dict[str, str]:
    """Keys and values of an ONNX file's metadata.

    Raises:
        BundleError: the file is missing, too large, a pointer to a file kept elsewhere, or not ONNX.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE:
                raise BundleError(f"{path} has {size} bytes, graphs have at most {MAX_FILE}; it is not one of ours")
            if file.read(24) == b"version https://git-lfs.":
                raise BundleError(f"{path} is a Git LFS pointer, not the graph itself; fetch it with 'git lfs pull'")
            file.seek(0)
            return _Scan(file, size).metadata()
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); check the bundle's folder") from None
    except (_NotProto, UnicodeDecodeError):
        raise BundleError(f"{path} is damaged or not an ONNX file; fetch or export the bundle again") from None


class _NotProto(Exception):
    """The bytes are not a protocol-buffer message."""


class _Scan:
    """One pass over the fields at the top of a message."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size

    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = {}
        seen_graph = False
        for _ in range(_MAX_FIELDS):
            if self._file.tell() == self._size:
                break
            number, kind = divmod(self._varint(), 8)
            seen_graph |= number == 7
            if number == _METADATA_FIELD and kind == 2:
                key, value = _entry(self._take(_MAX_ENTRY))
                found[key] = value
            else:
                self._skip(number, kind)
        else:
            raise _NotProto
        if not seen_graph:
            raise _NotProto
        return found

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._file.read(1)
            if not byte:
                raise _NotProto
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise _NotProto

    def _take(self, most: int) -> bytes:
        length = self._varint()
        if length > min(most, self._size - self._file.tell()):
            raise _NotProto
        return self._file.read(length)

    def _skip(self, number: int, kind: int) -> None:
        if number == 0 or kind not in (0, 1, 2, 5):
            raise _NotProto
        length = {0: 0, 1: 8, 5: 4}.get(kind)
        if kind == 0:
            self._varint()
            return
        length = self._varint() if length is None else length
        if length > self._size - self._file.tell():
            raise _NotProto
        self._file.seek(length, os.SEEK_CUR)


def _entry(content: bytes) -> tuple[str, str]:
    """Key and value of one StringStringEntryProto."""
    fields = {1: b"", 2: b""}
    at = 0
    while at < len(content):
        tag, at = _varint_at(content, at)
        if tag & 7 != 2:
            raise _NotProto
        length, at = _varint_at(content, at)
        if at + length > len(content):
            raise _NotProto
        fields[tag >> 3] = content[at : at + length]
        at += length
    return fields[1].decode(), fields[2].decode()


def _varint_at(content: bytes, at: int) -> tuple[int, int]:
    """The varint at index `at`, and the index after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise _NotProto
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _NotProto
