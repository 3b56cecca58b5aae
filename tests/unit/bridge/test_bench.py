"""The OSC bench measures messages that really arrive."""

import json

import pytest

from bridge.bench import _datagrams, _ours, _rate, _theirs, main


def test_both_ways_take_every_message() -> None:
    datagrams = _datagrams()[:50]
    assert _rate(_ours(), datagrams) > 0
    assert _rate(_theirs(), datagrams) > 0


def test_a_message_that_does_not_arrive_spoils_the_number() -> None:
    with pytest.raises(RuntimeError, match="0 of 1 messages arrived"):
        _rate(_ours(), [b"/nobody\0,\0\0\0"])


def test_the_answer_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["osc", "--runs", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(told["per_s"]) == 1
    assert told["peer"].startswith("python-osc")
    assert told["peer_per_s"] > 0
