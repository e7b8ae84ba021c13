"""The network in virtual time does what it says, and its faults."""

from controller.v2g.sim import Arrival, Kind, SimNetwork


def opened(**faults: object) -> SimNetwork:
    network = SimNetwork(latency_s=0.01)
    network.connect("pev", "evse", 0.0)
    arrivals = network.deliver(1.0)
    assert [(a.at, a.to, a.kind) for a in arrivals] == [
        (0.01, "evse", Kind.OPENED),
        (0.02, "pev", Kind.OPENED),
    ]
    for name, value in faults.items():
        setattr(network.faults, name, value)
    return network


def data(network: SimNetwork, until: float = 9.0) -> list[bytes]:
    return [a.data for a in network.deliver(until) if a.kind is Kind.DATA]


def test_datagrams_reach_all_others_after_the_latency() -> None:
    network = SimNetwork(("evse", "pev", "other"), latency_s=0.01)
    network.send_datagram("pev", b"x", None, 1.0)
    assert network.next_timer() == 1.01
    assert network.deliver(1.005) == []
    assert [(a.to, a.sender) for a in network.deliver(1.01)] == [
        ("evse", "pev"),
        ("other", "pev"),
    ]
    network.send_datagram("evse", b"y", "pev", 2.0)
    assert network.deliver(3.0) == [Arrival(2.01, "pev", Kind.DATAGRAM, b"y", "evse")]


def test_datagrams_are_lost_and_doubled() -> None:
    network = SimNetwork()
    network.faults.drop_datagram = lambda number: number == 0
    network.faults.duplicate_datagram = lambda number: number == 1
    for byte in (b"a", b"b", b"c"):
        network.send_datagram("pev", byte, None, 0.0)
    assert [a.data for a in network.deliver(1.0)] == [b"b", b"b", b"c"]


def test_the_stream_is_split_joined_and_kept_in_order() -> None:
    network = opened(split=2)
    network.send_data("pev", b"abcde", 0.0)
    assert data(network) == [b"ab", b"cd", b"e"]
    network = opened(coalesce_s=0.1)
    network.send_data("pev", b"ab", 0.0)
    network.send_data("pev", b"cd", 0.001)
    assert data(network) == [b"abcd"]


def test_close_comes_after_the_data_and_kill_before_it() -> None:
    network = opened()
    network.send_data("pev", b"last", 0.0)
    network.close("pev", 0.0)
    assert [a.kind for a in network.deliver(1.0)] == [Kind.DATA, Kind.CLOSED]
    assert not network.connected
    network = opened()
    network.send_data("pev", b"lost", 0.0)
    network.kill(0.001)
    assert [(a.kind, a.to) for a in network.deliver(1.0)] == [
        (Kind.CLOSED, "pev"),
        (Kind.CLOSED, "evse"),
    ]
    network.send_data("pev", b"nowhere", 2.0)
    network.kill(2.0)
    assert network.next_timer() is None


def test_what_a_silent_end_sends_never_arrives() -> None:
    network = opened(silent={"pev"})
    network.send_data("pev", b"x", 0.0)
    network.send_datagram("pev", b"x", None, 0.0)
    network.close("pev", 0.0)
    assert network.deliver(9.0) == []
    network = SimNetwork()
    network.faults.silent.add("evse")
    network.connect("pev", "evse", 0.0)
    assert network.deliver(9.0) == []
