"""OSC under anything that can be sent.

Invariants: any bytes decode to a Message, a Bundle or an OscError, never anything else; any message is routed without
raising; the server takes any packets, goes on, and counts every message as handled or refused and every packet that is
none as malformed. ``RIPIENO_FUZZ`` sets how many packets are made (default 20,000).
"""

import itertools
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pythonosc.osc_message import OscMessage

from bridge.osc.server import OscServer
from bridge.osc.space import AddressSpace, Query, Refused, Routed
from bridge.osc.table import BUILT_IN
from bridge.osc.tcp import Frames
from bridge.osc.wire import Bundle, Message, OscError, decode, encode, messages
from engine.controls import walk
from engine.errors import ControlError
from engine.messages.session import SESSION_COMMANDS, VOICE_COMMANDS, Command, Load, When
from engine.models.musika.streamer import MusikaControls
from engine.models.tone import ToneControls

PACKETS = int(os.environ.get("RIPIENO_FUZZ", "20000"))
VOICES = {"musika": MusikaControls(), "tone": ToneControls()}
SPACE = AddressSpace(VOICES)
CONTROLS = ["/" + "/".join(c.path) for name, controls in VOICES.items() for c in walk(controls, (name,))]
COMMANDS = [f"/{name}" for name in SESSION_COMMANDS] + [f"/{v}/{name}" for v in VOICES for name in VOICE_COMMANDS]

PLAIN = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.floats(width=32, allow_nan=False),
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40),
    st.binary(min_size=1, max_size=40),
)
ANY = st.recursive(st.one_of(PLAIN, st.none(), st.booleans(), st.floats()), lambda inner: st.lists(inner).map(tuple))
ADDRESSES = st.one_of(
    st.sampled_from([*CONTROLS, *COMMANDS]),
    st.text("/*?[]{},!-abcdegimnorstuvy#\0 é", max_size=40),
    st.text("/*?[]{},!-ab", max_size=300).map(lambda text: "/" + text),
)


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda tail: b"#bundle\0" + bytes(8) + tail)))
def test_any_bytes_are_a_packet_or_an_osc_error(data: bytes) -> None:
    try:
        packet = decode(data)
    except OscError:
        return
    assert isinstance(packet, Message | Bundle)
    assert all(isinstance(message, Message) for message, _ in messages(packet))


@given(st.text("ab", max_size=20), st.lists(PLAIN, max_size=20))
def test_what_is_sent_is_what_arrives_here_and_at_python_osc(name: str, args: list[Any]) -> None:
    sent = Message("/" + name, tuple(args))
    data = encode(sent)
    assert decode(data) == sent
    other = OscMessage(data)
    assert Message(other.address, tuple(other.params)) == sent


@given(ADDRESSES, st.lists(st.one_of(ANY, st.sampled_from(["now", "beat", "bar", "at", 4])), max_size=6))
def test_any_message_is_routed_without_raising(address: str, args: list[Any]) -> None:
    for each in SPACE.route(address, args):
        assert isinstance(each, Routed | Query | Refused)
        if isinstance(each, Refused) and each.address:
            encode(Message("/error", (each.address, each.got, each.wanted, each.remedy)))


@given(st.binary(max_size=600), st.integers(1, 50))
def test_any_stream_is_cut_into_packets_or_ends(data: bytes, step: int) -> None:
    frames = Frames()
    try:
        for at in range(0, len(data), step):
            assert all(isinstance(packet, bytes) and packet for packet in frames.feed(data[at : at + step]))
    except OscError:
        return


def seeds() -> list[bytes]:
    """Valid packets of every kind."""
    values: list[tuple[Any, ...]] = [(), (1,), (0.5,), ("Am7", "bar"), (-3.0, "at", 4), ("Am", "F", "C"), (b"blob", 7)]
    several = [
        Message(address, args) for address in [*CONTROLS, *COMMANDS, "/*/gain", "/{musika,tone}/*"] for args in values
    ]
    several += [Message(address) for address in ("/ping", "/status", "/voices", "/errors", "/nobody", "/error")]
    packets = [encode(message) for message in several]
    packets += [encode(Bundle(None, tuple(several[at : at + 3]))) for at in range(0, len(several), 9)]
    packets += [encode(Bundle(at, (Message("/tone/play"), Bundle(at + 1.0, ())))) for at in (1.0, 2.08e9)]
    tags = b"/tone/gain\0\0,hdtScrmTFNI[ii[f]]\0"
    return [*packets, tags + bytes(3) + bytes(96)]


def mutated(packet: bytes, chance: random.Random) -> bytes:
    """The packet with some of its bytes changed, cut, doubled or swapped for numbers that break things."""
    data = bytearray(packet)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data) + 1) if data else 0
        match chance.randrange(6):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = chance.randbytes(chance.choice((1, 3, 4, 8)))
            case 3:
                data[at:at] = data[at : at + chance.choice((4, 8, 64))] * chance.randrange(8)
            case 4:
                four = at - at % 4
                data[four : four + 4] = struct.pack(">i", chance.choice((0, -1, 2**31 - 1, -(2**31), 4, 1 << 16)))
            case _:
                data[at : at + 1] = chance.choice((b"/", b"*", b"[", b"{", b",", b"\0", b"#bundle\0", b"\xff"))
    return bytes(data[:4096])


def fuzzed(count: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    base = seeds()
    for _ in range(count):
        yield chance.randbytes(chance.randrange(64)) if chance.random() < 0.1 else mutated(chance.choice(base), chance)


def expected(packet: bytes) -> tuple[int, int, int]:
    """(malformed, received, refused) that a packet counts as, by the pure parts alone."""
    try:
        contents = [message for message, _ in messages(decode(packet))]
    except OscError:
        return 1, 0, 0
    refused = 0
    for message in contents:
        if message.address not in BUILT_IN:
            routed = SPACE.route(message.address, message.args)
            refused += bool(routed) and all(isinstance(each, Refused) for each in routed)
    return 0, len(contents), refused


@pytest.fixture
def quiet_port() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:  # takes answers, reads none
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_the_server_takes_anything_and_counts_it(quiet_port: int) -> None:
    numbers = itertools.count(1)

    def post(command: Command, when: When) -> int:
        if isinstance(command, Load):
            raise ControlError("no such bundle")
        return next(numbers)

    server = OscServer(
        "127.0.0.1",
        0,
        SPACE,
        post=post,
        sample_at=lambda unix_s: int(unix_s) % 1000,
        status=lambda: [("state", "ready")],
        value=lambda path: 0.5,
        reply_port=quiet_port,
    )
    server.start()
    malformed = received = refused = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for index, packet in enumerate(fuzzed(PACKETS, seed=1)):
            if b"/reply/" in packet or b"/telemetry" in packet:
                continue  # would send to ports of other programs
            bad, messages_in, refused_in = expected(packet)
            malformed, received, refused = malformed + bad, received + messages_in, refused + refused_in
            sock.sendto(packet, ("127.0.0.1", server.port))
            if index % 100 == 99:
                settle(server, malformed, received)
    settle(server, malformed, received)
    server.stop()
    counters = server.counters
    assert counters["faults"] == 0
    assert counters["dropped"] == 0
    assert counters["malformed"] == malformed
    assert counters["received"] == received == counters["handled"] + counters["refused"]
    desk = counters["refused"] - refused  # its own addresses, with arguments that it refuses
    assert 0 <= desk <= 0.05 * received
    assert malformed > 0.1 * PACKETS
    assert received - refused > 0.1 * PACKETS


def settle(server: OscServer, malformed: int, received: int) -> None:
    end = time.monotonic() + 10.0
    while True:
        counters = server.counters
        if counters["malformed"] >= malformed and counters["handled"] + counters["refused"] >= received:
            return
        assert time.monotonic() < end, f"lost: {counters}, expected {malformed} malformed, {received} received"
        time.sleep(0.0005)
