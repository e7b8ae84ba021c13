"""HomePlug Green PHY management messages as bytes: Ethernet header, MME header, standard messages.

Offsets in the frame: 0 destination, 6 source, 12 ethertype 88E1 (big-endian), 14 version (MMV),
15 type (MMTYPE, little-endian; low bits 0 REQ, 1 CNF, 2 IND, 3 RSP). Then, with MMV 1 and 2, the
fragmentation field at 17 and the body at 19; with MMV 0 the body at 17. Messages of the modem's
maker (`wire_vendor`) have the OUI 00:B0:52 before their body. The standard's messages are those of
HomePlug AV 2.1 chapter 11 and ISO 15118-3 Annex A.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from controller.errors import WireError
from controller.plc import layout, wire_modules, wire_vendor
from controller.plc.layout import (
    REGISTRY,
    Description,
    Mme,
    Reader,
    Record,
    address,
    count,
    mme,
    nibbles,
    raw,
    reserved,
    sized,
    uint,
)

ETHERTYPE = 0x88E1
ETHERTYPE_BYTES = b"\x88\xe1"
OUI = bytes.fromhex("00b052")
"""Qualcomm Atheros (formerly Intellon), whose chips the modems of the field are."""
LOCAL_MODEM = bytes.fromhex("00b052000001")
"""Address to which the modem at our own Ethernet port answers, whatever its MAC is."""
BROADCAST = b"\xff" * 6
VENDOR_LAYOUTS = (wire_vendor, wire_modules)
"""Named here because importing them is what makes `parse` know their messages."""
MIN_FRAME = 60
"""Shortest Ethernet frame without FCS."""
MIN_HEADER = 17
NMK_LENGTH = 16
NID_LENGTH = 7
GROUPS = 58
"""Carrier groups of an attenuation profile (ISO 15118-3 Annex A: 0x3A)."""

MATCH_REQ_LENGTH = 0x3E
MATCH_CNF_LENGTH = 0x56

KEY_NOT_APPLIED = 0
KEY_ACCEPTED = 1
"""CM_SET_KEY.CNF as QCA modems mean it: 354 of 356 captured confirms of a key that then worked;
the standard (and Wireshark) call 1 a failure."""

VALIDATE_NOT_READY = 0
VALIDATE_READY = 1
VALIDATE_SUCCESS = 2
VALIDATE_FAILURE = 3
VALIDATE_NOT_REQUIRED = 4


@mme("CM_SET_KEY.REQ", 0x6008)
class CmSetKeyReq(Mme):
    """Give the modem a network membership key."""

    key_type: int = uint(1, default=1)  # NMK
    my_nonce: bytes = raw(4, default=b"\xaa\xaa\xaa\xaa")
    your_nonce: bytes = raw(4, default=bytes(4))
    protocol_id: int = uint(1, default=4)  # HLE protocol
    protocol_run: int = uint(2, default=0)
    protocol_message: int = uint(1, default=0)
    cco_capability: int = uint(1, default=0)
    nid: bytes = raw(7)
    new_eks: int = uint(1, default=1)
    nmk: bytes = raw(16)


@mme("CM_SET_KEY.CNF", 0x6009)
class CmSetKeyCnf(Mme):
    """Say whether the key was taken: see KEY_ACCEPTED."""

    result: int = uint(1)
    my_nonce: bytes = raw(4, default=bytes(4))
    your_nonce: bytes = raw(4, default=bytes(4))
    protocol_id: int = uint(1, default=4)
    protocol_run: int = uint(2, default=0)
    protocol_message: int = uint(1, default=0)
    cco_capability: int = uint(1, default=0)


@mme("CM_GET_KEY.REQ", 0x600C)
class CmGetKeyReq(Mme):
    """Ask a station for a key; some tools poll the modem with it to see whether it is joined."""

    request_type: int = uint(1, default=0)  # direct
    requested_key_type: int = uint(1, default=1)  # NMK
    nid: bytes = raw(7)
    my_nonce: bytes = raw(4)
    protocol_id: int = uint(1, default=4)
    protocol_run: int = uint(2, default=0)
    protocol_message: int = uint(1, default=0)


@mme("CM_GET_KEY.CNF", 0x600D)
class CmGetKeyCnf(Mme):
    """Give the key, or refuse it (`result` is not 0)."""

    result: int = uint(1, default=0)
    requested_key_type: int = uint(1, default=1)
    my_nonce: bytes = raw(4)
    your_nonce: bytes = raw(4)
    nid: bytes = raw(7)
    eks: int = uint(1, default=1)
    protocol_id: int = uint(1, default=4)
    protocol_run: int = uint(2, default=0)
    protocol_message: int = uint(1, default=0)
    nmk: bytes = raw(16)


@mme("CM_SLAC_PARM.REQ", 0x6064)
class CmSlacParmReq(Mme):
    """Ask all chargers for the parameters of matching."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    run_id: bytes = raw(8)


@mme("CM_SLAC_PARM.CNF", 0x6065)
class CmSlacParmCnf(Mme):
    """Answer the vehicle: how many sounds, in which time."""

    sound_target: bytes = address(default=BROADCAST)
    num_sounds: int = uint(1, default=10)
    time_out: int = uint(1, default=6)  # x 100 ms
    response_type: int = uint(1, default=1)
    forwarding_sta: bytes = address()
    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    run_id: bytes = raw(8)


@mme("CM_START_ATTEN_CHAR.IND", 0x606A)
class CmStartAttenCharInd(Mme):
    """Announce the sounds."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    num_sounds: int = uint(1, default=10)
    time_out: int = uint(1, default=6)
    response_type: int = uint(1, default=1)
    forwarding_sta: bytes = address()
    run_id: bytes = raw(8)


@mme("CM_MNBC_SOUND.IND", 0x6076)
class CmMnbcSoundInd(Mme):
    """One sound; the receiving modem measures it (Debian's pev sends a shorter one)."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    sender_id: bytes = raw(17, default=bytes(17))
    countdown: int = uint(1)
    run_id: bytes = raw(8)
    reserved_1: bytes = reserved(8, default=bytes(8))
    random: bytes = raw(16, cut=True)


@mme("CM_ATTEN_PROFILE.IND", 0x6086)
class CmAttenProfileInd(Mme):
    """What the own modem measured of one sound, dB per group; some adapters send no group."""

    pev_mac: bytes = address()
    num_groups: int = count(1, of="attenuation", init=False)
    reserved_1: bytes = reserved(1, default=bytes(1))
    attenuation: bytes = sized(by="num_groups")


@mme("CM_ATTEN_CHAR.IND", 0x606E)
class CmAttenCharInd(Mme):
    """Tell the vehicle the mean attenuation of its sounds."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    source_address: bytes = address()
    run_id: bytes = raw(8)
    source_id: bytes = raw(17, default=bytes(17))
    response_id: bytes = raw(17, default=bytes(17))
    num_sounds: int = uint(1)
    num_groups: int = count(1, of="attenuation", init=False)
    attenuation: bytes = sized(by="num_groups")


@mme("CM_ATTEN_CHAR.RSP", 0x606F)
class CmAttenCharRsp(Mme):
    """Confirm CM_ATTEN_CHAR.IND."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    source_address: bytes = address()
    run_id: bytes = raw(8)
    source_id: bytes = raw(17, default=bytes(17))
    response_id: bytes = raw(17, default=bytes(17))
    result: int = uint(1, default=0)


@mme("CM_VALIDATE.REQ", 0x6078)
class CmValidateReq(Mme):
    """Ask to validate the match by toggling the control pilot."""

    signal_type: int = uint(1, default=0)
    timer: int = uint(1, default=0)
    result: int = uint(1, default=1)


@mme("CM_VALIDATE.CNF", 0x6079)
class CmValidateCnf(Mme):
    """Answer: 0 not ready, 1 ready, 2 success, 3 failure, 4 not required."""

    signal_type: int = uint(1, default=0)
    toggle_num: int = uint(1, default=0)
    result: int = uint(1)


@mme("CM_SLAC_MATCH.REQ", 0x607C)
class CmSlacMatchReq(Mme):
    """Ask the chosen charger for its network."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    mvf_length: int = uint(2, default=MATCH_REQ_LENGTH)
    pev_id: bytes = raw(17, default=bytes(17))
    pev_mac: bytes = address()
    evse_id: bytes = raw(17, default=bytes(17))
    evse_mac: bytes = address()
    run_id: bytes = raw(8)
    reserved_1: bytes = reserved(8, cut=True, default=bytes(8))


@mme("CM_SLAC_MATCH.CNF", 0x607D)
class CmSlacMatchCnf(Mme):
    """Give the vehicle the network; the NID counts as sent, it may not derive from the NMK."""

    application_type: int = uint(1, default=0)
    security_type: int = uint(1, default=0)
    mvf_length: int = uint(2, default=MATCH_CNF_LENGTH)
    pev_id: bytes = raw(17, default=bytes(17))
    pev_mac: bytes = address()
    evse_id: bytes = raw(17, default=bytes(17))
    evse_mac: bytes = address()
    run_id: bytes = raw(8)
    reserved_1: bytes = reserved(8, default=bytes(8))
    nid: bytes = raw(7)
    reserved_2: bytes = reserved(1, default=bytes(1))
    nmk: bytes = raw(16)


@mme("CM_AMP_MAP.REQ", 0x601C)
class CmAmpMapReq(Mme):
    """Ask the peer to send weaker on some carriers: 4 bits each, x 2 dB."""

    carriers: int = count(2, of="amplitudes", init=False)
    amplitudes: bytes = nibbles(by="carriers")


@mme("CM_AMP_MAP.CNF", 0x601D)
class CmAmpMapCnf(Mme):
    """Confirm CM_AMP_MAP.REQ."""

    result: int = uint(1, default=0)


SLAC_MMTYPES = frozenset(
    m.MMTYPE
    for m in (
        CmSlacParmReq,
        CmSlacParmCnf,
        CmStartAttenCharInd,
        CmMnbcSoundInd,
        CmAttenCharInd,
        CmAttenCharRsp,
        CmValidateReq,
        CmValidateCnf,
        CmSlacMatchReq,
        CmSlacMatchCnf,
    )
)
"""What crosses the wire between modems that have not joined a network."""


NAMED_ONLY = {
    0x0008: "CC_LINK_INFO",
    0x0014: "CC_DISCOVER_LIST",
    0x002C: "CC_WHO_RU",
    0x0030: "CC_ASSOC",
    0x0034: "CC_LEAVE",
    0x0038: "CC_SET_TEI_MAP",
    0x6004: "CM_ENCRYPTED_PAYLOAD",
    0x6010: "CM_SC_JOIN",
    0x6014: "CM_CHAN_EST",
    0x6018: "CM_TM_UPDATE",
    0x6020: "CM_BRG_INFO",
    0x6034: "CM_STA_CAP",
    0x6038: "CM_NW_INFO",
    0x603C: "CM_GET_BEACON",
    0x6040: "CM_HFID",
    0x6044: "CM_MME_ERROR",
    0x6048: "CM_NW_STATS",
    0x604C: "CM_LINK_STATS",
    0x6060: "CM_STA_IDENTIFY",
    0x6070: "CM_PKCS_CERT",
    0x6080: "CM_SLAC_USER_DATA",
}
"""What modems say among themselves or to tools (HomePlug AV 2.1 Table 11-2), by request."""


@dataclass(frozen=True, slots=True)
class UnknownMme(Mme):
    """A message that we do not know (or a fragment of one): everything behind its type."""

    mmtype: int
    payload: bytes

    @property
    def name(self) -> str:
        """Its name or the type in hexadecimal, and what kind of message it is."""
        name = NAMED_ONLY.get(self.mmtype & ~3, f"0x{self.mmtype:04X}")
        return f"{name}.{('REQ', 'CNF', 'IND', 'RSP')[self.mmtype & 3]}"


@dataclass(frozen=True, slots=True)
class Frame:
    """A HomePlug frame on Ethernet."""

    dst: bytes
    src: bytes
    mmv: int
    mme: Mme


REMEMBERED = 64
"""Frames kept beside what they mean: a modem is asked the same, and answers the same, for hours."""


def is_homeplug(frame: bytes) -> bool:
    """Look at the ethertype alone."""
    return frame[12:14] == ETHERTYPE_BYTES


def mmtype_of(frame: bytes) -> int:
    """Return the type of a HomePlug frame without decoding it; -1 if it is too short."""
    return int.from_bytes(frame[15:17], "little") if len(frame) >= MIN_HEADER else -1


def is_fragment(frame: bytes) -> bool:
    """Look whether a frame is one of several that are one message."""
    return len(frame) > MIN_HEADER and frame[14] > 0 and frame[17] > 0x0F


@lru_cache(maxsize=REMEMBERED)
def parse(frame: bytes) -> Frame:
    """Decode a frame; bytes behind the message are ignored. Raises WireError."""
    if len(frame) < MIN_HEADER:
        raise WireError(f"HomePlug frame: header: needs 17 bytes at offset 0, got {len(frame)}")
    if not is_homeplug(frame):
        raise WireError(f"HomePlug frame: ethertype: {frame[12:14].hex()} at offset 12, not 88e1")
    mmv, mmtype = frame[14], mmtype_of(frame)
    return Frame(frame[0:6], frame[6:12], mmv, _parse_mme(frame, mmv, mmtype))


def _parse_mme(frame: bytes, mmv: int, mmtype: int) -> Mme:
    vendor = 0xA000 <= mmtype < 0xC000
    start = MIN_HEADER if mmv == 0 else MIN_HEADER + 2
    fragmented = is_fragment(frame)
    if vendor:
        foreign = frame[start : start + 3] != OUI
        start += 3
    else:
        foreign = False
    candidates = REGISTRY.get((vendor, min(mmv, 1), mmtype), [])
    if not fragmented and not foreign:
        body = frame[start:]
        for variant, cls in candidates:
            if variant is None or variant.matches(body):
                return layout.decode(cls, Reader(frame, start, cls.NAME))
    return UnknownMme(mmtype, frame[MIN_HEADER:])


def build(dst: bytes, src: bytes, mme: Mme, mmv: int | None = None) -> bytes:
    """Encode a frame, padded to 60 bytes; `mmv` only to repeat the version of a parsed frame."""
    if isinstance(mme, UnknownMme):
        version = 1 if mmv is None else mmv
        head = bytes([version]) + mme.mmtype.to_bytes(2, "little")
        return (dst + src + ETHERTYPE_BYTES + head + mme.payload).ljust(MIN_FRAME, b"\0")
    version = mme.MMV if mmv is None else mmv
    head = bytes([version]) + mme.MMTYPE.to_bytes(2, "little")
    if version:
        head += b"\0\0"
    if 0xA000 <= mme.MMTYPE < 0xC000:
        head += OUI
    return (dst + src + ETHERTYPE_BYTES + head + layout.encode(mme)).ljust(MIN_FRAME, b"\0")


def describe(mme: Record) -> Description:
    """Give a message's fields in order, as a person reads them."""
    if isinstance(mme, UnknownMme):
        return {"mmtype": f"0x{mme.mmtype:04X}", "payload": mme.payload.hex()}
    return layout.describe(mme)


def nid_from_nmk(nmk: bytes, security_level: int = 0) -> bytes:
    """Derive the default network identifier (HomePlug AV 4.4.3.1: five times SHA-256)."""
    digest = nmk
    for _ in range(5):
        digest = sha256(digest).digest()
    return digest[:6] + bytes([(digest[6] >> 4) | (security_level & 3) << 4])


_NMK_SALT = bytes.fromhex("08856daf7cf58186")
_DAK_SALT = bytes.fromhex("08856daf7cf58185")


def _stretch(password: str, salt: bytes) -> bytes:
    digest = sha256(password.encode("latin-1") + salt).digest()
    for _ in range(999):
        digest = sha256(digest).digest()
    return digest[:16]


def password_to_nmk(password: str) -> bytes:
    """Derive a network membership key from a network password (PBKDF1, 1000 rounds)."""
    return _stretch(password, _NMK_SALT)


def password_to_dak(password: str) -> bytes:
    """Derive a device access key from the password printed on a modem."""
    return _stretch(password, _DAK_SALT)
