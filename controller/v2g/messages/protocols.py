"""Which codec a payload needs: by protocol, by V2GTP payload type, or by what the payload says.

    found = protocols.decode("iso20", payload)  # Found(protocol="iso20-dc", name="DC_...", ...)
    payload = protocols.encode("iso20", {"SessionSetupReq": {...}})

A codec is imported when it is first needed, so a DIN 70121 session never loads ISO 15118-20.

Each namespace of ISO 15118-20 numbers its root elements anew, so one payload may be read with
several codecs; the payload type of its V2GTP frame tells them apart. Where that is not known, the
one wins that leaves no bytes over and gives the same bytes when encoded again.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NamedTuple, cast

from controller.errors import ExiError
from controller.v2g.exi.codec import Codec, Json
from controller.v2g.exi.schema import Declared


class Protocol(NamedTuple):
    """Where a codec lives, and the V2GTP payload type of its messages (None: only within them)."""

    module: str
    payload_type: int | None

    def load(self) -> Codec[Declared]:
        """Return the codec."""
        module = import_module(f"controller.v2g.messages.{self.module}")
        return cast("Codec[Declared]", module.CODEC)


PROTOCOLS = {
    "sap": Protocol("sap", 0x8001),  # ISO 15118-2 Table 10
    "din": Protocol("din", 0x8001),
    "iso2": Protocol("iso2", 0x8001),
    "iso20-common": Protocol("iso20_common", 0x8002),  # ISO 15118-20, 7.8.3: V2GTP payload types
    "iso20-ac": Protocol("iso20_ac", 0x8003),
    "iso20-dc": Protocol("iso20_dc", 0x8004),
    "iso20-acdp": Protocol("iso20_acdp", 0x8005),
    "iso20-wpt": Protocol("iso20_wpt", 0x8006),
    "dsig": Protocol("xmldsig", None),
}

ISO20 = ("iso20-common", "iso20-dc", "iso20-ac", "iso20-acdp", "iso20-wpt")
"""The codecs of ISO 15118-20, the likelier first."""

NAMES = ("sap", "din", "iso2", "iso20", *ISO20, "dsig")
"""All names that `decode` and `encode` take."""

ISO20_BY_PAYLOAD_TYPE = {
    **{PROTOCOLS[name].payload_type: name for name in ISO20},
    0x8101: "iso20-common",  # schedule renegotiation beside the charge loop
    0x8102: "iso20-common",  # metering confirmation
    0x8103: "iso20-acdp",  # system status
    0x8104: "iso20-common",  # parking status
}
"""ISO 15118-20: payload type of the V2GTP frame to the codec of its messages."""


class Found(NamedTuple):
    """A decoded payload."""

    protocol: str
    name: str
    message: Declared
    superfluous: int  # bytes after the message

    def to_json(self) -> Json:
        """Return the JSON view."""
        return codec(self.protocol).to_json(self.message, self.name)


def codec(protocol: str) -> Codec[Declared]:
    """Return a codec by its name in PROTOCOLS."""
    return PROTOCOLS[protocol].load()


def candidates(protocol: str, payload_type: int | None = None) -> tuple[str, ...]:
    """Return the names of the codecs that a protocol has, or the one for a payload type."""
    if protocol != "iso20":
        return (protocol,)
    if payload_type in ISO20_BY_PAYLOAD_TYPE:
        return (ISO20_BY_PAYLOAD_TYPE[payload_type],)
    return ISO20


def decode(
    protocol: str, payload: bytes, *, payload_type: int | None = None, fragment: bool = False
) -> Found:
    """Return the message, or the element of an EXI fragment. Raises ExiError.

    `protocol` is one of NAMES.
    """
    return decode_any(candidates(protocol, payload_type), payload, fragment=fragment)


def decode_any(names: Sequence[str], payload: bytes, *, fragment: bool = False) -> Found:
    """Return what the best of these codecs makes of a payload. Raises ExiError."""
    if len(names) == 1:
        return _decode(names[0], payload, fragment=fragment)
    found = identify(payload, names, fragment=fragment)
    if found:
        return found[0]
    errors = list(_errors(names, payload, fragment=fragment))
    raise max(errors, key=lambda error: (error.bit_offset or 0, error.path))


def identify(
    payload: bytes, names: Sequence[str] = tuple(PROTOCOLS), *, fragment: bool = False
) -> list[Found]:
    """Return what each codec makes of a payload that it can decode, the best first."""
    found = []
    for name in names:
        try:
            found.append(_decode(name, payload, fragment=fragment))
        except ExiError:
            continue

    def rank(each: Found) -> tuple[bool, int]:
        return not _is_exact(each, payload, fragment=fragment), each.superfluous

    return sorted(found, key=rank)


def encode(protocol: str, content: Json, *, fragment: bool = False, strict: bool = True) -> bytes:
    """Return the payload of a JSON view. Raises ExiError."""
    names = candidates(protocol)
    root = next(iter(content), "")
    known = [name for name in names if root in codec(name).grammar.roots]
    chosen = codec((known or names)[0])
    message = chosen.from_json(content)
    if fragment:
        return chosen.encode_fragment(message, root)
    return chosen.encode(message, strict=strict)


def _decode(protocol: str, payload: bytes, *, fragment: bool) -> Found:
    chosen = codec(protocol)
    if fragment:
        return Found(protocol, *chosen.decode_fragment(payload), 0)
    message, superfluous = chosen.decode_counting(payload)
    return Found(protocol, chosen.grammar.types[type(message)].element, message, superfluous)


def _is_exact(found: Found, payload: bytes, *, fragment: bool) -> bool:
    """Whether the payload begins with the very bytes that the message is encoded to."""
    chosen = codec(found.protocol)
    try:
        if fragment:
            return chosen.encode_fragment(found.message, found.name) == payload
        again = chosen.encode(found.message, strict=False)
    except ExiError:
        return False
    return again == payload[: len(again)]


def _errors(names: Sequence[str], payload: bytes, *, fragment: bool) -> Iterator[ExiError]:
    for name in names:
        try:
            _decode(name, payload, fragment=fragment)
        except ExiError as error:
            yield error
