"""Facts from trees that a test made, and from the machine that the test runs on."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from controller.check import driver_buses, driver_machine, driver_network
from controller.check.driver_machine import Tree
from controller.check.machine import Disk, Kernel
from controller.errors import PortError
from controller.plc import driver_interface
from controller.plc.interface import InterfaceFacts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def put(tree: Tree, name: str, text: str) -> None:
    path = tree.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# --- the machine ---------------------------------------------------------------------------------


def test_an_empty_tree_is_no_error(tree: Tree) -> None:
    assert driver_machine.model(tree) == ""
    assert driver_machine.clock_source(tree)[0] is None
    assert not driver_machine.has_rtc(tree)
    assert driver_machine.kernel(tree).cpus == 1
    assert driver_machine.throttled(tree) is None
    assert driver_machine.celsius(tree) is None
    assert driver_machine.wear(tree) is None
    assert not driver_machine.is_listening(tree, "/run/x")
    assert driver_buses.can(tree) == []
    assert driver_buses.i2c(tree) == []
    assert driver_buses.spi(tree) == []
    assert driver_buses.lines(tree, ("x",)) == []


def test_this_machine_can_be_read() -> None:
    tree = Tree()
    assert driver_machine.clock_source(tree)[2] <= 0.1
    assert driver_machine.kernel(tree).cpus >= 1
    assert driver_machine.python_version() >= (3, 11, 0)
    assert driver_machine.packages()["transitions"]
    assert driver_machine.packages(("no-such-package",))["no-such-package"] is None
    found = driver_machine.disk(tree, "no/such/folder")
    assert found is not None
    assert found.total > 0
    driver_machine.synchronised()
    driver_buses.can(tree)


def test_a_pi(tree: Tree) -> None:
    put(tree, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    put(tree, driver_machine.THROTTLED, "50005\n")
    put(tree, "sys/class/thermal/thermal_zone0/temp", "48312\n")
    put(tree, driver_machine.WEAR_FILE, "0x01 0x03\n")
    assert driver_machine.model(tree) == "Raspberry Pi 4 Model B Rev 1.4"
    assert driver_machine.is_pi(tree)
    assert driver_machine.throttled(tree) == 0x50005
    assert driver_machine.celsius(tree) == pytest.approx(48.312)
    assert driver_machine.wear(tree) == 3


def test_under_voltage_by_the_sensors_alarm(tree: Tree) -> None:
    put(tree, "sys/class/hwmon/hwmon0/name", "cpu_thermal\n")
    put(tree, "sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    put(tree, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n")
    assert driver_machine.throttled(tree) == 0
    put(tree, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert driver_machine.throttled(tree) == 1


@pytest.mark.parametrize("text", ["", "garbage", "0x1 xx"])
def test_garbage_is_nothing(tree: Tree, text: str) -> None:
    for name in (driver_machine.THROTTLED, driver_machine.WEAR_FILE):
        put(tree, name, text)
    put(tree, "sys/class/thermal/thermal_zone0/temp", text)
    assert driver_machine.throttled(tree) is None
    assert driver_machine.celsius(tree) is None
    assert driver_machine.wear(tree) is None


def test_kernel(tree: Tree) -> None:
    put(tree, "proc/sys/kernel/osrelease", "6.12.1-rt\n")
    put(tree, "proc/version", "Linux version 6.12.1-rt #1 SMP PREEMPT_RT\n")
    put(tree, "sys/devices/system/cpu/online", "0-3\n")
    put(tree, "sys/devices/system/cpu/isolated", "2-3\n")
    put(tree, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand\n")
    put(tree, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n")
    assert driver_machine.kernel(tree) == Kernel(
        "6.12.1-rt", True, 4, frozenset({2, 3}), frozenset({"ondemand", "performance"})
    )
    put(tree, "proc/version", "Linux version 6.12.1 #1 SMP PREEMPT_DYNAMIC\n")
    assert not driver_machine.kernel(tree).realtime
    put(tree, "sys/kernel/realtime", "1\n")
    assert driver_machine.kernel(tree).realtime


@pytest.mark.parametrize(
    ("text", "expected"), [("", set()), ("3", {3}), ("0-2,5", {0, 1, 2, 5}), ("0,2", {0, 2})]
)
def test_lists_of_processors(text: str, expected: set[int]) -> None:
    assert driver_machine.numbers(text) == expected


def test_memory_that_may_be_locked(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (8 << 20, 8 << 20))
    monkeypatch.setattr(driver_machine, "try_fifo", lambda _: "no")
    put(tree, "proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n")
    put(tree, "proc/sys/kernel/sched_rt_runtime_us", "950000\n")
    found = driver_machine.rights(tree, 50)
    assert (found.fifo, found.memlock, found.rt_runtime_us) == ("no", 8 << 20, 950_000)
    put(tree, "proc/self/status", f"CapEff:\t{1 << 14:016x}\n")
    assert driver_machine.rights(tree, 50).memlock is None


def test_trying_the_scheduler_changes_nothing() -> None:
    seen: list[tuple[int, int]] = []

    def run() -> None:
        driver_machine.try_fifo(10)
        seen.append((os.sched_getscheduler(0), os.sched_getparam(0).sched_priority))

    before = os.sched_getscheduler(0), os.sched_getparam(0).sched_priority
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
    assert (os.sched_getscheduler(0), os.sched_getparam(0).sched_priority) == before


def test_refused_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.sched_setscheduler", refuse)
    assert driver_machine.try_fifo(50) == "Operation not permitted"


def test_disk(tree: Tree) -> None:
    found = driver_machine.disk(tree, "var/lib/ccs-pilot")
    assert isinstance(found, Disk)
    assert found.path == "/var/lib/ccs-pilot"
    assert found.free <= found.total


def test_an_sd_card(tree: Tree) -> None:
    put(tree, "proc/mounts", "/dev/mmcblk0p2 / ext4 rw 0 0\nproc /proc proc rw 0 0\n")
    found = driver_machine.disk(tree, "")
    assert found is not None
    assert found.is_card
    put(tree, driver_machine.WEAR_FILE, "0x01 0x02")
    found = driver_machine.disk(tree, "")
    assert found is not None
    assert (found.is_card, found.wear) == (False, 2)
    put(tree, "proc/mounts", "/dev/sda1 / ext4 rw 0 0\n/dev/mmcblk0p1 /boot vfat rw 0 0\n")
    assert not driver_machine.is_on_card(tree)


def test_who_listens(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    tree = Tree()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    assert not driver_machine.is_listening(tree, str(path))
    listener.listen(1)
    assert driver_machine.is_listening(tree, str(path))
    listener.close()
    assert not driver_machine.is_listening(tree, str(path))


# --- buses ---------------------------------------------------------------------------------------


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def test_state_and_bit_rate_of_can() -> None:
    timing = attribute(1, struct.pack("=8I", 500_000, 0, 0, 0, 0, 0, 0, 0))
    state = attribute(4, struct.pack("=I", 3))
    info = attribute(1, b"can\0") + attribute(2 | 0x8000, timing + state)
    answer = bytes(32) + attribute(3, b"can0\0") + attribute(18, info)
    assert driver_buses.parse_link(answer) == ("bus-off", 500_000)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        bytes(32),
        bytes(32) + b"\x03\x00",
        bytes(32) + struct.pack("=HH", 2, 18),
        bytes(32) + attribute(18, attribute(2, attribute(4, b"\x63\0\0\0") + attribute(1, b"x"))),
    ],
)
def test_an_answer_without_can(answer: bytes) -> None:
    assert driver_buses.parse_link(answer) == ("", 0)


def test_can_interfaces(tree: Tree) -> None:
    put(tree, "sys/class/net/eth0/type", "1\n")
    put(tree, "sys/class/net/can0/type", "280\n")
    put(tree, "sys/class/net/can0/flags", "0x41\n")
    put(tree, "sys/class/net/can1/type", "280\n")
    put(tree, "sys/class/net/can1/flags", "0x40080\n")
    assert [(c.name, c.is_up) for c in driver_buses.can(tree)] == [("can0", True), ("can1", False)]


def test_loopback_is_no_can() -> None:
    assert driver_buses.can_details(socket.if_nametoindex("lo")) == ("", 0)


class FakeBus:
    """`SMBus`: who is there, and what the others answer with."""

    there = (0x48, 0x68)
    others: int = errno.EREMOTEIO

    def __init__(self, number: int) -> None:
        if number == 9:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.asked: list[int] = []

    def __enter__(self) -> FakeBus:
        return self

    def __exit__(self, *_: object) -> None:
        assert min(self.asked) >= 0x08
        assert max(self.asked) <= 0x77

    def read_byte(self, address: int) -> int:
        self.asked.append(address)
        if address == 0x50:
            raise OSError(errno.EBUSY, "busy")
        if address not in self.there:
            raise OSError(self.others, "nobody")
        return 0


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> type[FakeBus]:
    fake = type("Bus", (FakeBus,), {})
    monkeypatch.setattr(driver_buses, "SMBus", fake)
    return fake


def test_a_scan_of_the_headers_bus(tree: Tree, bus: type[FakeBus]) -> None:
    for number, name in ((1, "bcm2835 (i2c@7e804000)"), (20, "fef04500.i2c")):
        put(tree, f"dev/i2c-{number}", "")
        put(tree, f"sys/class/i2c-dev/i2c-{number}/name", name)
    node = tree.path("sys/class/i2c-dev/i2c-1/device/of_node/clock-frequency")
    node.parent.mkdir(parents=True)
    node.write_bytes((400_000).to_bytes(4, "big"))
    one, twenty = driver_buses.i2c(tree)
    assert (one.found, one.busy, one.reason, one.clock_hz) == ((0x48, 0x68), (0x50,), "", 400_000)
    assert (twenty.found, twenty.reason) == ((), "not the header's, not scanned")
    assert driver_buses.i2c(tree, scan_all=True)[1].found == (0x48, 0x68)
    assert bus.there


def test_a_bus_that_cannot_be_scanned(tree: Tree, bus: type[FakeBus]) -> None:
    put(tree, "dev/i2c-9", "")
    put(tree, "dev/i2c-1", "")
    bus.others = errno.ETIMEDOUT
    one, nine = driver_buses.i2c(tree, scan_all=True)
    assert one.reason == "not scanned: the bus hangs (SDA or SCL held low)"
    assert nine.reason == "not scanned: Permission denied"


def test_spi_nodes(tree: Tree) -> None:
    put(tree, "dev/spidev0.1", "")
    put(tree, "dev/spidev0.0", "")
    assert driver_buses.spi(tree) == ["/dev/spidev0.0", "/dev/spidev0.1"]


def test_a_file_is_no_gpio_chip(tree: Tree) -> None:
    put(tree, "dev/gpiochip0", "x")
    assert driver_buses.lines(tree, ("pinctrl-rp1",)) == []


# --- network -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["eth0", "plc0"], "", "plc0"),
        (["eth0"], "", "eth0"),
        (["eth0", "eth1"], "", ""),
        ([], "", ""),
        (["eth0", "eth1"], "eth1", "eth1"),
        (["eth0"], "nope", ""),
    ],
)
def test_which_interface(
    names: list[str], wanted: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(name: str) -> InterfaceFacts:
        if name not in names:
            raise PortError(f"{name}: no such")
        return InterfaceFacts(name, bytes(6), is_up=True, has_carrier=True)

    monkeypatch.setattr(driver_interface, "interfaces", lambda: names)
    monkeypatch.setattr(driver_interface, "read_facts", read)
    facts, others = driver_network.choose(wanted)
    assert (facts.name if facts else "") == expected
    assert others == names


def test_a_modem_on_an_interface_that_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver_interface, "is_up", lambda _: False)
    assert driver_network.ask_modem("plc0") == ([], "plc0 is down: nobody can be asked")


def test_a_modem_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise PortError("plc0: raw sockets need CAP_NET_RAW")

    monkeypatch.setattr(driver_interface, "is_up", lambda _: True)
    monkeypatch.setattr(driver_network, "AfPacketLink", refuse)
    assert driver_network.ask_modem("plc0") == ([], "plc0: raw sockets need CAP_NET_RAW")
