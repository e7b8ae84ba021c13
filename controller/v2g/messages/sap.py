"""supportedAppProtocol: how car and charger agree on a protocol (DIN 70121 and ISO 15118-2, 8.2).

sap.decode(payload) -> SupportedAppProtocolReq | SupportedAppProtocolRes
sap.encode(message) -> bytes
"""

from controller.v2g.exi.codec import Codec, Json
from controller.v2g.exi.schema import (
    UNSIGNED_BYTE,
    UNSIGNED_INT,
    Declared,
    ExiEnum,
    Integer,
    Text,
    declare,
    element,
)

NAMESPACE = "urn:iso:15118:2:2010:AppProtocol"


class ResponseCode(ExiEnum):
    """Outcome of the negotiation."""

    OK_SuccessfulNegotiation = "OK_SuccessfulNegotiation"
    OK_SuccessfulNegotiationWithMinorDeviation = "OK_SuccessfulNegotiationWithMinorDeviation"
    Failed_NoNegotiation = "Failed_NoNegotiation"


@declare()
class AppProtocol(Declared):
    """One protocol the car offers; priority 1 is its first choice."""

    protocol_namespace: str = element("ProtocolNamespace", Text(100))
    version_number_major: int = element("VersionNumberMajor", UNSIGNED_INT)
    version_number_minor: int = element("VersionNumberMinor", UNSIGNED_INT)
    schema_id: int = element("SchemaID", UNSIGNED_BYTE)
    priority: int = element("Priority", Integer(1, 20))


@declare("supportedAppProtocolReq")
class SupportedAppProtocolReq(Declared):
    """The car's offer. Send at most five entries: widespread chargers refuse more."""

    app_protocol: tuple[AppProtocol, ...] = element("AppProtocol", most=20)


@declare("supportedAppProtocolRes")
class SupportedAppProtocolRes(Declared):
    """The charger's choice: the schema id exactly as the car sent it; absent if none fits."""

    response_code: ResponseCode = element("ResponseCode")
    schema_id: int | None = element("SchemaID", UNSIGNED_BYTE, default=None)


Message = SupportedAppProtocolReq | SupportedAppProtocolRes

CODEC: Codec[Message] = Codec(
    "sap", NAMESPACE, roots=(SupportedAppProtocolReq, SupportedAppProtocolRes)
)


def decode(payload: bytes) -> Message:
    """Return the message in an EXI payload; bytes after its end are ignored. Raises ExiError."""
    return CODEC.decode(payload)


def decode_counting(payload: bytes) -> tuple[Message, int]:
    """Return the message and how many superfluous bytes follow it. Raises ExiError."""
    return CODEC.decode_counting(payload)


def encode(message: Message, *, strict: bool = True) -> bytes:
    """Return the EXI payload of a message. Raises ExiError where a value breaks the schema.

    Without `strict`, what `decode` tolerates is written as it was heard.
    """
    return CODEC.encode(message, strict=strict)


def to_json(message: Message) -> Json:
    """Return the message under the schema's element names, as `json.dumps` takes it."""
    return CODEC.to_json(message)


def from_json(view: Json) -> Message:
    """Return the message that `to_json` shows. Raises ExiError."""
    return CODEC.from_json(view)
