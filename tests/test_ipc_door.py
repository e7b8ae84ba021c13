"""Who comes in to the realtime process: one at a time, bounded, shut out when it misbehaves."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from controller import ipc, signals_json
from controller.errors import PortError
from controller.ipc_door import (
    FLOOD_PACKETS,
    GARBAGE_ALLOWED,
    LARGEST_REQUEST,
    PACKETS,
    SHUT_OUT_S,
    Door,
)
from controller.signals import (
    REQUESTS,
    ContactorReading,
    DutyRequest,
    Heartbeat,
    Output,
    OutputReading,
    Phase,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEAT = Heartbeat(1, Phase.CHARGE, 0.5)


class Watched:
    """A door, and what it said."""

    def __init__(self, path: str) -> None:
        self.door = Door(path, REQUESTS)
        self.got: list[Output] = []
        self.log: list[str] = []
        self.now = 10.0
        self.door.on_signal = lambda item, now: self.got.append(item)
        self.door.on_found = lambda who, now: self.log.append(f"found {who}")
        self.door.on_lost = lambda why, now: self.log.append(f"lost: {why}")

    def serve(self, times: int = 1, step_s: float = 0.005) -> None:
        for _ in range(times):
            self.now += step_s
            self.door.serve(self.now)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "realtime.sock")


@pytest.fixture
def watched(path: str) -> Iterator[Watched]:
    watched = Watched(path)
    yield watched
    watched.door.close()
    while PEERS:
        PEERS.pop().close()


PEERS: list[ipc.Channel] = []


def come(path: str) -> ipc.Channel:
    PEERS.append(ipc.Channel(ipc.connect(path)))
    return PEERS[-1]


# --- the path ------------------------------------------------------------------------------------


def test_only_owner_and_group_may_come(watched: Watched, path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    before = os.umask(0o022)
    os.umask(before)
    assert before != 0o117  # what the process makes later has its own mode again


def test_what_a_dead_process_left_is_removed(path: str) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    dead.bind(path)
    dead.close()
    Watched(path).door.close()
    assert not os.path.exists(path)


def test_beside_a_living_one_there_is_no_second(watched: Watched, path: str) -> None:
    with pytest.raises(PortError, match="another process is serving it"):
        Door(path, REQUESTS)
    watched.serve(3)
    peer = come(path)
    peer.send_signal(BEAT)
    watched.serve(2)
    assert watched.got == [BEAT]


def test_a_file_that_is_no_socket_stays(path: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write("precious")
    with pytest.raises(PortError, match="no socket"):
        Door(path, REQUESTS)
    with open(path, encoding="ascii") as file:
        assert file.read() == "precious"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(PortError, match="its folder must exist"):
        Door(str(tmp_path / "none" / "realtime.sock"), REQUESTS)


# --- coming and going ----------------------------------------------------------------------------


def test_one_comes_asks_and_goes(watched: Watched, path: str) -> None:
    watched.serve()
    peer = come(path)
    watched.serve()
    assert watched.log == [f"found process {os.getpid()} of user {os.getuid()}"]
    peer.send_signal(BEAT)
    peer.send_signal(DutyRequest(0.05))
    watched.serve()
    assert watched.got == [BEAT, DutyRequest(0.05)]
    peer.send_signal(BEAT)
    peer.close()
    watched.serve()
    assert watched.got[-1] == BEAT  # its last words count
    assert watched.log[1:] == ["lost: the communication process ended"]
    assert watched.door.channel is None
    watched.serve(3)
    assert len(watched.log) == 2


def test_a_second_one_is_turned_away_while_the_first_is_in(watched: Watched, path: str) -> None:
    first = come(path)
    watched.serve()
    second = come(path)
    watched.serve()
    assert second.sock.recv(10) == b""  # closed
    assert watched.door.turned_away == 1
    first.send_signal(BEAT)
    watched.serve()
    assert watched.got == [BEAT]
    assert len(watched.log) == 1


def test_the_next_one_may_come_in_the_period_in_which_the_first_is_gone(
    watched: Watched, path: str
) -> None:
    first = come(path)
    watched.serve()
    first.close()
    second = come(path)
    watched.serve()
    assert [line.split(" ")[0] for line in watched.log] == ["found", "lost:", "found"]
    second.send_signal(BEAT)
    watched.serve()
    assert watched.got == [BEAT]


def test_one_that_came_and_went_at_once_is_borne(watched: Watched, path: str) -> None:
    come(path).close()
    watched.serve(3)
    assert [line.split(" ")[0] for line in watched.log] == ["found", "lost:"]


# --- misbehaviour --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        b"Z",
        b"S{",
        b"\x00" * 1000,
        b"S" + b"x" * (LARGEST_REQUEST + 1),
        b"S" + signals_json.encode(OutputReading(400.0, 10.0, 10.0)),
        b"S" + signals_json.encode(ContactorReading(closed=False, taken_at=10.0)),
        b"R1.0 evse.realtime out 0 {}",
    ],
)
def test_what_is_no_request_is_garbage_and_too_much_of_it_shuts_out(
    watched: Watched, path: str, packet: bytes
) -> None:
    peer = come(path)
    watched.serve()
    for _ in range(GARBAGE_ALLOWED):
        peer.sock.send(packet)
    peer.send_signal(BEAT)
    watched.serve()
    assert watched.got == [BEAT]
    assert watched.door.channel is not None
    peer.sock.send(packet)
    watched.serve()
    assert watched.got == [BEAT]
    assert watched.door.channel is None
    assert watched.log[-1].startswith("lost: the communication process was shut out: it sent 6")


def test_who_was_shut_out_waits_outside_for_a_while(watched: Watched, path: str) -> None:
    peer = come(path)
    watched.serve()
    watched.door.shut_out("it annoys", watched.now)
    peer = come(path)
    peer.send_signal(BEAT)
    watched.serve(int((SHUT_OUT_S - 0.01) / 0.005))
    assert watched.got == []
    watched.serve(5)
    assert watched.got == [BEAT]


def test_a_flood_is_read_a_little_at_a_time_and_then_shut_out(watched: Watched, path: str) -> None:
    peer = come(path)
    watched.serve()
    sequence = 0
    while watched.door.channel is not None and sequence < 100_000:
        for _ in range(100):
            sequence += 1
            peer.send_signal(Heartbeat(sequence, Phase.CHARGE, watched.now))
        before = len(watched.got)
        watched.serve()
        assert len(watched.got) - before <= PACKETS
    assert len(watched.got) <= FLOOD_PACKETS + PACKETS
    assert "more than 500 packets in 0.5 s" in watched.log[-1]


@pytest.mark.parametrize("period_s", [0.001, 0.005, 0.01, 0.02])
def test_a_lively_session_is_no_flood(watched: Watched, path: str, period_s: float) -> None:
    """Beats at 50 Hz and five requests a period in a charge loop without pause."""
    peer = come(path)
    watched.serve()
    for n in range(int(5.0 / period_s)):
        if n % max(1, int(0.02 / period_s)) == 0:
            for _ in range(5):
                peer.send_signal(BEAT)
        watched.serve(1, period_s)
    assert watched.door.channel is not None


def test_what_piled_up_while_we_stood_still_is_no_flood(watched: Watched, path: str) -> None:
    peer = come(path)
    watched.serve()
    while not peer.dropped:
        peer.send_signal(BEAT)
    watched.serve(200)
    assert watched.door.channel is not None


def test_who_does_not_read_its_reports_is_shut_out_and_nobody_waited(
    watched: Watched, path: str
) -> None:
    peer = come(path)
    watched.serve()
    for n in range(20_000):
        watched.door.send_signal(Heartbeat(n, Phase.CHARGE))
    assert watched.door.channel is not None  # not in the middle of what the core returned
    watched.serve()
    assert "it does not read what it is told" in watched.log[-1]
    peer.close()


def test_records_that_do_not_fit_shut_nobody_out(watched: Watched, path: str) -> None:
    come_in = come(path)
    watched.serve()
    while watched.door.send(ipc.RECORD, bytes(500)):
        pass
    watched.serve()
    assert watched.door.channel is not None
    come_in.close()


def test_alone_nothing_is_sent(watched: Watched) -> None:
    watched.door.send_signal(BEAT)
    assert not watched.door.send(ipc.RECORD, b"x")


def test_a_reading_that_is_no_number_is_not_sent(watched: Watched, path: str) -> None:
    peer = come(path)
    watched.serve()
    watched.door.send_signal(OutputReading(float("nan"), 0.0, 1.0))
    watched.door.send_signal(BEAT)
    got: list[Output] = []
    peer.on_signal(lambda item, now: got.append(item))
    peer.receive(1.0)
    assert got == [BEAT]


def test_closing_lets_nobody_in_any_more(watched: Watched, path: str) -> None:
    peer = come(path)
    watched.serve()
    watched.door.close()
    assert peer.sock.recv(10) == b""
    with pytest.raises(FileNotFoundError):
        ipc.connect(path)
