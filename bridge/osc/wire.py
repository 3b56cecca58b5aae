"""OSC packets: bytes to frozen messages and bundles, and back.

Any bytes decode to a `Message`, a `Bundle` or an `OscError`, in time proportional to their length. Building uses
python-osc. Parsing does not: python-osc 1.10 keeps reading after tags it does not know (S, c, I) without skipping
their bytes, lets a blob of negative length move it backwards, lets UnicodeDecodeError and RecursionError escape, and
takes quadratic time for many arguments; each of these can be sent by anybody.

Source: the OSC 1.0 specification, and the table of tags of the OSC 1.1 paper (Freed & Schmeder, NIME 2009).
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pythonosc.parsing import osc_types

from engine.errors import EngineError

__all__ = ["MAX_ARGUMENTS", "MAX_DEPTH", "MAX_ELEMENTS", "MAX_PACKET", "Bundle", "Character", "Code", "Message"]
__all__ += ["OscError", "decode", "encode", "messages"]

MAX_PACKET: Final = 65_507  # bytes: the largest UDP payload over IPv4
MAX_ARGUMENTS: Final = 1024  # of one message, arrays counted through
MAX_ELEMENTS: Final = 1024  # of one packet, bundles within bundles counted through
MAX_DEPTH: Final = 8  # bundles in bundles, arrays in arrays

_UNIX_EPOCH: Final = 2_208_988_800  # seconds from 1900-01-01, where OSC time begins, to 1970-01-01
_BUNDLE: Final = b"#bundle\0"
_FIXED: Final = {tag: struct.Struct(">" + code) for tag, code in zip("ifhd", "ifqd", strict=True)}
_RARE_BYTES: Final = {"t": 8, "r": 4, "m": 4, "c": 4, "b": 4}  # of a blob, those of its length
_EMPTY: Final = {"T": True, "F": False, "N": None, "I": True}
_INT32: Final = 2**31


class OscError(EngineError, ValueError):
    """Bytes that are no OSC packet, or values that cannot be put into one."""


class Code(int):
    """A time or a colour: bits that are no quantity, and so never the value of a control."""

    __slots__ = ()


class Character(str):
    """A single character: a text, but never the number that it may look like."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Message:
    """An address and its arguments.

    Received arguments are int, float, str (tags s, S), `Character` (c), `Code` (t, r), bytes (b; m as its 4 bytes),
    bool (T, F; I as True), None (N) and tuples (arrays).
    """

    address: str
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Bundle:
    """Elements that belong together; `time` is in Unix seconds, None for immediately."""

    time: float | None
    elements: "tuple[Message | Bundle, ...]" = ()


def decode(data: bytes) -> Message | Bundle:
    """The message or bundle in a packet.

    Raises:
        OscError: it is none, or it goes beyond the limits of this module.
    """
    if len(data) > MAX_PACKET:
        raise OscError(f"a packet has at most {MAX_PACKET} bytes, got {len(data)}")
    if data.startswith(_BUNDLE):
        return _bundle(data, 1, [MAX_ELEMENTS])
    return _message(data)


def messages(packet: Message | Bundle, time: float | None = None) -> Iterator[tuple[Message, float | None]]:
    """Every message of a packet with its time; an inner bundle is never earlier than the one around it."""
    if isinstance(packet, Message):
        yield packet, time
        return
    own = packet.time if time is None else time if packet.time is None else max(time, packet.time)
    for element in packet.elements:
        yield from messages(element, own)


def _bundle(data: bytes, depth: int, budget: list[int]) -> Bundle:
    if depth > MAX_DEPTH:
        raise OscError(f"bundles may be nested {MAX_DEPTH} deep")
    if len(data) < 16:
        raise OscError("a bundle begins with 16 bytes")
    stamp = int.from_bytes(data[8:16], "big")
    elements: list[Message | Bundle] = []
    at = 16
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if size == 0 or size % 4 or at + size > len(data):
            raise OscError("an element's size does not fit its bundle")
        budget[0] -= 1
        if budget[0] < 0:
            raise OscError(f"a packet may hold {MAX_ELEMENTS} elements")
        part = data[at : at + size]
        elements.append(_bundle(part, depth + 1, budget) if part.startswith(_BUNDLE) else _message(part))
        at += size
    return Bundle(None if stamp <= 1 else stamp / 2**32 - _UNIX_EPOCH, tuple(elements))


def _message(data: bytes) -> Message:
    if not data.startswith(b"/"):
        raise OscError("a message begins with '/', a bundle with '#bundle'")
    address, at = _text(data, 0)
    if at == len(data):  # old senders leave an empty list of tags out
        return Message(address)
    tags, at = _text(data, at)
    if not tags.startswith(","):
        raise OscError("type tags are missing")
    if len(tags) > 2 * MAX_ARGUMENTS:
        raise OscError(f"a message has at most {MAX_ARGUMENTS} arguments")
    args, at = _arguments(tags, data, at)
    if at != len(data):
        raise OscError("more bytes than the type tags account for")
    return Message(address, args)


def _arguments(tags: str, data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    levels: list[list[Any]] = [[]]
    count = 0
    for tag in tags[1:]:
        fixed = _FIXED.get(tag)
        if fixed is not None:
            if at + fixed.size > len(data):
                raise OscError("the packet ends within an argument")
            levels[-1].append(fixed.unpack_from(data, at)[0])
            at += fixed.size
        elif tag == "s" or tag == "S":
            value, at = _text(data, at)
            levels[-1].append(value)
        elif tag in _EMPTY:
            levels[-1].append(_EMPTY[tag])
        elif tag == "[":
            if len(levels) > MAX_DEPTH:
                raise OscError(f"arrays may be nested {MAX_DEPTH} deep")
            levels.append([])
        elif tag == "]":
            if len(levels) == 1:
                raise OscError("an array ends that has not begun")
            done = tuple(levels.pop())
            levels[-1].append(done)
        else:
            value, at = _rare(tag, data, at)
            levels[-1].append(value)
        count += 1
    if len(levels) != 1:
        raise OscError("an array does not end")
    if count > MAX_ARGUMENTS:
        raise OscError(f"a message has at most {MAX_ARGUMENTS} arguments")
    return tuple(levels[0]), at


def _rare(tag: str, data: bytes, at: int) -> tuple[Any, int]:
    """An argument of tag b, c, m, r or t, and where the next begins."""
    size = _RARE_BYTES.get(tag)
    if size is None:
        raise OscError(f"type tag {tag!r} is not known")
    word = data[at : at + size]
    if len(word) < size:
        raise OscError("the packet ends within an argument")
    number, at = int.from_bytes(word, "big"), at + size
    if tag == "m":
        return word, at
    if tag in "rt":
        return Code(number), at
    if tag == "c":
        if number > 127:
            raise OscError("a character is ASCII, 0..127")
        return Character(chr(number)), at
    end = at + number
    if end + -end % 4 > len(data):
        raise OscError("a blob is longer than its packet")
    return data[at:end], end + -end % 4


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at)
    after = end + 4 - end % 4
    if end < 0 or after > len(data):
        raise OscError("a text does not end")
    try:
        return data[at:end].decode(), after
    except UnicodeDecodeError:
        raise OscError("a text is not UTF-8") from None


def encode(packet: Message | Bundle) -> bytes:
    """The packet as bytes, with tags that every receiver knows: i, f, s, b.

    A bool is sent as 0 or 1, an int beyond 32 bits as float, a numpy scalar as what it holds.

    Raises:
        OscError: an argument is of another kind, or the packet is too large for a datagram.
    """
    data = _encode_message(packet) if isinstance(packet, Message) else _encode_bundle(packet)
    if len(data) > MAX_PACKET:
        raise OscError(f"a packet has at most {MAX_PACKET} bytes, got {len(data)}")
    return data


def _encode_bundle(bundle: Bundle) -> bytes:
    stamp = 1 if bundle.time is None else round((bundle.time + _UNIX_EPOCH) * 2**32)
    if not 0 < stamp < 2**64:
        raise OscError(f"OSC time ends in 2036 and begins in 1900, got {bundle.time} s")
    parts = [encode(element) for element in bundle.elements]
    return _BUNDLE + stamp.to_bytes(8, "big") + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _encode_message(message: Message) -> bytes:
    tags, parts = [","], []
    for arg in message.args:
        tag, part = _encode_argument(arg.item() if hasattr(arg, "item") else arg)
        tags.append(tag)
        parts.append(part)
    return _encode_text(message.address) + _encode_text("".join(tags)) + b"".join(parts)


def _encode_argument(arg: object) -> tuple[str, bytes]:
    match arg:
        case int() if -_INT32 <= arg < _INT32:
            return "i", bytes(osc_types.write_int(int(arg)))
        case int() | float():
            try:
                return "f", bytes(osc_types.write_float(float(arg)))
            except OverflowError:  # beyond float32
                return "f", bytes(osc_types.write_float(math.inf if arg > 0 else -math.inf))
        case str():
            return "s", _encode_text(arg)
        case bytes():
            return "b", bytes(osc_types.write_blob(arg)) if arg else bytes(4)
        case _:
            raise OscError(f"an argument is a number, a text or bytes, got {type(arg).__name__}")


def _encode_text(text: str) -> bytes:
    clean = text.replace("\0", " ").encode("utf-8", "replace").decode()
    return bytes(osc_types.write_string(clean))
