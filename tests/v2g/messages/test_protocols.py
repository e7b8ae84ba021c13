"""Choice of the codec: by name, by payload type, by root."""

import pytest

from controller.errors import ExiError
from controller.v2g.messages import din, iso20_acdp, iso20_dc, iso20_types, protocols
from controller.v2g.messages.protocols import Found

HEADER = iso20_types.MessageHeader(session_id=bytes(range(8)), time_stamp=1)
CABLE_CHECK = iso20_dc.encode(iso20_dc.DcCableCheckReq(header=HEADER))
CONNECT = iso20_acdp.encode(
    iso20_acdp.AcdpConnectReq(
        header=HEADER,
        ev_electrical_charging_device_status=iso20_acdp.ElectricalChargingDeviceStatus.State_A,
    )
)


@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_every_codec_loads(name: str) -> None:
    assert protocols.codec(name).grammar.roots


def test_payload_types() -> None:
    assert protocols.ISO20_BY_PAYLOAD_TYPE == {
        0x8002: "iso20-common",
        0x8003: "iso20-ac",
        0x8004: "iso20-dc",
        0x8005: "iso20-acdp",
        0x8006: "iso20-wpt",
        0x8101: "iso20-common",
        0x8102: "iso20-common",
        0x8103: "iso20-acdp",
        0x8104: "iso20-common",
    }
    assert protocols.PROTOCOLS["din"].payload_type == 0x8001


def test_a_root_that_one_namespace_has() -> None:
    found = protocols.decode("iso20", CABLE_CHECK + b"\0")
    expected = iso20_dc.DcCableCheckReq(header=HEADER)
    assert found == Found("iso20-dc", "DC_CableCheckReq", expected, 1)
    assert found == protocols.decode("iso20-dc", CABLE_CHECK + b"\0")
    assert found == protocols.decode("iso20", CABLE_CHECK + b"\0", payload_type=0x8004)


def test_the_payload_type_tells_apart_what_the_bits_do_not() -> None:
    names = [found.name for found in protocols.identify(CONNECT, protocols.ISO20)]
    assert names == ["AuthorizationReq", "ACDP_ConnectReq"]
    assert protocols.decode("iso20", CONNECT).protocol == "iso20-common"
    found = protocols.decode("iso20", CONNECT, payload_type=0x8005)
    assert (found.protocol, found.name) == ("iso20-acdp", "ACDP_ConnectReq")


def test_an_unknown_payload_type_is_no_obstacle() -> None:
    assert protocols.decode("iso20", CABLE_CHECK, payload_type=0x8FFF).protocol == "iso20-dc"


def test_the_error_is_that_of_the_codec_that_got_furthest() -> None:
    with pytest.raises(ExiError, match=r"^DC_CableCheckReq.Header.*: \d+ bits missing at the end"):
        protocols.decode("iso20", CABLE_CHECK[:12])
    with pytest.raises(ExiError, match="no EXI header"):
        protocols.decode("iso20", b"\0")
    with pytest.raises(ExiError, match="missing at the end"):
        protocols.decode("iso20", b"")


def test_identify_among_all_protocols() -> None:
    message = din.Message(session_id=bytes(8), body=din.SessionStopReq())
    (found, *_) = protocols.identify(din.encode(message))
    assert (found.protocol, found.message) == ("din", message)
    assert protocols.identify(b"\xff") == []


def test_encode_finds_the_namespace_by_the_root() -> None:
    view = protocols.decode("iso20", CABLE_CHECK).to_json()
    assert protocols.encode("iso20", view) == CABLE_CHECK
    with pytest.raises(ExiError, match="Nothing is no element of this protocol"):
        protocols.encode("iso20", {"Nothing": {}})
    with pytest.raises(ExiError, match="one root element expected"):
        protocols.encode("iso20", {})


def test_encode_as_heard() -> None:
    view: dict[str, object] = {"DC_CableCheckReq": {"Header": {"SessionID": "01", "TimeStamp": 1}}}
    with pytest.raises(ExiError, match="at least 8"):
        protocols.encode("iso20-dc", view)
    payload = protocols.encode("iso20-dc", view, strict=False)
    assert protocols.decode("iso20-dc", payload).to_json() == view
