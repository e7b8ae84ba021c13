"""The real sockets on ::1; nothing sleeps, a selector waits for the kernel."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from controller.errors import PortError
from controller.v2g import driver_net as net

WAIT_S = 5.0


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
        probe = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        probe.bind(("::1", 0))
        probe.close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with ExitStack() as stack:
        yield stack


def readable(fd: int) -> None:
    assert select.select([fd], [], [], WAIT_S)[0], "nothing arrived"


def connected(stack: ExitStack) -> tuple[net.TcpConnection, net.TcpConnection]:
    listener = net.listen(None)
    stack.callback(listener.close)
    assert net.FIRST_PORT <= listener.port <= net.LAST_PORT
    assert listener.accept() is None
    attempt = net.connect(None, net.own_address(None), listener.port)
    stack.callback(attempt.close)
    assert select.select([], [attempt.fileno()], [], WAIT_S)[1]
    client = attempt.finish()
    readable(listener.fileno())
    server = listener.accept()
    assert client is not None
    assert server is not None
    stack.callback(client.close)
    stack.callback(server.close)
    return server, client


def test_sdp_by_unicast_on_the_loopback(stack: ExitStack) -> None:
    server = net.open_sdp_server(None, 0)
    client = net.open_sdp_client(None, server.port)
    stack.callback(server.close)
    stack.callback(client.close)
    assert server.receive() is None
    client.send(b"question", None)
    readable(server.fileno())
    received = server.receive()
    assert received is not None
    data, sender = received
    assert data == b"question"
    server.send(b"answer", sender)
    readable(client.fileno())
    answer = client.receive()
    assert answer is not None
    assert answer[0] == b"answer"


def test_bytes_and_end_of_a_connection(stack: ExitStack) -> None:
    server, client = connected(stack)
    assert server.receive() is None
    client.send(b"hello")
    readable(server.fileno())
    assert server.receive() == b"hello"
    server.close()
    server.close()
    readable(client.fileno())
    assert client.receive() == b""
    with pytest.raises(PortError, match="closed"):
        server.send(b"x")


def test_what_the_peer_does_not_take_is_kept_in_order(stack: ExitStack) -> None:
    server, client = connected(stack)
    block = bytes(range(256)) * 4096  # 1 MiB: more than the kernel's buffers
    for _ in range(8):
        server.send(block)
    assert server.wants_write
    got = b""
    while len(got) < 8 * len(block):
        readable(client.fileno())
        got += client.receive() or b""
        server.flush()
    assert got == block * 8
    assert not server.wants_write


def test_a_refused_connection_says_so(stack: ExitStack) -> None:
    listener = net.listen(None)
    port = listener.port
    listener.close()
    with pytest.raises(PortError, match=r"cannot connect to \[::1\]"):
        connect_to(port, stack)


def connect_to(port: int, stack: ExitStack) -> None:
    attempt = net.connect(None, net.own_address(None), port)
    stack.callback(attempt.close)
    select.select([], [attempt.fileno()], [], WAIT_S)
    attempt.finish()


def test_missing_interface_is_named() -> None:
    for call in (net.own_address, net.scope_of, net.open_sdp_server, net.open_sdp_client):
        with pytest.raises(PortError, match="nosuch0 does not exist; there are"):
            call("nosuch0")


def test_a_taken_port_is_named(stack: ExitStack) -> None:
    taken = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    stack.callback(taken.close)
    taken.bind(("::1", 0))
    with pytest.raises(PortError, match="cannot listen for SDP on UDP port"):
        net.open_sdp_server(None, taken.getsockname()[1])
