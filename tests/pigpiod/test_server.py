"""Clients that misbehave: no byte of one may disturb the server or another."""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.errors import PortError
from controller.loop import Loop, pause
from controller.pigpiod import driver_server, wire
from controller.pigpiod.circuit import Bare
from controller.pigpiod.daemon import Daemon, HangUp, SendBytes
from controller.pigpiod.driver_server import Server
from tests.pigpiod.served import WAIT_S, Served, Told, client, served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(Daemon(Bare([(18, 17)]))) as running:
        yield running


def plug(server: Served) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", server.port), WAIT_S)
    sock.settimeout(WAIT_S)
    return sock


def ask(sock: socket.socket, name: str, first: int = 0, second: int = 0, ext: bytes = b"") -> int:
    """One request; its result."""
    sock.sendall(request(name, first, second, ext))
    return int(wire.REPLY.unpack(read(sock, 16))[3])


def request(name: str, first: int = 0, second: int = 0, ext: bytes = b"") -> bytes:
    return wire.REQUEST.pack(wire.BY_NAME[name].number, first, second, len(ext)) + ext


def read(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        assert more, "hung up"
        data += more
    return data


def works(server: Served) -> bool:
    with plug(server) as sock:
        return ask(sock, "PIGPV") == 79


def test_a_request_in_single_bytes_and_many_in_one_piece(server: Served) -> None:
    with plug(server) as sock:
        for byte in request("HP", 18, 1000, struct.pack("<I", 50_000)):
            sock.sendall(bytes([byte]))
            pause(0.001)
        assert wire.REPLY.unpack(read(sock, 16)) == (86, 18, 1000, 0)
        sock.sendall(request("PIGPV") * 100)
        assert read(sock, 1600) == wire.reply(26, 0, 0, 79) * 100
        ask(sock, "HP", 18, 0, bytes(4))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 19])
def test_a_client_may_vanish_at_any_byte(server: Served, count: int) -> None:
    with plug(server) as sock:
        sock.sendall(request("HP", 18, 1000, struct.pack("<I", 50_000))[:count])
    with plug(server) as sock:
        sock.sendall(request("PIGPV")[:count])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
    assert works(server)


def test_too_long_an_extension_hangs_up(server: Served) -> None:
    with plug(server) as sock:
        sock.sendall(wire.REQUEST.pack(28, 0, 0, 65_536))
        assert sock.recv(16) == b""
    with plug(server) as sock:
        sock.sendall(request("PIGPV") + wire.REQUEST.pack(28, 0, 0, 0xFFFFFFFF))
        assert read(sock, 16) == wire.reply(26, 0, 0, 79)
        assert sock.recv(16) == b""
    assert works(server)


def test_the_longest_extension_is_heard(server: Served) -> None:
    with plug(server) as sock:
        assert ask(sock, "CF1", 0, 0, bytes(65_534) + b"\x07") == 7


def test_unknown_commands_and_short_extensions_are_answered(server: Served) -> None:
    with plug(server) as sock:
        sock.sendall(wire.REQUEST.pack(48, 1, 2, 3) + b"abc")
        assert wire.REPLY.unpack(read(sock, 16)) == (48, 1, 2, wire.Status.UNKNOWN_COMMAND)
        sock.sendall(wire.REQUEST.pack(0xFFFFFFFF, 0, 0, 0))
        assert wire.REPLY.unpack(read(sock, 16))[3] == wire.Status.UNKNOWN_COMMAND
        assert ask(sock, "HP", 18, 1000, b"\1") == wire.Status.BAD_PARAM


def test_handles_run_out_and_come_back_when_clients_leave(server: Served) -> None:
    socks = [plug(server) for _ in range(wire.HANDLES)]
    handles = [ask(sock, "NOIB") for sock in socks]
    assert sorted(handles) == list(range(wire.HANDLES))
    with plug(server) as late:
        assert ask(late, "NOIB") == wire.Status.NO_HANDLE
        socks[7].close()
        deadline = time.monotonic() + WAIT_S
        while (handle := ask(late, "NOIB")) < 0:
            assert time.monotonic() < deadline
        assert handle == handles[7]
    for sock in socks:
        sock.close()


def test_a_second_handle_of_a_socket_replaces_the_first(server: Served) -> None:
    with plug(server) as sock:
        first = ask(sock, "NOIB")
        second = ask(sock, "NOIB")
        assert ask(sock, "NB", first, 1) == wire.Status.BAD_HANDLE
        assert ask(sock, "NB", second, 1) == 0
        assert ask(sock, "NC", second) == 0


def test_reports_go_to_whoever_watches_with_numbers_of_their_own(server: Served) -> None:
    with plug(server) as command, plug(server) as one, plug(server) as two:
        ask(command, "WRITE", 18, 0)
        handles = [ask(sock, "NOIB") for sock in (one, two)]
        ask(command, "NB", handles[0], 1 << 17)
        ask(command, "NB", handles[1], 1 << 17 | 1 << 23)
        ask(command, "WRITE", 23, 1)
        assert wire.REPORT.unpack(read(two, 12))[0] == 0
        ask(command, "WRITE", 18, 1)
        sequence, flags, tick, levels = wire.REPORT.unpack(read(one, 12))
        assert (sequence, flags, levels >> 17 & 0b11) == (0, 0, 0b11)
        sequence, flags, other, _ = wire.REPORT.unpack(read(two, 12))
        assert (sequence, flags, other) == (1, 0, tick)
        assert ask(command, "NP", handles[0]) == 0
        ask(command, "WRITE", 18, 0)
        assert wire.REPORT.unpack(read(two, 12))[0] == 2
        one.settimeout(0.05)
        with pytest.raises(TimeoutError):
            one.recv(1)
        ask(command, "WRITE", 23, 0)


def test_a_client_that_does_not_read_is_dropped(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_server, "UNREAD_LIMIT", 50_000)
    with plug(server) as command, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(WAIT_S)
        deaf.connect(("127.0.0.1", server.port))
        handle = ask(deaf, "NOIB")
        ask(command, "NB", handle, 1 << 17)
        ask(command, "HP", 18, 90_000, struct.pack("<I", 500_000))
        deadline = time.monotonic() + WAIT_S
        while ask(command, "NB", handle, 1 << 17) == 0:  # its handle goes with it
            assert time.monotonic() < deadline
            pause(0.02)
        assert ask(command, "HP", 18, 0, bytes(4)) == 0
    assert works(server)


def test_a_client_that_does_not_read_replies_is_not_heard_further(server: Served) -> None:
    with plug(server) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(0.3)
        flood = request("CF2", 0, 60_000, bytes(60_000))
        with pytest.raises(TimeoutError):
            sock.sendall(flood * 400)
        assert works(server)
        sock.settimeout(WAIT_S)
        assert read(sock, 16)[:4] == struct.pack("<I", 88)  # it is still there, and may go on
    assert works(server)


def test_many_clients_at_once(server: Served) -> None:
    with plug(server) as driver:
        ask(driver, "WRITE", 18, 0)
        told = [Told() for _ in range(10)]
        clients = [client(server) for _ in told]
        opened = [each.__enter__() for each in clients]
        for pi, heard in zip(opened, told, strict=True):
            pi.callback(17, 2, heard)
        ask(driver, "WRITE", 18, 1)
        items = {heard.wait(1)[0] for heard in told}
        assert len(items) == 1
        for each in clients:
            each.__exit__(None, None, None)
    assert works(server)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.binary(max_size=80), max_size=6))
def test_garbage_disturbs_nobody(server: Served, pieces: list[bytes]) -> None:
    with plug(server) as bad, plug(server) as good:
        try:
            for piece in pieces:
                bad.sendall(piece)
        except OSError:
            pass  # hung up on
        assert ask(good, "PIGPV") == 79
    assert server.is_alive


WORD = st.one_of(st.integers(0, 60), st.integers(0, 0xFFFFFFFF))


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.sampled_from(sorted(wire.COMMANDS)), st.integers(0, 200)),
            WORD, WORD, st.one_of(st.binary(max_size=40), st.lists(WORD, max_size=8)),
            st.sampled_from([0.0, 0.0001, 0.001, 0.7]),
        ),
        max_size=25,
    )
)  # fmt: skip
def test_no_request_makes_the_core_raise(requests: list[tuple[int, int, int, Any, float]]) -> None:
    """Well-formed requests of any content: each has exactly one reply, whatever else comes."""
    daemon = Daemon(Bare([(18, 17)]))
    daemon.connect(1)
    now = 1000.0
    outputs = []
    for command, first, second, ext, passed in requests:
        data = ext if isinstance(ext, bytes) else struct.pack(f"<{len(ext)}I", *ext)
        packed = wire.REQUEST.pack(command, first, second, len(data)) + data
        outputs += daemon.receive_data(1, packed, now)
        due = daemon.next_timer()
        if due is not None and due <= now + passed:
            outputs += daemon.handle_timer(max(now, due))
        now += passed
    for _ in range(len(requests)):
        outputs += daemon.handle_timer(now := now + 61.0)
    assert not any(isinstance(output, HangUp) for output in outputs)
    sent = b"".join(output.data for output in outputs if isinstance(output, SendBytes))
    assert len(sent) >= 16 * len(requests)


def test_a_port_in_use_is_one_clear_line(server: Served) -> None:
    loop = Loop()
    with pytest.raises(PortError, match=f"port {server.port} of .* is in use"):
        Server(loop, Daemon(), "127.0.0.1", server.port)
    with pytest.raises(PortError, match="not an address"):
        Server(loop, Daemon(), "a..b", 0)
    with pytest.raises(PortError, match=r"cannot listen at 192\.0\.2\.1"):
        Server(loop, Daemon(), "192.0.2.1", 0)
    loop.close()
