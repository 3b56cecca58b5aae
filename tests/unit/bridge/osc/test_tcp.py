"""Packets in a stream of bytes, however it is cut."""

import socket
from collections.abc import Callable, Iterator

import pytest

from bridge.osc.tcp import MAX_CONNECTIONS, Connections, Frames
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


@pytest.fixture
def connections() -> Iterator[Connections]:
    listener = socket.create_server(("127.0.0.1", 0))
    made = Connections(listener, lambda sock, number: None, lambda sock, client: None)
    yield made
    made.close()


def connected(connections: Connections, now_s: float) -> socket.socket:
    peer = socket.create_connection(connections.listener.getsockname())
    connections.accept(now_s)
    return peer


def test_a_peer_that_only_listens_is_kept_and_can_be_told(connections: Connections) -> None:
    with connected(connections, 0.0) as peer:
        for now_s in (9.0, 11.0, 3600.0):
            connections.tend(now_s)
        assert connections.send(1, PACKETS[0])
        assert peer.recv(100) == slip(PACKETS[0])


def test_a_peer_that_stops_within_its_first_packet_is_let_go(connections: Connections) -> None:
    with connected(connections, 0.0) as peer:
        peer.sendall(b"/stat")
        connections.receive(1, 1.0)
        connections.tend(10.0)
        assert len(connections) == 1
        connections.tend(11.5)
        assert len(connections) == 0


def test_a_peer_that_does_not_read_is_let_go(connections: Connections) -> None:
    with connected(connections, 0.0):
        sent = 0
        while connections.send(1, bytes(60_000)) and sent < 1000:
            sent += 1
        connections.tend(0.1)
        assert len(connections) == 0
        assert sent < 1000


def test_of_too_many_the_one_that_was_never_used_gives_way_first(connections: Connections) -> None:
    peers = [connected(connections, float(n)) for n in range(MAX_CONNECTIONS)]
    peers[0].sendall(slip(PACKETS[0]))
    connections.receive(1, 0.5)
    with connected(connections, 5.0) as refused:
        assert refused.recv(1) == b"", "all of them are young"
    with connected(connections, 20.0):
        assert connections.send(1, PACKETS[0]), "who has spoken is kept"
        assert not connections.send(2, PACKETS[0])
    for peer in peers:
        peer.close()


def test_the_system_is_asked_to_notice_a_peer_that_is_gone(connections: Connections) -> None:
    opened: list[socket.socket] = []
    connections._opened = lambda sock, number: opened.append(sock)
    with connected(connections, 0.0):
        assert opened[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
