"""The rate of messages that the OSC server must bear: 5,000 a second for 10 s, all of them handled."""

import itertools
import socket
import time

import pytest

from bridge.osc.server import OscServer
from bridge.osc.space import AddressSpace
from bridge.osc.wire import Message, encode
from engine.messages.session import Command, Set, When
from engine.models.tone import ToneControls

RATE, SECONDS = 5000, 10.0


@pytest.mark.slow
def test_five_thousand_messages_a_second_are_all_handled() -> None:
    numbers = itertools.count(1)
    last: dict[tuple[str, ...], float] = {}

    def post(command: Command, when: When) -> int:
        assert isinstance(command, Set)
        last[command.path] = float(command.value)
        return next(numbers)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        quiet.bind(("127.0.0.1", 0))
        server = OscServer(
            "127.0.0.1",
            0,
            AddressSpace({"tone": ToneControls()}),
            post=post,
            sample_at=lambda unix_s: 0,
            status=list,
            value=lambda path: None,
            reply_port=quiet.getsockname()[1],
        )
        server.start()
        sent, total = send(server.port), int(RATE * SECONDS)
        assert sent == total
        end = time.monotonic() + 5.0
        while server.counters["handled"] < total and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(0.05)
        server.stop()
    counters = server.counters
    assert (counters["handled"], counters["refused"], counters["dropped"]) == (total, 0, 0)
    assert counters["coalesced"] + next(numbers) - 1 == total
    assert last == {("tone", "brightness"): pytest.approx(1.0), ("tone", "click"): pytest.approx(1.0)}


def send(port: int) -> int:
    """Turn two knobs, at an even pace, from 0 to 1."""
    total, sent, began = int(RATE * SECONDS), 0, time.perf_counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        while sent < total:
            due = min(total, int((time.perf_counter() - began) * RATE))
            for index in range(sent, due):
                value = (index // 2) / (total // 2 - 1)
                sock.sendto(
                    encode(Message(f"/tone/{('brightness', 'click')[index % 2]}", (value,))), ("127.0.0.1", port)
                )
            sent = max(sent, due)
            time.sleep(0.001)
    return sent
