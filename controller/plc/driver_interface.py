"""Facts about a network interface, asked of the kernel and read from files; no program is started.

What matters comes by ioctl and from /proc, which show the network namespace of this process; /sys
shows that in which it was mounted, and only adds what is not to be had elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
from ipaddress import IPv6Address
from pathlib import Path

from controller.errors import PortError
from controller.plc.interface import Address, InterfaceFacts

SIOCGIFFLAGS, SIOCGIFADDR, SIOCGIFMTU, SIOCGIFHWADDR = 0x8913, 0x8915, 0x8921, 0x8927
SIOCGIWNAME = 0x8B01
"""ioctls: flags, IPv4 address, MTU, hardware address (linux/sockios.h), and one that only wireless
interfaces know (linux/wireless.h)."""
IFF_UP, IFF_RUNNING, IFF_PROMISC = 0x1, 0x40, 0x100
ARPHRD_ETHER = 1
IFA_F_DADFAILED, IFA_F_TENTATIVE = 0x08, 0x40
SCOPE_LINK = 0x20
"""Flags and scope in /proc/net/if_inet6 (linux/if_addr.h, net/ipv6.h)."""
DHCP_CLIENTS = ("dhclient", "dhcpcd", "udhcpc", "dhcp6c")
SYS, PROC, RUN = Path("/sys/class/net"), Path("/proc"), Path("/run")


def interfaces() -> list[str]:
    """Names of the Ethernet interfaces of this host that a modem may be behind."""
    names = [name for _, name in sorted(socket.if_nameindex())]
    return [n for n in names if _hardware(n)[0] == ARPHRD_ETHER and not _ask(n, SIOCGIWNAME)]


def is_up(name: str) -> bool:
    """Ask whether frames can be sent on an interface."""
    return bool(_flags(name) & IFF_UP)


def read_facts(name: str) -> InterfaceFacts:
    """Read everything about one interface. Raises PortError when there is none."""
    if name not in _names():
        present = ", ".join(sorted(_names()))
        raise PortError(f"{name}: no such network interface (there are: {present})")
    here, conf = SYS / name, PROC / "sys/net/ipv6/conf" / name
    flags = _flags(name)
    hardware, mac = _hardware(name)
    master = here / "master"
    return InterfaceFacts(
        name=name,
        mac=mac,
        is_up=bool(flags & IFF_UP),
        has_carrier=bool(flags & IFF_RUNNING),
        is_ethernet=hardware == ARPHRD_ETHER,
        is_wireless=bool(_ask(name, SIOCGIWNAME)),
        promiscuous=bool(flags & IFF_PROMISC),
        bridge=master.resolve().name if master.is_symlink() else "",
        addresses=_addresses(name),
        ipv4=_ipv4(name),
        ipv6_off=not conf.exists() or _text(conf / "disable_ipv6") == "1",
        router_solicitations=_number(conf / "router_solicitations"),
        mtu=struct.unpack_from("@i", _ask(name, SIOCGIFMTU) or bytes(4))[0],
        managers=_managers(socket.if_nametoindex(name)),
        dhcp_clients=_dhcp_clients(name),
    )


def _ask(name: str, question: int) -> bytes:
    """Return what the kernel answers behind the interface's name, or nothing."""
    request = struct.pack("16s24x", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            return fcntl.ioctl(sock.fileno(), question, request)[16:]
        except OSError:  # it has none
            return b""


def _flags(name: str) -> int:
    return int.from_bytes(_ask(name, SIOCGIFFLAGS)[:2], sys.byteorder)


def _hardware(name: str) -> tuple[int, bytes]:
    answer = _ask(name, SIOCGIFHWADDR) or bytes(8)
    return int.from_bytes(answer[:2], sys.byteorder), answer[2:8]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="latin-1").strip()
    except OSError:  # as `carrier` of an interface that is down
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    with contextlib.suppress(ValueError):
        return int(text, 0)
    return 0


def _addresses(name: str) -> tuple[Address, ...]:
    found = []
    for line in _text(PROC / "net/if_inet6").splitlines():
        digits, _, _, scope, flags, interface = line.split()
        if interface == name:
            bits = int(flags, 16)
            found.append(
                Address(
                    text=str(IPv6Address(bytes.fromhex(digits))),
                    link_local=int(scope, 16) == SCOPE_LINK,
                    tentative=bool(bits & IFA_F_TENTATIVE),
                    failed=bool(bits & IFA_F_DADFAILED),
                )
            )
    return tuple(found)


def _ipv4(name: str) -> str:
    answer = _ask(name, SIOCGIFADDR)
    return socket.inet_ntoa(answer[4:8]) if answer else ""


def _managers(index: int) -> tuple[str, ...]:
    found = []
    device = _text(RUN / "NetworkManager/devices" / str(index))
    if "managed=true" in device or "managed=1" in device:
        found.append("NetworkManager")
    link = _text(RUN / "systemd/netif/links" / str(index))
    files = [line[13:] for line in link.splitlines() if line.startswith("NETWORK_FILE=")]
    if any(_asks_dhcp(Path(file)) for file in files):
        found.append("systemd-networkd (DHCP)")
    return tuple(found)


def _asks_dhcp(network_file: Path) -> bool:
    """Ask whether a file of systemd-networkd wants addresses (our own in boot/ does not)."""
    lines = (line.replace(" ", "").lower() for line in _text(network_file).splitlines())
    return any(line.startswith("dhcp=") and line[5:] not in ("no", "false", "") for line in lines)


def _dhcp_clients(name: str) -> tuple[str, ...]:
    found = []
    for entry in PROC.glob("[0-9]*"):
        words = _text(entry / "cmdline").split("\0")
        program = Path(words[0]).name
        if program not in DHCP_CLIENTS:
            continue
        is_for_all = program == "dhcpcd" and not any(w in _names() for w in words[1:])
        if name in words or is_for_all:
            found.append(f"{program}, process {entry.name}")
    return tuple(found)


def _names() -> set[str]:
    return {name for _, name in socket.if_nameindex()}
