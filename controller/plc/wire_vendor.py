"""Messages of the modem's maker (QCA 7000, 7005, 7420 and kin): identity, keys, link, modules.

The form is that of the makers' open tools (plctool, int6k): MMV 0 unless said, OUI 00:B0:52, the
body then at 20. `wire` holds the framing; importing this module makes `wire.parse` know these.
"""

from __future__ import annotations

from controller.plc.layout import (
    Mme,
    Record,
    Variant,
    address,
    count,
    raw,
    record,
    records,
    reserved,
    sized,
    text,
    uint,
    vendor_mme,
)


@vendor_mme("VS_SW_VER.REQ", 0xA000)
class VsSwVerReq(Mme):
    """Ask for class and firmware."""

    cookie: bytes = raw(4, cut=True, default=bytes(4))


@vendor_mme("VS_SW_VER.CNF", 0xA001)
class VsSwVerCnf(Mme):
    """Class (0x20 QCA7420, 0x22 QCA7000/7005) and firmware; "BootLoader": no firmware runs."""

    status: int = uint(1, default=0)
    device_class: int = uint(1)
    length: int = uint(1)
    version: str = text(65)
    chip_id: bytes = raw(4, cut=True, default=bytes(4))


@vendor_mme("VS_RS_DEV.REQ", 0xA01C)
class VsRsDevReq(Mme):
    """Restart the modem."""


@vendor_mme("VS_RS_DEV.CNF", 0xA01D)
class VsRsDevCnf(Mme):
    """The modem restarts now."""

    status: int = uint(1, default=0)


@vendor_mme("VS_FAC_DEFAULTS.REQ", 0xA07C)
class VsFacDefaultsReq(Mme):
    """Take back the factory's parameter block."""


@vendor_mme("VS_FAC_DEFAULTS.CNF", 0xA07D)
class VsFacDefaultsCnf(Mme):
    """Factory parameters are back; the modem restarts."""

    status: int = uint(1, default=0)


@vendor_mme("VS_NW_INFO.REQ", 0xA038)
class VsNwInfoReq(Mme):
    """Ask for the networks and their stations."""


@record
class Station(Record):
    """A station of a network, with its rates in Mbit/s."""

    mac: bytes = address()
    tei: int = uint(1)
    bridged_mac: bytes = address()
    tx_rate: int = uint(1)
    rx_rate: int = uint(1)


@record
class Network(Record):
    """A network that the modem has joined; role 0 station, 1 proxy, 2 coordinator."""

    nid: bytes = raw(7)
    snid: int = uint(1)
    tei: int = uint(1)
    role: int = uint(1)
    cco_mac: bytes = address()
    cco_tei: int = uint(1)
    num_stations: int = count(1, of="stations", init=False)
    stations: tuple[Station, ...] = records(Station, by="num_stations")


@vendor_mme("VS_NW_INFO.CNF", 0xA039)
class VsNwInfoCnf(Mme):
    """The networks, in the first form."""

    num_networks: int = count(1, of="networks", init=False)
    networks: tuple[Network, ...] = records(Network, by="num_networks")


@vendor_mme("VS_NW_INFO.REQ", 0xA038, mmv=1)
class VsNwInfoReq1(Mme):
    """Ask for the networks, second form."""


@record
class Station1(Record):
    """A station, second form (24 bytes)."""

    mac: bytes = address()
    tei: int = uint(1)
    reserved_1: bytes = reserved(3, default=bytes(3))
    bridged_mac: bytes = address()
    tx_rate: int = uint(2)
    coupling: int = uint(1, default=0)
    reserved_2: bytes = reserved(1, default=bytes(1))
    rx_rate: int = uint(2)
    reserved_3: bytes = reserved(2, default=bytes(2))


@record
class Network1(Record):
    """A network, second form."""

    nid: bytes = raw(7)
    reserved_1: bytes = reserved(2, default=bytes(2))
    snid: int = uint(1)
    tei: int = uint(1)
    reserved_2: bytes = reserved(4, default=bytes(4))
    role: int = uint(1)
    cco_mac: bytes = address()
    cco_tei: int = uint(1)
    reserved_3: bytes = reserved(3, default=bytes(3))
    num_stations: int = count(1, of="stations", init=False)
    reserved_4: bytes = reserved(5, default=bytes(5))
    stations: tuple[Station1, ...] = records(Station1, by="num_stations")


@vendor_mme("VS_NW_INFO.CNF", 0xA039, mmv=1)
class VsNwInfoCnf1(Mme):
    """The networks, second form."""

    sub_version: int = uint(1, default=0)
    reserved_1: bytes = reserved(1, default=bytes(1))
    data_length: int = uint(2)
    reserved_2: bytes = reserved(1, default=bytes(1))
    num_networks: int = count(1, of="networks", init=False)
    networks: tuple[Network1, ...] = records(Network1, by="num_networks")


@vendor_mme("VS_PL_LNK_STATUS.REQ", 0xA0B8)
class VsPlLnkStatusReq(Mme):
    """Ask whether the powerline link is up."""


@vendor_mme("VS_PL_LNK_STATUS.CNF", 0xA0B9)
class VsPlLnkStatusCnf(Mme):
    """The link: 1 up; the status before it only says that the question was understood."""

    status: int = uint(1, default=0)
    link: int = uint(1)


@vendor_mme("VS_SET_KEY.REQ", 0xA050)
class VsSetKeyReq(Mme):
    """Give a modem a key: local (payload EKS 0F) or remote with its DAK (00)."""

    eks: int = uint(1, default=1)
    nmk: bytes = raw(16)
    payload_eks: int = uint(1, default=0x0F)
    remote_mac: bytes = address(default=bytes(6))
    dak: bytes = raw(16, cut=True, default=bytes(16))


@vendor_mme("VS_SET_KEY.CNF", 0xA051)
class VsSetKeyCnf(Mme):
    """The key was taken when the status is 0."""

    status: int = uint(1, default=0)


@vendor_mme("VS_HOST_ACTION.IND", 0xA062)
class VsHostActionInd(Mme):
    """The modem wants: 0 start (no firmware), 1 to 3 store modules, 4 memory, 5 defaults."""

    action: int = uint(1)
    major: int = uint(1, default=0)
    minor: int = uint(1, default=0)


@vendor_mme("VS_HOST_ACTION.RSP", 0xA063)
class VsHostActionRsp(Mme):
    """The host will do so when the status is 0."""

    status: int = uint(1, default=0)


@vendor_mme("VS_OP_ATTRIBUTES.REQ", 0xA068)
class VsOpAttributesReq(Mme):
    """Ask for the operating attributes (type 0: binary)."""

    cookie: bytes = raw(4)
    report_type: int = uint(1, default=0)


@vendor_mme("VS_OP_ATTRIBUTES.CNF", 0xA069)
class VsOpAttributesCnf(Mme):
    """Hardware family, type and versions, as one block."""

    status: int = uint(2, default=0)
    cookie: bytes = raw(4)
    report_type: int = uint(1, default=0)
    length: int = count(2, of="data", init=False)
    data: bytes = sized(by="length")


@vendor_mme("VS_GET_PROPERTY.REQ", 0xA0F8)
class VsGetPropertyReq(Mme):
    """Ask for a property by its number; data format 0 hex, 1 decimal, 2 binary, 3 text."""

    cookie: bytes = raw(4)
    data_format: int = uint(1)
    property_format: int = uint(1)
    reserved_1: bytes = reserved(2, default=bytes(2))
    version: int = uint(4, default=0)
    length: int = uint(4, default=4)
    number: int = uint(4)


@vendor_mme("VS_GET_PROPERTY.CNF", 0xA0F9)
class VsGetPropertyCnf(Mme):
    """A property."""

    status: int = uint(4, default=0)
    cookie: bytes = raw(4)
    data_format: int = uint(1)
    reserved_1: bytes = reserved(3, default=bytes(3))
    length: int = count(4, of="data", init=False)
    data: bytes = sized(by="length")


@vendor_mme("VS_SET_PROPERTY.REQ", 0xA100)
class VsSetPropertyReq(Mme):
    """Set a property."""

    cookie: bytes = raw(4)
    option: int = uint(1)
    reserved_1: bytes = reserved(3, default=bytes(3))
    version: int = uint(4, default=0)
    number: int = uint(4)
    length: int = count(4, of="data", init=False)
    data: bytes = sized(by="length")


@vendor_mme("VS_SET_PROPERTY.CNF", 0xA101)
class VsSetPropertyCnf(Mme):
    """The property was set when the status is 0."""

    status: int = uint(4, default=0)
    cookie: bytes = raw(4)


@vendor_mme("VS_LNK_STATS.REQ", 0xA030)
class VsLnkStatsReq(Mme):
    """Ask for (0) or ask for and clear (1) the counters: direction 0 sent, 1 received, 2 both."""

    control: int = uint(1, default=0)
    direction: int = uint(1)
    lid: int = uint(1, default=0xF8)
    mac: bytes = address()


@record
class RateStats(Record):
    """Counters at one rate."""

    rate: int = uint(1)
    blocks_ok: int = uint(8, default=0)
    blocks_failed: int = uint(8, default=0)
    turbo_ok: int = uint(8, default=0)
    turbo_failed: int = uint(8, default=0)


def _direction(value: int) -> Variant:
    return Variant(offset=1, width=1, value=value)


@vendor_mme("VS_LNK_STATS.CNF", 0xA031, variant=_direction(0))
class VsLnkStatsTxCnf(Mme):
    """Counters of what was sent."""

    status: int = uint(1, default=0)
    direction: int = uint(1, default=0)
    lid: int = uint(1)
    tei: int = uint(1)
    tx_mpdu_ok: int = uint(8, default=0)
    tx_mpdu_collided: int = uint(8, default=0)
    tx_mpdu_failed: int = uint(8, default=0)
    tx_blocks_ok: int = uint(8, default=0)
    tx_blocks_failed: int = uint(8, default=0)


@vendor_mme("VS_LNK_STATS.CNF", 0xA031, variant=_direction(1))
class VsLnkStatsRxCnf(Mme):
    """Counters of what was received."""

    status: int = uint(1, default=0)
    direction: int = uint(1, default=1)
    lid: int = uint(1)
    tei: int = uint(1)
    rx_mpdu_ok: int = uint(8, default=0)
    rx_mpdu_failed: int = uint(8, default=0)
    rx_blocks_ok: int = uint(8, default=0)
    rx_blocks_failed: int = uint(8, default=0)
    rx_turbo_ok: int = uint(8, default=0)
    rx_turbo_failed: int = uint(8, default=0)
    num_rates: int = count(1, of="rates", init=False)
    rates: tuple[RateStats, ...] = records(RateStats, by="num_rates")


@vendor_mme("VS_LNK_STATS.CNF", 0xA031, variant=_direction(2))
class VsLnkStatsBothCnf(Mme):
    """Counters of both directions."""

    status: int = uint(1, default=0)
    direction: int = uint(1, default=2)
    lid: int = uint(1)
    tei: int = uint(1)
    tx_mpdu_ok: int = uint(8, default=0)
    tx_mpdu_collided: int = uint(8, default=0)
    tx_mpdu_failed: int = uint(8, default=0)
    tx_blocks_ok: int = uint(8, default=0)
    tx_blocks_failed: int = uint(8, default=0)
    rx_mpdu_ok: int = uint(8, default=0)
    rx_mpdu_failed: int = uint(8, default=0)
    rx_blocks_ok: int = uint(8, default=0)
    rx_blocks_failed: int = uint(8, default=0)
    rx_turbo_ok: int = uint(8, default=0)
    rx_turbo_failed: int = uint(8, default=0)
    num_rates: int = count(1, of="rates", init=False)
    rates: tuple[RateStats, ...] = records(RateStats, by="num_rates")
