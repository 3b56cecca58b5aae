"""``python -m bridge.bench osc``: OSC messages per second, from bytes to commands, compared with python-osc.

Both process the same datagrams, addressed to the controls of the same voices, up to a checked or handled value.
Prints one JSON value, which ``ripieno bench osc`` reads.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Final

from bridge.osc.space import AddressSpace, Routed
from bridge.osc.wire import Message, decode, encode, messages
from engine.controls import walk
from engine.models.families import FAMILIES

__all__ = ["main"]

_VOICES: Final = {row.voice_name: row.controls(None) for row in FAMILIES.values() if row.streams and not row.verbs}
_MESSAGES: Final = 2000


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bridge.bench", description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["osc"], help="what to measure")
    parser.add_argument("--runs", type=int, default=5, help="runs of the measurement; default 5")
    parsed = parser.parse_args(argv)
    datagrams = _datagrams()
    ours, theirs = [], []
    for _ in range(parsed.runs):  # by turns, so that both meet the same moments of the machine
        ours.append(_rate(_ours(), datagrams))
        theirs.append(_rate(_theirs(), datagrams))
    peer = {"peer": f"python-osc {version('python-osc')}", "peer_per_s": statistics.median(theirs)}
    json.dump({"per_s": ours, **peer}, sys.stdout)
    return 0


def _datagrams() -> list[bytes]:
    """Every number control of every voice in turn, at its default."""
    addressed = [
        (f"/{voice}/{'/'.join(control.path)}", control.value)
        for voice, controls in _VOICES.items()
        for control in walk(controls)
    ]
    return [encode(Message(*_message(*addressed[n % len(addressed)]))) for n in range(_MESSAGES)]


def _message(address: str, value: object) -> tuple[str, tuple[object, ...]]:
    return address, (int(value) if isinstance(value, bool) else value,)


def _rate(take: Callable[[bytes], int], datagrams: Sequence[bytes]) -> float:
    """Datagrams a second; each must arrive exactly once."""
    begun = time.perf_counter()
    arrived = sum(take(datagram) for datagram in datagrams)
    took_s = time.perf_counter() - begun
    if arrived != len(datagrams):
        raise RuntimeError(f"{arrived} of {len(datagrams)} messages arrived")
    return arrived / took_s


def _ours() -> Callable[[bytes], int]:
    space = AddressSpace(_VOICES)

    def take(datagram: bytes) -> int:
        found = [
            routed
            for message, _ in messages(decode(datagram))
            for routed in space.route(message.address, message.args)
            if isinstance(routed, Routed)
        ]
        return len(found)

    return take


def _theirs() -> Callable[[bytes], int]:
    from pythonosc.dispatcher import Dispatcher

    arrived = 0

    def handle(_address: str, *_values: object) -> None:
        nonlocal arrived
        arrived += 1

    dispatcher = Dispatcher(strict_timing=False)
    for voice, controls in _VOICES.items():
        for control in walk(controls):
            dispatcher.map(f"/{voice}/{'/'.join(control.path)}", handle)

    def take(datagram: bytes) -> int:
        before = arrived
        dispatcher.call_handlers_for_packet(datagram, ("127.0.0.1", 9000))
        return arrived - before

    return take


if __name__ == "__main__":
    sys.exit(main())
