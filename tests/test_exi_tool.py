"""`ccs-pilot exi`: what a user types, and what comes out."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.exi_tool import point_at
from controller.main import main
from controller.v2g import v2gtp

DIN_HEX = "809a02004080c1014181c210d1400c80c0c004821828480180"
DIN_SESSION = "0102030405060708"
SAP_HEX = "80400000"
SAP_JSON = {"supportedAppProtocolRes": {"ResponseCode": "OK_SuccessfulNegotiation", "SchemaID": 0}}
DC_HEX = "803404667603d3222062a30abdd82c806200518402040b8690202808101404000a02080a0102050080028040"
DC_HEX += "81402000a000"
DC_NAME = "DC_ChargeLoopReq"


class Ran:
    """What a command wrote, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err
        self.lines = out.splitlines()


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*words: str, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(["exi", *words])
        written = capsys.readouterr()
        return Ran(code, written.out, written.err)

    return call


# ----------------------------------------------------------------------------------- one payload


@pytest.mark.parametrize("words", [("din", DIN_HEX), (DIN_HEX,), ("din",), ("din", "-"), ()])
def test_decode_from_word_or_stdin(run: Run, words: tuple[str, ...]) -> None:
    ran = run("decode", *words, stdin=f" {DIN_HEX[:10]} {DIN_HEX[10:]}\n")
    assert ran.code == 0
    assert json.loads(ran.out)["V2G_Message"]["Header"] == {"SessionID": DIN_SESSION}
    assert ran.err == ""


def test_decode_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "payload.hex"
    file.write_text(f"0x{DC_HEX.upper()}\n")
    for protocol in ("iso20", "iso20-dc"):
        ran = run("decode", protocol, str(file))
        assert list(json.loads(ran.out)) == [DC_NAME]


def test_encode_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    for protocol, payload in (("din", DIN_HEX), ("iso20", DC_HEX), ("sap", SAP_HEX)):
        view = run("decode", protocol, payload).out
        assert run("encode", protocol, view).out == f"{payload}\n"
        assert run("encode", protocol, stdin=view).out == f"{payload}\n"
        file = tmp_path / "message.json"
        file.write_text(view)
        assert run("encode", protocol, str(file)).out == f"{payload}\n"


def test_frames_are_taken_and_their_type_counts(run: Run) -> None:
    view = {
        "ACDP_ConnectReq": {
            "Header": {"SessionID": DIN_SESSION, "TimeStamp": 1},
            "EVElectricalChargingDeviceStatus": "State_A",
        }
    }
    payload = bytes.fromhex(run("encode", "iso20", json.dumps(view)).out)
    frame = v2gtp.encode(0x8005, payload).hex()
    assert json.loads(run("decode", "iso20", frame).out) == view
    assert json.loads(run("decode", frame).out) == view
    assert run("identify", frame).lines == ["iso20-acdp  ACDP_ConnectReq"]
    assert list(json.loads(run("decode", "iso20", payload.hex()).out)) == ["AuthorizationReq"]
    sap = v2gtp.encode(0x8001, bytes.fromhex(SAP_HEX)).hex()
    assert json.loads(run("decode", sap).out) == SAP_JSON


def test_identify(run: Run) -> None:
    assert run("identify", DC_HEX).lines == [f"iso20-dc  {DC_NAME}"]
    assert run("identify", f"{DC_HEX}00").lines == [f"iso20-dc  {DC_NAME}  (1 bytes follow)"]
    ran = run("identify", "ffff")
    assert (ran.code, ran.out) == (1, "")
    assert "no message of sap, din" in ran.err


def test_superfluous_bytes_are_reported(run: Run) -> None:
    ran = run("decode", "din", f"{DIN_HEX}0000")
    assert (ran.code, ran.err) == (0, "ccs-pilot: 2 bytes follow the message\n")


# ---------------------------------------------------------------------------------------- errors


def test_an_error_points_at_the_bit(run: Run) -> None:
    ran = run("decode", "din", "809affff")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        "ccs-pilot: V2G_Message.Header: event code 1 is none of: SessionID (at bit 16)",
        "  byte 0: 10000000 10011010 11111111 11111111",
        "                            ^ bit 16",
    ]


@pytest.mark.parametrize(("offset", "first"), [(0, 0), (31, 0), (32, 1), (79, 6), (80, 7)])
def test_the_mark_stands_below_the_bit(offset: int, first: int) -> None:
    payload = bytearray(10)
    if offset < 80:
        payload[offset // 8] = 128 >> offset % 8
    shown, mark = point_at(bytes(payload), offset).splitlines()
    assert shown.startswith(f"  byte {first}: ")
    at = mark.index("^")
    assert mark == " " * at + f"^ bit {offset}"
    if offset < 80:
        assert shown.count("1", 9) == 1
        assert shown[at] == "1"
    else:
        assert at == len(shown) + 1
    assert point_at(bytes(payload), None) == ""


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("decode", "din", "80x"), 1, "no hex string"),
        (("decode", "din", "01fe8001000000ff80"), 2, "length 255"),
        (("decode", "din2", DIN_HEX), 2, "'din2' is none of sap, din, iso2"),
        (("decode", "--lines", "/no/such/file"), 2, "/no/such/file: no such file"),
        (("identify", "--lines"), 2, "takes one payload"),
        (("encode", "sap", "{"), 1, "no JSON"),
        (("encode", "sap", "[" * 100_000), 1, "no JSON"),
        (("encode", "sap", "[]"), 1, "no JSON object"),
        (("encode", "{}"), 2, "name a protocol"),
        (("encode", "sap", '{"supportedAppProtocolRes": {}}'), 1, "supportedAppProtocolRes"),
    ],
)
def test_errors(run: Run, words: tuple[str, ...], code: int, text: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err
    assert ran.err.startswith("ccs-pilot: ")


def test_a_file_that_is_no_text(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\x80\x9a")
    ran = run("decode", "din", str(file))
    assert (ran.code, ran.err) == (2, f"ccs-pilot: {file}: no text\n")


# ----------------------------------------------------------------------------------------- lines


def test_decode_lines(run: Run, tmp_path: Path) -> None:
    text = f"din {DIN_HEX}\niso20 {DC_HEX}\nsap {SAP_HEX}\niso20 80\n\nfoo 80\ndin xx\n"
    ran = run("decode", "--lines", stdin=text)
    assert ran.code == 0
    answers = [json.loads(line) for line in ran.lines]
    assert [next(iter(answer)) for answer in answers[:3]] == [
        "V2G_Message",
        DC_NAME,
        "supportedAppProtocolRes",
    ]
    assert answers[3] == {"error": "root: 6 bits missing at the end (at bit 8)", "bit": 8}
    assert [list(answer) for answer in answers[4:]] == [["error"], ["error"], ["error"]]
    file = tmp_path / "lines"
    file.write_text(text)
    assert run("decode", "--lines", str(file)).out == ran.out


def test_encode_lines(run: Run) -> None:
    text = f"sap {json.dumps(SAP_JSON)}\nsap {{}}\nsap 1\n"
    lines = run("encode", "--lines", stdin=text).lines
    assert lines[0] == SAP_HEX
    assert json.loads(lines[1]) == {"error": "one root element expected"}
    assert json.loads(lines[2]) == {"error": "no JSON object"}


def test_fragments(run: Run) -> None:
    view = {
        "SignedInfo": {
            "CanonicalizationMethod": {"Algorithm": "a"},
            "SignatureMethod": {"Algorithm": "b"},
            "Reference": [{"DigestMethod": {"Algorithm": "c"}, "DigestValue": "AAAA"}],
        }
    }
    for protocol, start in (("dsig", "808"), ("din", "80"), ("iso20", "8073")):
        (payload,) = run("encode", protocol, "--fragment", json.dumps(view)).lines
        assert payload.startswith(start)
        for words in (
            ("decode", protocol, "--fragment", payload),
            ("decode", "--fragment", protocol, payload),
            ("decode", protocol, payload, "--fragment"),
            ("--fragment", "decode", protocol, payload),
        ):
            assert json.loads(run(*words).out) == view
        (line,) = run("decode", "--lines", "--fragment", stdin=f"{protocol} {payload}").lines
        assert json.loads(line) == view
        (line,) = run(
            "encode", "--lines", "--fragment", stdin=f"{protocol} {json.dumps(view)}"
        ).lines
        assert line == payload


def test_as_heard(run: Run) -> None:
    view = json.dumps({"DC_CableCheckReq": {"Header": {"SessionID": "01", "TimeStamp": 1}}})
    assert run("encode", "iso20", view).code == 1
    payload = run("encode", "iso20", "--as-heard", view).out.strip()
    assert json.loads(run("decode", "iso20", payload).out) == json.loads(view)
