"""Who is answered where, and how often."""

import pytest

from bridge.osc.clients import ERRORS_PER_S, Client, Clients

OWN, FIRST = Client("127.0.0.1", 9000), Client("127.0.0.1", 9001)
HERE, THERE = Client("127.0.0.1", 50_000), Client("10.0.0.7", 50_000)


def clients() -> Clients:
    return Clients(OWN, FIRST)


def test_an_answer_goes_to_the_sender_and_the_ports_of_its_machine() -> None:
    table = clients()
    table.register("10.0.0.7", 8000)
    assert table.for_answer(HERE) == [HERE, FIRST]
    assert table.for_answer(THERE) == [THERE, Client("10.0.0.7", 8000)]


def test_an_event_goes_to_its_cause_and_to_every_port_once() -> None:
    table = clients()
    table.register("10.0.0.7", 8000)
    assert table.for_event(FIRST) == [FIRST, Client("10.0.0.7", 8000)]
    assert table.for_event(None) == [FIRST, Client("10.0.0.7", 8000)]


def test_a_dropped_port_hears_nothing_more() -> None:
    table = clients()
    table.drop("127.0.0.1", 9001)
    assert table.for_event(None) == []


def test_the_server_never_talks_to_itself() -> None:
    table = clients()
    table.register("127.0.0.1", OWN.port)
    assert OWN not in table.for_answer(OWN)
    assert OWN not in table.for_event(OWN)


def test_telemetry_comes_at_most_at_the_rate_that_was_asked_for() -> None:
    table = clients()
    table.drop("127.0.0.1", 9001)
    table.subscribe(HERE, 10.0)
    told = sum(len(table.for_telemetry(100.0 + 0.02 * step)) for step in range(500))  # offered 50 a second for 10 s
    assert 99 <= told <= 102
    table.subscribe(HERE, 0.0)
    assert table.for_telemetry(200.0) == []


def test_telemetry_offered_at_the_rate_asked_for_is_all_sent() -> None:
    table = clients()
    table.subscribe(THERE, 10.0)
    times = [100.0 + 0.1 * step + (0.004 if step % 2 else -0.004) for step in range(100)]
    assert sum(len(table.for_telemetry(at)) for at in times) == 100


def test_a_sender_of_mistakes_is_told_of_so_many_a_second() -> None:
    table = clients()
    told = sum(table.may_complain(HERE, 10.0 + step / 1000) for step in range(2000))
    assert 2 * ERRORS_PER_S <= told <= 3 * ERRORS_PER_S
    assert table.may_complain(THERE, 12.0)


def test_no_table_grows_without_end() -> None:
    table = clients()
    for port in range(1, 10_000):
        table.register("10.0.0.7", port)
        table.subscribe(Client("10.0.0.8", port), 1.0)
        table.may_complain(Client("10.0.0.8", port), 0.0)
        table.remember(port, HERE)
    assert len(table.for_event(None)) <= 32
    assert len(table.for_telemetry(1e9)) <= 32
    assert table.asker(1) is None
    assert table.asker(9_999) == HERE


@pytest.fixture
def lan(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A sender on this machine by its address in the network, 192.168.1.7."""
    monkeypatch.setattr("bridge.osc.clients.is_of_this_machine", lambda host: host in ("127.0.0.1", "192.168.1.7"))
    return Client("192.168.1.7", 50_000)


def test_all_addresses_of_this_machine_are_one_machine(lan: Client) -> None:
    table = clients()
    assert table.for_answer(lan) == [lan, FIRST]
    table.register("192.168.1.7", 9001)
    assert table.for_event(None) == [FIRST], "a port that is registered already is not told twice"
    table.register("192.168.1.7", 9005)
    assert table.for_answer(HERE) == [HERE, FIRST, Client("192.168.1.7", 9005)]
    table.drop("127.0.0.1", 9005)
    assert table.for_event(None) == [FIRST]
    assert table.for_answer(THERE) == [THERE]


def test_the_server_is_known_by_any_address_of_this_machine(lan: Client) -> None:
    table = Clients(Client("0.0.0.0", 9000), FIRST)
    assert table.for_answer(Client(lan.host, 9000)) == [FIRST]
    assert Client("10.0.0.7", 9000) in table.for_answer(Client("10.0.0.7", 9000))
