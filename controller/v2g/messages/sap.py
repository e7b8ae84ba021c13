"""supportedAppProtocol: how car and charger agree on a protocol (DIN 70121 and ISO 15118-2, 8.2).

sap.decode(payload) -> SupportedAppProtocolReq | SupportedAppProtocolRes
sap.encode(message) -> bytes
"""

from controller.v2g.exi.codec import Codec
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


decode = CODEC.decode
decode_counting = CODEC.decode_counting
encode = CODEC.encode
to_json = CODEC.to_json
to_xml = CODEC.to_xml
from_json = CODEC.from_json
