"""A modem without flash memory: the host gives it parameters and firmware at every start.

Such a modem (QCA7000 and 7005 boards without a flash chip, or with an empty one) runs its boot
loader and sends VS_HOST_ACTION.IND with what it wants, again and again: 0 firmware, 1 to 3 store
what has changed (after a new key), 5 back to the factory's parameters. The host answers with
VS_HOST_ACTION.RSP, which ends the asking, and does it. Writing into memory is done with
VS_WRITE_AND_EXECUTE_APPLET; the frames are those of Debian's plcboot, read off the wire.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any

from controller.errors import WireError
from controller.plc import pib, wire
from controller.plc import wire_modules as modules
from controller.plc.chips import BOOT_LOADER_CLASS
from controller.plc.manage import (
    READ_WAIT_S,
    Ask,
    AwaitRestart,
    KeepParameters,
    ManageDone,
    ManageError,
    ManageFailed,
    Manager,
    Plan,
    Progress,
    Say,
    Step,
)
from controller.plc.manage_plans import (
    find,
    identified,
    is_for,
    raise_if_refused,
    read_module,
)
from controller.plc.wire_vendor import (
    VsHostActionInd,
    VsHostActionRsp,
    VsRsDevCnf,
    VsRsDevReq,
)
from controller.signals import Output, SendFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class HostAction(IntEnum):
    """What a modem wants from its host."""

    START = 0
    STORE_FIRMWARE = 1
    STORE_PARAMETERS = 2
    STORE_BOTH = 3
    CONFIGURE_MEMORY = 4
    FACTORY_DEFAULTS = 5


def is_complete(parameters: bytes, firmware: bytes) -> str:
    """Say what is wrong with the two files, or nothing."""
    try:
        pib.parameters(parameters)
        code = pib.find_image(firmware, pib.TYPE_FIRMWARE)
    except WireError as error:
        return str(error)
    if code is None:
        return "the firmware file holds no runtime firmware"
    return "" if code.entry != pib.NO_ENTRY else "the firmware has no entry point to start it at"


def boot(mac: bytes, parameters: bytes, firmware: bytes, session: int) -> Plan:
    """Give a modem in its boot loader parameters and firmware, and wait until it runs."""
    where = pib.parameters(parameters)
    code = pib.find_image(firmware, pib.TYPE_FIRMWARE)
    if code is None:
        raise ManageError("the firmware file holds no runtime firmware")
    yield Say(Progress(f"writing {len(parameters)} bytes of parameters into memory"))
    yield from _write_memory(mac, where, parameters, session, memory_type=0, start=False)
    yield Say(Progress(f"writing {code.length} bytes of firmware into memory"))
    image = firmware[code.start : code.start + code.length]
    yield from _write_memory(mac, code, image, session, memory_type=1, start=True)
    frame: wire.Frame = yield AwaitRestart(at_once=True)
    return identified(frame)


def find_and_boot(
    parameters: bytes, firmware: bytes, session: int, mac: bytes | None = None
) -> Plan:
    """Start the one modem that waits in its boot loader."""
    info = yield from find(mac)
    if info.chip.device_class != BOOT_LOADER_CLASS:
        raise ManageError(f"the modem runs already ({info.firmware}): nothing to start")
    return (yield from boot(info.mac, parameters, firmware, session))


def _write_memory(
    mac: bytes, where: pib.Image, data: bytes, session: int, *, memory_type: int, start: bool
) -> Generator[Step, Any, None]:
    for offset in range(0, len(data), modules.READ_LIMIT):
        piece = data[offset : offset + modules.READ_LIMIT]
        is_last = offset + len(piece) == len(data)
        flags = modules.APPLET_ABSOLUTE | (modules.APPLET_EXECUTE if start and is_last else 0)
        request = modules.VsAppletReq(
            client_session=session,
            flags=flags,
            memory_types=bytes([memory_type]) + bytes(7),
            total_length=where.length,
            length=len(piece),
            offset=(where.address + offset) & 0xFFFFFFFF,
            start_address=where.entry,
            checksum=where.checksum,
            data=piece.ljust(modules.READ_LIMIT, b"\0"),
        )
        written: modules.VsAppletCnf = yield Ask(
            request,
            modules.VsAppletCnf,
            mac,
            wait_s=READ_WAIT_S,
            fits=is_for(offset=request.offset, length=len(piece)),
        )
        raise_if_refused(f"the piece at {request.offset:#x}", written.status)


def store(mac: bytes) -> Plan:
    """Read the parameters that a modem wants kept, then restart it to take them."""
    data = yield from read_module(mac, modules.MODULE_PARAMETERS)
    try:
        pib.from_chain(data)
    except WireError as error:
        raise ManageError(f"the parameters to keep are damaged ({error})") from None
    yield Say(KeepParameters(mac, data))
    return (yield from _restart(mac))


def _restart(mac: bytes) -> Plan:
    """Restart the modem; it will ask for its firmware again."""
    cnf: VsRsDevCnf = yield Ask(VsRsDevReq(), VsRsDevCnf, mac)
    raise_if_refused("to restart", cnf.status)
    return None


class BootHost:
    """Serves the host actions of the modem on one link, for as long as the link lives.

    Its outputs beside frames: `Progress`, `KeepParameters` (store them: they are what the modem
    gets at its next start), `ManageDone` after each action (of a start: who runs), `ManageFailed`.
    """

    def __init__(
        self, mac: bytes, parameters: bytes, firmware: bytes, rng: Callable[[int], bytes]
    ) -> None:
        wrong = is_complete(parameters, firmware)
        if wrong:
            raise WireError(wrong)
        self.mac = mac
        self.factory = self.parameters = parameters
        self.firmware = firmware
        self._rng = rng
        self._manager: Manager | None = None

    @property
    def state(self) -> str:
        """What it is doing."""
        return "waiting" if self._manager is None else str(self._manager.state.value)

    def receive_frame(self, frame: bytes, now: float) -> list[Output]:
        """Take a frame from the link."""
        if self._manager is not None:
            return self._watched(self._manager.receive_frame(frame, now))
        if not wire.is_homeplug(frame) or frame[0:6] not in (self.mac, wire.BROADCAST):
            return []
        try:
            got = wire.parse(frame)
        except WireError:
            return []
        if not isinstance(got.mme, VsHostActionInd):
            return []
        return self._serve(got.mme.action, got.src, now)

    def handle_timer(self, now: float) -> list[Output]:
        """Repeat or give up what is under way."""
        return [] if self._manager is None else self._watched(self._manager.handle_timer(now))

    def next_timer(self) -> float | None:
        """Absolute time of the next deadline."""
        return None if self._manager is None else self._manager.next_timer()

    def _serve(self, action: int, modem: bytes, now: float) -> list[Output]:
        if action == HostAction.START:
            session = int.from_bytes(self._rng(4), "little")
            plan = boot(modem, self.parameters, self.firmware, session)
        elif action in (
            HostAction.STORE_FIRMWARE,  # the firmware is as we gave it: only parameters change
            HostAction.STORE_PARAMETERS,
            HostAction.STORE_BOTH,
        ):
            plan = store(modem)
        elif action == HostAction.FACTORY_DEFAULTS:
            self.parameters = self.factory
            plan = _restart(modem)
        else:
            return [ManageFailed(f"the modem asks for host action {action}, which is not known")]
        answer = SendFrame(wire.build(modem, self.mac, VsHostActionRsp()))
        self._manager = Manager(self.mac, plan)
        return [answer, *self._watched(self._manager.handle_timer(now))]

    def _watched(self, outputs: list[Output]) -> list[Output]:
        for output in outputs:
            if isinstance(output, KeepParameters):
                self.parameters = output.data
            elif isinstance(output, ManageDone | ManageFailed):
                self._manager = None
        return outputs
