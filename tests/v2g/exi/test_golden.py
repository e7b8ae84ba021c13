"""Every golden vector both ways: bytes made by independent codecs."""

from typing import Any

import pytest

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec
from controller.v2g.exi.schema import INFO, Declared
from controller.v2g.messages import din, iso2, iso20_common, protocols, sap, xmldsig
from tests.v2g.exi.vectors import GOLDEN as FOLDER
from tests.v2g.exi.vectors import PROTOCOLS, alike, content, golden, lines

GOLDEN = golden()
FRAGMENT_FOLDER = FOLDER / "fragments"


@pytest.mark.parametrize(
    ("name", "vector"), GOLDEN, ids=[f"{name}-{v['message']}" for name, v in GOLDEN]
)
def test_golden_vector(name: str, vector: dict[str, Any]) -> None:
    module, payload = PROTOCOLS[name], bytes.fromhex(vector["hex"])
    message, left = module.decode_counting(payload)
    assert left == 0
    assert module.encode(message).hex() == vector["hex"]
    view = module.to_json(message)
    if "json" in vector:
        assert view == vector["json"]
    else:
        assert alike(content(view), vector["fields"])
        if vector["session"]:
            assert message.session_id.hex() == vector["session"]
    assert module.from_json(view) == message


FRAGMENTS = [
    (codec, vector)
    for codec in (din.CODEC, iso2.CODEC, iso20_common.CODEC, xmldsig.CODEC)
    for vector in lines(FRAGMENT_FOLDER / f"{codec.name}.jsonl")
]


@pytest.mark.parametrize(
    ("codec", "vector"), FRAGMENTS, ids=[f"{codec.name}-{v['message']}" for codec, v in FRAGMENTS]
)
def test_golden_fragment(codec: Codec[Declared], vector: dict[str, Any]) -> None:
    name, value = codec.decode_fragment(bytes.fromhex(vector["hex"]))
    assert name == vector["message"]
    assert codec.to_json(value, name) == vector["json"]
    assert codec.from_json(vector["json"]) == value
    assert codec.encode_fragment(value, name).hex() == vector["hex"]


def test_fragments_that_are_none() -> None:
    with pytest.raises(ExiError, match="SessionID cannot stand alone"):
        din.CODEC.decode_fragment(bytes([0x80, _code_of("SessionID")]))
    with pytest.raises(ExiError, match="unknown element"):
        din.CODEC.decode_fragment(b"\x80\xff")
    stop = din.CODEC.encode_fragment(din.SessionStopReq())
    assert stop == bytes([0x80, _code_of("SessionStopReq"), 0b01111011, 0b00000000])
    with pytest.raises(ExiError, match="more than one element"):
        din.CODEC.decode_fragment(stop[:2] + b"\0\0")
    with pytest.raises(ExiError, match="Transforms is no element SalesTariff"):
        din.CODEC.encode_fragment(xmldsig.Transforms(transform=()), "SalesTariff")


def _code_of(name: str) -> int:
    return [each for each, _, _ in din.CODEC.grammar.fragments].index(name)


def test_golden_vectors_cover_every_message() -> None:
    covered = {vector["message"] for _, vector in GOLDEN}
    for name, head in (("din", din.BodyElement), ("iso2", iso2.BodyElement)):
        bodies = {cls.__name__ for cls in INFO if issubclass(cls, head)} - {"BodyElement"}
        assert len(bodies) == 34
        assert bodies <= {vector["message"] for protocol, vector in GOLDEN if protocol == name}
    assert {"supportedAppProtocolReq", "supportedAppProtocolRes"} <= covered
    iso20 = [root for name in protocols.ISO20 for root in protocols.codec(name).grammar.roots]
    assert len(iso20) == 26 + 10 + 4 + 8 + 12
    assert set(iso20) <= covered
    assert sap.decode(bytes.fromhex("80400000")) == sap.SupportedAppProtocolRes(
        response_code=sap.ResponseCode.OK_SuccessfulNegotiation, schema_id=0
    )
