"""The OSC server over real sockets of this machine."""

import contextlib
import itertools
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from bridge.osc.server import MAX_AHEAD_S, OscPortBusy, OscServer
from bridge.osc.space import AddressSpace
from bridge.osc.tcp import MAX_CONNECTIONS
from bridge.osc.wire import MAX_PACKET, Bundle, Message, decode, encode
from engine.controls import Value
from engine.errors import ControlError
from engine.messages.session import (
    BAR,
    NOW,
    Applied,
    Changed,
    Command,
    Continue,
    Cover,
    Failed,
    Keys,
    Load,
    Play,
    Recorded,
    Set,
    SetChord,
    Telemetry,
    VoiceTelemetry,
    VoiceUp,
    When,
)
from engine.models.musika.streamer import MusikaControls
from engine.models.tone import ToneControls

RATE = 48_000


class Ear:
    """A UDP socket of somebody who sends and hears."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.sock.settimeout(2.0)
        self.port: int = self.sock.getsockname()[1]

    def send(self, port: int, packet: Message | Bundle | bytes) -> None:
        self.sock.sendto(packet if isinstance(packet, bytes) else encode(packet), ("127.0.0.1", port))

    def hear(self) -> Message:
        packet = decode(self.sock.recv(65536))
        assert isinstance(packet, Message)
        return packet

    def silent(self, for_s: float = 0.05) -> bool:
        self.sock.settimeout(for_s)
        try:
            self.sock.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(2.0)
        return False


@dataclass
class Stand:
    """A server with what it needs around it, and what has been posted."""

    posted: list[tuple[Command, When]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    sampled: list[float] = field(default_factory=list)
    ear: Ear = field(default_factory=Ear)
    registered: Ear = field(default_factory=Ear)
    server: OscServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = OscServer(
            "127.0.0.1",
            0,
            AddressSpace({"tone": ToneControls(), "musika": MusikaControls()}),
            post=self.post,
            sample_at=self.sample_at,
            status=lambda: [("state", "playing"), ("bar", 7)],
            value=self.value,
            reply_port=self.registered.port,
        )
        self.server.start()

    def post(self, command: Command, when: When) -> int:
        if isinstance(command, Load):
            raise ControlError("no bundle has this name; see ripieno list")
        self.posted.append((command, when))
        return next(self.numbers)

    def sample_at(self, unix_s: float) -> int:
        self.sampled.append(unix_s)
        return 1_000_000 + round((unix_s - time.time()) * RATE)

    def value(self, path: tuple[str, ...]) -> Value | None:
        if path == ("tone", "mute"):
            raise ValueError("a mistake of ours")
        return -6.0 if path == ("tone", "gain") else None

    def send(self, packet: Message | Bundle | bytes) -> None:
        self.ear.send(self.server.port, packet)

    def close(self) -> None:
        self.server.stop()
        self.ear.sock.close()
        self.registered.sock.close()


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 5.0
    while not until():
        assert time.monotonic() < end, "it did not happen within 5 s"
        time.sleep(0.001)


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.close()
    assert stand.server.counters["received"] == stand.server.counters["handled"] + stand.server.counters["refused"]


# commands


def test_a_command_is_posted_with_its_time(stand: Stand) -> None:
    stand.send(Message("/tone/play", ("bar",)))
    wait(lambda: bool(stand.posted))
    assert stand.posted == [(Play(voice="tone"), BAR)]


def test_messages_keep_their_order(stand: Stand) -> None:
    stand.send(Message("/tone/gain", (-1.0,)))
    stand.send(Message("/tone/gain", (-2.0,)))  # held back for its tick, but not beyond what follows
    stand.send(Message("/tone/play"))
    wait(lambda: len(stand.posted) == 3)
    gain = ("tone", "gain")
    assert [command for command, _ in stand.posted] == [Set(gain, -1.0), Set(gain, -2.0), Play(voice="tone")]


def test_of_many_values_the_last_is_made_and_all_are_handled(stand: Stand) -> None:
    for step in range(2000):
        stand.send(Message("/tone/gain", (-60.0 * step / 1999,)))
    wait(lambda: stand.server.counters["handled"] == 2000 and stand.posted[-1][0] == Set(("tone", "gain"), -60.0))
    counters = stand.server.counters
    assert counters["coalesced"] > 0
    assert len(stand.posted) + counters["coalesced"] == 2000
    assert (counters["dropped"], counters["refused"]) == (0, 0)


def test_a_question_is_answered_to_sender_and_registered_port(stand: Stand) -> None:
    stand.send(Message("/tone/gain"))
    assert stand.ear.hear() == Message("/tone/gain", (-6.0,))
    assert stand.registered.hear() == Message("/tone/gain", (-6.0,))


def test_a_refusal_is_told_and_counted(stand: Stand) -> None:
    stand.send(Message("/tone/gain", (99.0,)))
    assert stand.ear.hear() == Message(
        "/error", ("/tone/gain", "99.0", "-60..6 dB", "send another value: output level")
    )
    stand.send(Message("/musika/gain"))  # asked before the voice is ready
    assert stand.ear.hear().args[0] == "/musika/gain"
    assert stand.server.counters["refused"] == 2


def test_what_the_session_turns_down_is_told(stand: Stand) -> None:
    stand.send(Message("/tone/load", ("nothing",)))
    address, got, wanted, remedy = stand.ear.hear().args
    assert (address, got, remedy) == ("/tone/load", "nothing", "see ripieno list")
    assert "no bundle has this name" in wanted
    assert stand.server.counters["failed"] == 1


def test_bytes_that_are_no_osc_are_told_and_counted(stand: Stand) -> None:
    stand.send(b"hello")
    assert stand.ear.hear().address == "/error"
    assert stand.server.counters["malformed"] == 1
    assert stand.server.counters["received"] == 0


def test_a_flood_of_mistakes_is_counted_but_not_answered_one_by_one(stand: Stand) -> None:
    for _ in range(500):
        stand.send(Message("/nobody"))
    wait(lambda: stand.server.counters["refused"] == 500)
    heard = 0
    while not stand.ear.silent():
        heard += 1
    assert 0 < heard <= 40


def test_the_largest_datagram_is_taken(stand: Stand) -> None:
    blob = bytes(MAX_PACKET - 24 - MAX_PACKET % 4)
    stand.send(Message("/tone/gain", (blob,)))
    wait(lambda: stand.server.counters["received"] == 1)
    assert stand.ear.hear().args[0] == "/tone/gain"


def test_what_servers_say_to_each_other_is_never_answered(stand: Stand) -> None:
    for address in ("/error", "/pong", "/applied", "/event/cover"):
        stand.send(Message(address, ("x",)))
    wait(lambda: stand.server.counters["refused"] == 4)
    assert stand.ear.silent()


def test_a_mistake_of_ours_does_not_end_the_show(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    stand.send(Message("/tone/mute"))
    wait(lambda: stand.server.counters["faults"] == 1)
    assert "a mistake of ours" in caplog.text
    stand.send(Message("/tone/play"))
    wait(lambda: bool(stand.posted))
    assert stand.ear.hear().args[0] == "/tone/mute"


# bundles


def test_a_bundle_ahead_is_posted_at_once_for_its_sample(stand: Stand) -> None:
    began = time.monotonic()
    elements = (Message("/tone/gain", (-3.0,)), Message("/tone/play"), Message("/tone/stop", ("bar",)))
    stand.send(Bundle(time.time() + 2.0, elements))
    wait(lambda: len(stand.posted) == 3)
    assert time.monotonic() - began < 1.0
    (_, first), (_, second), (_, third) = stand.posted
    assert first == second
    assert first.kind == "sample"
    assert first.value == pytest.approx(1_000_000 + 2 * RATE, abs=RATE)
    assert third == BAR  # it says its own time


def test_a_bundle_of_the_past_is_made_now(stand: Stand) -> None:
    stand.send(Bundle(time.time() - 100.0, (Message("/tone/play"),)))
    stand.send(Bundle(None, (Message("/tone/stop"),)))
    wait(lambda: len(stand.posted) == 2)
    assert [when for _, when in stand.posted] == [NOW, NOW]


def test_a_bundle_of_a_wrong_clock_waits_no_longer_than_ten_seconds(stand: Stand) -> None:
    stand.send(Bundle(time.time() + 3600.0, (Message("/tone/play"),)))
    wait(lambda: len(stand.posted) == 1)
    assert stand.sampled[0] - time.time() <= MAX_AHEAD_S
    assert stand.ear.hear().args[:2] == ("#bundle", "a bundle 3600 s ahead")
    assert stand.server.counters["clamped"] == 1


# events


def test_applied_goes_to_who_asked(stand: Stand) -> None:
    other = Ear()
    other.send(stand.server.port, Message("/ping"))
    assert other.hear() == Message("/pong")
    stand.send(Message("/harmony/chord", ("Am7",)))
    wait(lambda: bool(stand.posted))
    applied = Applied(number=1, command=SetChord(name="Am7"), voice="", sample=480, latency_ms=12.5)
    stand.server.publish([applied])
    want = Message("/applied", ("/harmony/chord", 1, "", 480, 12.5))
    assert stand.ear.hear() == want
    assert stand.registered.hear() == Message("/pong")
    assert stand.registered.hear() == want
    assert other.silent()
    other.sock.close()


def test_failed_goes_to_who_asked_as_an_error(stand: Stand) -> None:
    stand.send(Message("/harmony/chord", ("H",)))
    wait(lambda: bool(stand.posted))
    stand.server.publish([Failed(number=1, command=SetChord(name="H"), reason="no chord H")])
    assert stand.ear.hear() == Message("/error", ("/harmony/chord", "H", "no chord H", "nothing was changed"))


def test_events_go_to_registered_ports(stand: Stand) -> None:
    stand.server.publish(
        [
            Changed(path=("tone", "gain"), value=-3.0),
            Cover(voice="tone", sample=7),
            VoiceUp(voice="tone", bundle="tone", seconds=0.5, restarted=True),
            Recorded(path="/tmp/a.wav", samples=480),
            Applied(number=99, command=Keys((60, 64)), voice="", sample=1, latency_ms=0.0),
            Failed(number=98, command=SetChord(name="H"), reason="no chord H"),
        ]
    )
    assert [stand.registered.hear() for _ in range(6)] == [
        Message("/changed", ("/tone/gain", -3.0)),
        Message("/event/cover", ("tone", 7)),
        Message("/event/voice_up", ("tone", "tone", 0.5, 1)),
        Message("/event/recorded", ("/tmp/a.wav", 480)),
        Message("/applied", ("/keys", 99, "", 1, 0.0)),
        Message("/error", ("/harmony/chord", "H", "no chord H", "nothing was changed")),
    ]
    assert stand.ear.silent()


def test_telemetry_comes_to_who_wants_it(stand: Stand) -> None:
    voice = VoiceTelemetry(
        voice="tone", bundle="tone", playing=True, level_db=-12.0, fill_ms=60.0, realtime=40.0, late=0, cpu=0.25
    )
    event = Telemetry(
        sample=48_000,
        bar=2,
        beat=1.5,
        tempo_bpm=120.0,
        chord="Am",
        level_db=-9.0,
        underruns=0,
        latency_ms=0.0,
        input_db=-33.0,
        limiter_db=2.5,
        voices=(voice,),
    )
    stand.server.publish([event])
    assert stand.registered.silent()
    stand.send(Message("/telemetry", (10,)))
    stand.send(Message("/ping"))
    assert stand.ear.hear().address == "/pong"
    assert stand.registered.hear().address == "/pong"
    stand.server.publish([event])
    for ear in (stand.ear, stand.registered):
        assert ear.hear() == Message("/telemetry/session", (48_000, 2, 1.5, 120.0, "Am", -9.0, 0, 0.0, -33.0, 2.5))
        assert ear.hear() == Message("/telemetry/voice", ("tone", "tone", 1, -12.0, 60.0, 40.0, 0, 0.25, 0.0, 0.0))


# the server's own addresses


def test_reply_ports_can_be_added_and_dropped(stand: Stand) -> None:
    other = Ear()
    stand.send(Message("/reply/to", (float(other.port),)))
    stand.send(Message("/reply/drop", (stand.registered.port,)))
    stand.send(Message("/voices"))
    assert other.hear() == Message("/voices", ("tone", "musika"))
    assert stand.ear.hear() == Message("/voices", ("tone", "musika"))
    assert stand.registered.silent()
    other.sock.close()


@pytest.mark.parametrize(
    "message",
    [
        Message("/reply/to"),
        Message("/reply/to", (0,)),
        Message("/reply/to", ("x",)),
        Message("/reply/drop", (70_000,)),
        Message("/telemetry", (31,)),
        Message("/telemetry", (-1.0,)),
        Message("/status", ("x",)),
        Message("/voices", ("tone", "musika")),
    ],
)
def test_what_the_desk_cannot_take_is_refused(stand: Stand, message: Message) -> None:
    stand.send(message)
    assert stand.ear.hear().args[0] == message.address


def test_the_server_cannot_be_made_to_answer_itself(stand: Stand) -> None:
    stand.send(Message("/reply/to", (stand.server.port,)))
    assert stand.ear.hear().address == "/error"


def test_status_errors_and_ping(stand: Stand) -> None:
    stand.send(Message("/status"))
    assert [stand.ear.hear() for _ in range(2)] == [
        Message("/status/state", ("playing",)),
        Message("/status/bar", (7,)),
    ]
    stand.send(Message("/ping", (1, "two", 3.0)))
    assert stand.ear.hear() == Message("/pong", (1, "two", 3.0))
    stand.send(Message("/errors", (0,)))  # a button let go
    stand.send(Message("/errors", (1,)))
    heard = [stand.ear.hear() for _ in stand.server.counters]
    assert {message.address for message in heard} == {f"/errors/{name}" for name in stand.server.counters}


def test_addresses_follow_the_bundle(stand: Stand) -> None:
    stand.server.set_space(AddressSpace({"other": ToneControls()}))
    stand.send(Message("/other/gain", (-1.0,)))
    wait(lambda: bool(stand.posted))
    assert stand.posted == [(Set(("other", "gain"), -1.0), NOW)]


# ports and connections


def test_a_taken_port_is_told_in_one_line(stand: Stand) -> None:
    with pytest.raises(OscPortBusy) as caught:
        OscServer(
            "127.0.0.1",
            stand.server.port,
            AddressSpace({}),
            post=stand.post,
            sample_at=stand.sample_at,
            status=list,
            value=stand.value,
        )
    told = str(caught.value)
    assert f"127.0.0.1:{stand.server.port}" in told
    assert "choose another port" in told
    assert "\n" not in told


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 9000), ("no host.invalid", 9000), ("127.0.0.1", 70_000)])
def test_a_place_that_cannot_be_is_told_in_one_line(stand: Stand, host: str, port: int) -> None:
    with pytest.raises(OscPortBusy, match=r"choose an address of this machine"):
        OscServer(
            host, port, AddressSpace({}), post=stand.post, sample_at=stand.sample_at, status=list, value=stand.value
        )


def test_the_port_is_free_again_after_stopping() -> None:
    first = Stand()
    port = first.server.port
    with socket.create_connection(("127.0.0.1", port)):
        wait(lambda: len(first.server._tcp) == 1)
        first.close()
    first.server.stop()
    first.server.publish([Changed(path=("tone", "gain"), value=-3.0)])  # too late, and no harm
    again = OscServer(
        "127.0.0.1", port, AddressSpace({}), post=first.post, sample_at=first.sample_at, status=list, value=first.value
    )
    again.stop()


def slip(packet: bytes) -> bytes:
    return b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"


def sized(packet: bytes) -> bytes:
    return len(packet).to_bytes(4, "big") + packet


@pytest.mark.parametrize("frame", [slip, sized])
def test_tcp_is_answered_in_its_own_framing(stand: Stand, frame: Callable[[bytes], bytes]) -> None:
    with socket.create_connection(("127.0.0.1", stand.server.port), timeout=2.0) as peer:
        stream = frame(encode(Message("/tone/gain"))) + frame(encode(Message("/tone/play")))
        peer.sendall(stream[:11])
        peer.sendall(stream[11:])
        answer = frame(encode(Message("/tone/gain", (-6.0,))))
        assert peer.recv(len(answer)) == answer
        wait(lambda: bool(stand.posted))
        stand.server.publish([Applied(number=1, command=Play(voice="tone"), voice="tone", sample=0, latency_ms=1.0)])
        applied = frame(encode(Message("/applied", ("/tone/play", 1, "tone", 0, 1.0))))
        assert peer.recv(len(applied)) == applied


def test_a_stream_that_is_no_osc_is_ended(stand: Stand) -> None:
    with socket.create_connection(("127.0.0.1", stand.server.port), timeout=2.0) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert peer.recv(100) == b""
    wait(lambda: stand.server.counters["malformed"] == 1)


def test_connections_are_bounded_and_udp_goes_on(stand: Stand) -> None:
    peers = [socket.create_connection(("127.0.0.1", stand.server.port), timeout=2.0) for _ in range(MAX_CONNECTIONS)]
    wait(lambda: len(stand.server._tcp) == MAX_CONNECTIONS)
    with socket.create_connection(("127.0.0.1", stand.server.port), timeout=2.0) as late:
        assert late.recv(100) == b""
    stand.send(Message("/tone/play"))
    wait(lambda: bool(stand.posted))
    for peer in peers:
        peer.close()
    wait(lambda: len(stand.server._tcp) == 0)


def test_a_peer_that_does_not_read_is_let_go(stand: Stand) -> None:
    with socket.create_connection(("127.0.0.1", stand.server.port), timeout=2.0) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ping = sized(encode(Message("/ping", ("x" * 8000,))))
        with contextlib.suppress(OSError):
            for _ in range(4000):
                peer.sendall(ping)
        wait(lambda: len(stand.server._tcp) == 0)
    stand.send(Message("/tone/play"))
    wait(lambda: bool(stand.posted))


# real peers


@pytest.mark.skipif(shutil.which("oscsend") is None, reason="liblo's oscsend is not installed")
@pytest.mark.parametrize("address", ["osc.udp://127.0.0.1:{}", "osc.tcp://127.0.0.1:{}"])
def test_liblo_is_understood(stand: Stand, address: str) -> None:
    for words in (
        ["/tone/gain", "f", "-6"],
        ["/tone/gain", "i", "-7"],
        ["/tone/mute", "T"],
        ["/harmony/chord", "Ss", "Am7", "bar"],
        ["/tone/play", "I"],
        ["/tone/stop", "dsh", "1", "at", "16"],
    ):
        sent = ["oscsend", address.format(stand.server.port), *words]
        assert subprocess.run(sent, timeout=10, check=False).returncode == 0
    wait(lambda: len(stand.posted) == 6)
    assert [command for command, _ in stand.posted][:4] == [
        Set(("tone", "gain"), -6.0),
        Set(("tone", "gain"), -7.0),
        Set(("tone", "mute"), True),
        SetChord(name="Am7"),
    ]
    assert [when for _, when in stand.posted] == [NOW, NOW, NOW, BAR, NOW, When("at", 16)]


def test_a_refusal_shows_what_was_sent_and_what_to_do(stand: Stand) -> None:
    """Not the command as the session has filled it in since."""
    stand.send(Message("/tone/continue", ("input", 0, 2, "slow ambient", "bar")))
    wait(lambda: len(stand.posted) == 1)
    command = stand.posted[0][0]
    assert isinstance(command, Continue)
    command = replace(command, seconds=4.0, heard_until=96000)
    stand.server.publish([Failed(number=1, command=command, reason="nothing has come from the input yet; play first")])
    want = ("/tone/continue", "input 0 2 slow ambient bar", "nothing has come from the input yet", "play first")
    assert stand.ear.hear() == Message("/error", want)


def test_a_refusal_of_what_nobody_sent_shows_only_what_is_not_the_default(stand: Stand) -> None:
    stand.server.publish([Failed(number=99, command=Continue(voice="tone", bars=2), reason="no; yes")])
    assert stand.registered.hear() == Message("/error", ("/tone/continue", "2", "no", "yes"))
