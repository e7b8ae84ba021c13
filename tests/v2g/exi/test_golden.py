"""Every golden vector both ways: bytes made by independent codecs."""

from typing import Any

import pytest

from controller.v2g.exi.schema import INFO
from controller.v2g.messages import din, sap
from tests.v2g.exi.vectors import PROTOCOLS, alike, content, golden

GOLDEN = golden()


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


def test_golden_vectors_cover_every_message() -> None:
    covered = {vector["message"] for _, vector in GOLDEN}
    bodies = {cls.__name__ for cls in INFO if issubclass(cls, din.BodyElement)} - {"BodyElement"}
    assert len(bodies) == 34
    assert bodies <= covered
    assert {"supportedAppProtocolReq", "supportedAppProtocolRes"} <= covered
    assert sap.decode(bytes.fromhex("80400000")) == sap.SupportedAppProtocolRes(
        response_code=sap.ResponseCode.OK_SuccessfulNegotiation, schema_id=0
    )
