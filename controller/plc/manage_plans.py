"""What is done with a modem, step by step: look at it, key it, restart it, read and write it.

Each plan is a generator of steps for `manage.Manager`; what it returns is the result. The plans
read as a person would do it with the makers' tools, and send the same frames (plctool's, read off
the wire), so that what is known to work on real modems is what happens here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from controller.errors import WireError
from controller.plc import pib, wire
from controller.plc import wire_modules as modules
from controller.plc import wire_vendor as vendor
from controller.plc.chips import UNKNOWN, Chip, Writes, chip_of
from controller.plc.manage import (
    READ_WAIT_S,
    SESSION_WAIT_S,
    WRITE_WAIT_S,
    Ask,
    AwaitRestart,
    Collect,
    Enter,
    KeepParameters,
    ManageError,
    NoAnswer,
    Plan,
    Progress,
    Say,
    Stage,
    Step,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from controller.plc.layout import Mme

ALL_LINKS = 0xF8
"""Link identifier of VS_LNK_STATS for all links together."""
BOTH_DIRECTIONS = 2
WRITE_OPERATION_LENGTH = 23 + modules.READ_LIMIT
ROLES = {0: "station", 1: "proxy coordinator", 2: "coordinator"}
"""VS_NW_INFO role of the modem in its network."""
SLAC_ROLES = {pib.SLAC_OFF: "off", pib.SLAC_PEV: "pev", pib.SLAC_EVSE: "evse"}
MAX_TRANSFER = 1 << 21
"""Bytes of a module after which reading ends: firmware has about 1 MB."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A station at the other end of the powerline."""

    mac: bytes
    behind: bytes
    tx_mbit: int
    rx_mbit: int


@dataclass(frozen=True, slots=True)
class ModemInfo:
    """Everything that a modem tells about itself; None where it does not tell."""

    mac: bytes
    chip: Chip
    firmware: str
    link_up: bool | None = None
    nid_in_use: bytes | None = None
    network_role: str = ""
    coordinator: bytes | None = None
    peers: tuple[Peer, ...] = ()
    parameters: bytes | None = None
    """The parameter file as read."""
    note: str = ""
    """Why something is missing."""

    @property
    def image(self) -> bytes | None:
        """The parameter block, or None when it could not be read."""
        return None if self.parameters is None else pib.from_chain(self.parameters)

    @property
    def role(self) -> str:
        """`evse`, `pev`, `off`, or why it is neither."""
        image = self.image
        if image is None or len(image) <= pib.SLAC_MODE.offset:
            return "unknown"
        mode = pib.number(image, pib.SLAC_MODE)
        return SLAC_ROLES.get(mode, f"SLAC mode {mode}")


# --- looking -----------------------------------------------------------------------------------


def find(mac: bytes | None = None) -> Generator[Step, Any, ModemInfo]:
    """Find the one modem that is meant; its class and firmware are known afterwards."""
    found = yield from _versions(mac)
    if not found:
        named = f"the modem {mac.hex(':')} does not answer" if mac else "no modem answers"
        raise NoAnswer(
            f"{named}: is it powered, is it connected to this interface, is the interface up?"
        )
    if len(found) > 1:
        names = ", ".join(info.mac.hex(":") for info in found)
        raise ManageError(f"several modems answer ({names}): choose one with --modem MAC")
    return found[0]


def survey(mac: bytes | None = None) -> Plan:
    """Find all modems on this link and ask each what it is; a list, empty when there is none."""
    found = yield from _versions(mac)
    for i, info in enumerate(found):
        found[i] = yield from describe(info)
    return found


def inform(mac: bytes | None = None) -> Plan:
    """Find one modem and ask it everything."""
    return (yield from describe((yield from find(mac))))


def describe(info: ModemInfo) -> Generator[Step, Any, ModemInfo]:
    """Ask a found modem for its parameters, link and network; what fails is noted."""
    if info.chip.name == "boot loader":
        return replace(info, note="runs no firmware: ccs-pilot modem boot")
    notes = []
    info = yield from network(info)
    if info.chip.writes is Writes.SESSION or info.chip is UNKNOWN:
        try:
            data = yield from read_parameters(info.mac)
            info = replace(info, parameters=data)
        except ManageError as error:
            notes.append(str(error))
    else:
        notes.append(f"{info.chip.name}: its parameters are read by {info.chip.writes.value}")
    return replace(info, note="; ".join(notes))


def network(info: ModemInfo) -> Generator[Step, Any, ModemInfo]:
    """Ask for the link and the network."""
    try:
        link: vendor.VsPlLnkStatusCnf = yield Ask(
            vendor.VsPlLnkStatusReq(), vendor.VsPlLnkStatusCnf, info.mac, tries=2
        )
        info = replace(info, link_up=link.link == 1)
    except NoAnswer:
        pass  # not every firmware knows the question
    try:
        newer: vendor.VsNwInfoCnf1 = yield Ask(
            vendor.VsNwInfoReq1(), vendor.VsNwInfoCnf1, info.mac, tries=2
        )
        return _with_network(info, newer)
    except NoAnswer:
        pass
    try:
        older: vendor.VsNwInfoCnf = yield Ask(
            vendor.VsNwInfoReq(), vendor.VsNwInfoCnf, info.mac, tries=2
        )
    except NoAnswer:
        return info
    return _with_network(info, older)


def look_at_link(mac: bytes | None = None) -> Plan:
    """Find one modem, and ask for its link and network alone."""
    return (yield from network((yield from find(mac))))


def statistics(mac: bytes | None = None) -> Plan:
    """Read the counters of all links together."""
    info = yield from find(mac)
    counters: vendor.VsLnkStatsBothCnf = yield Ask(
        vendor.VsLnkStatsReq(direction=BOTH_DIRECTIONS, lid=ALL_LINKS, mac=bytes(6)),
        vendor.VsLnkStatsBothCnf,
        info.mac,
    )
    if counters.status:
        raise ManageError(f"the modem refuses its counters (status {counters.status:#x})")
    return info, counters


# --- keys and restarts ---------------------------------------------------------------------------


def set_key(nid: bytes, nmk: bytes, nonce: bytes, mac: bytes | None = None) -> Plan:
    """Give the modem a key and wait until it has restarted with it."""
    info = yield from find(mac)

    def confirms(cnf: wire.CmSetKeyCnf) -> bool:
        return cnf.your_nonce in (nonce, bytes(4))

    cnf: wire.CmSetKeyCnf = yield Ask(
        wire.CmSetKeyReq(nid=nid, nmk=nmk, my_nonce=nonce),
        wire.CmSetKeyCnf,
        info.mac,
        wait_s=1.0,
        fits=confirms,
    )
    if cnf.result != wire.KEY_ACCEPTED:
        raise ManageError(f"the modem refuses the key (result {cnf.result}; 1 is accepted)")
    yield Enter(Stage.RESTARTING)
    yield AwaitRestart(info.mac)
    return info


def reset(mac: bytes | None = None) -> Plan:
    """Restart the modem and wait until it is back."""
    info = yield from find(mac)
    cnf: vendor.VsRsDevCnf = yield Ask(vendor.VsRsDevReq(), vendor.VsRsDevCnf, info.mac)
    raise_if_refused("to restart", cnf.status)
    return (yield from _after_restart(info))


def factory(mac: bytes | None = None) -> Plan:
    """Take back the factory's parameters, and wait until the modem is back."""
    info = yield from find(mac)
    cnf: vendor.VsFacDefaultsCnf = yield Ask(
        vendor.VsFacDefaultsReq(), vendor.VsFacDefaultsCnf, info.mac
    )
    raise_if_refused("the factory's parameters", cnf.status)
    return (yield from _after_restart(info))


# --- reading and writing -------------------------------------------------------------------------


def read_module(mac: bytes, module: int) -> Generator[Step, Any, bytes]:
    """Read a module from the modem's memory, piece by piece."""
    data = b""
    while len(data) < MAX_TRANSFER:
        request = modules.VsModuleReadReq(
            module=module, length=modules.READ_LIMIT, offset=len(data)
        )
        piece: modules.VsModuleReadCnf = yield Ask(
            request,
            modules.VsModuleReadCnf,
            mac,
            wait_s=READ_WAIT_S,
            fits=is_for(offset=len(data), module=module),
        )
        raise_if_refused("to read its memory", piece.status)
        data += piece.data
        if len(piece.data) < modules.READ_LIMIT:
            return data
    raise ManageError(f"the modem does not stop sending its module {module:#x}")


def read_parameters(mac: bytes) -> Generator[Step, Any, bytes]:
    """Read the parameter file; its checksums are proven."""
    data = yield from read_module(mac, modules.MODULE_PARAMETERS)
    try:
        pib.from_chain(data)
    except WireError as error:
        raise ManageError(f"the parameters that were read are damaged ({error})") from None
    return data


def backup(mac: bytes | None = None) -> Plan:
    """Read the parameter file of one modem."""
    info = yield from find(mac)
    yield from _must_be_writable(info)
    return info, (yield from read_parameters(info.mac))


def restore(data: bytes, session: int, mac: bytes | None = None, *, any_mac: bool = False) -> Plan:
    """Write a parameter file, after a backup, and verify it."""
    info = yield from find(mac)
    yield from _must_be_writable(info)
    before = yield from read_parameters(info.mac)
    own = pib.read(pib.from_chain(before), pib.MAC)
    new = pib.read(pib.from_chain(data), pib.MAC)
    if new != own and not any_mac:
        raise ManageError(
            f"the file belongs to the modem {new.hex(':')}, this one is {own.hex(':')}: two modems "
            "with one address disturb each other (--any-modem writes it all the same)"
        )
    yield from _replace_parameters(info.mac, new, before, data, session)
    return info


def configure(role: str, session: int, mac: bytes | None = None) -> Plan:
    """Make the modem one for a charger or a vehicle: read, keep, patch, write, verify."""
    info = yield from find(mac)
    yield from _must_be_writable(info)
    if role not in info.chip.roles:
        whom = {"evse": "charger", "pev": "vehicle"}[role]
        raise ManageError(f"{info.chip.name} cannot be a {whom}'s modem: {info.chip.note}")
    before = yield from read_parameters(info.mac)
    try:
        after = pib.patched(before, pib.role_values(role))
    except WireError as error:
        raise ManageError(f"these parameters have no SLAC fields ({error})") from None
    if after == before:
        return replace(info, parameters=before, note="unchanged")
    yield from _replace_parameters(info.mac, info.mac, before, after, session)
    return replace(info, parameters=after)


def _replace_parameters(
    mac: bytes, new_mac: bytes, before: bytes, after: bytes, session: int
) -> Generator[Step, Any, None]:
    if len(after) % 4:
        raise ManageError(f"the file has {len(after)} bytes, which is no multiple of 4")
    yield Say(KeepParameters(mac, before))
    yield from write_module(mac, modules.MODULE_PARAMETERS, after, session)
    yield Say(Progress("restarting the modem"))
    cnf: vendor.VsRsDevCnf = yield Ask(vendor.VsRsDevReq(), vendor.VsRsDevCnf, mac)
    raise_if_refused("to restart", cnf.status)
    yield Enter(Stage.RESTARTING)
    yield AwaitRestart(new_mac)
    yield Say(Progress("reading back"))
    found = yield from read_parameters(new_mac)
    wrong = pib.differences(after, found)
    if wrong:
        places = ", ".join(f"{offset:#x}+{length}" for offset, length in wrong[:5])
        raise ManageError(
            f"what was read back differs from what was written (at {places}): restore the backup"
        )
    yield Enter(Stage.READING)


def write_module(mac: bytes, module: int, data: bytes, session: int) -> Generator[Step, Any, None]:
    """Write a module to flash memory in one session, as plctool does."""
    yield Say(Progress(f"writing {len(data)} bytes"))
    yield Enter(Stage.STAGING)
    spec = modules.ModuleSpec(module=module, length=len(data), checksum=pib.checksum32(data))
    started: modules.VsModuleStartCnf = yield Ask(
        modules.VsModuleStartReq(operation_length=25, session=session, modules=(spec,)),
        modules.VsModuleStartCnf,
        mac,
        wait_s=SESSION_WAIT_S,
        tries=2,
        fits=is_for(session=session),
    )
    raise_if_refused("a write session", started.status, *(m.status for m in started.modules))
    for offset in range(0, len(data), modules.READ_LIMIT):
        piece = data[offset : offset + modules.READ_LIMIT]
        request = modules.VsModuleWriteReq(
            operation_length=WRITE_OPERATION_LENGTH,
            session=session,
            index=0,
            module=module,
            offset=offset,
            data=piece,
            reserved_3=bytes(modules.READ_LIMIT - len(piece)),
        )
        written: modules.VsModuleWriteCnf = yield Ask(
            request,
            modules.VsModuleWriteCnf,
            mac,
            wait_s=WRITE_WAIT_S,
            tries=2,
            fits=is_for(session=session, offset=offset),
        )
        raise_if_refused(f"the piece at {offset:#x}", written.status)
    yield Enter(Stage.COMMITTING)
    closed: modules.VsModuleCloseCnf = yield Ask(
        modules.VsModuleCloseReq(session=session, code=modules.CLOSE_CODE),
        modules.VsModuleCloseCnf,
        mac,
        wait_s=WRITE_WAIT_S,
        tries=1,
        fits=is_for(session=session),
    )
    raise_if_refused("to commit the write", closed.status, *(m.status for m in closed.modules))


# --- inside --------------------------------------------------------------------------------------


def _versions(mac: bytes | None) -> Generator[Step, Any, list[ModemInfo]]:
    frames: list[wire.Frame] = yield Collect(
        vendor.VsSwVerReq(), vendor.VsSwVerCnf, mac or wire.LOCAL_MODEM
    )
    return [identified(frame) for frame in frames]


def identified(frame: wire.Frame) -> ModemInfo:
    """Read who it is from a frame with VS_SW_VER.CNF."""
    cnf = frame.mme
    if not isinstance(cnf, vendor.VsSwVerCnf):
        raise ManageError(f"{frame.mme.name} instead of a version")
    ident = int.from_bytes(cnf.chip_id, "little")
    return ModemInfo(frame.src, chip_of(cnf.device_class, ident, cnf.version), cnf.version)


def _with_network(info: ModemInfo, cnf: vendor.VsNwInfoCnf | vendor.VsNwInfoCnf1) -> ModemInfo:
    if not cnf.networks:
        return info
    first = cnf.networks[0]
    peers = (Peer(s.mac, s.bridged_mac, s.tx_rate, s.rx_rate) for s in first.stations)
    return replace(
        info,
        nid_in_use=first.nid,
        network_role=ROLES.get(first.role, f"role {first.role}"),
        coordinator=first.cco_mac,
        peers=tuple(peers),
    )


def _after_restart(info: ModemInfo) -> Generator[Step, Any, ModemInfo]:
    yield Enter(Stage.RESTARTING)
    frame: wire.Frame = yield AwaitRestart()
    yield Enter(Stage.READING)
    return replace(identified(frame), note=f"was {info.mac.hex(':')}")


def _must_be_writable(info: ModemInfo) -> Generator[Step, Any, None]:
    if info.chip.writes is Writes.NONE:
        raise ManageError(
            f"the modem is of the kind {info.chip.name} ({info.firmware}): its parameters are read "
            f"and written by {info.chip.writes.value}"
        )
    yield Enter(Stage.READING)


def raise_if_refused(what: str, *statuses: int) -> None:
    """Raise ManageError when a status is not 0."""
    bad = [status for status in statuses if status]
    if bad:
        raise ManageError(f"the modem refuses {what} (status {bad[0]:#x})")


def is_for(**wanted: int) -> Callable[[Mme], bool]:
    """Make a test for `Ask`: these fields have these values."""

    def fits(mme: Mme) -> bool:
        return all(getattr(mme, name) == value for name, value in wanted.items())

    return fits
