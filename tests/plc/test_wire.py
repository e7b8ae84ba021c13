"""Layouts: where the bytes are, what is tolerated, what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.errors import WireError
from controller.plc import layout, wire, wire_modules, wire_vendor

if TYPE_CHECKING:
    from controller.plc.layout import Mme

HOST = bytes.fromhex("020000000001")
PEER = bytes.fromhex("020000000002")
RUN = bytes.fromhex("1122334455667788")
NID = bytes.fromhex("b0f2e695666b03")
NMK = bytes(range(0x40, 0x50))
AAG = bytes(range(1, 59))

# message, length of its frame, {offset in the frame: bytes there}
STANDARD: list[tuple[Mme, int, dict[int, bytes]]] = [
    (
        wire.CmSetKeyReq(nid=NID, nmk=NMK),
        60,
        {19: b"\1\xaa\xaa\xaa\xaa", 24: bytes(4), 28: b"\4", 33: NID, 40: b"\1", 41: NMK},
    ),
    (
        wire.CmSetKeyCnf(result=1, your_nonce=b"abcd"),
        60,
        {19: b"\1", 20: bytes(4), 24: b"abcd", 28: b"\4"},
    ),
    (wire.CmSlacParmReq(run_id=RUN), 60, {19: b"\0\0", 21: RUN}),
    (
        wire.CmSlacParmCnf(forwarding_sta=PEER, run_id=RUN),
        60,
        {19: b"\xff" * 6, 25: b"\x0a\6\1", 28: PEER, 34: b"\0\0", 36: RUN},
    ),
    (
        wire.CmStartAttenCharInd(forwarding_sta=PEER, run_id=RUN),
        60,
        {19: b"\0\0\x0a\6\1", 24: PEER, 30: RUN},
    ),
    (
        wire.CmMnbcSoundInd(countdown=9, run_id=RUN, random=NMK),
        71,
        {21: bytes(17), 38: b"\x09", 39: RUN, 47: bytes(8), 55: NMK},
    ),
    (
        wire.CmAttenProfileInd(pev_mac=PEER, attenuation=AAG),
        85,
        {19: PEER, 25: b"\x3a\0", 27: AAG},
    ),
    (
        wire.CmAttenCharInd(source_address=PEER, run_id=RUN, num_sounds=10, attenuation=AAG),
        129,
        {21: PEER, 27: RUN, 35: bytes(34), 69: b"\x0a\x3a", 71: AAG},
    ),
    (wire.CmAttenCharRsp(source_address=PEER, run_id=RUN), 70, {21: PEER, 27: RUN, 69: b"\0"}),
    (wire.CmValidateReq(timer=3), 60, {19: b"\0\3\1"}),
    (wire.CmValidateCnf(result=4), 60, {19: b"\0\0\4"}),
    (
        wire.CmSlacMatchReq(pev_mac=PEER, evse_mac=HOST, run_id=RUN),
        85,
        {21: b"\x3e\0", 23: bytes(17), 40: PEER, 46: bytes(17), 63: HOST, 69: RUN, 77: bytes(8)},
    ),
    (
        wire.CmSlacMatchCnf(pev_mac=PEER, evse_mac=HOST, run_id=RUN, nid=NID, nmk=NMK),
        109,
        {21: b"\x56\0", 40: PEER, 63: HOST, 69: RUN, 85: NID, 92: b"\0", 93: NMK},
    ),
    (wire.CmAmpMapReq(amplitudes=b"\1\2\3"), 60, {19: b"\3\0", 21: b"\x21\x03"}),
    (wire.CmAmpMapCnf(), 60, {19: b"\0"}),
]

v, m = wire_vendor, wire_modules
VENDOR: list[tuple[Mme, int, dict[int, bytes]]] = [
    (v.VsSwVerReq(cookie=b"abcd"), 60, {20: b"abcd"}),
    (
        v.VsSwVerCnf(device_class=0x22, length=4, version="MAC-", chip_id=b"\x1c\x58\x1b\0"),
        92,
        {20: b"\0\x22\4MAC-\0", 88: b"\x1c\x58\x1b\0"},
    ),
    (v.VsPlLnkStatusCnf(link=1), 60, {20: b"\0\1"}),
    (v.VsSetKeyReq(nmk=NMK), 60, {20: b"\1", 21: NMK, 37: b"\x0f", 38: bytes(6), 44: bytes(16)}),
    (v.VsHostActionInd(action=4, major=1, minor=2), 60, {20: b"\4\1\2"}),
    (
        v.VsOpAttributesCnf(cookie=b"abcd", data=b"xyz"),
        60,
        {20: b"\0\0abcd\0\3\0xyz"},
    ),
    (
        v.VsGetPropertyReq(cookie=b"abcd", data_format=2, property_format=1, number=7),
        60,
        {20: b"abcd\2\1", 32: b"\4\0\0\0", 36: b"\7\0\0\0"},
    ),
    (
        v.VsGetPropertyCnf(cookie=b"abcd", data_format=2, data=b"xy"),
        60,
        {20: bytes(4), 24: b"abcd\2", 32: b"\2\0\0\0xy"},
    ),
    (
        v.VsSetPropertyReq(cookie=b"abcd", option=1, number=7, data=b"xy"),
        60,
        {20: b"abcd\1", 32: b"\7\0\0\0\2\0\0\0xy"},
    ),
    (v.VsLnkStatsReq(direction=2, mac=PEER), 60, {20: b"\0\2\xf8", 23: PEER}),
    (v.VsLnkStatsTxCnf(lid=0xF8, tei=3, tx_mpdu_ok=5), 64, {21: b"\0\xf8\3\5"}),
    (m.VsRdModReq(module=2, length=1024, offset=0x1234), 60, {20: b"\2\0\0\4\x34\x12\0\0"}),
    (
        m.VsRdModCnf(module=2, offset=8, checksum=0xA1B2C3D4, data=b"xy"),
        60,
        {20: b"\0", 24: b"\2", 26: b"\2\0", 28: b"\x08\0\0\0", 32: b"\xd4\xc3\xb2\xa1", 36: b"xy"},
    ),
    (
        m.VsWrModReq(module=2, offset=8, checksum=1, data=b"xy"),
        60,
        {20: b"\2\0\2\0\x08\0\0\0\1\0\0\0xy"},
    ),
    (m.VsModNvmReq(modules=2), 60, {20: b"\2"}),
    (
        m.VsModuleReadReq(module=0x7002, length=1400, offset=0x578),
        60,
        {24: b"\1\0\0\x12\0", 33: b"\x02\x70\0\0\x78\5\x78\5\0\0"},
    ),
    (
        m.VsModuleReadCnf(operation_length=20, module=0x7002, offset=3, data=b"xy"),
        60,
        {20: bytes(8), 28: b"\1\0\0\x14\0", 37: b"\x02\x70\0\0\2\0\3\0\0\0xy"},
    ),
    (
        m.VsModuleStartReq(
            operation_length=25,
            session=0x78563412,
            modules=(m.ModuleSpec(module=0x7002, length=9, checksum=7),),
        ),
        158,
        {25: b"\x10\0\x19\0", 33: b"\x12\x34\x56\x78\1\x02\x70\0\0\x09\0\0\0\7\0\0\0"},
    ),
    (
        m.VsModuleWriteReq(
            operation_length=1423,
            session=1,
            index=0,
            module=0x7002,
            offset=4,
            data=b"xy",
            reserved_3=bytes(1398),
        ),
        1448,
        {33: b"\1\0\0\0\0\x02\x70\0\0\2\0\4\0\0\0xy"},
    ),
    (
        m.VsModuleCloseReq(session=1, code=0x80000003),
        60,
        {25: b"\x12\0", 33: b"\1\0\0\0\3\0\0\x80"},
    ),
    (
        m.VsModuleCloseCnf(operation_length=21, session=1, code=3, modules=(m.ModuleStatus(),)),
        60,
        {37: b"\1\0\0\0\3\0\0\0\1\0\0\0\0"},
    ),
]


@pytest.mark.parametrize(
    ("mme", "length", "places"), STANDARD + VENDOR, ids=lambda x: getattr(x, "NAME", "")
)
def test_each_field_is_where_the_standard_puts_it(
    mme: Mme, length: int, places: dict[int, bytes]
) -> None:
    frame = wire.build(PEER, HOST, mme)
    assert len(frame) == length
    assert frame[0:12] == PEER + HOST
    assert frame[12:14] == b"\x88\xe1"
    assert frame[15:17] == mme.MMTYPE.to_bytes(2, "little")
    for offset, expected in places.items():
        assert frame[offset : offset + len(expected)] == expected, f"at {offset}"
    if mme.MMTYPE >= 0xA000:
        assert frame[17:20] == wire.OUI
    assert wire.parse(frame) == wire.Frame(PEER, HOST, mme.MMV, mme)


@pytest.mark.parametrize(
    ("mme", "length", "places"), STANDARD + VENDOR, ids=lambda x: getattr(x, "NAME", "")
)
def test_trailing_bytes_are_ignored(mme: Mme, length: int, places: dict[int, bytes]) -> None:
    cut = any(getattr(item, "cut", False) for _, item in mme.ITEMS)
    tail = b"" if cut else b"\xee" * 14  # real modems add 7 or 14 bytes
    assert wire.parse(wire.build(PEER, HOST, mme) + tail).mme == mme


@pytest.mark.parametrize("mme", [row[0] for row in STANDARD], ids=lambda x: x.NAME)
def test_a_frame_cut_in_a_field_names_field_and_offset(mme: Mme) -> None:
    with pytest.raises(WireError, match=rf"{mme.NAME}: \w+: needs \d+ bytes at offset 19"):
        wire.parse(wire.build(PEER, HOST, mme)[:19])


def test_network_info_in_both_forms() -> None:
    station = v.Station(mac=PEER, tei=2, bridged_mac=HOST, tx_rate=9, rx_rate=8)
    network = v.Network(
        nid=NID, snid=1, tei=1, role=2, cco_mac=HOST, cco_tei=1, stations=(station,)
    )
    frame = wire.build(PEER, HOST, v.VsNwInfoCnf(networks=(network,)))
    assert frame[20:39] == b"\1" + NID + b"\1\1\2" + HOST + b"\1\1"
    assert frame[39:54] == PEER + b"\2" + HOST + b"\x09\x08"
    station1 = v.Station1(mac=PEER, tei=2, bridged_mac=HOST, tx_rate=9, rx_rate=8)
    network1 = v.Network1(
        nid=NID, snid=1, tei=1, role=2, cco_mac=HOST, cco_tei=1, stations=(station1,)
    )
    frame1 = wire.build(PEER, HOST, v.VsNwInfoCnf1(data_length=57, networks=(network1,)))
    assert frame1[14] == 1
    assert frame1[19:22] == wire.OUI
    assert frame1[27:35] == b"\1" + NID
    assert wire.parse(frame1).mme == v.VsNwInfoCnf1(data_length=57, networks=(network1,))
    assert wire.describe(network)["stations[0].mac"] == PEER.hex(":")


def test_debians_short_sound_is_taken() -> None:
    long = wire.build(PEER, HOST, wire.CmMnbcSoundInd(countdown=9, run_id=RUN, random=NMK))
    sound = wire.parse(long[:64]).mme
    assert isinstance(sound, wire.CmMnbcSoundInd)
    assert (sound.run_id, sound.countdown, len(sound.random)) == (RUN, 9, 9)


def test_the_long_profile_of_the_makers_evse_is_taken() -> None:
    frame = wire.build(
        PEER,
        HOST,
        wire.CmAttenCharInd(source_address=PEER, run_id=RUN, num_sounds=9, attenuation=AAG),
    )
    char = wire.parse(frame.ljust(326, b"\0")).mme
    assert isinstance(char, wire.CmAttenCharInd)
    assert (char.num_sounds, char.num_groups, char.attenuation) == (9, 58, AAG)


@pytest.mark.parametrize(
    ("frame", "mmtype", "name"),
    [
        (PEER + HOST + bytes.fromhex("88e1014ea10000112233") + bytes(40), 0xA14E, "0xA14E.IND"),
        (PEER + HOST + bytes.fromhex("88e1003ca0") + bytes(43), 0xA03C, "0xA03C.REQ"),
        # a known type with a foreign OUI, and a fragment of a known message
        (PEER + HOST + bytes.fromhex("88e10000a0aabbcc") + bytes(40), 0xA000, "0xA000.REQ"),
        (PEER + HOST + bytes.fromhex("88e10164601000") + bytes(41), 0x6064, "0x6064.REQ"),
    ],
)
def test_what_is_not_known_is_kept_whole(frame: bytes, mmtype: int, name: str) -> None:
    parsed = wire.parse(frame)
    assert parsed.mme == wire.UnknownMme(mmtype, frame[17:])
    assert parsed.mme.name == name
    assert wire.build(parsed.dst, parsed.src, parsed.mme, parsed.mmv) == frame


@pytest.mark.parametrize(
    ("mmtype", "name"),
    [
        (0x0014, "CC_DISCOVER_LIST.REQ"),
        (0x6006, "CM_ENCRYPTED_PAYLOAD.IND"),
        (0x6039, "CM_NW_INFO.CNF"),
        (0x6063, "CM_STA_IDENTIFY.RSP"),
        (0x8002, "0x8002.IND"),
    ],
)
def test_what_modems_say_to_others_has_a_name(mmtype: int, name: str) -> None:
    frame = PEER + HOST + b"\x88\xe1\x01" + mmtype.to_bytes(2, "little") + bytes(43)
    assert wire.parse(frame).mme.name == name
    assert not any(kind in layout.REGISTRY for kind in ((False, 1, mmtype), (False, 0, mmtype)))


def test_no_message_is_named_that_is_decoded() -> None:
    decoded = {mmtype & ~3 for vendor, _, mmtype in layout.REGISTRY if not vendor}
    assert not decoded & set(wire.NAMED_ONLY)


def test_get_key_as_a_tool_asks_and_a_modem_answers() -> None:
    """Laid out as captured; nonces, network and key are made up."""
    nid, key = bytes.fromhex("0102030405060f"), bytes(range(16))
    ask = "88e1010c600000" + "0001" + nid.hex() + "aaaaaaaa04000000"
    asked = wire.parse((PEER + HOST + bytes.fromhex(ask)).ljust(60, b"\0")).mme
    assert asked == wire.CmGetKeyReq(nid=nid, my_nonce=b"\xaa" * 4)
    tell = "88e1010d600000" + "000121938ca4aaaaaaaa" + nid.hex() + "01040000ff" + key.hex()
    told = wire.parse(HOST + PEER + bytes.fromhex(tell)).mme
    assert isinstance(told, wire.CmGetKeyCnf)
    assert (told.result, told.nid, told.eks, told.nmk) == (0, nid, 1, key)


@pytest.mark.parametrize("frame", [b"", b"\x88\xe1", bytes(60), PEER + HOST + b"\x88\xe1\x01\x64"])
def test_what_is_not_homeplug_is_refused(frame: bytes) -> None:
    with pytest.raises(WireError):
        wire.parse(frame)


def test_an_object_that_would_not_encode_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="run_id: 7 bytes, not 8"):
        wire.CmSlacParmReq(run_id=bytes(7))
    with pytest.raises(ValueError, match="num_sounds: 256"):
        wire.CmSlacParmCnf(forwarding_sta=PEER, run_id=RUN, num_sounds=256)


def test_describe_reads_like_the_standard() -> None:
    mme = wire.CmSlacParmCnf(forwarding_sta=PEER, run_id=RUN)
    assert mme.name == "CM_SLAC_PARM.CNF"
    assert list(wire.describe(mme).items()) == [
        ("sound_target", "ff:ff:ff:ff:ff:ff"),
        ("num_sounds", 10),
        ("time_out", 6),
        ("response_type", 1),
        ("forwarding_sta", "02:00:00:00:00:02"),
        ("application_type", 0),
        ("security_type", 0),
        ("run_id", "1122334455667788"),
    ]


@pytest.mark.parametrize(
    ("password", "nmk", "nid"),
    [
        ("HomePlugAV", "50d3e4933f855b7040784df815aa8db7", "b0f2e695666b03"),
        ("HomePlugAV0123", "b59319d7e8157ba001b018669ccee30d", "026bcba5354e08"),
    ],
)
def test_keys_from_passwords(password: str, nmk: str, nid: str) -> None:
    assert wire.password_to_nmk(password).hex() == nmk
    assert wire.nid_from_nmk(bytes.fromhex(nmk)).hex() == nid


def test_security_level_and_device_key() -> None:
    assert wire.nid_from_nmk(wire.password_to_nmk("HomePlugAV"), 1)[6] == 0x13
    assert wire.password_to_dak("HomePlugAV").hex() == "689f074b8b0275a2710b0b5779ad1630"
