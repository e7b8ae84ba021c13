"""Whether a network interface is fit for a powerline modem: facts in, findings with hints out.

The facts come from `driver_interface`. What disturbs a session in the field: no IPv6 link-local
address (or one that duplicate address detection still tests, which takes one to two seconds after
the link comes up), and hosts that talk by themselves on the pilot line: NetworkManager and DHCP
clients looking for addresses, router solicitations. A charger that hears those may stop answering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.plc.audit import ADVICE, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEM_OUI = bytes.fromhex("00b052")


@dataclass(frozen=True, slots=True)
class Address:
    """One IPv6 address of the interface."""

    text: str
    link_local: bool
    tentative: bool
    failed: bool
    """Another station has it (duplicate address detection)."""


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """What the kernel and the programs of this host say about an interface."""

    name: str
    mac: bytes
    is_up: bool
    has_carrier: bool
    is_ethernet: bool = True
    is_wireless: bool = False
    promiscuous: bool = False
    bridge: str = ""
    """The bridge that it belongs to."""
    addresses: tuple[Address, ...] = ()
    ipv4: str = ""
    ipv6_off: bool = False
    router_solicitations: int = 0
    mtu: int = 1500
    managers: tuple[str, ...] = ()
    """Programs that configure this interface."""
    dhcp_clients: tuple[str, ...] = ()


def check(facts: InterfaceFacts) -> list[Finding]:
    """Judge an interface; empty when all is well."""
    return [*_link(facts), *_addresses(facts), *_noise(facts)]


def _link(facts: InterfaceFacts) -> Iterator[Finding]:
    if facts.is_wireless or not facts.is_ethernet:
        kind = "wireless" if facts.is_wireless else "not Ethernet"
        yield Finding(PROBLEM, f"is {kind}: no modem is behind it", "choose another with -i")
    if not facts.is_up:
        yield Finding(PROBLEM, "is down", f"ip link set {facts.name} up")
    elif not facts.has_carrier:
        yield Finding(PROBLEM, "has no link", "is the modem powered and its cable plugged in?")
    if facts.bridge:
        yield Finding(
            PROBLEM,
            f"belongs to the bridge {facts.bridge}: the whole house would be on the pilot line",
            f"ip link set {facts.name} nomaster",
        )
    if facts.promiscuous:
        yield Finding(
            ADVICE, "is promiscuous: it hears the frames of others", "is a capture running?"
        )
    if facts.mtu < 1500:
        yield Finding(PROBLEM, f"has an MTU of {facts.mtu}", f"ip link set {facts.name} mtu 1500")
    if facts.mac[:3] == MODEM_OUI:
        yield Finding(
            ADVICE,
            f"has an address of the modems' maker ({facts.mac.hex(':')})",
            "modem and host must not have the same address",
        )


def _addresses(facts: InterfaceFacts) -> Iterator[Finding]:
    if facts.ipv6_off:
        yield Finding(
            PROBLEM,
            "has IPv6 switched off",
            f"sysctl net.ipv6.conf.{facts.name}.disable_ipv6=0",
        )
        return
    if not facts.is_up or not facts.has_carrier:
        return  # without a link there is no address yet
    local = [a for a in facts.addresses if a.link_local]
    if not local:
        yield Finding(
            PROBLEM,
            "has no link-local address (fe80::...)",
            f"sysctl net.ipv6.conf.{facts.name}.addr_gen_mode=0, then down and up",
        )
    elif any(a.failed for a in local):
        yield Finding(
            PROBLEM,
            f"has an address that another station has, too ({local[0].text})",
            f"give it another MAC: ip link set {facts.name} address 02:...",
        )
    elif all(a.tentative for a in local):
        yield Finding(
            PROBLEM,
            f"is still testing its address ({local[0].text})",
            "wait two seconds (duplicate address detection)",
        )


def _noise(facts: InterfaceFacts) -> Iterator[Finding]:
    for manager in facts.managers:
        yield Finding(
            PROBLEM,
            f"is configured by {manager}, which talks on the pilot line",
            f"take it away: boot/ has files for that, or nmcli device set {facts.name} managed no"
            if manager == "NetworkManager"
            else "take it away: boot/ has files for that",
        )
    for client in facts.dhcp_clients:
        yield Finding(PROBLEM, f"has a DHCP client ({client})", "stop it for this interface")
    if facts.ipv4:
        yield Finding(
            ADVICE,
            f"has an IPv4 address ({facts.ipv4}): V2G needs none",
            f"ip -4 addr flush dev {facts.name}",
        )
    if facts.router_solicitations:
        yield Finding(
            ADVICE,
            "sends router solicitations",
            f"sysctl net.ipv6.conf.{facts.name}.router_solicitations=0",
        )
