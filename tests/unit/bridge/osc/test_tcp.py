"""Packets in a stream of bytes, however it is cut."""

from collections.abc import Callable

import pytest

from bridge.osc.tcp import Frames
from bridge.osc.wire import MAX_PACKET, OscError

Frame = Callable[[bytes], bytes]

PACKETS = [b"/a\0\0,\0\0\0", b"/b\0\0,i\0\0\xc0\xdb\xc0\xdb", bytes(range(256)), b"#bundle\0" + bytes(8)]


def slip(packet: bytes) -> bytes:
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def sized(packet: bytes) -> bytes:
    return len(packet).to_bytes(4, "big") + packet


@pytest.mark.parametrize("frame", [slip, sized])
@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64, 4096])
def test_packets_come_out_whole_however_the_stream_is_cut(frame: Frame, cut: int) -> None:
    stream = b"".join(map(frame, PACKETS))
    frames = Frames()
    got = [packet for at in range(0, len(stream), cut) for packet in frames.feed(stream[at : at + cut])]
    assert got == PACKETS
    assert not frames.partial


def test_slip_with_one_end_only_is_read_too() -> None:
    frames = Frames()
    assert frames.feed(b"/a\0\0,\0\0\0\xc0/b\0\0\xc0") == [b"/a\0\0,\0\0\0", b"/b\0\0"]


@pytest.mark.parametrize("frame", [slip, sized])
def test_answers_are_framed_as_the_peer_frames(frame: Frame) -> None:
    frames, other = Frames(), Frames()
    frames.feed(frame(PACKETS[0]))
    assert [other.feed(frames.wrap(packet)) for packet in PACKETS] == [[packet] for packet in PACKETS]
    assert other.slip is (frame is slip)


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n",
        (MAX_PACKET + 1).to_bytes(4, "big"),
        b"\xc0/a\xdb\x00\xc0",
        b"\xc0/a\xdb\xc0",
        b"/" * (2 * MAX_PACKET + 1),
    ],
)
def test_what_is_no_framed_osc_is_an_error(stream: bytes) -> None:
    with pytest.raises(OscError):
        Frames().feed(stream)
