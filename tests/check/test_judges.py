"""What each fact means: OK, WARN or FAIL, and never without saying what to do."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING

import pytest

from controller import board as boards
from controller.check import buses, findings, machine, pilot
from controller.check.buses import Can, I2c, Line
from controller.check.findings import Finding, Status
from controller.check.machine import Disk, Kernel, Rights
from controller.cp import edges
from controller.cp.edges import Timing
from controller.plc.interface import Address, InterfaceFacts
from controller.signals import (
    ContactorReading,
    InletSample,
    InterlockTested,
    PilotSample,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, WARN, FAIL = Status.OK, Status.WARN, Status.FAIL
MIB = 1 << 20


def statuses(found: Sequence[Finding]) -> list[Status]:
    for finding in found:
        assert finding.found
        assert bool(finding.todo) is (finding.status is not OK), finding
        assert "\n" not in finding.line()
    return [finding.status for finding in found]


# --- the machine ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "packages", "status", "words"),
    [
        ((3, 11, 2), {"rich": "15.0"}, OK, "Python 3.11.2; rich 15.0"),
        ((3, 13, 0), {}, OK, "3.13.0"),
        ((3, 10, 12), {}, FAIL, "3.10.12"),
        ((3, 11, 2), {"rich": None, "dpkt": "1"}, FAIL, "missing: rich"),
    ],
)
def test_python(
    version: tuple[int, int, int], packages: dict[str, str | None], status: Status, words: str
) -> None:
    found = machine.python(version, packages)
    assert statuses([found]) == [status]
    assert words in found.found


@pytest.mark.parametrize(
    ("model", "daemon", "status"),
    [
        ("", ["pilot"], OK),
        ("Raspberry Pi 4 Model B Rev 1.4", ["pilot", "gpio"], OK),
        ("Raspberry Pi 5 Model B Rev 1.0", [], OK),
        ("Raspberry Pi 5 Model B Rev 1.0", ["pilot", "gpio"], FAIL),
    ],
)
def test_board(model: str, daemon: list[str], status: Status) -> None:
    found = machine.board(model, daemon)
    assert statuses([found]) == [status]
    assert (status is OK) or "pilot, gpio" in found.found


@pytest.mark.parametrize(
    ("source", "available", "resolution_s", "status"),
    [
        ("tsc", "tsc hpet", 1e-9, OK),
        ("arch_sys_counter", "", 1e-9, OK),
        ("hpet", "tsc hpet", 1e-9, WARN),
        ("acpi_pm", "acpi_pm", 1e-9, WARN),
        ("jiffies", "jiffies", 0.004, FAIL),
        (None, "", 1e-9, WARN),
    ],
)
def test_clock(source: str | None, available: str, resolution_s: float, status: Status) -> None:
    found = machine.clock(source, available, resolution_s)
    assert statuses([found]) == [status]
    assert ("echo tsc" in found.todo) is (source == "hpet")


@pytest.mark.parametrize(
    ("synchronised", "rtc", "status"),
    [(True, False, OK), (True, True, OK), (False, True, WARN), (False, False, WARN)],
)
def test_time_of_day(synchronised: bool, rtc: bool, status: Status) -> None:
    found = machine.time_of_day(synchronised, rtc)
    assert statuses([found]) == [status]
    assert ("fit a real-time clock" in found.todo) is (status is WARN and not rtc)
    assert statuses([machine.time_of_day(None, rtc)]) == [WARN]


RIGHTS = Rights("", 950_000, 1_000_000, None)


@pytest.mark.parametrize(
    ("changes", "scheduler", "memory"),
    [
        ({}, OK, OK),
        ({"rt_runtime_us": -1}, OK, OK),
        ({"rt_runtime_us": None, "rt_period_us": None}, OK, OK),
        ({"rt_runtime_us": 0}, FAIL, OK),
        ({"rt_runtime_us": 400_000}, FAIL, OK),
        ({"fifo": "Operation not permitted"}, WARN, OK),
        ({"memlock": 8 * MIB}, OK, WARN),
        ({"memlock": 256 * MIB}, OK, OK),
    ],
)
def test_rights(changes: dict[str, object], scheduler: Status, memory: Status) -> None:
    rights = replace(RIGHTS, **changes)  # type: ignore[arg-type]
    assert statuses([machine.scheduler(rights, 50)]) == [scheduler]
    assert statuses([machine.memory(rights)]) == [memory]


KERNEL = Kernel("6.12.1-rt", True, 4, frozenset({3}), frozenset({"performance"}))


@pytest.mark.parametrize(
    ("changes", "cpu", "expected"),
    [
        ({}, 3, [OK, OK]),
        ({}, -1, [OK, WARN]),
        ({"isolated": frozenset()}, -1, [OK, OK]),
        ({"isolated": frozenset()}, 3, [OK, WARN]),
        ({}, 4, [OK, FAIL]),
        ({"realtime": False}, 3, [WARN, OK]),
        ({"governors": frozenset({"ondemand"})}, 3, [OK, WARN, OK]),
        ({"governors": frozenset({"schedutil"})}, 3, [OK, OK]),
    ],
)
def test_kernel(changes: dict[str, object], cpu: int, expected: list[Status]) -> None:
    facts = replace(KERNEL, **changes)  # type: ignore[arg-type]
    assert statuses(machine.kernel(facts, cpu)) == expected


DISK = Disk("/", 5000 * MIB, 30_000 * MIB, read_only=False)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OK),
        ({"read_only": True}, OK),
        ({"free": 499 * MIB}, WARN),
        ({"free": 49 * MIB}, FAIL),
        ({"free": 0}, FAIL),
        ({"wear": 1}, OK),
        ({"is_card": True}, OK),
        ({"wear": 9}, WARN),
    ],
)
def test_disk(changes: dict[str, object], status: Status) -> None:
    assert statuses([machine.disk(replace(DISK, **changes))]) == [status]  # type: ignore[arg-type]
    assert statuses([machine.disk(None)]) == [WARN]


@pytest.mark.parametrize(
    ("throttled", "pi", "status"),
    [
        (None, False, OK),
        (None, True, WARN),
        (0x0, True, OK),
        (0x1, True, FAIL),
        (0x50005, True, FAIL),
        (0x2, True, WARN),
        (0x4, True, WARN),
        (0x10000, True, WARN),
        (0x50000, True, WARN),
        (0x40000, True, WARN),
        (0x80000, True, OK),
    ],
)
def test_power(throttled: int | None, pi: bool, status: Status) -> None:
    assert statuses([machine.power(throttled, pi)]) == [status]


@pytest.mark.parametrize(
    ("celsius", "status"), [(None, OK), (45.0, OK), (75.0, WARN), (82.0, FAIL)]
)
def test_temperature(celsius: float | None, status: Status) -> None:
    assert statuses([machine.temperature(celsius)]) == [status]


# --- interfaces and buses ------------------------------------------------------------------------

LOCAL = Address("fe80::1", link_local=True, tentative=False, failed=False)
PLC = InterfaceFacts("plc0", b"\x02" + bytes(5), is_up=True, has_carrier=True, addresses=(LOCAL,))


@pytest.mark.parametrize(
    ("changes", "wanted", "expected"),
    [
        ({}, "plc0", [OK]),
        ({"is_up": False}, "plc0", [FAIL]),
        ({"is_up": False}, "", [WARN]),
        ({"ipv4": "10.0.0.2"}, "plc0", [WARN]),
        ({"addresses": (), "ipv4": "10.0.0.2"}, "plc0", [FAIL, WARN]),
    ],
)
def test_network(changes: dict[str, object], wanted: str, expected: list[Status]) -> None:
    facts = replace(PLC, **changes)  # type: ignore[arg-type]
    assert statuses(buses.network(facts, wanted, ["plc0"])) == expected


def test_no_interface() -> None:
    assert statuses(buses.network(None, "plc7", ["eth0", "eth1"])) == [FAIL]
    found = buses.network(None, "", ["eth0", "eth1"])
    assert statuses(found) == [WARN]
    assert "eth0, eth1" in found[0].found


def test_modem() -> None:
    assert statuses([buses.modem("plc0", ["00:b0 QCA7005 1.2"], "")]) == [OK]
    assert statuses([buses.modem("plc0", [], "needs CAP_NET_RAW")]) == [WARN]
    assert statuses([buses.modem("plc0", [], "")]) == [WARN]


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        (Can("can0", True, "error-active", 125_000), OK),
        (Can("vcan0", True), OK),
        (Can("can0", False, "stopped"), WARN),
        (Can("can0", True, "error-passive", 125_000), WARN),
        (Can("can0", True, "bus-off", 125_000), FAIL),
    ],
)
def test_can(facts: Can, status: Status) -> None:
    found = buses.can([facts], needed=False)
    assert statuses(found) == [status]
    assert ("125 kbit/s" in found[0].found) is (facts.bitrate == 125_000)


def test_no_can() -> None:
    assert statuses(buses.can([], needed=False)) == [OK]
    assert statuses(buses.can([], needed=True)) == [FAIL]


BUS = I2c(1, "bcm2835", "", (0x48, 0x68), (), 400_000)


@pytest.mark.parametrize(
    ("bus", "adc", "expected"),
    [
        (BUS, True, [OK]),
        (BUS, False, [OK]),
        (replace(BUS, found=(0x68,)), True, [OK, FAIL]),
        (replace(BUS, found=(0x68,)), False, [OK]),
        (replace(BUS, found=(), busy=(0x48,)), True, [OK, FAIL]),
        (replace(BUS, clock_hz=100_000), True, [OK, WARN]),
        (replace(BUS, clock_hz=0), True, [OK]),
        (replace(BUS, number=20), True, [OK, FAIL]),
        (replace(BUS, reason="not scanned: Permission denied", found=()), True, [WARN]),
        (replace(BUS, reason="not the header's, not scanned", found=()), False, [OK]),
        (None, True, [FAIL]),
        (None, False, [OK]),
    ],
)
def test_i2c(bus: I2c | None, adc: bool, expected: list[Status]) -> None:
    assert statuses(buses.i2c([bus] if bus else [], adc=adc)) == expected


@pytest.mark.parametrize(
    ("nodes", "needed", "status"),
    [
        ([], "", OK),
        (["/dev/spidev0.0"], "", OK),
        (["/dev/spidev0.0", "/dev/spidev0.1"], "/dev/spidev0.1", OK),
        (["/dev/spidev0.0"], "/dev/spidev0.1", FAIL),
        ([], "/dev/spidev0.1", FAIL),
    ],
)
def test_spi(nodes: list[str], needed: str, status: Status) -> None:
    assert statuses([buses.spi(nodes, needed=needed)]) == [status]


PINS = {name: pin for name, pin in boards.load().pev.pins.items() if name in ("s2", "pilot_edges")}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([Line(n, "") for n in range(28)], [OK]),
        ([Line(n, "spi0 CS0" if n == 8 else "") for n in range(28)], [OK]),
        ([Line(n, "w1" if n == 17 else "") for n in range(28)], [FAIL]),
        ([Line(n, "x") for n in range(28)], [FAIL, FAIL]),
        ([Line(n, "") for n in range(20)], [FAIL]),
        ([], [WARN]),
    ],
)
def test_pins(lines: list[Line], expected: list[Status]) -> None:
    found = buses.pins(PINS, lines)
    assert statuses(found) == expected
    for finding in found:
        if finding.status is FAIL:
            assert "GPIO 17 (pilot_edges)" in finding.found or "GPIO 22 (s2)" in finding.found


def test_pins_that_we_have_ourselves() -> None:
    assert statuses(
        buses.pins(PINS, [Line(n, "ccs-pilot") for n in range(28)], ("ccs-pilot",))
    ) == [OK]


# --- pilot, contactors, interlock ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("high_v", "low_v", "status"),
    [
        (12.0, 12.0, OK),
        (11.1, 12.9, OK),
        (9.0, 9.0, WARN),
        (6.0, 6.0, WARN),
        (3.0, 3.0, WARN),
        (0.0, 0.0, FAIL),
        (12.0, 5.0, FAIL),
        (10.5, 10.5, WARN),
        (15.0, 15.0, FAIL),
        (nan, nan, FAIL),
    ],
)
def test_plus_12_v(high_v: float, low_v: float, status: Status) -> None:
    assert statuses([pilot.positive(PilotSample(high_v, low_v, 1.0))]) == [status]


@pytest.mark.parametrize(("level_v", "status"), [(-12.0, OK), (-9.6, FAIL), (0.0, FAIL)])
def test_minus_12_v(level_v: float, status: Status) -> None:
    assert statuses([pilot.negative(PilotSample(level_v, level_v, 1.0))]) == [status]


@pytest.mark.parametrize(
    ("line", "duty", "frequency_hz", "status"),
    [
        (edges.Line.OSCILLATING, 0.05, 1000.0, OK),
        (edges.Line.OSCILLATING, 0.055, 1004.0, OK),
        (edges.Line.OSCILLATING, 0.062, 1000.0, WARN),
        (edges.Line.OSCILLATING, 0.08, 1000.0, FAIL),
        (edges.Line.OSCILLATING, 0.95, 1000.0, FAIL),
        (edges.Line.OSCILLATING, 0.05, 1010.0, WARN),
        (edges.Line.OSCILLATING, 0.05, 1021.0, FAIL),
        (edges.Line.LOW, 0.0, 0.0, FAIL),
        (edges.Line.HIGH, 1.0, 0.0, FAIL),
        (edges.Line.IRREGULAR, 0.0, 0.0, FAIL),
    ],
)
def test_loop_back(line: edges.Line, duty: float, frequency_hz: float, status: Status) -> None:
    found = pilot.loop_back(Timing(line, duty, frequency_hz, 1.0, 1.0), 0.05, "GPIO 17")
    assert statuses([found]) == [status]


@pytest.mark.parametrize(
    ("closed", "valid", "status"),
    [(False, True, OK), (True, True, FAIL), (False, False, FAIL)],
)
def test_contactors(closed: bool, valid: bool, status: Status) -> None:
    assert statuses([pilot.contactors(ContactorReading(closed, 1.0, valid))]) == [status]


def test_interlock() -> None:
    assert statuses([pilot.interlock(InterlockTested("CP loss", True, "interrupts"))]) == [OK]
    found = pilot.interlock(InterlockTested("watchdog", False, "the chain did not close"))
    assert statuses([found]) == [FAIL]
    assert "watchdog: the chain did not close" in found.found


@pytest.mark.parametrize(
    ("ohm", "high_v", "duty", "connector", "expected"),
    [
        (1e6, 0.02, 0.0, "ccs2", [OK, OK]),
        (1e6, 0.02, 0.0, "ccs1", [OK, OK]),
        (1e6, 8.0, 0.05, "ccs2", [OK, FAIL]),
        (1500.0, 8.3, 0.05, "ccs2", [WARN]),
        (150.0, 8.3, 1.0, "ccs1", [WARN]),
        (480.0, 0.0, 0.0, "ccs1", [WARN]),
        (1500.0, 0.0, 0.0, "ccs1", [FAIL]),
        (3.0, 0.0, 0.0, "ccs2", [FAIL]),
        (nan, 0.0, 0.0, "ccs2", [FAIL]),
        (None, 0.0, 0.0, "ccs2", [FAIL]),
    ],
)
def test_inlet(
    ohm: float | None, high_v: float, duty: float, connector: str, expected: list[Status]
) -> None:
    sample = InletSample(high_v, duty, False, 1.0, 1000.0, ohm)
    assert statuses(pilot.inlet(sample, connector)) == expected


# --- the lines -----------------------------------------------------------------------------------


def test_lines_and_json() -> None:
    found = [
        findings.ok("clock", "tsc"),
        findings.warn("kernel", "no rt", "use one"),
        findings.fail("disk", "full", "make room"),
    ]
    assert [f.line() for f in found] == [
        "OK    clock            tsc",
        "WARN  kernel           no rt -> use one",
        "FAIL  disk             full -> make room",
    ]
    assert findings.summary(found) == "NOT ready: 1 OK, 1 WARN, 1 FAIL"
    assert findings.summary(found[:1]) == "ready: 1 OK"
    assert findings.to_json(found, "car") == {
        "checked": "car",
        "ready": False,
        "counts": {"OK": 1, "WARN": 1, "FAIL": 1},
        "checks": [
            {"name": "clock", "status": "OK", "found": "tsc", "todo": ""},
            {"name": "kernel", "status": "WARN", "found": "no rt", "todo": "use one"},
            {"name": "disk", "status": "FAIL", "found": "full", "todo": "make room"},
        ],
    }
