"""The large sets of vectors, real and generated: supportedAppProtocol and DIN 70121."""

from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from controller.errors import ExiError
from controller.v2g.messages import din, xmldsig
from tests.v2g.exi.vectors import MISSING, PROTOCOLS, SHARED, alike, content, lines

if TYPE_CHECKING:
    from controller.v2g.exi.codec import Codec

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=MISSING)

# One ContractAuthenticationReq of a Tesla Model 3 has a zero byte after its end.
SUPERFLUOUS_BYTES = 1


NAMES = ("sap", "din", "handshake", "app")  # the others have files of their own


def _vectors(file: str, protocol: str = "protocol") -> list[dict[str, Any]]:
    return [v for v in lines(SHARED / file) if v[protocol] in NAMES and not v.get("fragment")]


def test_real_payloads() -> None:
    superfluous = 0
    for vector in _vectors("real.jsonl"):
        module, payload = PROTOCOLS[vector["protocol"]], bytes.fromhex(vector["exi_hex"])
        message, left = module.decode_counting(payload)
        superfluous += left
        if vector["json"] is not None:
            assert module.to_json(message) == vector["json"]
        assert module.encode(message) == payload[: len(payload) - left]
    assert superfluous == SUPERFLUOUS_BYTES


def test_payloads_of_exificient() -> None:
    for vector in _vectors("generated_exificient.jsonl"):
        module, payload = PROTOCOLS[vector["protocol"]], bytes.fromhex(vector["exi_hex"])
        message = module.decode(payload)
        view = module.to_json(message)
        assert view == vector["json"]
        assert module.encode(message) == payload
        assert module.from_json(vector["json"]) == message


def test_fragments_of_exificient() -> None:
    codecs: dict[str, Codec[Any]] = {"din": din.CODEC, "dsig": xmldsig.CODEC}
    found = 0
    for vector in lines(SHARED / "generated_exificient.jsonl"):
        if vector["fragment"] and vector["protocol"] in codecs:
            codec = codecs[vector["protocol"]]
            name, value = codec.decode_fragment(bytes.fromhex(vector["exi_hex"]))
            assert codec.to_json(value, name) == vector["json"]
            assert codec.encode_fragment(value, name).hex() == vector["exi_hex"]
            found += 1
    assert found > 100


def test_payloads_of_cbv2g() -> None:
    for vector in _vectors("generated_cbv2g.jsonl", "schema"):
        module, payload = PROTOCOLS[vector["schema"]], bytes.fromhex(vector["hex"])
        message = module.decode(payload)
        assert alike(content(module.to_json(message)), vector["fields"])
        assert module.encode(message) == payload


def test_malformed_payloads() -> None:
    """One of them is right by chance: the bit error hit another message of that session."""
    decoded = []
    for vector in lines(SHARED / "malformed.jsonl"):
        module = PROTOCOLS.get(vector["protocol"], PROTOCOLS["din"])
        error = _error_of(module, bytes.fromhex(vector["exi_hex"]))
        if error is None:
            decoded.append(vector["protocol"])
        else:
            assert error.bit_offset is not None
            assert error.path or error.bit_offset == 8
    assert decoded == ["handshake"]


def _error_of(module: ModuleType, payload: bytes) -> ExiError | None:
    try:
        module.decode(payload)
    except ExiError as error:
        return error
    return None
