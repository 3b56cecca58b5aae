"""OSC patterns."""

import time

import pytest

from bridge.osc.pattern import is_pattern, matcher


@pytest.mark.parametrize(
    ("pattern", "hit", "missed"),
    [
        ("/*/gain", ["/a/gain", "/musika-live/gain"], ["/gain", "/a/b/gain", "/a/gains"]),
        ("/a/?", ["/a/b"], ["/a/", "/a/bc"]),
        ("/v[0-9]/x", ["/v0/x", "/v9/x"], ["/va/x", "/v10/x"]),
        ("/v[!0-9]/x", ["/va/x"], ["/v0/x"]),
        ("/[a-]", ["/a", "/-"], ["/b"]),
        ("/{tone,musika}/mute", ["/tone/mute", "/musika/mute"], ["/ton/mute", "/tonemusika/mute"]),
        ("/{a,ab}{bc,c}", ["/abc", "/abbc", "/ac"], ["/ab"]),
        ("/a*b*c", ["/abc", "/axxbyyc", "/abbcc"], ["/abcd", "/acb"]),
        ("/m.s*", ["/m.sika"], ["/musika"]),
    ],
)
def test_a_pattern_hits_what_it_says(pattern: str, hit: list[str], missed: list[str]) -> None:
    hits = matcher(pattern)
    assert hits is not None
    assert [name for name in hit if not hits(name)] == []
    assert [name for name in missed if hits(name)] == []


@pytest.mark.parametrize("broken", ["/[", "/{a,b", "/a/[0-9", "/" + "*" * 300])
def test_a_broken_pattern_is_known_as_such(broken: str) -> None:
    assert matcher(broken) is None


def test_plain_addresses_are_no_patterns() -> None:
    assert not is_pattern("/musika-live/style/seed")
    assert all(map(is_pattern, ("/*", "/a?", "/[a]", "/{a}")))


def test_no_pattern_is_slow() -> None:
    hits = matcher("/" + "*a" * 100 + "{aa,a}" * 8 + "b")
    assert hits is not None
    began = time.process_time()
    assert not hits("/" + "a" * 1000)
    assert time.process_time() - began < 1.0  # trying all ways would take longer than the sun has
