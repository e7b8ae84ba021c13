"""The link to the pigpio daemon: it comes up, it never waits for long, it comes back."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from typing import TYPE_CHECKING, Any

import pigpio
import pytest

from controller.errors import ConfigError, PortError
from controller.pigpio_link import (
    BACK_OFF_S,
    LATE_S,
    PROBE_S,
    SAID_AFTER_S,
    PigpioHandle,
    PigpioLink,
    State,
    resolve,
)
from tests.fake_pigpiod import FakePigpiod, patient_link, running, step_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def daemon() -> Iterator[FakePigpiod]:
    with running() as made:
        yield made


def levels(pi: Any) -> int:  # noqa: ANN401 - the library has no types
    return int(pi.read_bank_1())


def up(link: PigpioLink, now: float = 0.0) -> PigpioLink:
    step_until(link, lambda: link.is_up, now)
    return link


def test_commands_of_the_real_client_run_over_it(daemon: FakePigpiod) -> None:
    link = up(patient_link(daemon))
    assert link.problem() == ""
    daemon.level(5, 1)
    assert link.ask(levels) == 1 << 5
    link.ask(lambda pi: pi.hardware_PWM(18, 1000, 50_000))
    assert daemon.pwm == {18: (1000, 50_000)}
    with pytest.raises(PortError, match=r"refused: .*hardware"):
        link.ask(lambda pi: pi.hardware_PWM(17, 1000, 50_000))
    assert link.is_up


@pytest.mark.parametrize(("hurries", "waits"), [(False, "500 ms"), (True, "2 ms")])
def test_it_is_patient_until_told_to_hurry(daemon: FakePigpiod, hurries: bool, waits: str) -> None:
    """At the start of a machine the daemon may be slow; a realtime loop waits 2 ms."""
    link = PigpioLink(f"127.0.0.1:{daemon.port}")
    link.be_patient()
    up(link)
    if hurries:
        link.hurry()
    daemon.hung.set()
    with pytest.raises(PortError, match=f"no answer within {waits}"):
        link.ask(levels)
    link.close()
    daemon.hung.clear()


def test_the_library_starts_no_thread(daemon: FakePigpiod) -> None:
    before = threading.active_count()
    link = up(patient_link(daemon))
    link.ask(levels)
    assert threading.active_count() == before
    assert daemon.connections == 1


def test_nothing_listening_is_told_and_tried_again_with_growing_pauses() -> None:
    daemon = FakePigpiod()
    daemon.start()
    daemon.stop()
    link = patient_link(daemon)
    now, attempts = 0.0, []
    for _ in range(700):
        before = link.state
        link.step(now)
        if before is State.DOWN and link.state is not State.DOWN:
            attempts.append(now)
        now += 0.005
    assert "cannot be reached" in link.problem()
    assert "systemctl start pigpiod" in link.problem()
    pauses = [b - a for a, b in itertools.pairwise(attempts)]
    assert pauses[:4] == pytest.approx(BACK_OFF_S, abs=0.02)
    with pytest.raises(PortError, match="cannot be reached"):
        link.ask(levels)


def test_a_killed_daemon_is_noticed_by_the_next_command_and_found_again(
    daemon: FakePigpiod,
) -> None:
    link = up(patient_link(daemon))
    assert link.generation == 1
    daemon.stop()
    with pytest.raises(PortError, match=r"closed the connection|reset|Broken pipe"):
        link.ask(levels)
    assert link.state is State.DOWN
    daemon.start()
    link.step(1.0)
    assert link.state is State.DOWN  # the back-off has only begun
    up(link, 1.0 + BACK_OFF_S[0])
    assert link.generation == 2
    assert link.ask(levels) == 0


def test_a_killed_daemon_is_noticed_though_nobody_asks_anything(daemon: FakePigpiod) -> None:
    link = up(patient_link(daemon))
    daemon.stop()
    for turn in range(3):
        link.step(turn * 0.005)
    assert not link.is_up
    assert link.problem()


def test_while_it_is_used_no_further_question_is_asked(daemon: FakePigpiod) -> None:
    link = up(patient_link(daemon))
    before = daemon.commands
    for turn in range(10):
        link.step(turn * 0.005)
        link.ask(levels)
    assert daemon.commands == before + 10
    for turn in range(10):
        link.step(1 + turn * 0.005)
    assert daemon.commands == before + 19


def short_link(daemon: FakePigpiod) -> PigpioLink:
    return up(patient_link(daemon, timeout_s=0.05))


def test_a_hung_daemon_costs_one_time_out_and_then_nothing(daemon: FakePigpiod) -> None:
    link = short_link(daemon)
    waits = count_waits(link)
    daemon.hung.set()
    with pytest.raises(PortError, match="no answer within 50 ms"):
        link.ask(levels)
    assert waits == [0.05]
    for turn in range(10):
        with pytest.raises(PortError, match="no answer"):
            link.ask(levels)
        link.step(turn * 0.005)
    assert link.state is State.LATE
    assert set(waits[1:]) <= {0.0}  # never waits again
    link.step(LATE_S)
    assert str(link.state) == "State.DOWN"
    assert "does not answer" in link.problem()


def count_waits(link: PigpioLink) -> list[float]:
    """Note the time-out of every recv, without waiting for it to show on a clock."""
    sock = link._sock
    assert sock is not None
    waits: list[float] = []

    class Counting:
        def __init__(self, real: socket.socket) -> None:
            self.real = real

        def recv(self, count: int) -> bytes:
            waits.append(self.real.gettimeout() or 0.0)
            return self.real.recv(count)

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    sock.sock = Counting(sock.sock)  # type: ignore[assignment]
    return waits


def test_a_short_delay_is_not_worth_a_word(daemon: FakePigpiod) -> None:
    link = short_link(daemon)
    daemon.hung.set()
    with pytest.raises(PortError, match="no answer"):
        link.ask(levels)
    link.step(1.0)
    link.step(1.0 + SAID_AFTER_S - 0.001)
    assert not link.is_up
    assert link.problem() == ""
    link.step(1.0 + SAID_AFTER_S)
    assert "no answer" in link.problem()
    daemon.hung.clear()
    step_until(link, lambda: link.is_up, 1.0 + SAID_AFTER_S)
    daemon.hung.set()
    with pytest.raises(PortError):
        link.ask(levels)
    link.step(2.0)
    assert link.problem() == ""  # the next delay is a new one


def test_a_late_answer_is_dropped_and_the_next_one_is_the_right_one(daemon: FakePigpiod) -> None:
    link = short_link(daemon)
    daemon.hung.set()
    daemon.level(7, 1)
    with pytest.raises(PortError):
        link.ask(levels)
    daemon.level(7, 0)
    daemon.level(8, 1)
    daemon.hung.clear()
    step_until(link, lambda: link.is_up)
    link._timeout_s = 1.0
    assert link.generation == 1  # the same connection: nothing needs to be set up again
    assert link.ask(levels) == 1 << 8


def test_a_late_answer_with_bytes_after_it_is_dropped_as_a_whole(daemon: FakePigpiod) -> None:
    class Echo:
        def transfer(self, data: bytes, now: float) -> bytes:
            return data

    daemon.spi[0] = Echo()
    link = short_link(daemon)
    handle = link.ask(lambda pi: pi.spi_open(0, 1_000_000))
    daemon.hung.set()
    with pytest.raises(PortError):
        link.ask(lambda pi: pi.spi_xfer(handle, bytes(range(40))))
    daemon.hung.clear()
    step_until(link, lambda: link.is_up)
    daemon.level(3, 1)
    assert link.ask(levels) == 1 << 3


def link_to(server: socket.socket) -> contextlib.closing[PigpioLink]:
    return contextlib.closing(PigpioLink(f"127.0.0.1:{server.getsockname()[1]}"))


def test_who_accepts_and_never_answers_is_no_daemon_and_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, link_to(silent) as link:
        step_until(link, lambda: link.state is State.PROBING)
        link.step(0.0)
        link.step(PROBE_S)
        assert link.state is State.DOWN
        assert "does not answer" in link.problem()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 16])
def test_another_server_is_not_taken_for_the_daemon(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, link_to(other) as link:
        step_until(link, lambda: link.state is State.PROBING)
        peer, _ = other.accept()
        with peer:
            peer.sendall(answer)
            step_until(link, lambda: link.state is State.DOWN)
        assert "no pigpio daemon" in link.problem()


@pytest.mark.parametrize("end", [b"", b"\x0a" + bytes(8)])
def test_an_end_within_an_answer_does_not_spin(daemon: FakePigpiod, end: bytes) -> None:
    """The client's own way of collecting bytes would run for ever here."""
    mine, theirs = socket.socketpair()
    link = up(patient_link(daemon))
    assert link._sock is not None
    link._sock.sock = mine  # the old one stays with the link, which closes it
    mine.settimeout(1.0)
    theirs.sendall(end)
    theirs.shutdown(socket.SHUT_WR)
    with mine, theirs, pytest.raises(PortError, match="closed the connection"):
        link.ask(levels)
    assert link.state is State.DOWN


def test_an_answer_in_crumbs_ends_the_connection(daemon: FakePigpiod) -> None:
    link = up(patient_link(daemon))
    assert link._sock is not None

    class Crumbs:
        def sendall(self, data: bytes) -> None:
            pass

        def recv(self, count: int) -> bytes:
            return b"\x00"

    link._sock.sock = Crumbs()  # type: ignore[assignment]
    with pytest.raises(PortError, match="in pieces"):
        link.ask(levels)


class Handles:
    """The daemon's handles, few of them."""

    def __init__(self, count: int) -> None:
        self.open: set[int] = set()
        self.count = count

    def take(self, pi: object) -> int:
        free = sorted(set(range(self.count)) - self.open)
        if not free:
            raise pigpio.error("no handle available")
        self.open.add(free[0])
        return free[0]

    def give(self, pi: object, handle: int) -> None:
        self.open.remove(handle)


def test_a_handle_is_opened_once_for_each_connection(daemon: FakePigpiod) -> None:
    link = up(patient_link(daemon))
    handles = Handles(8)
    handle = PigpioHandle(link, handles.take, handles.give)
    assert [handle.get() for _ in range(3)] == [0, 0, 0]
    link.generation += 1  # as after a reconnection to a daemon that was not restarted
    assert [handle.get() for _ in range(3)] == [1, 1, 1]
    handle.close()
    handle.close()
    assert handles.open == {0}
    link.close()
    with pytest.raises(PortError):
        handle.get()


def test_handles_of_lost_connections_are_given_back_when_there_are_no_more(
    daemon: FakePigpiod,
) -> None:
    link = up(patient_link(daemon))
    handles = Handles(3)
    handle = PigpioHandle(link, handles.take, handles.give)
    for _ in range(3):
        handle.get()
        link.generation += 1
    with pytest.raises(PortError, match="no handle available"):
        handle.get()
    assert handles.open == set()
    assert handle.get() == 0


def test_closing_ends_it_for_good(daemon: FakePigpiod) -> None:
    link = up(patient_link(daemon))
    link.close()
    link.close()
    link.step(1e9)
    assert link.state is State.DOWN
    assert "closed" in link.problem()


@pytest.mark.parametrize(
    "address", ["", "localhost", "localhost:", ":8888", "a:b", "a:0", "a:65536"]
)
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="must be host:port"):
        resolve(address)


def test_addresses() -> None:
    assert resolve("127.0.0.1:8888") == [(socket.AF_INET, ("127.0.0.1", 8888))]
    assert resolve("[::1]:1")[0][1][:2] == ("::1", 1)
    assert resolve("localhost:8888")[0][0] is socket.AF_INET
    with pytest.raises(PortError, match=r"unknown host no\.such\.host\.invalid"):
        resolve("no.such.host.invalid:8888")


def test_the_private_part_of_the_library_is_as_expected() -> None:
    """The one thing taken from it that is not documented; a new version may change it."""
    lock = pigpio._socklock()
    assert hasattr(lock, "l")
    assert lock.s is None
