"""Facts about CAN, I2C, SPI and the header's lines: asked of the kernel, no program is started."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

from smbus2 import SMBus

from controller.check.buses import CAN_STATES, Can, I2c, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.check.driver_machine import Tree

ARPHRD_CAN = 280
IFF_UP = 0x1
RTM_GETLINK, NLM_F_REQUEST = 18, 1
IFLA_LINKINFO, IFLA_INFO_DATA = 18, 2
IFLA_CAN_BITTIMING, IFLA_CAN_STATE = 1, 4
"""linux/rtnetlink.h, linux/if_link.h, linux/can/netlink.h."""
NLMSG = struct.Struct("=IHHII")
IFINFO = struct.Struct("=BxHiII")
NESTED = 0x3FFF

I2C_ADDRESSES = range(0x08, 0x78)
"""The others are reserved (I2C specification, table 4)."""
HEADER_BUSES = ("i2c_arm", "bcm2835 (i2c@", "Synopsys DesignWare", "1f00074000.i2c", "SMBus stub")
GPIO_CHIP_INFO, GPIO_LINE_INFO = 0x8044B401, 0xC100B405
"""ioctls of /dev/gpiochipN (linux/gpio.h, version 2)."""
LINE_INFO = struct.Struct("=32s32sIIQ")
LINE_INFO_BYTES = 256
LINE_USED = 1


# --- CAN -----------------------------------------------------------------------------------------


def can(tree: Tree) -> list[Can]:
    """All CAN interfaces of this host."""
    found = []
    for name in tree.names("sys/class/net"):
        if tree.number(f"sys/class/net/{name}/type") != ARPHRD_CAN:
            continue
        flags = tree.number(f"sys/class/net/{name}/flags") or 0
        state, bitrate = can_details(tree.number(f"sys/class/net/{name}/ifindex") or 0)
        found.append(Can(name, bool(flags & IFF_UP), state, bitrate))
    return found


def can_details(index: int) -> tuple[str, int]:
    """State and bit rate of one interface; empty and 0 where the kernel does not say (vcan)."""
    request = NLMSG.pack(NLMSG.size + IFINFO.size, RTM_GETLINK, NLM_F_REQUEST, 1, 0)
    request += IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
            sock.settimeout(1.0)
            sock.send(request)
            answer = sock.recv(65536)
    except OSError:
        return "", 0
    return parse_link(answer)


def parse_link(answer: bytes) -> tuple[str, int]:
    """Find state and bit rate in an answer to RTM_GETLINK."""
    details = dict(_attributes(answer[NLMSG.size + IFINFO.size :]))
    info = dict(_attributes(details.get(IFLA_LINKINFO, b"")))
    data = dict(_attributes(info.get(IFLA_INFO_DATA, b"")))
    state, timing = data.get(IFLA_CAN_STATE, b""), data.get(IFLA_CAN_BITTIMING, b"")
    number = struct.unpack("=I", state[:4])[0] if len(state) >= 4 else len(CAN_STATES)
    bitrate = struct.unpack("=I", timing[:4])[0] if len(timing) >= 4 else 0
    return CAN_STATES[number] if number < len(CAN_STATES) else "", bitrate


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & NESTED, data[4:length]
        data = data[(length + 3) & ~3 :]


# --- I2C and SPI ---------------------------------------------------------------------------------


def i2c(tree: Tree, *, scan_all: bool = False) -> list[I2c]:
    """All buses; those of the header are scanned, the others (displays, mainboards) left alone."""
    numbers = sorted(int(name.removeprefix("i2c-")) for name in tree.names("dev", "i2c-[0-9]*"))
    return [_i2c(tree, number, scan_all=scan_all) for number in numbers]


def _i2c(tree: Tree, number: int, *, scan_all: bool) -> I2c:
    name = tree.text(f"sys/class/i2c-dev/i2c-{number}/name") or ""
    if not scan_all and not name.startswith(HEADER_BUSES):
        return I2c(number, name, "not the header's, not scanned")
    try:
        found, busy = scan(number)
    except OSError as error:
        return I2c(number, name, f"not scanned: {error.strerror}")
    return I2c(number, name, "", tuple(found), tuple(busy), clock_hz(tree, number))


def scan(number: int) -> tuple[list[int], list[int]]:
    """Read one byte at each address: who acknowledged, and which a driver of the kernel has."""
    found, busy = [], []
    with SMBus(number) as bus:
        for address in I2C_ADDRESSES:
            try:
                bus.read_byte(address)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    busy.append(address)
                elif error.errno == errno.ETIMEDOUT:
                    raise OSError(errno.ETIMEDOUT, "the bus hangs (SDA or SCL held low)") from error
            else:
                found.append(address)
    return found, busy


def clock_hz(tree: Tree, number: int) -> int:
    """Clock of a bus as its device tree says; 0 where there is none."""
    path = tree.path(f"sys/class/i2c-dev/i2c-{number}/device/of_node/clock-frequency")
    try:
        return int.from_bytes(path.read_bytes()[:4], "big")
    except OSError:
        return 0


def spi(tree: Tree) -> list[str]:
    """Device files of the SPI buses."""
    return [f"/dev/{name}" for name in tree.names("dev", "spidev*")]


# --- the header's lines --------------------------------------------------------------------------


def lines(tree: Tree, labels: tuple[str, ...]) -> list[Line]:
    """Every line of the chip with one of these labels, and who has it; none if there is no such."""
    for name in tree.names("dev", "gpiochip*"):
        try:
            fd = os.open(tree.path(f"dev/{name}"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            info = bytearray(68)
            fcntl.ioctl(fd, GPIO_CHIP_INFO, info)
            label, count = info[32:64].rstrip(b"\0").decode("latin-1"), info[64:68]
            if label in labels:
                return [_line(fd, n) for n in range(struct.unpack("=I", count)[0])]
        except OSError:
            continue
        finally:
            os.close(fd)
    return []


def _line(fd: int, offset: int) -> Line:
    info = bytearray(LINE_INFO.pack(b"", b"", offset, 0, 0)) + bytearray(
        LINE_INFO_BYTES - LINE_INFO.size
    )
    fcntl.ioctl(fd, GPIO_LINE_INFO, info)
    _, consumer, _, _, flags = LINE_INFO.unpack_from(info)
    who = consumer.rstrip(b"\0").decode("latin-1")
    return Line(offset, (who or "the kernel") if flags & LINE_USED else "")
