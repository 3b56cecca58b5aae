"""OSC packets: held against python-osc where that is right, and against the specification where it is not."""

import struct

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from bridge.osc.wire import (
    MAX_ARGUMENTS,
    MAX_ELEMENTS,
    MAX_PACKET,
    Bundle,
    Character,
    Code,
    Message,
    OscError,
    decode,
    encode,
    messages,
)


def text(value: bytes) -> bytes:
    return value + bytes(4 - len(value) % 4)


def packet(tags: str, data: bytes = b"") -> bytes:
    return text(b"/a") + text(tags.encode()) + data


def bundle(stamp: int, *elements: bytes) -> bytes:
    return b"#bundle\0" + struct.pack(">Q", stamp) + b"".join(struct.pack(">i", len(e)) + e for e in elements)


def test_what_python_osc_builds_is_read_as_it_was_meant() -> None:
    builder = OscMessageBuilder(address="/tone/gain")
    for value, tag in ((7, "i"), (0.5, "f"), ("héllo", "s"), (b"\1\2\3\4\5", "b"), (2**40, "h"), (0.1, "d")):
        builder.add_arg(value, tag)
    builder.add_arg(True)
    builder.add_arg(None, "N")
    builder.add_arg([1, [2, "x"]])
    want = (7, 0.5, "héllo", b"\1\2\3\4\5", 2**40, 0.1, True, None, (1, (2, "x")))
    assert decode(builder.build().dgram) == Message("/tone/gain", want)


def test_python_osc_reads_what_we_build() -> None:
    sent = Message("/x/y", (1, -2.5, "text", b"blob!", 2**31 - 1, -(2**31), "", "four"))
    read = OscMessage(encode(sent))
    assert (read.address, tuple(read.params)) == (sent.address, sent.args)


def test_tags_that_python_osc_skips_keep_their_place() -> None:
    data = text(b"sym") + struct.pack(">i", ord("q")) + struct.pack(">i", 5)
    assert decode(packet(",ScIi", data)) == Message("/a", ("sym", "q", True, 5))


@pytest.mark.parametrize(
    ("tags", "data", "want"),
    [
        (",", b"", ()),
        (",TFNI", b"", (True, False, None, True)),
        (",m", b"\0\x90\x3c\x7f", (b"\0\x90\x3c\x7f",)),
        (",r", b"\1\2\3\4", (0x01020304,)),
        (",t", struct.pack(">Q", 1), (1,)),
        (",b", struct.pack(">i", 0), (b"",)),
        (",[]", b"", ((),)),
        (",[ii]i", struct.pack(">3i", 1, 2, 3), ((1, 2), 3)),
    ],
)
def test_each_tag_is_read(tags: str, data: bytes, want: tuple[object, ...]) -> None:
    assert decode(packet(tags, data)) == Message("/a", want)


def test_an_address_alone_is_a_message_without_arguments() -> None:
    assert decode(b"/abc\0\0\0\0") == Message("/abc")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc\0",
        b"/abc",  # no end
        b"/ab\xff\0\0\0\0",  # not a multiple of 4
        b"/\xff\xfe\0,\0\0\0",  # not UTF-8
        text(b"/a") + text(b"i") + bytes(4),  # tags without comma
        packet(",i"),
        packet(",i", b"\0\0"),
        packet(",i", bytes(8)),  # bytes left over
        packet(",d", bytes(4)),
        packet(",s", b"abcd"),
        packet(",b", struct.pack(">i", -4)),
        packet(",b", struct.pack(">i", 2**31 - 1)),
        packet(",b", struct.pack(">i", 3) + b"ab"),
        packet(",c", struct.pack(">i", 300)),
        packet(",q", bytes(8)),
        packet(",["),
        packet(",]"),
        packet("," + "[" * 9 + "]" * 9),
        packet("," + "T" * (MAX_ARGUMENTS + 1)),
        packet("," + "[" * 20_000),
        b"#bundle\0",
        b"#bundle\0" + bytes(7),
        bundle(1) + struct.pack(">i", 0),
        bundle(1) + struct.pack(">i", -4) + bytes(8),
        bundle(1) + struct.pack(">i", 64) + b"/a\0\0",
        bundle(1, b"abcd"),
        bundle(1, *[b"/a\0\0"] * (MAX_ELEMENTS + 1)),
        b"/" * (MAX_PACKET + 1),
    ],
)
def test_what_is_no_packet_is_an_error_of_ours(data: bytes) -> None:
    with pytest.raises(OscError):
        decode(data)


def test_bundles_may_be_nested_so_deep_and_no_deeper() -> None:
    data = packet(",")
    for _ in range(8):
        data = bundle(1, data)
    assert len(list(messages(decode(data)))) == 1
    with pytest.raises(OscError, match="nested"):
        decode(bundle(1, data))


def test_an_inner_bundle_is_never_earlier_than_the_one_around_it() -> None:
    a, b, c = Message("/a"), Message("/b"), Message("/c")
    outer = Bundle(100.0, (a, Bundle(50.0, (b,)), Bundle(None, ()), Bundle(200.0, (c,))))
    assert list(messages(outer)) == [(a, 100.0), (b, 100.0), (c, 200.0)]


def test_a_bundle_keeps_its_time_to_the_microsecond() -> None:
    sent = Bundle(1_790_000_000.123456, (Message("/a", (1,)), Bundle(None, (Message("/b"),))))
    read = decode(encode(sent))
    assert isinstance(read, Bundle)
    assert read.time == pytest.approx(sent.time, abs=1e-6)
    assert read.elements == sent.elements


def test_a_time_outside_of_osc_time_cannot_be_sent() -> None:
    with pytest.raises(OscError, match="2036"):
        encode(Bundle(1e12))


def test_numpy_scalars_are_sent_as_what_they_hold() -> None:
    args = (np.float32(0.5), np.int64(3), np.bool_(True), np.str_("am"))
    assert decode(encode(Message("/a", args))) == Message("/a", (0.5, 3, 1, "am"))


def test_only_plain_types_are_sent() -> None:
    data = encode(Message("/a", (True, 2**40, 1.5, "s", b"b", 1e300)))
    assert b",iffsbf\0" in data
    assert decode(data) == Message("/a", (1, float(2**40), 1.5, "s", b"b", float("inf")))


@pytest.mark.parametrize("value", [None, (1, 2), [1], object()])
def test_what_is_not_plain_cannot_be_sent(value: object) -> None:
    with pytest.raises(OscError, match="number, a text or bytes"):
        encode(Message("/a", (value,)))


def test_a_text_with_a_nul_or_a_lone_surrogate_still_arrives() -> None:
    assert decode(encode(Message("/a", ("x\0y\ud800", 1)))) == Message("/a", ("x y?", 1))


def test_what_is_too_long_for_a_datagram_cannot_be_sent() -> None:
    with pytest.raises(OscError, match="65507"):
        encode(Message("/a", ("x" * 70_000,)))


def test_codes_and_characters_are_told_from_numbers_and_texts() -> None:
    kinds = {"t": Code, "r": Code, "c": Character, "h": int, "s": str}
    data = {"t": bytes(8), "r": bytes(4), "c": b"\0\0\0A", "h": bytes(8), "s": b"A\0\0\0"}
    for tag, kind in kinds.items():
        message = decode(packet(f",{tag}", data[tag]))
        assert isinstance(message, Message)
        assert type(message.args[0]) is kind
