"""The simulated modems: answers, joining, what crosses the wire and what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.plc import pib, wire
from controller.plc import wire_modules as modules
from controller.plc import wire_vendor as vendor
from controller.plc.sim import Delivery, SimPowerline
from controller.plc.sim_modem import HANDLERS, SimModem

if TYPE_CHECKING:
    from controller.plc.layout import Mme

HOSTS = [bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")]
MACS = [bytes.fromhex("00b052aa0001"), bytes.fromhex("00b052aa0002")]
NMK = bytes(range(16))
NID = wire.nid_from_nmk(NMK)
RUN = bytes(8)


def line() -> SimPowerline:
    modes = [pib.SLAC_EVSE, pib.SLAC_PEV]
    made = [SimModem(m, slac_mode=s) for m, s in zip(MACS, modes, strict=True)]
    return SimPowerline(made)


def send(wires: SimPowerline, source: int, frame: bytes, now: float = 0.0) -> list[Delivery]:
    wires.receive_frame(source, frame, now)
    return wires.handle_timer(now + 0.1)


def ask(
    wires: SimPowerline, mme: Mme, now: float = 0.0, dst: bytes = wire.LOCAL_MODEM
) -> list[Mme]:
    deliveries = send(wires, 0, wire.build(dst, HOSTS[0], mme), now)
    assert all(index == 0 for index, _ in deliveries)
    return [wire.parse(frame).mme for _, frame in deliveries]


def set_key(wires: SimPowerline, source: int, nid: bytes, nmk: bytes, now: float) -> None:
    send(
        wires,
        source,
        wire.build(wire.LOCAL_MODEM, HOSTS[source], wire.CmSetKeyReq(nid=nid, nmk=nmk)),
        now,
    )


IPV6 = bytes.fromhex("333300000001") + HOSTS[0] + b"\x86\xdd" + bytes(60)


@pytest.mark.parametrize("dst", [wire.LOCAL_MODEM, MACS[0], wire.BROADCAST])
def test_key_is_confirmed_and_makes_the_modem_deaf(dst: bytes) -> None:
    wires = line()
    (cnf,) = ask(wires, wire.CmSetKeyReq(nid=NID, nmk=NMK, my_nonce=b"abcd"), 1.0, dst)
    assert isinstance(cnf, wire.CmSetKeyCnf)
    assert (cnf.result, cnf.your_nonce) == (wire.KEY_ACCEPTED, b"abcd")
    assert (wires.modems[0].nid, wires.modems[0].nmk) == (NID, NMK)
    assert ask(wires, vendor.VsSwVerReq(), 2.0) == []
    assert ask(wires, vendor.VsSwVerReq(), 5.0) != []


@pytest.mark.parametrize(
    ("other", "up"),
    [((NID, NMK), 1), ((bytes(7), NMK), 0), ((NID, bytes(16)), 0)],
    ids=["same", "other NID", "other NMK"],
)
def test_only_equal_keys_join(other: tuple[bytes, bytes], up: int) -> None:
    wires = line()
    set_key(wires, 0, NID, NMK, 1.0)
    set_key(wires, 1, *other, 1.0)
    assert ask(wires, vendor.VsPlLnkStatusReq(), 6.0) == [vendor.VsPlLnkStatusCnf(link=up)]
    assert [i for i, _ in send(wires, 0, IPV6, 7.0)] == [1] * up


def test_link_is_down_while_a_modem_restarts_or_is_unplugged() -> None:
    wires = line()
    assert wires.is_joined(0, 1, 0.0)  # both leave the factory with the same key
    wires.modems[1].restart(0.0)
    assert not wires.is_joined(0, 1, 1.0)
    assert wires.is_joined(0, 1, 4.0)
    wires.set_coupling(0, 1, None)
    assert not wires.is_joined(0, 1, 4.0)
    assert send(wires, 0, IPV6, 5.0) == []


def test_slac_crosses_between_strangers_and_is_measured_by_the_charger() -> None:
    wires = line()
    set_key(wires, 0, NID, NMK, 0.0)
    sound = wire.build(
        wire.BROADCAST, HOSTS[1], wire.CmMnbcSoundInd(countdown=9, run_id=RUN, random=bytes(16))
    )
    (first, second) = send(wires, 1, sound, 5.0)
    assert first == (0, sound)
    profile = wire.parse(second[1])
    assert isinstance(profile.mme, wire.CmAttenProfileInd)
    assert (profile.src, profile.dst) == (MACS[0], wire.BROADCAST)
    assert profile.mme.pev_mac == HOSTS[1]
    assert len(profile.mme.attenuation) == 58
    assert min(profile.mme.attenuation) >= 1
    back = wire.build(
        wire.BROADCAST, HOSTS[0], wire.CmMnbcSoundInd(countdown=9, run_id=RUN, random=bytes(16))
    )
    assert send(wires, 0, back, 6.0) == [(1, back)]  # a vehicle's modem measures nothing


@pytest.mark.parametrize(
    "mme", [vendor.VsSwVerReq(), vendor.VsNwInfoReq(), wire.CmSetKeyReq(nid=NID, nmk=NMK)]
)
@pytest.mark.parametrize("dst", [wire.LOCAL_MODEM, MACS[0], wire.BROADCAST])
def test_local_management_never_crosses(mme: Mme, dst: bytes) -> None:
    deliveries = send(line(), 0, wire.build(dst, HOSTS[0], mme))
    assert {index for index, _ in deliveries} == {0}


def test_remote_modem_tells_its_firmware_but_takes_no_key() -> None:
    wires = line()
    (version,) = ask(wires, vendor.VsSwVerReq(), 0.0, MACS[1])
    assert isinstance(version, vendor.VsSwVerCnf)
    (cnf,) = ask(wires, wire.CmSetKeyReq(nid=NID, nmk=NMK), 1.0, MACS[1])
    assert isinstance(cnf, wire.CmSetKeyCnf)
    assert cnf.result == wire.KEY_NOT_APPLIED
    assert wires.modems[1].nmk != NMK


def test_coupling_decides_the_profile() -> None:
    wires = line()
    means = []
    for mean in (12.0, 40.0):
        wires.set_coupling(0, 1, mean)
        profile = wires.profile(1, 0)
        means.append(sum(profile) / len(profile))
    assert means[0] == pytest.approx(12, abs=3)
    assert means[1] == pytest.approx(40, abs=3)
    assert line().profile(1, 0) == line().profile(1, 0)


def read_pib(wires: SimPowerline) -> bytes:
    data = b""
    while True:
        req = modules.VsModuleReadReq(module=0x7002, length=1400, offset=len(data))
        (cnf,) = ask(wires, req)
        assert isinstance(cnf, modules.VsModuleReadCnf)
        data += cnf.data
        if len(cnf.data) < 1400:
            return data


def write_pib(wires: SimPowerline, data: bytes, now: float) -> Mme:
    spec = modules.ModuleSpec(module=0x7002, length=len(data), checksum=pib.checksum32(data))
    ask(wires, modules.VsModuleStartReq(operation_length=25, session=7, modules=(spec,)), now)
    for offset in range(0, len(data), 1400):
        piece = data[offset : offset + 1400]
        req = modules.VsModuleWriteReq(
            operation_length=23 + len(piece),
            session=7,
            index=0,
            module=0x7002,
            offset=offset,
            data=piece,
        )
        (cnf,) = ask(wires, req, now)
        assert isinstance(cnf, modules.VsModuleWriteCnf)
        assert cnf.status == 0
    (closed,) = ask(wires, modules.VsModuleCloseReq(session=7, code=0x80000003), now)
    return closed


def test_parameter_block_is_read_and_written() -> None:
    wires = line()
    image = pib.from_chain(read_pib(wires))
    assert pib.read(image, pib.MAC) == MACS[0]
    edited = pib.write(pib.write(image, pib.NMK, NMK), pib.NID, NID)
    closed = write_pib(wires, pib.to_chain(edited), 1.0)
    assert isinstance(closed, modules.VsModuleCloseCnf)
    assert closed.status == 0
    assert wires.modems[0].nmk != NMK  # not before the restart
    ask(wires, vendor.VsRsDevReq(), 1.0)
    assert wires.modems[0].nmk == NMK


def test_damaged_parameter_block_is_refused() -> None:
    wires = line()
    data = bytearray(read_pib(wires))
    data[500] ^= 1
    closed = write_pib(wires, bytes(data), 1.0)
    assert isinstance(closed, modules.VsModuleCloseCnf)
    assert closed.status != 0
    assert wires.modems[0].image == wires.modems[0].factory


def test_old_messages_read_and_write_the_flat_block() -> None:
    wires = line()
    (cnf,) = ask(wires, modules.VsRdModReq(module=2, length=1024, offset=0))
    assert isinstance(cnf, modules.VsRdModCnf)
    assert cnf.data == wires.modems[0].image[:1024]
    piece = pib.write(wires.modems[0].image, pib.NMK, NMK)[:1024]
    req = modules.VsWrModReq(module=2, offset=0, checksum=pib.checksum32(piece), data=piece)
    (written,) = ask(wires, req)
    assert isinstance(written, modules.VsWrModCnf)
    assert written.status == 0
    assert ask(wires, modules.VsModNvmReq(modules=2)) == [modules.VsModNvmCnf(modules=2)]
    assert wires.modems[0].nmk == NMK


def test_factory_defaults_and_restart() -> None:
    wires = line()
    set_key(wires, 0, NID, NMK, 0.0)
    assert ask(wires, vendor.VsFacDefaultsReq(), 5.0) == [vendor.VsFacDefaultsCnf()]
    assert wires.modems[0].nmk != NMK
    assert ask(wires, vendor.VsRsDevReq(), 10.0) == [vendor.VsRsDevCnf()]
    assert ask(wires, vendor.VsRsDevReq(), 11.0) == []


def test_network_shows_the_joined_station_and_its_host() -> None:
    wires = line()
    send(wires, 1, wire.build(wire.LOCAL_MODEM, HOSTS[1], vendor.VsSwVerReq()))
    for req in (vendor.VsNwInfoReq(), vendor.VsNwInfoReq1()):
        (cnf,) = ask(wires, req, 1.0)
        assert isinstance(cnf, vendor.VsNwInfoCnf | vendor.VsNwInfoCnf1)
        (network,) = cnf.networks
        assert (network.role, network.cco_mac, network.num_stations) == (2, MACS[0], 1)
        assert (network.stations[0].mac, network.stations[0].bridged_mac) == (MACS[1], HOSTS[1])
    wires.set_coupling(0, 1, None)
    (alone,) = ask(wires, vendor.VsNwInfoReq(), 2.0)
    assert isinstance(alone, vendor.VsNwInfoCnf)
    assert alone.networks[0].stations == ()


def test_keys_by_the_makers_message() -> None:
    wires = line()
    assert ask(wires, vendor.VsSetKeyReq(nmk=NMK)) == [vendor.VsSetKeyCnf()]
    assert wires.modems[0].nid == NID
    wires = line()
    dak = pib.read(wires.modems[1].image, pib.DAK)
    remote = vendor.VsSetKeyReq(nmk=NMK, payload_eks=0, remote_mac=MACS[1], dak=bytes(16))
    assert ask(wires, remote) == [vendor.VsSetKeyCnf(status=1)]
    right = vendor.VsSetKeyReq(nmk=NMK, payload_eks=0, remote_mac=MACS[1], dak=dak)
    assert ask(wires, right) == [vendor.VsSetKeyCnf()]
    assert wires.modems[1].nmk == NMK


def test_properties_and_counters() -> None:
    wires = line()
    get = vendor.VsGetPropertyReq(cookie=b"abcd", data_format=2, property_format=1, number=9)
    (none,) = ask(wires, get)
    assert isinstance(none, vendor.VsGetPropertyCnf)
    assert none.status == 1
    ask(wires, vendor.VsSetPropertyReq(cookie=b"abcd", option=1, number=9, data=b"xy"))
    (got,) = ask(wires, get)
    assert isinstance(got, vendor.VsGetPropertyCnf)
    assert (got.status, got.data, got.cookie) == (0, b"xy", b"abcd")
    send(wires, 0, IPV6, 1.0)
    for direction, kind in enumerate(
        [vendor.VsLnkStatsTxCnf, vendor.VsLnkStatsRxCnf, vendor.VsLnkStatsBothCnf]
    ):
        (stats,) = ask(wires, vendor.VsLnkStatsReq(direction=direction, mac=MACS[1]), 2.0)
        assert isinstance(stats, kind)


def test_every_handler_answers() -> None:
    assert len(HANDLERS) == 21
    (attributes,) = ask(line(), vendor.VsOpAttributesReq(cookie=b"abcd"))
    assert isinstance(attributes, vendor.VsOpAttributesCnf)
    assert attributes.data.startswith(b"QCA7420\0")


def test_version_is_as_long_as_a_real_one() -> None:
    ((_, frame),) = send(line(), 0, wire.build(wire.LOCAL_MODEM, HOSTS[0], vendor.VsSwVerReq()))
    assert len(frame) == 297
    version = wire.parse(frame).mme
    assert isinstance(version, vendor.VsSwVerCnf)
    assert version.version.startswith("MAC-QCA7420")
    assert version.chip_id.hex() == "fcfc1c00"


@pytest.mark.parametrize(
    "frame", [b"", bytes(13), bytes(60), b"\xff" * 12 + b"\x88\xe1", IPV6[:20]]
)
def test_odd_frames_do_no_harm(frame: bytes) -> None:
    send(line(), 0, frame)
