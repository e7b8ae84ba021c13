"""The socket between two processes: garbage, a full socket, a vanished or unknown peer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from controller import ipc, signals_json
from controller.signals import DutyRequest, Heartbeat, Output, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator

Pair = tuple[ipc.Channel, ipc.Channel]


@pytest.fixture
def ends() -> Iterator[Pair]:
    a, b = ipc.pair()
    near, far = ipc.Channel(a), ipc.Channel(b)
    yield near, far
    near.close()
    far.close()


def listen(channel: ipc.Channel) -> list[tuple[Output, float]]:
    got: list[tuple[Output, float]] = []
    channel.on_signal(lambda signal, now: got.append((signal, now)))
    return got


def test_signals_arrive_whole_and_in_order(ends: Pair) -> None:
    near, far = ends
    got = listen(far)
    sent: list[Output] = [Heartbeat(1, Phase.CHARGE), DutyRequest(0.05), Heartbeat(2, Phase.IDLE)]
    for signal in sent:
        near.send_signal(signal)
    far.receive(4.5)
    assert got == [(signal, 4.5) for signal in sent]
    far.receive(4.6)  # nothing waits: returns at once
    assert len(got) == 3


@pytest.mark.parametrize(
    "packet",
    [
        b"S",
        b"S{",
        b"S[]",
        b"Snull",
        b'S{"type": "Nobody"}',
        b'S{"type": "Heartbeat"}',
        b'S{"type": "Heartbeat", "sequence": "1", "phase": "IDLE"}',
        b'S{"type": "Heartbeat", "sequence": 1, "phase": "ASLEEP"}',
        b'S{"type": "DutyRequest", "duty": NaN}',
        b"S" + b"[" * 100_000,
        b"S\xff\xfe\x00",
        b"Z anything",
        b"\x00",
        b"T12345678",
    ],
)
def test_garbage_is_counted_and_harms_nothing(ends: Pair, packet: bytes) -> None:
    near, far = ends
    got = listen(far)
    near.sock.send(packet)
    near.send_signal(Heartbeat(7, Phase.IDLE))
    far.receive(1.0)
    assert far.garbage == 1
    assert got == [(Heartbeat(7, Phase.IDLE), 1.0)]
    assert not far.lost


def test_other_tags_have_handlers_of_their_own(ends: Pair) -> None:
    near, far = ends
    got: list[tuple[bytes, float]] = []
    far.on[ipc.TICK] = lambda body, now: got.append((body, now))
    near.send(ipc.TICK, ipc.TIME.pack(2.5))
    far.receive(1.0)
    assert got == [(ipc.TIME.pack(2.5), 1.0)]


def test_a_hung_peer_never_blocks_the_sender(ends: Pair) -> None:
    near, far = ends
    for number in range(20_000):
        near.send_signal(Heartbeat(number, Phase.CHARGE))
    assert near.dropped > 0
    assert not near.lost
    got = listen(far)
    far.receive(1.0)
    assert len(got) == 20_000 - near.dropped
    near.send_signal(Heartbeat(1, Phase.IDLE))  # there is room again
    far.receive(2.0)
    assert got[-1] == (Heartbeat(1, Phase.IDLE), 2.0)


def test_a_packet_that_is_too_long_is_dropped(ends: Pair) -> None:
    near, _ = ends
    near.send(ipc.FRAME, bytes(10_000_000))
    assert near.dropped == 1
    assert not near.lost


def test_the_end_of_the_peer_is_told_once(ends: Pair) -> None:
    near, far = ends
    lost: list[float] = []
    got = listen(far)
    far.on_lost = lost.append
    near.send_signal(Heartbeat(1, Phase.IDLE))
    near.close()
    far.receive(3.0)
    far.receive(4.0)
    assert got == [(Heartbeat(1, Phase.IDLE), 3.0)]  # what it said last counts
    assert lost == [3.0]
    assert far.lost


def test_sending_to_a_vanished_peer_hides_neither_its_end_nor_its_last_words(ends: Pair) -> None:
    near, far = ends
    lost: list[float] = []
    got = listen(far)
    far.on_lost = lost.append
    near.send_signal(Heartbeat(1, Phase.IDLE))
    near.close()
    far.send_signal(DutyRequest(1.0))
    assert far.dropped == 1
    far.receive(3.0)
    assert got == [(Heartbeat(1, Phase.IDLE), 3.0)]
    assert lost == [3.0]


def test_without_a_handler_the_end_is_noted_all_the_same(ends: Pair) -> None:
    near, far = ends
    near.close()
    far.receive(0.0)
    assert far.lost


def test_an_inherited_socket_is_taken_over() -> None:
    a, b = ipc.pair()
    channel = ipc.Channel.from_fd(a.detach())
    b.send(b"S" + signals_json.encode(DutyRequest(0.5)))
    got = listen(channel)
    channel.receive(0.0)
    assert got == [(DutyRequest(0.5), 0.0)]
    assert channel.fileno() >= 0
    channel.close()
    channel.close()  # closing twice is allowed
    b.close()


def test_what_is_no_socket_is_refused() -> None:
    with pytest.raises(OSError, match=r"."):
        ipc.Channel.from_fd(1 << 20)


def test_the_largest_packet_arrives(ends: Pair) -> None:
    near, far = ends
    near.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * ipc.LARGEST)
    got: list[int] = []
    far.on[ipc.RECORD] = lambda body, now: got.append(len(body))
    near.send(ipc.RECORD, bytes(ipc.LARGEST - 1))
    far.receive(0.0)
    assert got == [ipc.LARGEST - 1]
