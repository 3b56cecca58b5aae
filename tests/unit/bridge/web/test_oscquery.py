"""OSCQuery: what the page answers, and that it harms nobody."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.osc.sockets import OscPortBusy
from bridge.osc.space import AddressSpace
from bridge.osc.table import BUILT_IN, methods_of
from bridge.web.oscquery import OscQuery, answer
from engine.models.tone import ToneControls

SPACE = AddressSpace({"tone": ToneControls()})
INFO = {"NAME": "x"}


def tree() -> dict[str, Any]:
    return SPACE.as_oscquery(lambda path: -6.0 if path[-1] == "gain" else 0)


@pytest.mark.parametrize(
    ("target", "status", "content"),
    [
        ("/tone/gain?VALUE", 200, {"VALUE": [-6.0]}),
        ("/tone/gain?TYPE", 200, {"TYPE": "f"}),
        ("/tone?HOST_INFO", 200, INFO),
        ("/nobody?HOST_INFO", 200, INFO),
        ("/tone?VALUE", 204, None),
        ("/tone/gain?TAGS", 204, None),
        ("/tone/gain?COLOUR", 400, None),
        ("/tone/nothing", 404, None),
        ("/tone/gain/deeper", 404, None),
        ("/%ff", 400, None),
        ("//[", 400, None),
    ],
)
def test_each_request_has_its_answer(target: str, status: int, content: object) -> None:
    assert answer(target, tree, INFO) == (status, content)


def test_every_node_says_where_it_is() -> None:
    def check(node: dict[str, Any], path: str) -> int:
        assert node["FULL_PATH"] == (path or "/")
        assert "CONTENTS" in node or "TYPE" in node
        return 1 + sum(check(child, f"{path}/{name}") for name, child in node.get("CONTENTS", {}).items())

    status, root = answer("/", tree, INFO)
    assert status == 200
    assert root is not None
    assert check(root, "") > 20


def test_the_tree_is_complete() -> None:
    def addresses(node: dict[str, Any]) -> set[str]:
        own = {node["FULL_PATH"]} if "TYPE" in node else set()
        return own.union(*(addresses(child) for child in node.get("CONTENTS", {}).values()))

    _, root = answer("/", tree, INFO)
    assert root is not None
    assert addresses(root) == {*methods_of({"tone": ToneControls()}), *BUILT_IN}
    assert answer("/reply/to?TYPE", tree, INFO) == (200, {"TYPE": "i"})


@pytest.fixture
def page() -> Iterator[OscQuery]:
    served = OscQuery("127.0.0.1", 0, tree, 9000)
    served.start()
    yield served
    served.stop()


def request(page: OscQuery, method: str, target: str) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=5)
    connection.request(method, target)
    response = connection.getresponse()
    got = response.status, response.getheader("Content-Type"), response.read()
    connection.close()
    return got


def test_the_page_serves_json(page: OscQuery) -> None:
    status, kind, body = request(page, "GET", "/")
    assert (status, kind) == (200, "application/json")
    assert json.loads(body) == tree()
    info = json.loads(request(page, "GET", "/?HOST_INFO")[2])
    assert (info["OSC_PORT"], info["OSC_TRANSPORT"], info["EXTENSIONS"]["LISTEN"]) == (9000, "UDP", False)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed_over_http(page: OscQuery, method: str) -> None:
    assert request(page, method, "/tone/gain")[0] == 501


def test_silent_visitors_do_not_keep_others_out(page: OscQuery) -> None:
    visitors = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(8)]
    assert request(page, "GET", "/tone/gain?VALUE")[0] == 200
    for visitor in visitors:
        visitor.close()


def test_a_taken_port_is_told_in_one_line(page: OscQuery) -> None:
    with pytest.raises(OscPortBusy) as caught:
        OscQuery("127.0.0.1", page.port, tree, 9000)
    assert str(page.port) in str(caught.value)
    assert "choose another port" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_page_that_was_never_started_can_be_stopped() -> None:
    page = OscQuery("127.0.0.1", 0, tree, 9000)
    page.stop()
    page.stop()


def test_the_address_to_send_to_is_the_one_that_was_asked() -> None:
    """The server listens at all of them: 0.0.0.0 is no address to send to."""
    page = OscQuery("0.0.0.0", 0, tree, 9000)
    page.start()
    for host in ("127.0.0.1", "127.0.0.2"):
        connection = http.client.HTTPConnection(host, page.port, timeout=5)
        connection.request("GET", "/?HOST_INFO")
        info = json.loads(connection.getresponse().read())
        assert (info["OSC_IP"], info["OSC_PORT"]) == (host, 9000)
        connection.close()
    page.stop()
