"""The V2G messages of one captured TCP connection: from its bytes to named, decoded messages.

Which protocol a connection speaks is what its supportedAppProtocol handshake agreed; in ISO
15118-20 the payload type of each frame then tells which of its codecs. Where the capture does not
have the handshake, a payload that begins and decodes as DIN 70121 or ISO 15118-2, or whose payload
type only ISO 15118-20 has, is taken for that, and the guess is marked. A protocol without a decoder
is named, and its bytes are kept: a message is never shown as something that it may not be.

A codec is loaded with the first message that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.errors import ExiError
from controller.listener.summaries import clean, summarise
from controller.v2g import v2gtp
from controller.v2g.messages import protocols, sap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controller.v2g.exi.codec import Json

NAMESPACES = {
    "urn:din:70121:2012:MsgDef": ("din", "DIN 70121"),
    "urn:iso:15118:2:2013:MsgDef": ("iso2", "ISO 15118-2"),
    "urn:iso:15118:2:2010:MsgDef": ("iso2-2010", "ISO 15118-2 (2010 draft)"),
    "urn:iso:std:iso:15118:-20:CommonMessages": ("iso20", "ISO 15118-20"),
    "urn:iso:std:iso:15118:-20:AC": ("iso20", "ISO 15118-20 AC"),
    "urn:iso:std:iso:15118:-20:DC": ("iso20", "ISO 15118-20 DC"),
    "urn:iso:std:iso:15118:-20:ACDP": ("iso20", "ISO 15118-20 ACDP"),
    "urn:iso:std:iso:15118:-20:WPT": ("iso20", "ISO 15118-20 WPT"),
    "urn:tesla:din:2018:MsgDef": ("tesla-din", "Tesla DIN 2018"),
}
"""Protocol namespace of the handshake -> (key in the JSON output, name for people)."""

PAYLOAD_TYPES = frozenset(v2gtp.PayloadType)
"""What a header in the middle of a stream may announce."""

DECODED = frozenset({"din", "iso2", "iso20"})
"""Keys of the protocols that have a codec."""

_ROOTS = {b"\x80\x9a": ("din", "DIN 70121"), b"\x80\x98": ("iso2", "ISO 15118-2")}
"""First bytes of a payload without a handshake: EXI header, then the root element V2G_Message in
7 bits: 77 of 82 in the schema of DIN 70121, 76 of 81 in that of ISO 15118-2."""

_ISO20_NAMES = {
    "iso20-common": "ISO 15118-20",
    "iso20-ac": "ISO 15118-20 AC",
    "iso20-dc": "ISO 15118-20 DC",
    "iso20-acdp": "ISO 15118-20 ACDP",
    "iso20-wpt": "ISO 15118-20 WPT",
}
"""Codec -> name of what it decodes."""


@dataclass(frozen=True, slots=True)
class V2gMessage:
    """One message of a connection."""

    payload_type: int
    payload: bytes
    protocol: str
    """`sap`, `din`, `iso2`, ... or empty when it is not known."""
    protocol_name: str
    name: str
    """Of the message, such as `CurrentDemandReq`; empty when it is not decoded."""
    text: str
    """Summary in one line."""
    json: Json | None
    error: str
    """Why it is not decoded, when it should be."""
    trailing: int
    """Superfluous bytes after the end of the message."""
    guessed: bool
    """The protocol was recognised by the bytes, not agreed in a handshake."""


class ProtocolReader:
    """Decodes the payloads of one connection, in the order of the conversation."""

    def __init__(self) -> None:
        self._offers: dict[int, str] = {}
        self._namespace = ""

    def read(self, payload_type: int, payload: bytes) -> V2gMessage:
        """Decode one payload; whatever it contains, this does not raise."""
        key, name = NAMESPACES.get(self._namespace, ("", clean(self._namespace)))
        handshake = payload_type == v2gtp.PayloadType.EXI
        if key == "iso20":
            if payload_type in protocols.ISO20_BY_PAYLOAD_TYPE:
                return _read(payload_type, payload, key, _iso20_name(payload_type))
            if handshake:
                return self._read_sap(payload_type, payload)
        if self._namespace:
            if key in DECODED and handshake:
                return _read(payload_type, payload, key, name)
            return _opaque(payload_type, payload, key, name)
        if payload_type in protocols.ISO20_BY_PAYLOAD_TYPE:
            return _guess(payload_type, payload, "iso20", _iso20_name(payload_type))
        if not handshake:
            return _opaque(payload_type, payload, "", f"payload type 0x{payload_type:04X}")
        if payload[:2] in _ROOTS:
            return _guess(payload_type, payload, *_ROOTS[payload[:2]])
        return self._read_sap(payload_type, payload)

    def _read_sap(self, payload_type: int, payload: bytes) -> V2gMessage:
        try:
            message, trailing = sap.decode_counting(payload)
            view = sap.to_json(message)
        except ExiError as error:
            if payload[:2] in (b"\x80\x00", b"\x80\x40"):  # the two root elements of the handshake
                return _damaged(payload_type, payload, "sap", "handshake", str(error))
            return _opaque(payload_type, payload, "", "V2G")
        if isinstance(message, sap.SupportedAppProtocolReq):
            self._offers = {p.schema_id: p.protocol_namespace for p in message.app_protocol}
            name, text = "supportedAppProtocolReq", _offer_text(message)
        else:
            name, text = "supportedAppProtocolRes", self._choose(message)
        return V2gMessage(
            payload_type, payload, "sap", "handshake", name, text, view, "", trailing, False
        )

    def _choose(self, message: sap.SupportedAppProtocolRes) -> str:
        code = str(message.response_code.value)
        if message.response_code is sap.ResponseCode.Failed_NoNegotiation:
            return code
        chosen = message.schema_id
        if chosen is None and len(self._offers) == 1:
            (chosen,) = self._offers
        self._namespace = self._offers.get(chosen, "") if chosen is not None else ""
        if chosen is None:
            return f"{code}, no schema id"
        known = _protocol_name(self._namespace) if self._namespace else "not offered"
        return f"{code}, id {chosen}: {known}"


def _read(
    payload_type: int, payload: bytes, key: str, name: str, *, guessed: bool = False
) -> V2gMessage:
    """Decode a message of a protocol that is known, or at least guessed."""
    try:
        found = protocols.decode(key, payload, payload_type=payload_type)
        view = found.to_json()
    except ExiError as error:
        return _damaged(payload_type, payload, key, name, str(error))
    element, header, fields = _unwrap(view)
    fields = {**fields}
    if element == "SessionSetupRes":
        fields["session"] = header.get("SessionID")
    if "Notification" in header:
        fields["Notification"] = header["Notification"]
    text = ", ".join(filter(None, (summarise(fields), "signed" * ("Signature" in header))))
    text = text if element else "message without a body"
    left = found.superfluous
    return V2gMessage(payload_type, payload, key, name, element, text, view, "", left, guessed)


def _iso20_name(payload_type: int) -> str:
    return _ISO20_NAMES[protocols.ISO20_BY_PAYLOAD_TYPE[payload_type]]


def _guess(payload_type: int, payload: bytes, key: str, name: str) -> V2gMessage:
    """Decode what looks like a protocol; it may be another one, so failing is no error."""
    message = _read(payload_type, payload, key, name, guessed=True)
    return _opaque(payload_type, payload, key, name, guessed=True) if message.error else message


def _unwrap(view: Json) -> tuple[str, Mapping[str, object], Mapping[str, object]]:
    """Return the name of a message, its header and its fields.

    DIN 70121 and ISO 15118-2 have one root element with header and body, in ISO 15118-20 each
    message is a root element with its header as the first field.
    """
    ((root, content),) = view.items()
    inside = _mapping(content)
    header = _mapping(inside.get("Header"))
    if root == "V2G_Message":
        ((element, body),) = _mapping(inside.get("Body")).items() or (("", None),)
        return element, header, _mapping(body)
    return root, header, {name: value for name, value in inside.items() if name != "Header"}


def _protocol_name(namespace: str) -> str:
    return NAMESPACES.get(namespace, ("", clean(namespace)))[1]


def _offer_text(message: sap.SupportedAppProtocolReq) -> str:
    offers = sorted(message.app_protocol, key=lambda offer: offer.priority)
    return ", ".join(
        f"{_protocol_name(o.protocol_namespace)} {o.version_number_major}"
        f".{o.version_number_minor} (id {o.schema_id}, priority {o.priority})"
        for o in offers
    )


def _opaque(
    payload_type: int, payload: bytes, key: str, name: str, *, guessed: bool = False
) -> V2gMessage:
    text = f"{name} message, {len(payload)} bytes, not decoded"
    return V2gMessage(payload_type, payload, key, name, "", text, None, "", 0, guessed)


def _damaged(payload_type: int, payload: bytes, key: str, name: str, error: str) -> V2gMessage:
    text = f"{name} message, {len(payload)} bytes, not decodable: {clean(error)}"
    return V2gMessage(payload_type, payload, key, name, "", text, None, error, 0, False)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


class V2gStream:
    """One direction's bytes cut into V2GTP frames; finds its way in after a gap."""

    def __init__(self, *, in_step: bool) -> None:
        self._in_step = in_step
        self._seeking = b""
        self._skipped = 0
        self._deframer = v2gtp.Deframer()

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete."""
        return self._deframer.pending if self._in_step else len(self._seeking)

    def lose(self) -> int:
        """The stream has a gap here: drop the frame in hand (its size is returned), seek anew."""
        lost = self.pending
        self._deframer = v2gtp.Deframer()
        self._seeking = b""
        self._in_step = False
        return lost

    def receive_data(self, data: bytes) -> tuple[list[v2gtp.V2gtpMessage], list[str]]:
        """Return the frames that these bytes complete, and what was wrong with them, in words."""
        notes: list[str] = []
        if not self._in_step:
            data = self._seek(self._seeking + data)
            if not self._in_step:
                return [], notes
            if self._skipped:
                notes.append(f"{self._skipped} bytes skipped up to the next V2GTP header")
                self._skipped = 0
        errors = self._deframer.errors
        frames = self._deframer.receive_data(data)
        if self._deframer.errors != errors:
            notes.append(str(self._deframer.last_error))
        return frames, notes

    def _seek(self, data: bytes) -> bytes:
        """Look for a header that can be one: version, known payload type, sensible length."""
        at = -1
        while (at := data.find(v2gtp.HEADER.pack(1, 0xFE, 0, 0)[:2], at + 1)) >= 0:
            if len(data) - at < v2gtp.HEADER.size:
                break
            _, _, kind, length = v2gtp.HEADER.unpack_from(data, at)
            if kind in PAYLOAD_TYPES and length <= v2gtp.MAX_PAYLOAD:
                self._skipped += at
                self._in_step, self._seeking = True, b""
                return data[at:]
        keep = at if at >= 0 else max(len(data) - 1, 0)
        self._skipped += keep
        self._seeking = data[keep:]
        return b""
