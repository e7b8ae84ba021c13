"""A simulated modem: what it answers to its host's management messages.

One modem, without the wire: `sim.SimPowerline` joins several. Everything that a modem keeps is in
its parameter block, so that keys, modes and addresses written by the real tools (plctool) count.
With `flash=False` it starts in its boot loader, forgets everything at each restart, and asks its
host for parameters and firmware.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from controller.errors import WireError
from controller.plc import pib, wire
from controller.plc import wire_modules as modules
from controller.plc import wire_vendor as vendor
from controller.plc.chips import NO_FIRMWARE
from controller.plc.sim_boot import STORE_PARAMETERS, SimBootLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.plc.layout import Mme

DEFAULT_PASSWORD = "HomePlugAV"
FIRMWARE = "MAC-QCA7420-1.4.0.20-00-20171027-CS"
DEVICE_CLASS = 0x20
CHIP_ID = bytes.fromhex("fcfc1c00")
SW_VER_LENGTH = 297
"""Size of a real VS_SW_VER.CNF frame."""
RATE_MBIT = 9
"""Green PHY's rate in ROBO mode, as VS_NW_INFO shows it."""
FAILED = 1
LINK_UP, LINK_DOWN = vendor.VsPlLnkStatusCnf(link=1), vendor.VsPlLnkStatusCnf(link=0)


@dataclass(slots=True)
class _Session:
    """An open write session."""

    number: int
    specs: tuple[modules.ModuleSpec, ...]
    buffers: list[bytearray] = field(default_factory=list)


class SimModem:
    """One modem; `restart_s` is how deaf a new key or a reset makes it."""

    def __init__(
        self,
        mac: bytes,
        *,
        slac_mode: int = pib.SLAC_EVSE,
        firmware: str = FIRMWARE,
        restart_s: float = 3.5,
        profile_groups: int = wire.GROUPS,
        device_class: int = DEVICE_CLASS,
        chip_id: bytes = CHIP_ID,
        flash: bool = True,
    ) -> None:
        nmk = wire.password_to_nmk(DEFAULT_PASSWORD)
        dak = wire.password_to_dak(mac.hex())
        self.factory = pib.new_image(mac, dak, wire.nid_from_nmk(nmk), nmk, slac_mode)
        self.image = self.factory
        self.firmware = firmware
        self.restart_s = restart_s
        self.profile_groups = profile_groups
        """0 for the adapters that measure nothing."""
        self.restarting_until = float("-inf")
        self.hosts: set[bytes] = set()
        """Addresses seen at the Ethernet port."""
        self.sent = 0
        self.received = 0
        self.properties: dict[int, bytes] = {}
        self.device_class = device_class
        self.chip_id = chip_id
        self.is_booted = flash
        self.boot_loader = None if flash else SimBootLoader()
        self._file = pib.to_chain(self.image)
        """The parameter file as it was written last; its header is given back unchanged."""
        self._committed = b""
        self._code = pib.to_chain(bytes(0x1000), image_type=4)
        self._session: _Session | None = None
        self._staged = bytearray()
        self._now = 0.0
        self._peers: Sequence[SimModem] = ()

    # --- what it keeps ---

    @property
    def mac(self) -> bytes:
        """Own station address."""
        return pib.read(self.image, pib.MAC)

    @property
    def nid(self) -> bytes:
        """Network identifier."""
        return pib.read(self.image, pib.NID)

    @property
    def nmk(self) -> bytes:
        """Network membership key."""
        return pib.read(self.image, pib.NMK)

    @property
    def slac_mode(self) -> int:
        """0 off, 1 vehicle, 2 charger: only the last measures sounds."""
        return pib.read(self.image, pib.SLAC_MODE)[0]

    def set_key(self, nid: bytes, nmk: bytes, now: float) -> None:
        """Take a key and restart with it (without flash memory: have it stored first)."""
        self.image = pib.write(pib.write(self.image, pib.NID, nid), pib.NMK, nmk)
        if self.boot_loader is None:
            self.restart(now)
        else:
            self.boot_loader.wants = STORE_PARAMETERS

    def restart(self, now: float) -> None:
        """Be deaf for a while."""
        self.restarting_until = now + self.restart_s
        self._session = None
        committed, self._committed = self._committed, b""
        if committed:
            self._keep_file(committed)
        if self.boot_loader is not None:
            self.is_booted = False
            self.boot_loader.restart()

    def is_awake(self, now: float) -> bool:
        """Ask whether it takes frames."""
        return now >= self.restarting_until

    # --- answers ---

    def answer(self, mme: Mme, now: float, peers: Sequence[SimModem]) -> list[Mme]:
        """Answer a message of the own host; `peers` are the modems joined with this one."""
        self._now, self._peers = now, peers
        handlers = HANDLERS if self.is_booted else BOOT_HANDLERS
        handler = handlers.get(type(mme))
        return [] if handler is None else handler(self, mme)

    def answer_remote(self, mme: Mme) -> list[Mme]:
        """Answer a message that came over the wire: identity, but never a new key."""
        if isinstance(mme, vendor.VsSwVerReq):
            return self._sw_ver(mme)
        if isinstance(mme, wire.CmSetKeyReq):
            return [wire.CmSetKeyCnf(result=wire.KEY_NOT_APPLIED, your_nonce=mme.my_nonce)]
        return []

    def frame(self, dst: bytes, mme: Mme, src: bytes | None = None) -> bytes:
        """Build a frame of this modem, as long as a real one."""
        built = _built(dst, src or self.mac, mme)
        return built.ljust(SW_VER_LENGTH, b"\0") if isinstance(mme, vendor.VsSwVerCnf) else built

    def _set_key(self, mme: wire.CmSetKeyReq) -> list[Mme]:
        self.set_key(mme.nid, mme.nmk, self._now)
        return [
            wire.CmSetKeyCnf(
                result=wire.KEY_ACCEPTED, your_nonce=mme.my_nonce, protocol_message=0xFF
            )
        ]

    def _vs_set_key(self, mme: vendor.VsSetKeyReq) -> list[Mme]:
        if mme.payload_eks == 0:  # for a remote modem: needs its DAK
            for peer in self._peers:
                if peer.mac == mme.remote_mac and pib.read(peer.image, pib.DAK) == mme.dak:
                    peer.set_key(wire.nid_from_nmk(mme.nmk), mme.nmk, self._now)
                    return [vendor.VsSetKeyCnf()]
            return [vendor.VsSetKeyCnf(status=FAILED)]
        self.set_key(wire.nid_from_nmk(mme.nmk), mme.nmk, self._now)
        return [vendor.VsSetKeyCnf()]

    def _sw_ver(self, mme: vendor.VsSwVerReq) -> list[Mme]:
        version = self.firmware if self.is_booted else NO_FIRMWARE
        return [
            vendor.VsSwVerCnf(
                device_class=self.device_class,
                length=len(version) + 1,
                version=version,
                chip_id=self.chip_id,
            )
        ]

    def _host_action_rsp(self, mme: vendor.VsHostActionRsp) -> list[Mme]:
        if self.boot_loader is not None:
            self.boot_loader.wants = None
        return []

    def _applet(self, mme: modules.VsAppletReq) -> list[Mme]:
        if self.boot_loader is None:
            return []
        answer, started = self.boot_loader.write(mme, self._keep_file)
        self.is_booted = self.is_booted or started
        return [answer]

    def _keep_file(self, data: bytes) -> None:
        self.image = pib.from_chain(data)
        self._file = data if data[:4] == pib.CHAIN_MAGIC else pib.to_chain(self.image)

    def _rs_dev(self, mme: vendor.VsRsDevReq) -> list[Mme]:
        self.restart(self._now)
        return [vendor.VsRsDevCnf()]

    def _fac_defaults(self, mme: vendor.VsFacDefaultsReq) -> list[Mme]:
        self._keep_file(self.factory)
        self.restart(self._now)
        return [vendor.VsFacDefaultsCnf()]

    def _link(self, mme: vendor.VsPlLnkStatusReq) -> list[Mme]:
        return [LINK_UP if self._peers else LINK_DOWN]

    def _is_coordinator(self) -> bool:
        return self.slac_mode == pib.SLAC_EVSE

    def _coordinator(self) -> bytes:
        everyone = [self, *self._peers]
        chosen = [m for m in everyone if m._is_coordinator()] or everyone
        return chosen[0].mac

    def _bridged(self, peer: SimModem) -> bytes:
        return min(peer.hosts, default=bytes(6))

    def _network(self) -> dict[str, Any]:
        """What both versions of the message tell of the network."""
        return {
            "nid": self.nid,
            "snid": 1,
            "tei": 1,
            "role": 2 if self._is_coordinator() else 0,
            "cco_mac": self._coordinator(),
            "cco_tei": 1,
        }

    def _stations(self) -> list[dict[str, Any]]:
        """What both versions of the message tell of each station."""
        return [
            {
                "mac": peer.mac,
                "tei": tei,
                "bridged_mac": self._bridged(peer),
                "tx_rate": RATE_MBIT,
                "rx_rate": RATE_MBIT,
            }
            for tei, peer in enumerate(self._peers, start=2)
        ]

    def _nw_info(self, mme: vendor.VsNwInfoReq) -> list[Mme]:
        if not self._peers and not self._is_coordinator():
            return [vendor.VsNwInfoCnf(networks=())]
        stations = tuple(vendor.Station(**station) for station in self._stations())
        network = vendor.Network(**self._network(), stations=stations)
        return [vendor.VsNwInfoCnf(networks=(network,))]

    def _nw_info_1(self, mme: vendor.VsNwInfoReq1) -> list[Mme]:
        if not self._peers and not self._is_coordinator():
            return [vendor.VsNwInfoCnf1(data_length=1, networks=())]
        stations = tuple(vendor.Station1(**station) for station in self._stations())
        network = vendor.Network1(**self._network(), stations=stations)
        length = 1 + 32 + 24 * len(stations)
        return [vendor.VsNwInfoCnf1(data_length=length, networks=(network,))]

    def _op_attributes(self, mme: vendor.VsOpAttributesReq) -> list[Mme]:
        data = b"QCA7420".ljust(16, b"\0") + b"MAC".ljust(16, b"\0")
        data += b"".join(n.to_bytes(4, "little") for n in (1, 4, 0, 0, 20))
        data += b"20171027" + b"CS".ljust(12, b"\0") + bytes(8)
        return [vendor.VsOpAttributesCnf(cookie=mme.cookie, data=data)]

    def _get_property(self, mme: vendor.VsGetPropertyReq) -> list[Mme]:
        data = self.properties.get(mme.number)
        return [
            vendor.VsGetPropertyCnf(
                status=FAILED if data is None else 0,
                cookie=mme.cookie,
                data_format=mme.data_format,
                data=data or b"",
            )
        ]

    def _set_property(self, mme: vendor.VsSetPropertyReq) -> list[Mme]:
        self.properties[mme.number] = mme.data
        return [vendor.VsSetPropertyCnf(cookie=mme.cookie)]

    def _lnk_stats(self, mme: vendor.VsLnkStatsReq) -> list[Mme]:
        tx, rx = self.sent, self.received
        if mme.control:
            self.sent = self.received = 0
        if mme.direction == 0:
            return [vendor.VsLnkStatsTxCnf(lid=mme.lid, tei=1, tx_mpdu_ok=tx, tx_blocks_ok=tx)]
        if mme.direction == 1:
            return [
                vendor.VsLnkStatsRxCnf(lid=mme.lid, tei=1, rx_mpdu_ok=rx, rx_blocks_ok=rx, rates=())
            ]
        return [
            vendor.VsLnkStatsBothCnf(
                lid=mme.lid, tei=1, tx_mpdu_ok=tx, tx_blocks_ok=tx, rx_mpdu_ok=rx, rates=()
            )
        ]

    # --- modules ---

    def _module(self, number: int) -> bytes | None:
        if number == modules.MODULE_PARAMETERS:
            return pib.with_image(self._file, self.image)
        return self._code if number == modules.MODULE_FIRMWARE else None

    def _module_read(self, mme: modules.VsModuleReadReq) -> list[Mme]:
        data = self._module(mme.module)
        piece = b""
        if data is not None:
            piece = data[mme.offset : mme.offset + min(mme.length, modules.READ_LIMIT)]
        flash = isinstance(mme, modules.VsModuleReadFlashReq)
        cnf = modules.VsModuleReadFlashCnf if flash else modules.VsModuleReadCnf
        return [
            cnf(
                status=FAILED if data is None else 0,
                operation_length=18 + len(piece),
                module=mme.module,
                sub_module=mme.sub_module,
                offset=mme.offset,
                data=piece,
            )
        ]

    def _module_start(self, mme: modules.VsModuleStartReq) -> list[Mme]:
        known = all(self._module(s.module) is not None and s.length < 1 << 20 for s in mme.modules)
        if known:
            buffers = [bytearray(s.length) for s in mme.modules]
            self._session = _Session(mme.session, mme.modules, buffers)
        status = 0 if known else FAILED
        return [
            modules.VsModuleStartCnf(
                status=status,
                operation_length=13 + 4 * len(mme.modules),
                session=mme.session,
                modules=tuple(modules.ModuleStatus(status=status) for _ in mme.modules),
            )
        ]

    def _module_write(self, mme: modules.VsModuleWriteReq) -> list[Mme]:
        session = self._session
        fits = (
            session is not None
            and session.number == mme.session
            and mme.index < len(session.buffers)
            and mme.offset + len(mme.data) <= len(session.buffers[mme.index])
        )
        if fits and session is not None:
            session.buffers[mme.index][mme.offset : mme.offset + len(mme.data)] = mme.data
        return [
            modules.VsModuleWriteCnf(
                status=0 if fits else FAILED,
                operation_length=23,
                session=mme.session,
                index=mme.index,
                module=mme.module,
                sub_module=mme.sub_module,
                length=mme.length,
                offset=mme.offset,
            )
        ]

    def _module_close(self, mme: modules.VsModuleCloseReq) -> list[Mme]:
        session, self._session = self._session, None
        statuses = []
        if session is not None and session.number == mme.session:
            for spec, buffer in zip(session.specs, session.buffers, strict=True):
                statuses.append(modules.ModuleStatus(status=self._commit(spec, bytes(buffer))))
        failed = not statuses or any(s.status for s in statuses)
        if not failed and not mme.code & 2:
            self.restart(self._now)
        return [
            modules.VsModuleCloseCnf(
                status=FAILED if failed else 0,
                operation_length=17 + 4 * len(statuses),
                session=mme.session,
                code=mme.code,
                modules=tuple(statuses),
            )
        ]

    def _commit(self, spec: modules.ModuleSpec, data: bytes) -> int:
        if spec.module != modules.MODULE_PARAMETERS:
            self._code = data
            return 0
        try:
            pib.from_chain(data)
        except WireError:
            return FAILED
        self._committed = data  # in force after the next restart, as in a real modem
        return 0

    def _rd_mod(self, mme: modules.VsRdModReq) -> list[Mme]:
        is_pib = mme.module == modules.MODULE_PIB
        data = pib.resummed(self.image) if is_pib else self._code  # flat: its own sum counts
        piece = data[mme.offset : mme.offset + min(mme.length, modules.RD_MOD_LIMIT)]
        return [
            modules.VsRdModCnf(
                module=mme.module, offset=mme.offset, checksum=pib.checksum32(piece), data=piece
            )
        ]

    def _wr_mod(self, mme: modules.VsWrModReq) -> list[Mme]:
        fits = mme.module == modules.MODULE_PIB and mme.offset + len(mme.data) <= len(self.image)
        fits = fits and pib.checksum32(mme.data) == mme.checksum
        if fits:
            self._staged = self._staged or bytearray(pib.resummed(self.image))
            self._staged[mme.offset : mme.offset + len(mme.data)] = mme.data
        return [
            modules.VsWrModCnf(
                status=0 if fits else FAILED,
                module=mme.module,
                length=mme.length,
                offset=mme.offset,
            )
        ]

    def _mod_nvm(self, mme: modules.VsModNvmReq) -> list[Mme]:
        status = FAILED
        if self._staged:
            try:
                self.image = pib.from_chain(bytes(self._staged))
                status = 0
            except WireError:
                pass
        self._staged = bytearray()
        return [modules.VsModNvmCnf(status=status, modules=mme.modules)]


_built = lru_cache(maxsize=64)(wire.build)


HANDLERS: dict[type[Mme], Callable[..., list[Mme]]] = {
    wire.CmSetKeyReq: SimModem._set_key,
    vendor.VsHostActionRsp: SimModem._host_action_rsp,
    vendor.VsSetKeyReq: SimModem._vs_set_key,
    vendor.VsSwVerReq: SimModem._sw_ver,
    vendor.VsRsDevReq: SimModem._rs_dev,
    vendor.VsFacDefaultsReq: SimModem._fac_defaults,
    vendor.VsPlLnkStatusReq: SimModem._link,
    vendor.VsNwInfoReq: SimModem._nw_info,
    vendor.VsNwInfoReq1: SimModem._nw_info_1,
    vendor.VsOpAttributesReq: SimModem._op_attributes,
    vendor.VsGetPropertyReq: SimModem._get_property,
    vendor.VsSetPropertyReq: SimModem._set_property,
    vendor.VsLnkStatsReq: SimModem._lnk_stats,
    modules.VsModuleReadReq: SimModem._module_read,
    modules.VsModuleReadFlashReq: SimModem._module_read,
    modules.VsModuleStartReq: SimModem._module_start,
    modules.VsModuleWriteReq: SimModem._module_write,
    modules.VsModuleCloseReq: SimModem._module_close,
    modules.VsRdModReq: SimModem._rd_mod,
    modules.VsWrModReq: SimModem._wr_mod,
    modules.VsModNvmReq: SimModem._mod_nvm,
}
"""One row a message; what is not here stays unanswered, as on the real chip."""

BOOT_HANDLERS: dict[type[Mme], Callable[..., list[Mme]]] = {
    vendor.VsSwVerReq: SimModem._sw_ver,
    vendor.VsRsDevReq: SimModem._rs_dev,
    vendor.VsHostActionRsp: SimModem._host_action_rsp,
    modules.VsAppletReq: SimModem._applet,
}
"""What the boot loader answers."""
