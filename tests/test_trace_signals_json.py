"""Signals as JSON: every class there and back, and nothing but WireError for anything else."""

import dataclasses
import json
import types
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import signals, signals_json
from controller.errors import WireError
from controller.signals import Heartbeat, Output, Phase, PowerEnvelope, SendDatagram, SendFrame


def strategy_of(hint: object) -> st.SearchStrategy[Any]:
    """Values of a field's annotation."""
    simple: dict[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63),
        float: st.floats(allow_nan=False, allow_infinity=False),
        str: st.text(max_size=20),
        bytes: st.binary(max_size=80),
    }
    if hint in simple:
        return simple[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return instances(hint)
    if get_origin(hint) is types.UnionType:
        return st.one_of([strategy_of(item) for item in get_args(hint)])
    if hint is type(None):
        return st.none()
    assert get_origin(hint) is tuple, hint
    items = get_args(hint)
    if items[1:] == (Ellipsis,):
        return st.lists(strategy_of(items[0]), max_size=3).map(tuple)
    return st.tuples(*[strategy_of(item) for item in items])


def instances(cls: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{f.name: strategy_of(hints[f.name]) for f in dataclasses.fields(cls)})


ALL = [
    cls for cls in vars(signals).values() if isinstance(cls, type) and dataclasses.is_dataclass(cls)
]


def test_every_signal_is_known() -> None:
    assert len(ALL) > 40
    assert set(signals_json.registered()) >= set(ALL)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_there_and_back(cls: type, data: st.DataObject) -> None:
    signal: Output = data.draw(instances(cls))
    encoded = signals_json.encode(signal)
    assert b"\n" not in encoded
    assert json.loads(encoded)["type"] == cls.__name__
    again = signals_json.decode(encoded)
    assert again == signal
    assert type(again) is cls
    assert signals_json.encode(again) == encoded


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (
            Heartbeat(7, Phase.PRE_CHARGE, 1.5),
            '{"type":"Heartbeat","sequence":7,"phase":"PRE_CHARGE","sent_at":1.5}',
        ),
        (SendFrame(b"\x00\xff"), '{"type":"SendFrame","frame":"00ff"}'),
        (SendDatagram(b"", None), '{"type":"SendDatagram","data":"","to":null}'),
        (SendDatagram(b"", ("::1", 9)), '{"type":"SendDatagram","data":"","to":["::1",9]}'),
    ],
)
def test_form(signal: Output, expected: str) -> None:
    assert signals_json.encode(signal).decode() == expected


def test_an_integer_is_taken_for_a_float() -> None:
    text = signals_json.encode(PowerEnvelope(1.0, 2.0, 3.0, 4.0, 5.0)).replace(b"1.0", b"1")
    signal = signals_json.decode(text)
    assert isinstance(signal, PowerEnvelope)
    assert type(signal.minimum_voltage_v) is float


ENVELOPE = (
    '{"type":"PowerEnvelope","minimum_voltage_v":%s,"maximum_voltage_v":2,'
    '"minimum_current_a":3,"maximum_current_a":4,"maximum_power_w":5}'
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        '{"type":null}',
        '{"type":["Heartbeat"]}',
        '{"type":"NoSuchSignal"}',
        '{"type":"Output"}',
        '{"type":"Heartbeat","sequence":7}',
        '{"type":"Heartbeat","sequence":7,"phase":"IDLE","more":1}',
        '{"type":"Heartbeat","sequence":7,"phase":"IDLE","t":1}',
        '{"type":"Heartbeat","sequence":7.0,"phase":"IDLE"}',
        '{"type":"Heartbeat","sequence":true,"phase":"IDLE"}',
        '{"type":"Heartbeat","sequence":"7","phase":"IDLE"}',
        '{"type":"Heartbeat","sequence":7,"phase":"idle"}',
        '{"type":"Heartbeat","sequence":7,"phase":["IDLE"]}',
        '{"type":"Heartbeat","sequence":' + "9" * 5000 + ',"phase":"IDLE"}',
        '{"type":"SendFrame","frame":"0"}',
        '{"type":"SendFrame","frame":"0g"}',
        '{"type":"SendFrame","frame":"00 11"}',
        '{"type":"SendFrame","frame":[0]}',
        '{"type":"SendDatagram","data":"","to":["::1"]}',
        '{"type":"SendDatagram","data":"","to":["::1",9,9]}',
        '{"type":"SendDatagram","data":"","to":["::1","9"]}',
        '{"type":"SetS2","closed":1}',
        '{"type":"SetS2","closed":"true"}',
        '{"type":"Permits","close_contactors":true,"energise":true,"expires_at":1,"reasons":"no"}',
        ENVELOPE % "NaN",
        ENVELOPE % "Infinity",
        ENVELOPE % "-Infinity",
        ENVELOPE % "1e999",
        ENVELOPE % ("9" * 400),
        ENVELOPE % "true",
        ENVELOPE % "null",
        ENVELOPE % '"1"',
        "[" * 100_000,
        '{"type":"OpenContactors","reason":' + "[" * 100_000 + "}",
    ],
    ids=lambda text: text[:70],
)
def test_refused(text: str) -> None:
    with pytest.raises(WireError):
        signals_json.decode(text.encode())


def test_not_utf8_is_refused() -> None:
    with pytest.raises(WireError):
        signals_json.decode(b'{"type":"OpenContactors","reason":"\xff"}')


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_not_sent(number: float) -> None:
    with pytest.raises(WireError, match="PowerEnvelope"):
        signals_json.encode(PowerEnvelope(number, 2.0, 3.0, 4.0, 5.0))


def test_the_error_names_the_field() -> None:
    with pytest.raises(WireError, match=r"PowerEnvelope\.minimum_voltage_v: 'x' is no finite"):
        signals_json.decode((ENVELOPE % '"x"').encode())


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(WireError):
        signals_json.decode(data)


@given(st.data())
def test_damaged_messages(data: st.DataObject) -> None:
    cls = data.draw(st.sampled_from(ALL))
    encoded = bytearray(signals_json.encode(data.draw(instances(cls))))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        signal = signals_json.decode(bytes(encoded))
    except WireError:
        return
    assert signals_json.decode(signals_json.encode(signal)) == signal


def test_a_field_must_not_have_a_name_of_the_trace() -> None:
    @dataclasses.dataclass(frozen=True)
    class Bad(Output):
        node: str

    with pytest.raises(TypeError, match="node"):
        signals_json.register(Bad)
