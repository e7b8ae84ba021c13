"""The generated code: it does the usual work itself, and reads like code."""

import ast
import json
from typing import Any

import pytest

from controller.v2g.exi import compile as generated
from controller.v2g.exi import reading
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.compile import FAILURES, Compiled
from controller.v2g.messages import din, sap
from tests.v2g.exi.vectors import PROTOCOLS, golden


def _is_usual(vector: dict[str, Any]) -> bool:
    """Whether it has nothing that is left to the reference codec.

    That are signatures, empty texts, text beyond ASCII, serial numbers of any length, and lists of
    two items or more.
    """
    text = json.dumps(vector.get("json", vector.get("fields")))
    left = ('Signature"', '""', "\\u", "SerialNumber", "SpecData")
    return not any(word in text for word in left)


def test_usual_vectors_need_no_reference() -> None:
    usual = [(name, vector) for name, vector in golden() if _is_usual(vector)]
    assert len(usual) > 100
    for name, vector in usual:
        payload, codec = bytes.fromhex(vector["hex"]), PROTOCOLS[name].CODEC
        message, left = codec._compiled.decode(payload)
        assert (codec._compiled.encode(message), left) == (payload, 0)


def test_source_can_be_read() -> None:
    codec = Codec("sap", "", roots=(sap.SupportedAppProtocolReq, sap.SupportedAppProtocolRes))
    assert codec.source == ""
    codec.decode(bytes.fromhex("80400000"))
    (function,) = ast.parse(codec.source).body
    assert isinstance(function, ast.FunctionDef)
    assert function.name == "read_SupportedAppProtocolRes"


def test_functions_are_made_when_needed() -> None:
    compiled = Compiled("din", din.CODEC.grammar)
    compiled.encode(din.Message(session_id=b"\1", body=din.SessionStopReq()))
    source = "".join(compiled.sources)
    assert "def write_SessionStopReq" in source
    assert "def write_CurrentDemandReq" not in source


def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_KNOWN", 5)
    monkeypatch.setattr(reading, "MOST_UNUSUAL", 5)
    compiled = Compiled("din", din.CODEC.grammar)
    for number in range(40):
        value = din.PhysicalValue(multiplier=0, unit=din.Unit.V, value=number + 1000)
        status = din.DcEvStatus(
            ev_ready=True, ev_error_code=din.DcEvErrorCode.NO_ERROR, ev_ress_soc=number
        )
        body = din.PreChargeReq(
            dc_ev_status=status, ev_target_voltage=value, ev_target_current=value
        )
        message = din.Message(session_id=number.to_bytes(8, "big"), body=body)
        assert compiled.decode(compiled.encode(message)) == (message, 0)
    sizes = {
        name: len(table)
        for name, table in compiled._names.items()
        if name.startswith("KNOWN") and isinstance(table, dict)
    }
    assert sizes["KNOWN_PhysicalValue_35"] == 5
    assert sizes["KNOWN_BINARY_75"] == 5
    assert max(sizes.values()) == 5


def test_recognised_objects_are_the_same_object() -> None:
    value = din.PhysicalValue(multiplier=0, unit=din.Unit.V, value=1000)
    status = din.DcEvStatus(ev_ready=True, ev_error_code=din.DcEvErrorCode.NO_ERROR, ev_ress_soc=1)
    body = din.PreChargeReq(dc_ev_status=status, ev_target_voltage=value, ev_target_current=value)
    decoded = din.decode(din.encode(din.Message(session_id=b"\1", body=body))).body
    assert isinstance(decoded, din.PreChargeReq)
    assert decoded.ev_target_voltage is decoded.ev_target_current


def test_long_messages_go_by_reference() -> None:
    payload = din.encode(din.Message(session_id=b"\1", body=din.SessionStopReq()))
    long = payload + bytes(generated.LONGEST)
    with pytest.raises(FAILURES):
        din.CODEC._compiled.decode(long)
    assert din.decode_counting(long)[1] == generated.LONGEST
