"""The capture of a session: opens with the listener, SDP and TCP composed where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.errors import PortError
from controller.listener.capture import Packet, open_capture, read_packets
from controller.listener.conversation import Conversation
from controller.session_capture import SessionCapture
from controller.signals import (
    CloseConnection,
    ConnectionLost,
    ConnectionMade,
    DatagramReceived,
    DataReceived,
    Output,
    SendData,
    SendDatagram,
)
from controller.v2g import sdp

if TYPE_CHECKING:
    from pathlib import Path

    from controller.listener.entries import Entry

EVSE, PEV = "evse.communication", "pev.communication"
CAR = ("::1", 40_000)
TCP = ("::1", 40_001)
ADDRESS = bytes(15) + b"\x01"


def packets(path: Path) -> list[Packet]:
    with open_capture(str(path)) as file:
        return list(read_packets(file))


def entries(path: Path) -> list[Entry]:
    conversation = Conversation()
    found: list[Entry] = []
    for packet in packets(path):
        found += conversation.receive_packet(packet)
    return found + conversation.finish()


def written(path: Path, *items: tuple[str, Output], compose: bool = True) -> Path:
    capture = SessionCapture(path / "c.pcapng", 1_700_000_000.0, compose=compose)
    for number, (node, item) in enumerate(items):
        capture.observe(number * 0.5, node, item)
    capture.close()
    return path / "c.pcapng"


def session() -> list[tuple[str, Output]]:
    return [
        (EVSE, ConnectionMade(TCP)),
        (EVSE, DataReceived(b"hello ")),
        (EVSE, SendData(b"answer")),
        (EVSE, CloseConnection("done")),
    ]


def test_real_frames_are_kept_as_they_are(tmp_path: Path) -> None:
    capture = SessionCapture(tmp_path / "c.pcapng", 1_700_000_000.0, compose=False)
    frames = [bytes(range(60)), bytes(60)]
    capture.frame(frames[0], 0.25, "evse")
    capture.frame(frames[1], 1.5, "pev")
    capture.close()
    assert [p.data for p in packets(tmp_path / "c.pcapng")] == frames
    assert [p.at_ns for p in packets(tmp_path / "c.pcapng")] == [
        1_700_000_000_250_000_000,
        1_700_000_001_500_000_000,
    ]


def test_a_connection_is_composed_from_open_to_close(tmp_path: Path) -> None:
    found = entries(written(tmp_path, *session()))
    texts = [entry.text for entry in found if entry.layer == "tcp"]
    assert "connects" in texts[0]
    assert "clos" in texts[-1]


def test_each_byte_is_in_it_once(tmp_path: Path) -> None:
    data = b"".join(p.data for p in packets(written(tmp_path, *session())))
    assert data.count(b"hello ") == 1
    assert data.count(b"answer") == 1


@pytest.mark.parametrize("end", [CloseConnection("x"), ConnectionLost("x")])
def test_it_is_closed_once(tmp_path: Path, end: Output) -> None:
    once = len(packets(written(tmp_path, *session()[:-1], (EVSE, end))))
    twice = len(packets(written(tmp_path, *session()[:-1], (EVSE, end), (EVSE, end))))
    assert once == twice


def test_the_vehicles_own_view_adds_nothing(tmp_path: Path) -> None:
    mirrored = [(PEV, item) for _, item in session()]
    assert packets(written(tmp_path, *mirrored)) == []


def test_with_real_devices_nothing_is_composed(tmp_path: Path) -> None:
    assert packets(written(tmp_path, *session(), compose=False)) == []


def test_sdp_is_composed_and_says_where_the_connection_goes(tmp_path: Path) -> None:
    server = sdp.SdpServer(ADDRESS, 50_123)
    client = sdp.SdpClient()
    from controller.signals import StartSdp

    server.receive_signal(StartSdp(), 0.0)
    asked = [o for o in client.receive_signal(StartSdp(), 0.0) if isinstance(o, SendDatagram)]
    asked += [o for o in client.handle_timer(1.0) if isinstance(o, SendDatagram)]
    request = asked[0].data
    (answer,) = [o for o in server.receive_data(request, CAR, 0.0) if isinstance(o, SendDatagram)]
    path = written(
        tmp_path,
        (EVSE, DatagramReceived(request, CAR)),
        (EVSE, answer),
        *session(),
    )
    found = entries(path)
    assert [e.layer for e in found[:2]] == ["sdp", "sdp"]
    assert "50123" in found[1].text
    assert any("50123" in e.destination + e.source + e.text for e in found if e.layer == "tcp")


def test_a_full_disk_ends_the_capture_not_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = SessionCapture(tmp_path / "c.pcapng", 0.0, compose=True)

    def full(*_: object) -> None:
        raise PortError("capture: No space left on device")

    monkeypatch.setattr(capture._file, "write", full)
    for item in session():
        capture.observe(0.0, *item)
    capture.frame(bytes(60), 1.0, "evse")
    capture.close()
    assert capture.error == "capture: No space left on device"
