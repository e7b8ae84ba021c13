"""Messages that read and write a modem's modules: firmware, and the parameter block (PIB).

VS_RD_MOD, VS_WR_MOD and VS_MOD_NVM are those of older chips; VS_MODULE_OPERATION holds several
operations under one type, told apart by the number behind the operation count. A write is a
session: start (which modules, how long, which checksum), pieces, close (commit).
"""

from __future__ import annotations

from controller.plc.layout import (
    Mme,
    Record,
    Variant,
    count,
    raw,
    record,
    records,
    reserved,
    sized,
    uint,
    vendor_mme,
)

MODULE_MAC = 1
MODULE_PIB = 2
MODULE_FIRMWARE = 0x7001
MODULE_PARAMETERS = 0x7002
MODULE_SOFTLOADER = 0x7003
OP_READ_MEMORY = 0x00
OP_READ_FLASH = 0x01
OP_START = 0x10
OP_WRITE = 0x11
OP_CLOSE = 0x12
APPLET_EXECUTE, APPLET_ABSOLUTE = 1, 2
"""Flags of VS_WRITE_AND_EXECUTE_APPLET: start what was written; addresses are absolute."""
READ_LIMIT = 1400
"""Bytes a piece when a module is read (VS_MODULE_OPERATION)."""
RD_MOD_LIMIT = 1024


@vendor_mme("VS_RD_MOD.REQ", 0xA024)
class VsRdModReq(Mme):
    """Read a piece of a module (older chips)."""

    module: int = uint(1)
    access: int = uint(1, default=0)
    length: int = uint(2)
    offset: int = uint(4)
    secret: bytes = raw(16, cut=True, default=bytes(16))


@vendor_mme("VS_RD_MOD.CNF", 0xA025)
class VsRdModCnf(Mme):
    """A piece of a module."""

    status: int = uint(1, default=0)
    reserved_1: bytes = reserved(3, default=bytes(3))
    module: int = uint(1)
    reserved_2: bytes = reserved(1, default=bytes(1))
    length: int = count(2, of="data", init=False)
    offset: int = uint(4)
    checksum: int = uint(4)
    data: bytes = sized(by="length")


@vendor_mme("VS_WR_MOD.REQ", 0xA020)
class VsWrModReq(Mme):
    """Write a piece of a module into memory."""

    module: int = uint(1)
    reserved_1: bytes = reserved(1, default=bytes(1))
    length: int = count(2, of="data", init=False)
    offset: int = uint(4)
    checksum: int = uint(4)
    data: bytes = sized(by="length")


@vendor_mme("VS_WR_MOD.CNF", 0xA021)
class VsWrModCnf(Mme):
    """A piece was written."""

    status: int = uint(1, default=0)
    module: int = uint(1)
    reserved_1: bytes = reserved(1, default=bytes(1))
    length: int = uint(2)
    offset: int = uint(4)


@vendor_mme("VS_MOD_NVM.REQ", 0xA028)
class VsModNvmReq(Mme):
    """Commit written modules: bit 0 firmware, bit 1 parameters, bit 4 force."""

    modules: int = uint(1)


@vendor_mme("VS_MOD_NVM.CNF", 0xA029)
class VsModNvmCnf(Mme):
    """Modules were committed."""

    status: int = uint(1, default=0)
    modules: int = uint(1)


def _req(operation: int) -> Variant:
    return Variant(offset=5, width=2, value=operation)


def _cnf(operation: int) -> Variant:
    return Variant(offset=9, width=2, value=operation)


CLOSE_CODE = 0x80000003
"""As plctool closes a session: bit 0 force, bit 1 no restart by itself (VS_RS_DEV follows), bit 31
also as factory parameters (a modem takes those once; later it only changes the user's)."""


@vendor_mme("VS_MODULE_OPERATION.REQ", 0xA0B0, variant=_req(OP_READ_MEMORY))
class VsModuleReadReq(Mme):
    """Read a piece of a module from memory."""

    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_READ_MEMORY)
    operation_length: int = uint(2, default=18)
    reserved_2: bytes = reserved(4, default=bytes(4))
    module: int = uint(2)
    sub_module: int = uint(2, default=0)
    length: int = uint(2)
    offset: int = uint(4)


@vendor_mme("VS_MODULE_OPERATION.REQ", 0xA0B0, variant=_req(OP_READ_FLASH))
class VsModuleReadFlashReq(VsModuleReadReq):
    """Read a piece of a module from flash memory."""

    operation: int = uint(2, default=OP_READ_FLASH)


@vendor_mme("VS_MODULE_OPERATION.CNF", 0xA0B1, variant=_cnf(OP_READ_MEMORY))
class VsModuleReadCnf(Mme):
    """A piece of a module; a piece shorter than asked is the last."""

    status: int = uint(2, default=0)
    error: int = uint(2, default=0)
    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_READ_MEMORY)
    operation_length: int = uint(2)
    reserved_2: bytes = reserved(4, default=bytes(4))
    module: int = uint(2)
    sub_module: int = uint(2, default=0)
    length: int = count(2, of="data", init=False)
    offset: int = uint(4)
    data: bytes = sized(by="length")


@vendor_mme("VS_MODULE_OPERATION.CNF", 0xA0B1, variant=_cnf(OP_READ_FLASH))
class VsModuleReadFlashCnf(VsModuleReadCnf):
    """A piece of a module from flash memory."""

    operation: int = uint(2, default=OP_READ_FLASH)


@record
class ModuleSpec(Record):
    """A module that a write session announces."""

    module: int = uint(2)
    sub_module: int = uint(2, default=0)
    length: int = uint(4)
    checksum: int = uint(4)


@record
class ModuleStatus(Record):
    """How one module of a session fared; 0 is well."""

    status: int = uint(2, default=0)
    error: int = uint(2, default=0)


@vendor_mme("VS_MODULE_OPERATION.REQ", 0xA0B0, variant=_req(OP_START))
class VsModuleStartReq(Mme):
    """Open a write session."""

    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_START)
    operation_length: int = uint(2)
    reserved_2: bytes = reserved(4, default=bytes(4))
    session: int = uint(4)
    num_modules: int = count(1, of="modules", init=False)
    modules: tuple[ModuleSpec, ...] = records(ModuleSpec, by="num_modules")
    reserved_3: bytes = reserved(108, cut=True, default=bytes(108))
    """Room for nine modules more: plctool's frame always has 158 bytes."""


@vendor_mme("VS_MODULE_OPERATION.CNF", 0xA0B1, variant=_cnf(OP_START))
class VsModuleStartCnf(Mme):
    """The write session is open."""

    status: int = uint(2, default=0)
    error: int = uint(2, default=0)
    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_START)
    operation_length: int = uint(2)
    reserved_2: bytes = reserved(4, default=bytes(4))
    session: int = uint(4)
    num_modules: int = count(1, of="modules", init=False)
    modules: tuple[ModuleStatus, ...] = records(ModuleStatus, by="num_modules")


@vendor_mme("VS_MODULE_OPERATION.REQ", 0xA0B0, variant=_req(OP_WRITE))
class VsModuleWriteReq(Mme):
    """Write a piece of a module of the open session."""

    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_WRITE)
    operation_length: int = uint(2)
    reserved_2: bytes = reserved(4, default=bytes(4))
    session: int = uint(4)
    index: int = uint(1)
    module: int = uint(2)
    sub_module: int = uint(2, default=0)
    length: int = count(2, of="data", init=False)
    offset: int = uint(4)
    data: bytes = sized(by="length")
    reserved_3: bytes = reserved(READ_LIMIT, cut=True, default=b"")
    """What is left of 1,400 bytes in a last piece: plctool's frames are all equally long."""


@vendor_mme("VS_MODULE_OPERATION.CNF", 0xA0B1, variant=_cnf(OP_WRITE))
class VsModuleWriteCnf(Mme):
    """A piece was written."""

    status: int = uint(2, default=0)
    error: int = uint(2, default=0)
    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_WRITE)
    operation_length: int = uint(2)
    reserved_2: bytes = reserved(4, default=bytes(4))
    session: int = uint(4)
    index: int = uint(1)
    module: int = uint(2)
    sub_module: int = uint(2, default=0)
    length: int = uint(2)
    offset: int = uint(4)


@vendor_mme("VS_MODULE_OPERATION.REQ", 0xA0B0, variant=_req(OP_CLOSE))
class VsModuleCloseReq(Mme):
    """Commit the session: bit 0 force, bit 1 no reset, bit 31 also as factory parameters."""

    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_CLOSE)
    operation_length: int = uint(2, default=36)
    reserved_2: bytes = reserved(4, default=bytes(4))
    session: int = uint(4)
    code: int = uint(4)
    reserved_3: bytes = reserved(20, cut=True, default=bytes(19))
    """20 by the operation's length, of which plctool's frame of 60 bytes has 19."""


@vendor_mme("VS_MODULE_OPERATION.CNF", 0xA0B1, variant=_cnf(OP_CLOSE))
class VsModuleCloseCnf(Mme):
    """The session is committed (or not: see the statuses)."""

    status: int = uint(2, default=0)
    error: int = uint(2, default=0)
    reserved_1: bytes = reserved(4, default=bytes(4))
    operations: int = uint(1, default=1)
    operation: int = uint(2, default=OP_CLOSE)
    operation_length: int = uint(2)
    reserved_2: bytes = reserved(4, default=bytes(4))
    session: int = uint(4)
    code: int = uint(4)
    num_modules: int = count(1, of="modules", init=False)
    modules: tuple[ModuleStatus, ...] = records(ModuleStatus, by="num_modules")


@vendor_mme("VS_WRITE_AND_EXECUTE_APPLET.REQ", 0xA098)
class VsAppletReq(Mme):
    """Write a piece of an image into the memory of a modem in its boot loader, and start it."""

    client_session: int = uint(4)
    server_session: int = uint(4, default=0)
    flags: int = uint(4, default=APPLET_ABSOLUTE)
    memory_types: bytes = raw(8, default=bytes(8))
    total_length: int = uint(4)
    length: int = uint(4)
    offset: int = uint(4)
    start_address: int = uint(4)
    checksum: int = uint(4)
    reserved_1: bytes = reserved(8, default=bytes(8))
    data: bytes = raw(1400, cut=True)


@vendor_mme("VS_WRITE_AND_EXECUTE_APPLET.CNF", 0xA099)
class VsAppletCnf(Mme):
    """A piece was written (and started) when the status is 0."""

    status: int = uint(4, default=0)
    client_session: int = uint(4)
    server_session: int = uint(4, default=0)
    flags: int = uint(4)
    memory_types: bytes = raw(8, default=bytes(8))
    total_length: int = uint(4)
    length: int = uint(4)
    offset: int = uint(4)
    start_address: int = uint(4)
    checksum: int = uint(4)
