"""The harness itself: what it reads from logs and from a capture, and whom it blames."""

import struct
from pathlib import Path

import pytest

from tests.interop import peer, wire
from tests.interop.session import Role, _late_answer, _spoiled

PREFIX = "INFO    2026-01-01 00:00:00,000 - iso15118.shared.comm_session"
TIMEOUT = (
    f"{PREFIX} (399): Reason: TimeoutError occurred. Waited for Timeouts.CURRENT_DEMAND_REQ s "
    "after sending last message: [Header = [0x1, 0xfe, 0x8001, 46], Payload = 809a)]"
)
EVCC, SECC = b"\xfe\x80" + bytes(13) + b"\x01", b"\xfe\x80" + bytes(13) + b"\x02"
MESSAGE = bytes.fromhex("01fe800100000002") + b"\x80\x9a"
SYN, FIN, DATA = 0x02, 0x11, 0x18


@pytest.mark.parametrize(
    ("text", "reason", "requests"),
    [
        ("", None, ()),
        (f"{PREFIX} (431): Sent CurrentDemandReq\n", None, ("CurrentDemandReq",)),
        (f"{PREFIX} (235): PreChargeReq received\n", None, ("PreChargeReq",)),
        (f"{PREFIX} (235): PreChargeRes received\n", None, ()),
        (f"{PREFIX} (399): Reason: {peer.STOPPED_WELL}\n", peer.STOPPED_WELL, ()),
        ("ERROR x: EVCC terminated: no route\n", "ERROR x: EVCC terminated: no route", ()),
    ],
)
def test_log(text: str, reason: str | None, requests: tuple[str, ...]) -> None:
    assert peer.read_log(text) == peer.Report(reason, requests)


def test_log_of_a_missed_answer() -> None:
    report = peer.read_log(TIMEOUT)
    assert report.missed_an_answer
    assert not report.stopped_well


def frame(at: float, source: bytes, sequence: int, flags: int, data: bytes = b"") -> bytes:
    ports = (50000, 60000) if source == EVCC else (60000, 50000)
    tcp = struct.pack(">HHIIBBHHH", *ports, sequence, 0, 0x50, flags, 0, 0, 0) + data
    target = SECC if source == EVCC else EVCC
    ip = b"\x60\0\0\0" + struct.pack(">HBB", len(tcp), 6, 64) + source + target + tcp
    content = bytes(12) + b"\x86\xdd" + ip
    return struct.pack("<IIII", int(at), round(at % 1 * 1e9), len(content), len(content)) + content


def capture(folder: Path, *frames: bytes) -> wire.Conversation:
    path = folder / "link.pcap"
    path.write_bytes(bytes(24) + b"".join(frames))
    return wire.read_conversation(path)


def test_conversation_of_split_and_repeated_segments(tmp_path: Path) -> None:
    conversation = capture(
        tmp_path,
        frame(10.0, EVCC, 99, SYN),
        frame(10.1, EVCC, 100, DATA, MESSAGE[:5]),
        frame(10.2, EVCC, 100, DATA, MESSAGE),
        frame(10.3, EVCC, 100, DATA, MESSAGE),
        frame(10.5, SECC, 500, DATA, MESSAGE),
        frame(11.0, EVCC, 110, DATA, MESSAGE),
    )
    assert [e.request_at for e in conversation.exchanges] == pytest.approx([0.2, 1.0])
    assert conversation.exchanges[0].latency_s == pytest.approx(0.3)
    assert conversation.exchanges[1].latency_s is None


@pytest.mark.parametrize(
    ("answered_at", "closed_at", "role", "blamed"),
    [
        (10.3, None, Role.SECC, "its SECC is too slow: answer to CurrentDemandReq: 300 ms"),
        (None, 10.4, Role.SECC, "its SECC is too slow: answer to CurrentDemandReq: none"),
        (None, 10.1, Role.SECC, None),  # our car closed before the time was up
        (10.1, 10.4, Role.SECC, None),  # the answer was in time: our car's fault
        (10.1, None, Role.EVCC, "it gave up on an answer that was there after 100.0 ms"),
        (10.3, None, Role.EVCC, None),  # our charger was late
        (None, None, Role.EVCC, None),
    ],
)
def test_whose_fault(
    tmp_path: Path, answered_at: float | None, closed_at: float | None, role: Role, blamed: str
) -> None:
    frames = [frame(10.0, EVCC, 99, SYN), frame(10.0, EVCC, 100, DATA, MESSAGE)]
    if answered_at is not None:
        frames.append(frame(answered_at, SECC, 500, DATA, MESSAGE))
    if closed_at is not None:
        frames.append(frame(closed_at, EVCC, 110, FIN))
    report = peer.read_log(f"{PREFIX} (431): Sent CurrentDemandReq\n{TIMEOUT}")
    conversation = capture(tmp_path, *frames)
    said = _spoiled(role, report, conversation)
    assert said is None if blamed is None else said is not None and said.startswith(blamed)


def test_only_current_demand_is_urgent(tmp_path: Path) -> None:
    report = peer.read_log(f"{PREFIX} (431): Sent PreChargeReq\n")
    conversation = capture(
        tmp_path,
        frame(10.0, EVCC, 99, SYN),
        frame(10.0, EVCC, 100, DATA, MESSAGE),
        frame(10.3, SECC, 500, DATA, MESSAGE),
    )
    assert _late_answer(report, conversation) is None
