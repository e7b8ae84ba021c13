"""`ccs-pilot decode` on captures that the tests compose themselves: text, JSON, damage, pipes."""

import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller import listen
from controller.listener.capture import Packet
from controller.listener.conversation import Conversation
from controller.listener.entries import Entry
from controller.listener.summaries import summarise
from controller.listener.v2g_reader import ProtocolReader
from controller.main import main
from controller.netframes import ACK, PSH, SYN, Endpoint, FlowComposer, Segment, tcp_frame
from controller.trace import PcapngWriter
from controller.v2g import sdp, v2gtp
from controller.v2g.messages import din, protocols, sap
from tests.v2g.exi.strategies import objects

CAR = Endpoint.of(bytes.fromhex("02ca00000001"), "fe80::ca", 49200)
CHARGER = Endpoint.of(bytes.fromhex("02ce00000002"), "fe80::ce", 61341)
GROUP = Endpoint.of(b"", "ff02::1", 15118)
CAR_UDP = Endpoint(CAR.mac, CAR.ip, 50000)
CHARGER_UDP = Endpoint(CHARGER.mac, CHARGER.ip, 15118)
ISO2 = "urn:iso:15118:2:2013:MsgDef"
SESSION = bytes.fromhex("0102030405060708")

PARM_REQ = bytes.fromhex(
    "ffffffffffff 02ca00000001 88e1 01 6460 0000 00 00 02ca000000010000"
) + bytes(31)
PARM_CNF = bytes.fromhex(
    "02ca00000001 02ce00000002 88e1 01 6560 0000 ffffffffffff 0a 06 01 02ca00000001"
    "00 00 02ca000000010000"
) + bytes(16)


def framed(payload: bytes, kind: int = 0x8001) -> bytes:
    return v2gtp.encode(kind, payload)


def offer(*namespaces: str) -> bytes:
    protocols = tuple(
        sap.AppProtocol(
            protocol_namespace=name,
            version_number_major=2,
            version_number_minor=0,
            schema_id=n + 1,
            priority=n + 1,
        )
        for n, name in enumerate(namespaces)
    )
    return framed(sap.encode(sap.SupportedAppProtocolReq(app_protocol=protocols), strict=False))


def choice(schema_id: int | None, code: str = "OK_SuccessfulNegotiation") -> bytes:
    response = sap.SupportedAppProtocolRes(
        response_code=sap.ResponseCode(code), schema_id=schema_id
    )
    return framed(sap.encode(response))


def dinned(name: str, fields: dict[str, Any]) -> bytes:
    view: Any = {"V2G_Message": {"Header": {"SessionID": SESSION.hex()}, "Body": {name: fields}}}
    return framed(din.encode(din.from_json(view)))


def amount(value: int, multiplier: int, unit: str) -> dict[str, Any]:
    return {"Multiplier": multiplier, "Unit": unit, "Value": value}


EV_STATUS = {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 43}
EVSE_STATUS = {
    "EVSEIsolationStatus": "Valid",
    "EVSEStatusCode": "EVSE_Ready",
    "NotificationMaxDelay": 0,
    "EVSENotification": "None",
}
SETUP_REQ = dinned("SessionSetupReq", {"EVCCID": "02CA00000001"})
SETUP_RES = dinned("SessionSetupRes", {"ResponseCode": "OK_NewSessionEstablished", "EVSEID": "00"})
DEMAND_REQ = dinned(
    "CurrentDemandReq",
    {
        "DC_EVStatus": EV_STATUS,
        "EVTargetCurrent": amount(1205, -1, "A"),
        "EVMaximumVoltageLimit": amount(450, 0, "V"),
        "ChargingComplete": False,
        "EVTargetVoltage": amount(400, 0, "V"),
    },
)
DEMAND_RES = dinned(
    "CurrentDemandRes",
    {
        "ResponseCode": "OK",
        "DC_EVSEStatus": EVSE_STATUS,
        "EVSEPresentVoltage": amount(3985, -1, "V"),
        "EVSEPresentCurrent": amount(120, 0, "A"),
        "EVSECurrentLimitAchieved": True,
        "EVSEVoltageLimitAchieved": False,
        "EVSEPowerLimitAchieved": False,
        "EVSEMaximumPowerLimit": amount(600, 2, "W"),
    },
)
STOP_RES = dinned("SessionStopRes", {"ResponseCode": "FAILED_SequenceError"})


def session_frames() -> list[bytes]:
    """A short session, in order."""
    wire = FlowComposer(mss=25)
    return [
        PARM_REQ,
        PARM_CNF,
        *wire.datagram(CAR_UDP, GROUP, sdp.encode_request()),
        *wire.datagram(CHARGER_UDP, CAR_UDP, sdp.encode_response(CHARGER.ip, CHARGER.port)),
        *wire.opened(CAR, CHARGER),
        *wire.data(CAR, CHARGER, offer(din.NAMESPACE, ISO2)),
        *wire.data(CHARGER, CAR, choice(1)),
        *wire.data(CAR, CHARGER, SETUP_REQ),
        *wire.data(CHARGER, CAR, SETUP_RES),
        *wire.data(CAR, CHARGER, DEMAND_REQ + DEMAND_REQ),
        *wire.data(CHARGER, CAR, DEMAND_RES),
        *wire.data(CHARGER, CAR, STOP_RES),
        *wire.closed(CHARGER, CAR),
        *wire.closed(CAR, CHARGER),
    ]


def write(path: Path, frames: Sequence[bytes], epoch_s: float = 1_700_000_000.0) -> Path:
    with PcapngWriter(path, epoch_s=epoch_s) as writer:
        for n, frame in enumerate(frames):
            writer.write(frame, n / 100)
    return path


DEMAND = "CurrentDemandReq ready, SoC 43 %, target 400 V 120.5 A, EV max 450 V"
GOLDEN = f"""\
# session.pcapng: 2023-11-14 22:13:20.000 UTC, times in seconds since then
    0.000  PLC    car > all         CM_SLAC_PARM.REQ run_id=02ca000000010000
    0.010  PLC    charger > car     CM_SLAC_PARM.CNF sound_target=ff:ff:ff:ff:ff:ff num_sounds=10 \
time_out=6 forwarding_sta=02:ca:00:00:00:01 run_id=02ca000000010000
    0.020  SDP    car > all         SECCDiscoveryReq no TLS
    0.030  SDP    charger > car     SECCDiscoveryRes [fe80::ce]:61341, no TLS
    0.040  TCP    car > charger     connects from [fe80::ca]:49200 to [fe80::ce]:61341
    0.050  TCP    charger > car     accepts (port 49200)
    0.100  SAP    car > charger     supportedAppProtocolReq DIN 70121 2.0 (id 1, priority 1), \
ISO 15118-2 2.0 (id 2, priority 2)
    0.120  SAP    charger > car     supportedAppProtocolRes OK_SuccessfulNegotiation, id 1: \
DIN 70121
    0.140  DIN    car > charger     SessionSetupReq EVCCID 02CA00000001
    0.160  DIN    charger > car     SessionSetupRes OK_NewSessionEstablished, EVSEID 00, \
session 0102030405060708
    0.180  DIN    car > charger     {DEMAND}
    0.200  DIN    car > charger     {DEMAND}
    0.230  DIN    charger > car     CurrentDemandRes OK, isolation Valid, EVSE_Ready, \
current limit reached, present 398.5 V 120 A, EVSE max 60 kW
    0.250  DIN    charger > car     SessionStopRes FAILED_SequenceError
    0.260  TCP    charger > car     closes the connection (port 49200)
    0.280  TCP    car > charger     closes the connection (port 49200)
# 8 V2G messages in 30 packets
"""


def test_golden_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("session.pcapng"), session_frames())
    assert listen.main(["session.pcapng"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == GOLDEN.splitlines()
    assert shown.err == ""


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c", session_frames())
    assert listen.main(["--json", str(path)]) == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["layer"] for e in entries[:5]] == ["homeplug", "homeplug", "sdp", "sdp", "tcp"]
    assert entries[0]["fields"]["run_id"] == "02ca000000010000"
    assert entries[0]["fields"]["application_type"] == 0
    assert (entries[0]["source_mac"], entries[0]["t"]) == ("02:ca:00:00:00:01", 0.0)
    assert entries[3]["address"] == "[fe80::ce]:61341"
    demand = next(e for e in entries if e.get("message") == "CurrentDemandReq")
    assert demand["exi_hex"] == DEMAND_REQ[8:].hex()
    assert demand["protocol"] == "din"
    assert demand["from"] == "car"
    assert demand["at_ns"] == 1_700_000_000_180_000_000
    target = demand["json"]["V2G_Message"]["Body"]["CurrentDemandReq"]["EVTargetCurrent"]
    assert target == amount(1205, -1, "A")


def test_as_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c", session_frames())
    assert main(["decode", "--plain", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == GOLDEN.splitlines()[1:]
    assert main(["decode", str(tmp_path / "missing")]) == 2
    assert capsys.readouterr().err.startswith("ccs-pilot decode: ")


def test_gzip_and_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "c", session_frames()).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(data))))
    assert listen.main(["-"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == GOLDEN.splitlines()[1:]


@pytest.mark.parametrize(
    ("arguments", "tty", "no_color", "coloured"),
    [
        ([], True, "", True),
        (["--plain"], True, "", False),
        ([], True, "1", False),
        ([], False, "", False),
        (["--json"], True, "", False),
    ],
)
def test_colours(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    tty: bool,
    no_color: str,
    coloured: bool,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: tty)
    monkeypatch.setenv("NO_COLOR", no_color)
    listen.main([*arguments, str(write(tmp_path / "c", session_frames()))])
    assert ("\x1b[" in capsys.readouterr().out) == coloured


# --- what is wrong with a file -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n" * 100, "not a capture file"),
        (b"\x1f\x8b\x08", "compressed file"),
        (b"\xd4\xc3\xb2\xa1", "header"),
    ],
)
def test_no_capture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert listen.main([str(path)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err
    assert str(path) in shown.err


@pytest.mark.parametrize(("name", "message"), [("", "directory"), ("none", "No such file")])
def test_not_readable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, message: str
) -> None:
    assert listen.main([str(tmp_path / name)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert message in shown.err


def test_cut_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c", session_frames())
    path.write_bytes(path.read_bytes()[:-7])
    assert listen.main([str(path)]) == 1
    shown = capsys.readouterr()
    assert "SessionStopRes FAILED_SequenceError" in shown.out
    assert shown.err.count("\n") == 1
    assert "ends in the middle" in shown.err
    assert "29 packets" in shown.err


def test_unknown_link_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "c", session_frames())
    data = path.read_bytes()
    at = data.index(b"\x01\0\0\0", 40) + 8  # the link type of the interface block
    path.write_bytes(data[:at] + b"\xc3" + data[at + 1 :])
    assert listen.main([str(path)]) == 2
    assert "link type 195 is not supported" in capsys.readouterr().err


def test_damaged_packets_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = session_frames()
    path = write(tmp_path / "c", [frames[0], frames[1][:10], frames[4][:30]])
    assert listen.main([str(path)]) == 1
    shown = capsys.readouterr()
    assert "CM_SLAC_PARM.REQ" in shown.out
    assert "2 of 3 packets cannot be read" in shown.err


def test_nothing_of_a_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listen.main([str(write(tmp_path / "c", [bytes(60)]))]) == 0
    assert "nothing of a charging session in 1 packets" in capsys.readouterr().out


def test_no_packets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert listen.main([str(write(tmp_path / "c", []))]) == 0
    assert capsys.readouterr().out == "# no packets\n"


def test_broken_pipe_is_quiet(tmp_path: Path) -> None:
    frames = session_frames()
    path = write(tmp_path / "c", frames[:2] * 5000)
    command = [sys.executable, "-m", "controller.listen", str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 0
    process.stderr.close()


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    path = write(tmp_path / "c", session_frames())
    command = [sys.executable, "-m", "controller.listen", str(path)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        b"ccs-pilot decode: cannot write the conversation: No space left on device\n"
    )


def test_a_file_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path / "c", session_frames()).rename(os.fsdecode(bytes(tmp_path) + b"/\xff"))
    for name in (path, tmp_path / "missing"):
        command: list[str | bytes] = [sys.executable, "-m", "controller.listen"]
        done = subprocess.run(
            [*command, os.fsencode(name)], capture_output=True, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr
        assert done.returncode == (0 if name == path else 2)


def test_a_terminal_that_cannot_show_every_letter(tmp_path: Path) -> None:
    path = write(tmp_path / "c", said(up(offer("urn:caf\u00e9:\u7535"))))
    command = [sys.executable, "-m", "controller.listen", str(path)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, timeout=60, check=True, env=environment)
    assert b"urn:caf\\xe9:\\u7535" in done.stdout


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        listen.main(["--help"])
    text = capsys.readouterr().out
    assert "ccs-pilot decode session.pcapng" in text
    assert "exit code" in text


# --- conversations -----------------------------------------------------------------------------


def talk(frames: Sequence[bytes]) -> list[Entry]:
    conversation = Conversation()
    entries = []
    for n, frame in enumerate(frames):
        entries += conversation.receive_packet(Packet(n * 10**7, 0, 1, frame, len(frame)))
    return entries + conversation.finish()


def texts(frames: Sequence[bytes], *layers: str) -> list[str]:
    return [e.text for e in talk(frames) if not layers or e.layer in layers]


def said(*parts: tuple[Endpoint, Endpoint, bytes]) -> list[bytes]:
    """Bytes in a connection whose beginning the capture has."""
    wire = FlowComposer()
    return wire.opened(CAR, CHARGER) + [f for part in parts for f in wire.data(*part)]


def up(data: bytes) -> tuple[Endpoint, Endpoint, bytes]:
    return (CAR, CHARGER, data)


def down(data: bytes) -> tuple[Endpoint, Endpoint, bytes]:
    return (CHARGER, CAR, data)


def test_another_protocol_is_named_and_not_decoded() -> None:
    """What looks like DIN is not decoded as DIN when ISO 15118-2 was agreed."""
    entries = talk(said(up(offer(din.NAMESPACE, ISO2)), down(choice(2)), up(SETUP_REQ)))
    last = entries[-1]
    shown = f"ISO 15118-2 message, {len(SETUP_REQ) - 8} bytes, not decodable: "
    assert last.text.startswith(shown)
    assert (last.tag, last.details["protocol"], last.details["json"]) == ("ISO2", "iso2", None)
    assert last.details["exi_hex"] == SETUP_REQ[8:].hex()


ISO2_DRAFT = "ISO 15118-2 (2010 draft) message, 3 bytes, not decoded"


@pytest.mark.parametrize(
    ("namespace", "shown"),
    [
        ("urn:iso:15118:2:2010:MsgDef", ISO2_DRAFT),
        ("urn:tesla:din:2018:MsgDef", "Tesla DIN 2018 message, 3 bytes, not decoded"),
        ("urn:\x1b[2Jevil", "urn:\\x1b[2Jevil message, 3 bytes, not decoded"),
    ],
)
def test_protocol_names(namespace: str, shown: str) -> None:
    parts = (up(offer(namespace)), down(choice(1)), up(framed(b"\x80\x9a\x00", 0x8002)))
    assert texts(said(*parts), "v2g")[-1] == shown


ISO20_ORDER = ("iso20-common", "iso20-ac", "iso20-dc", "iso20-acdp", "iso20-wpt")
HEADER_20 = {"SessionID": SESSION.hex(), "TimeStamp": 1_700_000_000_000_000}
STATUS_2 = {"NotificationMaxDelay": 0, "EVSENotification": "StopCharging", "RCD": True}
EVERY_PROTOCOL = [
    (
        "urn:iso:15118:2:2013:MsgDef",
        "iso2",
        0x8001,
        {
            "V2G_Message": {
                "Header": {"SessionID": SESSION.hex()},
                "Body": {
                    "ChargingStatusRes": {
                        "ResponseCode": "OK",
                        "EVSEID": "DE*ABC*E1",
                        "SAScheduleTupleID": 1,
                        "EVSEMaxCurrent": amount(160, -1, "A"),
                        "MeterInfo": {"MeterID": "M1", "MeterReading": 12, "TMeter": 1700000000},
                        "ReceiptRequired": False,
                        "AC_EVSEStatus": STATUS_2,
                    }
                },
            }
        },
        "ChargingStatusRes OK, EVSEID DE*ABC*E1, schedule 1, EVSE max 16 A,"
        " meter M1 12 Wh 2023-11-14T22:13:20Z, notification StopCharging, RCD has tripped",
    ),
    (
        "urn:iso:std:iso:15118:-20:DC",
        "iso20-common",
        0x8002,
        {"SessionStopRes": {"Header": HEADER_20, "ResponseCode": "FAILED_SequenceError"}},
        "SessionStopRes FAILED_SequenceError",
    ),
    (
        "urn:iso:std:iso:15118:-20:DC",
        "iso20-dc",
        0x8004,
        {
            "DC_PreChargeReq": {
                "Header": HEADER_20,
                "EVProcessing": "Ongoing",
                "EVPresentVoltage": {"Exponent": -1, "Value": 3985},
                "EVTargetVoltage": {"Exponent": 0, "Value": 400},
            }
        },
        "DC_PreChargeReq Ongoing, EV present 398.5 V, target 400 V",
    ),
    (
        "urn:iso:std:iso:15118:-20:AC",
        "iso20-ac",
        0x8003,
        {
            "AC_ChargeParameterDiscoveryRes": {
                "Header": HEADER_20,
                "ResponseCode": "OK",
                "AC_CPDResEnergyTransferMode": {
                    "EVSEMaximumChargePower": {"Exponent": 0, "Value": 3700},
                    "EVSEMaximumChargePower_L2": {"Exponent": 0, "Value": 3600},
                    "EVSEMinimumChargePower": {"Exponent": 0, "Value": 0},
                    "EVSENominalFrequency": {"Exponent": 0, "Value": 50},
                },
            }
        },
        "AC_ChargeParameterDiscoveryRes OK, EVSE max 3.7 kW 3.6 kW, EVSE min 0 W, nominal 50 Hz",
    ),
]


@pytest.mark.parametrize(
    ("namespace", "protocol", "kind", "view", "shown"),
    EVERY_PROTOCOL,
    ids=[row[1] for row in EVERY_PROTOCOL],
)
def test_every_protocol_is_decoded(
    namespace: str, protocol: str, kind: int, view: dict[str, Any], shown: str
) -> None:
    frame = framed(protocols.encode(protocol, view), kind)
    agreed = (up(offer(namespace)), down(choice(1)), down(frame))
    entry = talk(said(*agreed))[-1]
    assert entry.text == shown
    assert entry.details["json"] == view
    assert entry.details["payload_type"] == f"0x{kind:04X}"
    assert "guessed" not in entry.details
    alone = talk(said(down(frame)))[-1]
    assert alone.text == f"{entry.text} (protocol guessed: no handshake)"


@given(st.integers(0, (1 << 36) - 1))
@example(951_782_400)  # 29 February 2000
@example(4_107_542_399)  # the end of a February with 28 days, 2100
def test_times_are_those_of_the_calendar(seconds: int) -> None:
    shown = summarise({"EVSETimeStamp": seconds})
    moment = datetime(1970, 1, 1) + timedelta(seconds=seconds)
    assert shown == f"time {moment.isoformat()}Z"


@pytest.mark.parametrize("seconds", [-1, 1 << 36, 1 << 63])
def test_times_far_away_are_numbers(seconds: int) -> None:
    assert summarise({"EVSETimeStamp": seconds}) == f"time {seconds}"


READERS = {"din": 0x8001, "iso2": 0x8001, **{n: 0x8002 + i for i, n in enumerate(ISO20_ORDER)}}
"""Codecs and the payload types of their messages."""


@settings(max_examples=150, deadline=None)
@given(data=st.data(), protocol=st.sampled_from(sorted(READERS)))
def test_any_message_makes_a_harmless_line(data: st.DataObject, protocol: str) -> None:
    """Every field of every message may come, with any text in it; or with a byte changed."""
    grammar = protocols.codec(protocol).grammar
    message = data.draw(st.one_of([objects(grammar, t) for t in grammar.roots.values()]))
    payload = protocols.codec(protocol).encode(message)
    read = ProtocolReader().read(READERS[protocol], payload)
    assert read.name or read.text == "message without a body"
    assert read.text.isprintable()
    assert read.json is not None
    assert json.loads(json.dumps(read.json)) == read.json
    at = data.draw(st.integers(0, len(payload) - 1))
    changed = bytearray(payload)
    changed[at] = data.draw(st.integers(0, 255))
    damaged = ProtocolReader().read(READERS[protocol], bytes(changed))
    assert damaged.text.isprintable()
    json.dumps(damaged.json)


def test_the_handshake_again_in_iso20() -> None:
    """0x8001 is the handshake alone there."""
    again = (up(offer("urn:iso:std:iso:15118:-20:DC")), down(choice(1)))
    assert [e.tag for e in talk(said(*again, *again)) if e.layer == "v2g"] == ["SAP"] * 4


def test_a_damaged_iso20_message() -> None:
    parts = (
        up(offer("urn:iso:std:iso:15118:-20:DC")),
        down(choice(1)),
        up(framed(b"\x80", 0x8004)),
    )
    last = talk(said(*parts))[-1]
    assert last.text.startswith("ISO 15118-20 DC message, 1 bytes, not decodable: ")
    assert talk(said(up(framed(b"\x80", 0x8004))))[-1].text.startswith(
        "ISO 15118-20 DC message, 1 bytes, not decoded"
    )


def test_only_the_codecs_that_are_needed_are_loaded(tmp_path: Path) -> None:
    """Neither the help nor a DIN 70121 capture loads ISO 15118."""
    path = write(tmp_path / "session.pcapng", session_frames())
    program = (
        "import contextlib, io, sys; from controller.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(sys.argv[1:])\n"
        "print(*sorted(n for n in sys.modules if n.startswith('controller.v2g.messages.')))"
    )
    for arguments, expected in (
        (["--help"], []),
        (["decode", str(path)], ["din", "protocols", "sap", "xmldsig"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        loaded = [name.rpartition(".")[2] for name in done.stdout.split()]
        assert loaded == expected


def test_a_charger_that_names_no_schema_id_means_the_only_one() -> None:
    parts = (up(offer(din.NAMESPACE)), down(choice(None)), up(SETUP_REQ))
    assert texts(said(*parts), "v2g")[-1] == "SessionSetupReq EVCCID 02CA00000001"


def test_an_id_that_was_not_offered() -> None:
    parts = (up(offer(din.NAMESPACE)), down(choice(9)), up(SETUP_REQ))
    shown = texts(said(*parts), "v2g")
    assert shown[1] == "supportedAppProtocolRes OK_SuccessfulNegotiation, id 9: not offered"
    assert shown[2].endswith("(protocol guessed: no handshake)")


def test_a_payload_that_is_damaged() -> None:
    bad = framed(SETUP_REQ[8:12])
    entries = talk(said(up(offer(din.NAMESPACE)), down(choice(1)), up(bad), up(SETUP_REQ)))
    assert entries[-2].text.startswith("DIN 70121 message, 4 bytes, not decodable: ")
    assert entries[-2].details["error"]
    assert entries[-1].text == "SessionSetupReq EVCCID 02CA00000001"


def test_trailing_bytes_are_told() -> None:
    long = framed(SETUP_REQ[8:] + b"\0\0")
    entries = talk(said(up(offer(din.NAMESPACE)), down(choice(1)), up(long)))
    assert entries[-1].details["trailing_bytes"] == 2


def test_capture_that_begins_in_the_middle() -> None:
    """The first bytes are the rest of a message; the first header after it is found."""
    wire = FlowComposer()
    frames = wire.data(CHARGER, CAR, DEMAND_RES[20:] + DEMAND_RES)
    frames += wire.data(CAR, CHARGER, DEMAND_REQ)
    entries = talk(frames)
    assert [(e.source, e.tag) for e in entries if e.layer == "v2g"] == [
        ("charger", "DIN"),
        ("car", "DIN"),
    ]
    assert all(e.details["guessed"] for e in entries if e.layer == "v2g")
    shown = [e.text for e in entries if e.layer == "tcp"]
    assert any("begins inside" in text for text in shown)
    assert any(f"{len(DEMAND_RES) - 20} bytes skipped" in text for text in shown)


def test_iso2_without_handshake_is_not_taken_for_din() -> None:
    frames = FlowComposer().data(CAR, CHARGER, framed(b"\x80\x98\x01\x02"))
    (entry,) = [e for e in talk(frames) if e.layer == "v2g"]
    assert (entry.details["protocol"], entry.details["json"]) == ("iso2", None)


def test_lost_segment() -> None:
    frames = said(
        up(offer(din.NAMESPACE)), down(choice(1)), up(DEMAND_REQ), down(DEMAND_RES),
        up(DEMAND_REQ), down(DEMAND_RES),
    )  # fmt: skip
    del frames[5]  # the first CurrentDemandReq
    shown = texts(frames)
    assert f"{len(DEMAND_REQ)} bytes are missing in the capture (port 49200)" in shown
    assert shown.count(DEMAND) == 1


def test_lost_part_of_a_message() -> None:
    wire = FlowComposer(mss=30)
    frames = wire.opened(CAR, CHARGER)
    frames += wire.data(CAR, CHARGER, DEMAND_REQ)[::2]  # without its second segment
    frames += wire.data(CHARGER, CAR, DEMAND_RES)
    frames += wire.data(CAR, CHARGER, DEMAND_REQ)
    shown = [e.text for e in talk(frames) if e.source == "car"]
    assert any("bytes are missing in the capture, 30 bytes of a message before" in t for t in shown)
    assert sum(t.startswith(DEMAND) for t in shown) == 1


def test_message_that_never_became_complete() -> None:
    wire = FlowComposer()
    frames = wire.opened(CAR, CHARGER) + wire.data(CAR, CHARGER, DEMAND_REQ[:-1])
    text = f"{len(DEMAND_REQ) - 1} bytes of a message that never became complete (port 49200)"
    assert texts(frames)[-1] == text
    assert text in texts(frames + wire.closed(CAR, CHARGER))


def test_tls() -> None:
    hello = b"\x16\x03\x01\x00\x05hello"
    parts = (up(hello), down(hello), up(DEMAND_REQ))
    assert texts(said(*parts))[2:] == ["TLS, not decoded (port 49200)"]


def test_another_protocol_between_neighbours_is_left_alone() -> None:
    assert texts(said(up(b"GET / HTTP/1.1\r\n\r\n"), down(DEMAND_RES)))[2:] == [
        "another protocol, not followed (port 49200)"
    ]


FAR_CAR = Endpoint.of(CAR.mac, "2001:db8::1", 49200)
FAR_CHARGER = Endpoint.of(CHARGER.mac, "2001:db8::2", 443)


def test_traffic_of_others_is_not_shown() -> None:
    wire = FlowComposer()
    frames = wire.opened(FAR_CAR, FAR_CHARGER) + wire.data(FAR_CAR, FAR_CHARGER, b"\x16\x03\x01")
    frames += wire.data(FAR_CHARGER, FAR_CAR, DEMAND_RES) + wire.closed(FAR_CAR, FAR_CHARGER)
    assert talk(frames) == []


def test_v2g_is_found_by_its_bytes_between_any_addresses() -> None:
    wire = FlowComposer()
    frames = wire.opened(FAR_CAR, FAR_CHARGER)
    frames += wire.data(FAR_CAR, FAR_CHARGER, offer(din.NAMESPACE))
    shown = texts(frames)
    assert shown[0] == "is connected from [2001:db8::1]:49200 to [2001:db8::2]:443"
    assert shown[1].startswith("supportedAppProtocolReq DIN 70121")


def test_loopback_names_the_ends_by_their_part() -> None:
    client = Endpoint.of(bytes(6), "::1", 40000)
    server = Endpoint.of(bytes(6), "::1", 50000)
    wire = FlowComposer()
    frames = wire.opened(client, server) + wire.data(server, client, choice(1))
    assert [(e.source, e.destination) for e in talk(frames)] == [
        ("car", "charger"),
        ("charger", "car"),
        ("charger", "car"),
    ]


def test_refused_repeated_and_reset() -> None:
    wire = FlowComposer()
    syn = wire.opened(CAR, CHARGER)[0]
    frames = [syn, syn, *wire.reset(CHARGER, CAR)]
    assert texts(frames) == [
        "connects from [fe80::ca]:49200 to [fe80::ce]:61341",
        "connects again from [fe80::ca]:49200 to [fe80::ce]:61341",
        "refuses the connection (port 49200)",
    ]
    assert texts(said() + wire.reset(CAR, CHARGER))[-1] == "resets the connection (port 49200)"


def test_ports_used_again_are_another_session() -> None:
    wire = FlowComposer()
    frames = []
    for namespace in (din.NAMESPACE, ISO2):
        frames += wire.opened(CAR, CHARGER) + wire.data(CAR, CHARGER, offer(namespace))
        frames += wire.data(CHARGER, CAR, choice(1)) + wire.data(CAR, CHARGER, SETUP_REQ)
    tags = [e.tag for e in talk(frames) if e.layer == "v2g"]
    assert tags == ["SAP", "SAP", "DIN", "SAP", "SAP", "ISO2"]


def test_a_second_car_gets_a_number() -> None:
    other = Endpoint.of(bytes.fromhex("02ca00000099"), "fe80::99", 50000)
    frames = [
        f for who in (CAR_UDP, other, CAR_UDP)
        for f in FlowComposer().datagram(who, GROUP, sdp.encode_request(0x00))
    ]  # fmt: skip
    assert [(e.source, e.text) for e in talk(frames)] == [
        ("car", "SECCDiscoveryReq TLS"),
        ("car 2", "SECCDiscoveryReq TLS"),
        ("car", "SECCDiscoveryReq TLS"),
    ]


def test_damaged_sdp() -> None:
    frames = FlowComposer().datagram(CAR_UDP, GROUP, sdp.encode_request()[:-1])
    assert texts(frames)[0].startswith("not decodable: ")
    assert texts(FlowComposer().datagram(CAR_UDP, GROUP, b"syslog")) == []


def test_many_connections_are_forgotten() -> None:
    conversation = Conversation()
    for n in range(3000):
        client = Endpoint(CAR.mac, CAR.ip[:-2] + n.to_bytes(2, "big"), 50000)
        frame = tcp_frame(Segment(client, CHARGER, n, 0, SYN, b""))
        conversation.receive_packet(Packet(n, 0, 1, frame, len(frame)))
    assert len(conversation._connections._connections) <= 256


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False))
def test_disorder_changes_nothing(random: Random) -> None:
    """Segments swapped and repeated within one direction give the same messages."""
    wire = FlowComposer(mss=23)
    first = wire.opened(CAR, CHARGER) + wire.data(CAR, CHARGER, offer(din.NAMESPACE))
    first += wire.data(CHARGER, CAR, choice(1))
    burst = wire.data(CAR, CHARGER, SETUP_REQ + DEMAND_REQ)[:-1]  # without the acknowledgement
    expected = [e.text for e in talk(first + burst) if e.layer == "v2g"]
    mixed = burst + random.sample(burst, 2)
    random.shuffle(mixed)
    assert [e.text for e in talk(first + mixed) if e.layer == "v2g"] == expected
    assert len(expected) == 4


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_frames_never_raise(data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in session_frames()]
    for _ in range(data.draw(st.integers(1, 8))):
        frame = data.draw(st.sampled_from(frames))
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    for entry in talk([bytes(frame) for frame in frames]):
        assert entry.text.isprintable()
        json.dumps(entry.details)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
def test_random_streams_never_raise(chunks: list[bytes], handshake: bool) -> None:
    parts = [up(offer(din.NAMESPACE)), down(choice(1))] if handshake else []
    frames = said(*parts, *(up(framed(chunk)) for chunk in chunks), *(down(c) for c in chunks))
    for entry in talk(frames):
        assert entry.text.isprintable()


def test_a_segment_of_nothing_but_flags() -> None:
    frame = tcp_frame(Segment(CAR, CHARGER, 5, 5, ACK | PSH, b""))
    assert talk([frame]) == []
