"""Bounds on what a message may hold, and on what a value may be."""

import pytest

from controller.errors import ExiError
from controller.v2g.exi.bits import BitWriter
from controller.v2g.exi.schema import MAX_ITEMS
from controller.v2g.exi.walk import MAX_BYTES
from controller.v2g.messages import din, sap


def _fails(payload: bytes) -> tuple[str, str, int | None]:
    with pytest.raises(ExiError) as raised:
        din.decode(payload)
    return raised.value.path, raised.value.reason, raised.value.bit_offset


def test_size_of_a_message() -> None:
    stop = din.encode(din.Message(session_id=b"\1", body=din.SessionStopReq()))
    assert din.decode_counting(stop.ljust(MAX_BYTES, b"\0"))[1] == MAX_BYTES - len(stop)
    reason = f"{MAX_BYTES + 1} bytes, at most {MAX_BYTES} are taken"
    assert _fails(stop.ljust(MAX_BYTES + 1, b"\0")) == ("header", reason, 0)


def test_first_bytes() -> None:
    assert _fails(b"") == ("header", "8 bits missing at the end", 0)
    assert _fails(b"$EXI\x80\x9a") == ("header", "no EXI header without options", 0)
    assert _fails(b"\x80\xff") == ("root", "unknown root element (code 127)", 8)
    assert _fails(b"\x80\x00") == ("root", "AC_EVChargeParameter is no message", 8)


def test_items_of_an_unbounded_list() -> None:
    """An endless list stops at the bound, by both codecs."""
    option = din.PaymentOptions(payment_option=(din.PaymentOption.Contract,) * MAX_ITEMS)
    tag = din.ServiceTag(service_id=1, service_category=din.ServiceCategory.EVCharging)
    service = din.ServiceCharge(
        service_tag=tag,
        free_service=True,
        energy_transfer_type=din.EvseSupportedEnergyTransferType.DC_extended,
    )
    body = din.ServiceDiscoveryRes(
        response_code=din.ResponseCode.OK, payment_options=option, charge_service=service
    )
    message = din.Message(session_id=b"", body=body)
    assert din.decode(din.encode(message)) == message
    start = BitWriter()
    for value, width in ((0x80, 8), (77, 7), (0, 3), (1, 8), (0, 8), (0, 1), (2, 2), (0, 1)):
        start.write(value, width)  # header, root, session id 00, Body
    for value, width in ((26, 6), (0, 2), (0, 5), (0, 1), (0, 1)):
        start.write(value, width)  # ServiceDiscoveryRes, its response code, PaymentOptions
    endless = start.finish() + bytes(2000)
    path, reason, _ = _fails(endless)
    options = "V2G_Message.Body.ServiceDiscoveryRes.PaymentOptions"
    assert path == f"{options}.PaymentOption[{MAX_ITEMS}]"
    assert reason == f"more than {MAX_ITEMS} items"


@pytest.mark.parametrize(
    ("message", "path", "reason"),
    [
        (
            din.Message(session_id="0102", body=None),  # type: ignore[arg-type]
            "V2G_Message.Header.SessionID",
            "'0102' is no bytes",
        ),
        (
            din.Message(session_id=b"\1", body=din.ServiceDiscoveryReq(service_scope=7)),  # type: ignore[arg-type]
            "V2G_Message.Body.ServiceDiscoveryReq.ServiceScope",
            "7 is no string",
        ),
        (
            din.Message(session_id=b"\1", body=din.ServiceDiscoveryReq(service_scope="\ud800")),
            "V2G_Message.Body.ServiceDiscoveryReq.ServiceScope",
            "'\\ud800' has characters that XML does not allow",
        ),
    ],
)
def test_values_of_the_wrong_kind(message: din.Message, path: str, reason: str) -> None:
    with pytest.raises(ExiError) as raised:
        din.encode(message)
    assert (raised.value.path, raised.value.reason) == (path, reason)


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ({"supportedAppProtocolReq": {"AppProtocol": 1}}, "supportedAppProtocolReq.AppProtocol"),
        ({"supportedAppProtocolRes": {"ResponseCode": "x"}}, "supportedAppProtocolRes.Res"),
        (
            {"supportedAppProtocolRes": {"ResponseCode": "Failed_NoNegotiation", "SchemaID": "1"}},
            "supportedAppProtocolRes.SchemaID: '1' is no int",
        ),
    ],
)  # fmt: skip
def test_views_of_the_wrong_kind(view: dict[str, object], text: str) -> None:
    with pytest.raises(ExiError) as raised:
        sap.from_json(view)
    assert str(raised.value).startswith(text)


def test_views_of_what_is_no_element() -> None:
    with pytest.raises(ExiError, match="Cost is no element of this protocol"):
        din.to_json(din.Cost(cost_kind=din.CostKind.CarbonDioxideEmission, amount=1))
    odd = din.PowerDeliveryRes(response_code=din.ResponseCode.OK, evse_status="x")  # type: ignore[arg-type]
    with pytest.raises(ExiError, match="EVSEStatus: str given"):
        din.to_json(odd)
