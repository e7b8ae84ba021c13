"""Network namespaces for the simulated site: two hosts on one machine, joined only by a modem pair.

Root may make them; an ordinary user may where the kernel allows unprivileged user namespaces. The
process that calls `enter` is in a network of its own afterwards, with nothing in it but `lo`. No
program is started for this (no `ip`): two system calls and a few files in /proc.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ControllerError, PortError

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
"""unshare(2) flags (linux/sched.h)."""
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFHWADDR = 0x8913, 0x8914, 0x8924
"""Interface requests (linux/sockios.h)."""
IFF_UP = 1
ARPHRD_ETHER = 1
IFREQ = struct.Struct("16sH22x")
TENTATIVE = 0x40
"""IFA_F_TENTATIVE: duplicate address detection is not finished (linux/if_addr.h)."""


def enter() -> None:
    """Move this process into a new network namespace. Raises PortError with the reason."""
    uid, gid = os.getuid(), os.getgid()
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWUSER | CLONE_NEWNET
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0 and (
        flags & CLONE_NEWUSER or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0
    ):
        reason = os.strerror(ctypes.get_errno())
        raise PortError(f"no network namespace ({reason}); be root or allow user namespaces")
    if os.geteuid() != 0:
        try:
            Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
            Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
            Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
        except OSError as error:
            raise PortError(f"no user namespace ({error.strerror})") from error


def bring_up(interface: str, mac: bytes) -> None:
    """Give `interface` its address and switch it on; no router solicitations, no wait for DAD."""
    for key, value in (("accept_dad", "0"), ("router_solicitations", "0"), ("accept_ra", "0")):
        with contextlib.suppress(OSError):
            path = Path(f"/proc/sys/net/ipv6/conf/{interface}/{key}")
            path.write_text(value, encoding="ascii")
    name = interface.encode()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock, SIOCSIFHWADDR, struct.pack("16sH6s16x", name, ARPHRD_ETHER, mac))
            flags = IFREQ.unpack(fcntl.ioctl(sock, SIOCGIFFLAGS, IFREQ.pack(name, 0)))[1]
            fcntl.ioctl(sock, SIOCSIFFLAGS, IFREQ.pack(name, flags | IFF_UP))
        except OSError as error:
            raise PortError(f"{interface} does not come up: {error.strerror}") from error


def link_local(interface: str) -> tuple[bytes, int] | None:
    """Return the usable link-local address (16 bytes) and scope id; None while there is none."""
    try:
        lines = Path("/proc/net/if_inet6").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        address, index, _length, _scope, flags, name = line.split()
        usable = not int(flags, 16) & TENTATIVE
        if name == interface and address.startswith("fe80") and usable:
            return bytes.fromhex(address), int(index, 16)
    return None


def interfaces() -> list[str]:
    """Names of this machine's network interfaces."""
    return sorted(name for _, name in socket.if_nameindex())


def attempt(what: Callable[[], object]) -> str:
    """Try `what` in a child process; return why it failed, or an empty string."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            what()
        except (ControllerError, OSError) as error:
            os.write(writer, str(error).encode()[:4000])
        except BaseException as error:
            os.write(writer, repr(error).encode()[:4000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        reason = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return reason
