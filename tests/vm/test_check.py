"""What `ccs-pilot check` reads of buses and pins, on a real kernel's own interfaces."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from controller.check import buses, driver_buses
from controller.check.driver_machine import Tree
from controller.check.findings import Status
from controller.cp.driver_gpiochip import HEADER_LABELS, GpiochipEdges, header_chip, load_gpiod

if TYPE_CHECKING:
    from tests.vm.parts import GpioSim

GPIO = 17


def test_lines_and_who_has_them(gpio: GpioSim) -> None:
    assert gpio
    lines = driver_buses.lines(Tree(), HEADER_LABELS)
    assert len(lines) == 54
    assert lines[GPIO].consumer == ""
    edges = GpiochipEdges(header_chip(load_gpiod()), GPIO)
    lines = driver_buses.lines(Tree(), HEADER_LABELS)
    edges.close()
    assert [line.gpio for line in lines if line.consumer == "ccs-pilot"] == [GPIO]


def test_a_scan_of_a_real_bus(i2c_bus: int) -> None:
    found = next(bus for bus in driver_buses.i2c(Tree()) if bus.number == i2c_bus)
    assert found.reason == ""
    assert {0x48, 0x49} <= set(found.found)
    assert len(found.found) < 5


def test_a_can_interface(can_channel: str) -> None:
    found = next(can for can in driver_buses.can(Tree()) if can.name == can_channel)
    assert found.is_up
    assert buses.can([found], needed=True)[0].status is Status.OK


def test_the_command(gpio: GpioSim, i2c_bus: int) -> None:
    assert gpio
    done = subprocess.run(
        [sys.executable, "-m", "controller.main", "check"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    assert f"bus {i2c_bus} (" in done.stdout
    assert "0x48, 0x49" in done.stdout
    assert "OK    kernel" in done.stdout  # this kernel is PREEMPT_RT
