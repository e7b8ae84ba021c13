"""Captures of real sessions, where they are at hand: everything decodes, nothing is lost.

The captures are no part of the repository. They are looked for in `../shared/captures` beside it,
or where CCS_PILOT_SHARED points to; their payloads, extracted by other programs, in
`vectors/real.jsonl` there.
"""

import gzip
import json
import os
import struct
import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import dpkt
import pytest

from controller import listen, netframes
from controller.errors import WireError
from controller.listener.capture import Packet, in_time_order, open_capture, read_packets
from controller.listener.conversation import Conversation
from controller.listener.entries import Entry
from controller.v2g.messages import protocols

SHARED = Path(os.environ.get("CCS_PILOT_SHARED") or Path(__file__).parents[2] / "shared")
CAPTURES = sorted(
    path
    for path in (SHARED / "captures").glob("*/*")
    if path.name.removesuffix(".gz").endswith((".pcap", ".pcapng"))
)

pytestmark = pytest.mark.skipif(
    not CAPTURES, reason="no captures: neither ../shared nor CCS_PILOT_SHARED has any"
)
each_capture = pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)

SUPERFLUOUS = {"tesla_model_3_dinspec_DC": 3}
"""Part of a name -> payloads with a byte after the message's end; the EXI before it is whole."""

EMPTY_BY_LENGTH = {
    ("pyPLC", "SessionSetupReq"),  # EVCCID
    ("EVerest-logfiles", "ChargingStatusRes"),  # MeterID
}
"""Programs that write an empty text with its length, 0. That is legal EXI, but the element that
ends at once says the same, and that is what our encoder writes."""

DIN_NAMES = frozenset({"SessionSetupReq"})
"""DIN messages of these captures of which some payloads are not among the vectors."""


@cache
def vectors() -> dict[str, list[dict[str, Any]]]:
    """Distinct payloads by the file they were first found in."""
    by_source: dict[str, list[dict[str, Any]]] = defaultdict(list)
    path = SHARED / "vectors" / "real.jsonl"
    if not path.exists():
        pytest.skip("no vectors/real.jsonl beside the captures")
    with path.open() as file:
        for line in file:
            vector = json.loads(line)
            by_source[vector["source"]].append(vector)
    return dict(by_source)


@cache
def entries(path: Path) -> tuple[Entry, ...]:
    conversation = Conversation()
    found: list[Entry] = []
    try:
        with open_capture(str(path)) as stream:
            for packet in in_time_order(read_packets(stream)):
                found += conversation.receive_packet(packet)
    except WireError:
        assert is_cut(path)
    found += conversation.finish()
    assert conversation.damaged == 0, conversation.last_damage
    return tuple(found)


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def is_cut(path: Path) -> bool:
    """Whether the capture program was ended before it had written its last packet."""
    data = content(path)
    if data[:4] != b"\xd4\xc3\xb2\xa1":
        return False
    at = 24
    while at + 16 <= len(data):
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return at != len(data)


def has_tls(path: Path) -> bool:
    return any(e.details.get("event") == "tls" for e in entries(path))


def payloads(path: Path, *protocols: str) -> list[Entry]:
    return [
        entry
        for entry in entries(path)
        if entry.layer == "v2g" and (not protocols or entry.details["protocol"] in protocols)
    ]


@each_capture
def test_is_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command itself: no error, and a warning exactly where the file is cut."""
    code = listen.main([str(path)])
    shown = capsys.readouterr()
    assert code == (1 if is_cut(path) else 0), shown.err
    assert bool(shown.err) == is_cut(path)
    assert len(shown.out.splitlines()) > len(entries(path))


@each_capture
def test_payloads_are_those_that_others_found(path: Path) -> None:
    source = f"{path.parent.name}/{path.name}"
    mine = {str(entry.details["exi_hex"]) for entry in payloads(path)}
    theirs = {vector["exi_hex"] for vector in vectors().get(source, [])}
    if has_tls(path):
        assert not mine, "a TLS session shows no payload"
        return
    assert theirs - mine == set(), "payloads of this file that were not extracted"
    known = {vector["exi_hex"] for found in vectors().values() for vector in found}
    names = {str(e.details["message"]) for e in payloads(path) if e.details["exi_hex"] not in known}
    handshake = {"supportedAppProtocolReq", "supportedAppProtocolRes"}
    assert names <= handshake | DIN_NAMES, "payloads that nobody else found"


@each_capture
def test_as_many_messages_as_the_list_of_captures_says(path: Path) -> None:
    """Its numbers come from another program: payloads with repetitions, TLS decrypted."""
    index = SHARED / "captures" / "README.md"
    if not index.exists():
        pytest.skip("no list of the captures")
    for line in index.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 9 and cells[1] == path.name:
            expected = 0 if has_tls(path) else int(cells[6])
            assert len(payloads(path)) == expected
            return
    pytest.fail("not in the list of captures")


@each_capture
def test_every_payload_decodes(path: Path) -> None:
    """Every message of every protocol, to what another codec makes of it."""
    expected = {
        (v["exi_hex"], v["payload_type"]): v["json"]
        for found in vectors().values()
        for v in found
        if v["json"] is not None
    }
    for entry in payloads(path):
        assert "error" not in entry.details, entry.text
        assert entry.details["message"], entry.text
        assert not entry.details.get("guessed") or "mid-stream" in {
            e.details.get("event") for e in entries(path)
        }
        key = (entry.details["exi_hex"], str(entry.details["payload_type"]).lower())
        if key in expected:
            assert entry.details["json"] == expected[key]


@each_capture
def test_every_message_has_a_protocol(path: Path) -> None:
    assert [e for e in payloads(path) if not e.details["protocol"]] == []


@each_capture
def test_payloads_encode_to_the_same_bytes(path: Path) -> None:
    superfluous = 0
    for entry in payloads(path):
        payload = bytes.fromhex(str(entry.details["exi_hex"]))
        kind = int(str(entry.details["payload_type"]), 16)
        found = protocols.decode(str(entry.details["protocol"]), payload, payload_type=kind)
        codec = protocols.codec(found.protocol)
        again = codec.encode(found.message, strict=False)
        assert found.superfluous == entry.details.get("trailing_bytes", 0)
        superfluous += found.superfluous > 0
        if again != payload[: len(payload) - found.superfluous]:
            assert (path.parent.name, entry.details["message"]) in EMPTY_BY_LENGTH, entry.text
            assert codec.decode(again) == found.message
    expected = [n for part, n in SUPERFLUOUS.items() if part in path.name]
    assert superfluous == (expected[0] if expected else 0)


@each_capture
def test_frames_are_read_as_dpkt_reads_them(path: Path) -> None:
    """Link, IP, UDP and TCP layers, and the file format itself, against dpkt."""
    theirs: list[bytes] = []
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        reader = dpkt.pcapng.Reader(file) if "pcapng" in path.name else dpkt.pcap.Reader(file)
        try:
            theirs.extend(bytes(frame) for _, frame in reader)
        except dpkt.NeedData:
            assert is_cut(path)
    mine: list[Packet] = []
    try:
        with open_capture(str(path)) as stream:
            mine.extend(read_packets(stream))
    except WireError:
        assert is_cut(path)
        theirs = theirs[: len(mine)]
    assert [packet.data for packet in mine] == theirs
    for packet in mine:
        parsed = netframes.parse(packet.link_type, packet.data)
        ip = dpkt.ethernet.Ethernet(packet.data).data
        layer = getattr(ip, "data", None)
        if isinstance(parsed, netframes.Segment):
            assert isinstance(layer, dpkt.tcp.TCP)
            assert (layer.seq, layer.ack, layer.flags) == (
                parsed.sequence,
                parsed.acknowledgement,
                parsed.flags,
            )
            assert (ip.src, layer.sport) == (parsed.source.ip, parsed.source.port)
            assert bytes(layer.data) == parsed.payload
        elif isinstance(parsed, netframes.Datagram):
            assert isinstance(layer, dpkt.udp.UDP)
            assert bytes(layer.data) == parsed.payload
        else:
            assert not isinstance(layer, dpkt.tcp.TCP | dpkt.udp.UDP)


def test_cut_captures_are_cut_for_tshark_too() -> None:
    """The warning is not our own invention."""
    cut = [path for path in CAPTURES if is_cut(path)]
    try:
        subprocess.run(["tshark", "--version"], capture_output=True, check=True)
    except OSError:
        pytest.skip("tshark is not installed")
    for path in cut[:2]:
        command = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.number"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "cut short" in done.stderr
