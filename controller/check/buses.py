"""Interfaces and buses (core): the modem's network, CAN, I2C, SPI, pins and PWM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controller.check.findings import Finding, fail, ok, warn
from controller.plc.audit import PROBLEM
from controller.plc.interface import check

if TYPE_CHECKING:
    from collections.abc import Sequence

    from controller.board import Pin
    from controller.plc.interface import InterfaceFacts

ADC_ADDRESS = 0x48
FAST_I2C_HZ = 400_000
CAN_STATES = ("error-active", "error-warning", "error-passive", "bus-off", "stopped", "sleeping")
"""linux/can/netlink.h, enum can_state."""


def network(facts: InterfaceFacts | None, wanted: str, others: Sequence[str]) -> list[Finding]:
    """Judge the interface of the modem; `wanted` is its name if somebody named it."""
    if facts is None:
        there = ", ".join(others) or "none"
        if wanted:
            todo = f"choose one that is there: {there}"
            return [fail("network", f"no interface {wanted}", todo)]
        todo = "name the modem's with --interface"
        return [warn("network", f"which interface is the modem's? (there are: {there})", todo)]
    findings = check(facts)
    if not findings:
        return [ok("network", f"{facts.name}: up, link-local address, nothing that disturbs")]
    return [
        (fail if f.severity == PROBLEM and wanted else warn)(
            "network", f"{facts.name} {f.what}", f.hint or "see ccs-pilot modem check"
        )
        for f in findings
    ]


def modem(interface: str, told: Sequence[str], reason: str) -> Finding:
    """Judge what answered on the interface; `reason` why nobody could be asked."""
    if told:
        return ok("modem", f"{interface}: {'; '.join(told)}")
    if reason:
        return warn("modem", reason, "run as root, or with CAP_NET_RAW, to ask the modem")
    return warn(
        "modem",
        f"{interface}: nobody answers",
        "is it powered and connected, or in its boot loader (ccs-pilot modem boot)?",
    )


@dataclass(frozen=True, slots=True)
class Can:
    """One CAN interface."""

    name: str
    is_up: bool
    state: str = ""
    """One of CAN_STATES; empty where the kernel does not say (vcan)."""
    bitrate: int = 0


def can(interfaces: Sequence[Can], *, needed: bool) -> list[Finding]:
    """Judge all CAN interfaces; `needed` where something hangs on one."""
    if not interfaces:
        if needed:
            todo = "dtoverlay=mcp2515-can0,oscillator=...,interrupt=25 in config.txt, and reboot"
            return [fail("can", "no CAN interface", todo)]
        return [ok("can", "none, and none is needed")]
    return [_can(one) for one in interfaces]


def _can(facts: Can) -> Finding:
    rate = f", {facts.bitrate // 1000} kbit/s" if facts.bitrate else ""
    if not facts.is_up:
        todo = f"ip link set {facts.name} up type can bitrate 125000 restart-ms 100"
        return warn("can", f"{facts.name}: down{rate}", todo)
    if facts.state in ("bus-off", "error-passive", "error-warning"):
        bad = fail if facts.state == "bus-off" else warn
        todo = "check bit rate, termination (120 Ohm at both ends) and whether anybody answers"
        return bad("can", f"{facts.name}: {facts.state}{rate}", todo)
    return ok("can", f"{facts.name}: up{rate}{', ' + facts.state if facts.state else ''}")


@dataclass(frozen=True, slots=True)
class I2c:
    """One I2C bus, and who answered."""

    number: int
    name: str
    reason: str = ""
    """Why it was not scanned; empty: it was."""
    found: tuple[int, ...] = ()
    busy: tuple[int, ...] = ()
    """Addresses that a driver of the kernel has."""
    clock_hz: int = 0


def i2c(buses: Sequence[I2c], *, adc: bool) -> list[Finding]:
    """Judge the buses; `adc` where the converter is to be at 0x48 of bus 1."""
    findings = [_i2c(bus) for bus in buses]
    if not adc:
        return findings or [ok("i2c", "none, and none is needed")]
    header = next((bus for bus in buses if bus.number == 1), None)
    if header is None:
        todo = "dtparam=i2c_arm=on,i2c_arm_baudrate=400000 in config.txt, load i2c-dev, reboot"
        return [*findings, fail("i2c", "no /dev/i2c-1, where the ADS1115 is to be", todo)]
    if header.reason:
        return findings
    if ADC_ADDRESS in header.busy:
        todo = "remove the overlay (dtoverlay=ads1115) from config.txt"
        findings.append(fail("i2c", "a driver of the kernel has the ADS1115 (0x48)", todo))
    elif ADC_ADDRESS not in header.found:
        todo = "check its wires and its address pin, or [hardware] adc in the file"
        findings.append(fail("i2c", "nobody answers at 0x48 (ADS1115)", todo))
    elif 0 < header.clock_hz < FAST_I2C_HZ:
        told = f"bus 1 runs at {header.clock_hz // 1000} kHz: the pilot is seen half as often"
        findings.append(warn("i2c", told, "dtparam=i2c_arm_baudrate=400000 in config.txt"))
    return findings


def _i2c(bus: I2c) -> Finding:
    label = f"bus {bus.number} ({bus.name})" if bus.name else f"bus {bus.number}"
    if bus.reason:
        if "ermission" in bus.reason:
            return warn("i2c", f"{label}: {bus.reason}", "add the user to the group i2c")
        return ok("i2c", f"{label}: {bus.reason}")
    found = ", ".join(f"{address:#04x}" for address in bus.found) or "nobody"
    busy = ", ".join(f"{address:#04x}" for address in bus.busy)
    return ok("i2c", f"{label}: {found}" + (f"; used by the kernel: {busy}" if busy else ""))


def spi(nodes: Sequence[str], *, needed: str) -> Finding:
    """Judge the SPI devices; `needed` is the one that the converter is to be at, or empty."""
    told = ", ".join(nodes) or "none"
    if needed and needed not in nodes:
        return fail("spi", f"no {needed} (there are: {told})", "dtparam=spi=on in config.txt")
    return ok("spi", told if nodes else "none, and none is needed")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the header as the kernel knows it."""

    gpio: int
    consumer: str
    """Who has it; empty: nobody."""


def pins(wanted: dict[str, Pin], lines: Sequence[Line], ours: Sequence[str] = ()) -> list[Finding]:
    """Judge whether the pins of the board are free; `ours` are consumers that may have them."""
    if not lines:
        todo = "is this a Raspberry Pi, and the user in the group gpio?"
        return [warn("pins", "the header's GPIO chip cannot be read", todo)]
    by_gpio = {line.gpio: line.consumer for line in lines}
    findings = []
    for name, pin in sorted(wanted.items(), key=lambda item: item[1].gpio):
        consumer = by_gpio.get(pin.gpio)
        if consumer is None:
            todo = "is the pin map that of this board? ([hardware] board)"
            findings.append(fail("pins", f"GPIO {pin.gpio} ({name}) does not exist", todo))
        elif consumer and consumer not in ours:
            todo = "stop that program, or remove its overlay from config.txt"
            findings.append(fail("pins", f"GPIO {pin.gpio} ({name}) is used: {consumer}", todo))
    return findings or [ok("pins", f"{len(wanted)} pins of the board are free")]
