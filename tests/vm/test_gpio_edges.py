"""Edges of the vehicle's pilot from a real GPIO character device (gpio-sim)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.cp.driver_gpiochip import GpiochipEdges, header_chip, load_gpiod
from controller.cp.edges import Line
from controller.errors import PortError
from controller.loop import MonotonicClock, pause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vm.parts import GpioSim

GPIO = 17
CLOCK = MonotonicClock()


@pytest.fixture
def edges(gpio: GpioSim) -> Iterator[GpiochipEdges]:
    gpio.drive(GPIO, False)
    source = GpiochipEdges(header_chip(load_gpiod()), GPIO)
    yield source
    source.close()


def settle(edges: GpiochipEdges) -> Line:
    """Read until the line has been steady for longer than a few periods."""
    for _ in range(10):
        pause(0.005)
        timing, heard_at = edges.read(CLOCK.now())
        assert abs(CLOCK.now() - heard_at) < 1.0  # the kernel stamps with our clock
    return timing.line


def test_steady_levels_and_the_edges_between(gpio: GpioSim, edges: GpiochipEdges) -> None:
    assert settle(edges) is Line.LOW
    gpio.drive(GPIO, True)
    assert settle(edges) is Line.HIGH
    gpio.drive(GPIO, False)
    assert settle(edges) is Line.LOW
    assert edges.problem() == ""


def test_no_edge_is_lost(gpio: GpioSim, edges: GpiochipEdges) -> None:
    settle(edges)
    for pulse in range(100):
        high = pulse % 2 == 0
        gpio.drive(GPIO, high)
        for _ in range(1000):  # gpio-sim makes one interrupt of two that come close
            edges.read(CLOCK.now())
            if edges.meter.level == high:
                break
    assert settle(edges) is Line.LOW
    assert edges.meter.missed == 0


def test_a_line_that_somebody_has(edges: GpiochipEdges) -> None:
    with pytest.raises(PortError, match=f"GPIO {GPIO}: another program has it"):
        GpiochipEdges(header_chip(load_gpiod()), GPIO)
