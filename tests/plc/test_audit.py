"""Findings about modems and interfaces: each fault is found, and a sound one has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from controller.plc import pib, wire
from controller.plc.audit import PROBLEM, audit
from controller.plc.chips import CHIPS, chip_of, firmware_faults
from controller.plc.interface import Address, InterfaceFacts, check
from controller.plc.manage_plans import ModemInfo
from tests.plc.bench import MACS

IMAGE = pib.new_image(MACS[0], b"d" * 16, bytes(7), b"k" * 16, pib.SLAC_EVSE)


def parameters(role: str, **values: bytes) -> bytes:
    data = pib.patched(pib.to_chain(IMAGE), pib.role_values(role))
    return pib.patched(data, {pib.BY_NAME[name]: value for name, value in values.items()})


GOOD = ModemInfo(
    mac=MACS[0],
    chip=CHIPS[0],
    firmware="MAC-QCA7005-1.1.0.730-04-20140815-CS",
    parameters=parameters("evse"),
)


@pytest.mark.parametrize("role", [None, "evse"])
def test_a_sound_modem_has_no_findings(role: str | None) -> None:
    assert audit(GOOD, role) == []


def test_a_vehicles_modem_is_wrong_for_a_charger_only() -> None:
    pev = replace(GOOD, parameters=parameters("pev"))
    assert audit(pev) == audit(pev, "pev") == []
    (finding,) = audit(pev, "evse")
    assert "wrong role for a charger: its SLAC mode is that of a vehicle" in finding.what
    assert finding.hint == "ccs-pilot modem configure --role evse"


NMK, DAK = wire.password_to_nmk, wire.password_to_dak
FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"parameters": parameters("evse", nmk=NMK("HomePlugAV"))}, "network key is everybody's"),
    ({"parameters": parameters("evse", nmk=NMK("HomePlugAV0123"))}, "HomePlugAV0123"),
    ({"parameters": parameters("evse", nmk=bytes(16))}, "all zero"),
    ({"parameters": parameters("evse", dak=DAK("HomePlugAV"))}, "device access key is everybody's"),
    ({"parameters": parameters("evse", dak=bytes(16))}, "all zero"),
    ({"parameters": parameters("evse", slac=b"\0")}, "SLAC mode is off"),
    ({"parameters": parameters("evse", slac=b"\7")}, "SLAC mode is 7"),
    ({"parameters": parameters("evse", cco=b"\1")}, "coordinator selection never (vehicle)"),
    ({"parameters": parameters("evse", cco=b"\0")}, "coordinator selection 0"),
    ({"parameters": pib.to_chain(IMAGE[:0x1000])}, "has no SLAC fields"),
    ({"firmware": "MAC-QCA7420-1.1.0.844-01-20120925-FINAL"}, "drops the connection"),
    ({"firmware": "MAC-MSE1060-1.0"}, "another maker's chip"),
    ({"chip": chip_of(0x06, 0, "BootLoader"), "parameters": None}, "only its boot loader"),
    ({"chip": chip_of(0x21, 0, "MAC-QCA6410-1.1")}, "no SLAC"),
]


@pytest.mark.parametrize(("change", "text"), FAULTS)
def test_each_fault_is_found(change: dict[str, Any], text: str) -> None:
    found = audit(replace(GOOD, **change))
    assert [f for f in found if text in f.what and f.severity == PROBLEM], found


@pytest.mark.parametrize(("role", "count"), [("pev", 1), ("evse", 0)])
def test_a_qca7500_cannot_be_a_vehicles_modem(role: str, count: int) -> None:
    chip = chip_of(0x30, 0, "MAC-QCA7500-1.0")
    info = replace(GOOD, chip=chip, parameters=parameters(role))
    assert len(audit(info, role)) == count


def test_unreadable_parameters_are_said() -> None:
    (finding,) = audit(replace(GOOD, parameters=None, note="no answer"))
    assert "could not be read: no answer" in finding.what


@pytest.mark.parametrize(
    ("device_class", "ident", "version", "name"),
    [
        (0x22, 0x001B587C, "x", "QCA7005"),
        (0x22, 0x001B58DC, "x", "QCA7000"),
        (0x22, 0x001B589C, "x", "QCA7000"),
        (0x22, 0, "MAC-QCA7005-1.1.0.730-04", "QCA7005"),
        (0x22, 0, "MAC-QCA7000-1.1.0.727-02", "QCA7000"),
        (0x22, 0, "x", "QCA7000/7005"),
        (0x20, 0x001CFCFC, "x", "QCA7420"),
        (0x20, 0, "MAC-QCA7420-1.4.0.20", "QCA7420"),
        (0x30, 0, "x", "QCA7500"),
        (0x22, 0x001B587C, "BootLoader", "boot loader"),
        (0x77, 0, "x", "unknown chip"),
    ],
)
def test_chips_have_names(device_class: int, ident: int, version: str, name: str) -> None:
    assert chip_of(device_class, ident, version).name == name


@pytest.mark.parametrize(
    "version",
    ["MAC-QCA7000-1.1.0.727-02", "QCA7005-1.2.5.3207", "QCA7000-3.1.0.14", "QCA7420-1.4.0.20"],
)
def test_firmware_of_the_field_is_not_blamed(version: str) -> None:
    assert firmware_faults(version) == []


LOCAL = Address("fe80::1", link_local=True, tentative=False, failed=False)
QUIET = InterfaceFacts(
    name="plc0",
    mac=bytes.fromhex("020000000001"),
    is_up=True,
    has_carrier=True,
    addresses=(LOCAL,),
)


def test_a_quiet_interface_has_no_findings() -> None:
    assert check(QUIET) == []


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"is_up": False}, "is down", "ip link set plc0 up"),
    ({"has_carrier": False}, "has no link", "powered"),
    ({"is_wireless": True}, "is wireless", "-i"),
    ({"is_ethernet": False}, "not Ethernet", "-i"),
    ({"bridge": "br0"}, "belongs to the bridge br0", "nomaster"),
    ({"promiscuous": True}, "promiscuous", "capture"),
    ({"mtu": 1400}, "MTU of 1400", "mtu 1500"),
    ({"mac": bytes.fromhex("00b052000001")}, "modems' maker", "same address"),
    ({"ipv6_off": True}, "IPv6 switched off", "disable_ipv6=0"),
    ({"addresses": ()}, "no link-local address", "addr_gen_mode"),
    ({"addresses": (replace(LOCAL, link_local=False),)}, "no link-local", "addr_gen_mode"),
    ({"addresses": (replace(LOCAL, tentative=True),)}, "still testing its address", "two seconds"),
    ({"addresses": (replace(LOCAL, failed=True),)}, "another station has", "another MAC"),
    ({"managers": ("NetworkManager",)}, "configured by NetworkManager", "managed no"),
    ({"managers": ("systemd-networkd (DHCP)",)}, "systemd-networkd", "boot/"),
    ({"dhcp_clients": ("dhclient, process 7",)}, "DHCP client (dhclient, process 7)", "stop it"),
    ({"ipv4": "192.168.1.2"}, "IPv4 address (192.168.1.2)", "addr flush"),
    ({"router_solicitations": 3}, "router solicitations", "router_solicitations=0"),
]


@pytest.mark.parametrize(("change", "what", "hint"), WRONG)
def test_each_disturbance_is_found_with_a_hint(
    change: dict[str, Any], what: str, hint: str
) -> None:
    (finding,) = check(replace(QUIET, **change))
    assert what in finding.what
    assert hint in finding.hint


def test_without_a_link_no_address_is_expected() -> None:
    assert len(check(replace(QUIET, is_up=False, addresses=()))) == 1
