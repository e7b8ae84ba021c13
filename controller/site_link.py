"""How the two sides of a scene are joined: TAP devices, loopback, or a real interface."""

from __future__ import annotations

import socket

from controller import netns
from controller.errors import PortError
from controller.plc import driver_interface, interface
from controller.plc.driver_tap import open_tap
from controller.process_site import LOOPBACK, TAP_NAME


def free_udp_port() -> int:
    """Find a UDP port for SDP over loopback, so that two scenes may run side by side."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError as error:
            raise PortError(
                f"IPv6 is switched off on this machine ({error.strerror}): V2G needs it "
                "(sysctl net.ipv6.conf.lo.disable_ipv6=0)"
            ) from error
        return int(sock.getsockname()[1])


def choose_link(wanted: str) -> tuple[str, str]:
    """Return the kind of link and why it was chosen. Raises PortError when it cannot be had."""
    if wanted == LOOPBACK:
        return wanted, "as asked for"
    if wanted not in ("auto", "tap"):
        return wanted, "real interface, as asked for"
    reason = netns.attempt(_try_tap)
    if not reason:
        return "tap", "two network namespaces joined by TAP devices and the simulated modem pair"
    if wanted == "tap":
        raise PortError(f"no TAP devices: {reason}; leave --link out to use loopback")
    return LOOPBACK, f"no TAP devices: {reason}"


def link_problems(link: str) -> list[str]:
    """Say what is wrong with a real interface, and what to do: one line each, none if all is well.

    No address yet, a network manager that asks for DHCP, router solicitations: each has disturbed
    sessions, none keeps one from starting. Raises PortError when the interface is gone.
    """
    if link in (LOOPBACK, "tap"):
        return []
    findings = interface.check(driver_interface.read_facts(link))
    return [f"{link}: {finding.what}. {finding.hint}".rstrip() for finding in findings]


def _try_tap() -> None:
    netns.enter()
    open_tap(TAP_NAME)
