"""Network namespaces for the simulated site: two hosts on one machine, joined only by a modem pair.

Root may make them; an ordinary user may where the kernel allows unprivileged user namespaces. The
process that calls `enter` is in a network of its own afterwards, with nothing in it but `lo`. No
program is started for this (no `ip`): two system calls and a few files in /proc.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from controller.errors import ControllerError, PortError

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWUSER, CLONE_NEWNET = 0x1000_0000, 0x4000_0000
"""unshare(2) flags (linux/sched.h)."""


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


def quieten() -> None:
    """Let interfaces made from now on start at once and say nothing by themselves.

    No duplicate address detection (two hosts with known addresses), no router solicitations. Only
    for a namespace of our own.
    """
    for key in ("accept_dad", "router_solicitations", "accept_ra"):
        with contextlib.suppress(OSError):
            Path(f"/proc/sys/net/ipv6/conf/default/{key}").write_text("0", encoding="ascii")


def interfaces() -> list[str]:
    """Names of this machine's network interfaces."""
    return sorted(name for _, name in socket.if_nameindex())


def mac_of(interface: str) -> bytes:
    """Ethernet address of an interface. Raises PortError."""
    try:
        text = Path(f"/sys/class/net/{interface}/address").read_text(encoding="ascii")
    except OSError as error:
        raise PortError(f"{interface}: no Ethernet address ({error.strerror})") from error
    return bytes.fromhex(text.strip().replace(":", ""))


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
