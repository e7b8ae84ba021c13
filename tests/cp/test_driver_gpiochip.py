"""Edges from the GPIO character device: measured, lost, refused, gone (the real one: vm-test)."""

from __future__ import annotations

import errno
import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from controller.cp.driver_gpiochip import (
    MARGIN_S,
    RETRY_S,
    GpiochipEdges,
    header_chip,
    load_gpiod,
)
from controller.cp.edges import Line, Timing
from controller.errors import PortError
from tests.cp.fake_gpiod import FakeGpiod

if TYPE_CHECKING:
    from pathlib import Path

PERIOD_S = 0.005


class Bench:
    def __init__(self, level: int = 0) -> None:
        self.gpiod = FakeGpiod()
        self.gpiod.wire.level = level
        self.edges = GpiochipEdges("/dev/gpiochip0", 17, gpiod=self.gpiod)
        self.now = 5000.0
        self.heard_at = 0.0

    def run(self, seconds: float, duty: float | None = None) -> Timing:
        """Read once a period; a pilot with this duty, or no edge."""
        timing = self.edges.read(self.now)[0]
        for _ in range(round(seconds / PERIOD_S)):
            if duty is not None:
                for n in range(5):
                    self.gpiod.wire.put(1, self.now + n * 0.001)
                    self.gpiod.wire.put(0, self.now + (n + duty) * 0.001)
            self.now += PERIOD_S
            timing, self.heard_at = self.edges.read(self.now)
        return timing


@pytest.mark.parametrize("duty", [0.03, 0.05, 0.5, 0.97])
def test_a_pilot(duty: float) -> None:
    bench = Bench()
    timing = bench.run(0.05, duty)
    assert timing.line is Line.OSCILLATING
    assert timing.duty == pytest.approx(duty, abs=1e-3)
    assert timing.frequency_hz == pytest.approx(1000.0, abs=0.5)
    assert bench.now - MARGIN_S - 0.001 <= bench.heard_at <= bench.now
    assert bench.edges.problem() == ""
    assert bench.edges.fileno() == 99


@pytest.mark.parametrize(("level", "line"), [(0, Line.LOW), (1, Line.HIGH)])
def test_steady(level: int, line: Line) -> None:
    bench = Bench(level)
    assert bench.run(0.02).line is line
    bench.gpiod.wire.put(1 - level, bench.now)
    assert bench.run(0.02).line is (Line.LOW if level else Line.HIGH)


def test_how_the_line_is_asked_for() -> None:
    gpiod = FakeGpiod()
    GpiochipEdges("/dev/gpiochip4", 17, inverted=True, gpiod=gpiod)
    assert gpiod.requested["path"] == "/dev/gpiochip4"
    assert gpiod.requested["event_buffer_size"] == 1024
    assert gpiod.requested["config"][17].active_low


def test_a_late_period_loses_nothing() -> None:
    bench = Bench()
    bench.run(0.05, 0.05)
    for n in range(400):
        bench.gpiod.wire.put(1, bench.now + n * 0.001)
        bench.gpiod.wire.put(0, bench.now + n * 0.001 + 0.00005)
    bench.now += 0.4
    timing, _ = bench.edges.read(bench.now)
    assert timing.line is Line.OSCILLATING
    assert timing.duty == pytest.approx(0.05, abs=1e-3)


def test_a_buffer_that_ran_over() -> None:
    """Kernels drop the oldest or the newest: either way the numbers have a gap."""
    bench = Bench()
    bench.run(0.05, 0.05)
    for n in range(2000):
        bench.gpiod.wire.put(1, bench.now + n * 0.001, told=n > 1900)
        bench.gpiod.wire.put(0, bench.now + n * 0.001 + 0.00005, told=n > 1900)
    bench.now += 2.0
    assert bench.edges.read(bench.now)[0].duty == pytest.approx(0.05, abs=1e-3)


def test_a_lost_last_edge_is_found_by_looking() -> None:
    bench = Bench()
    bench.run(0.02)
    bench.gpiod.wire.put(1, bench.now, told=False)
    assert bench.run(0.03).line is Line.HIGH


def test_an_edge_between_draining_and_looking_is_not_believed_twice() -> None:
    bench = Bench()
    bench.run(0.02)
    bench.gpiod.wire.level = 1  # the event is on its way
    bench.now += PERIOD_S
    assert bench.edges.read(bench.now)[0].line is Line.LOW
    bench.gpiod.wire.put(1, bench.now - 0.0001)
    assert bench.run(0.02).line is Line.HIGH


def test_the_device_fails_and_comes_back() -> None:
    bench = Bench()
    bench.run(0.05, 0.05)
    bench.gpiod.broken = errno.ENODEV
    bench.run(0.02)
    heard_at = bench.heard_at
    assert "No such device" in bench.edges.problem()
    assert bench.edges.fileno() == -1
    bench.gpiod.refuses = errno.ENODEV
    bench.run(0.5)
    assert bench.heard_at == heard_at  # it grows old, and with it every permit ends
    bench.gpiod.broken = bench.gpiod.refuses = 0
    bench.run(2 * RETRY_S)
    assert bench.edges.problem() == ""
    assert bench.run(0.05, 0.05).duty == pytest.approx(0.05, abs=1e-3)
    assert bench.heard_at == pytest.approx(bench.now, abs=0.001)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EBUSY, "another program has it"),
        (errno.EACCES, "add the user to the group gpio"),
        (errno.ENOENT, "No such file"),
    ],
)
def test_what_cannot_be_had_is_said_with_advice(code: int, advice: str) -> None:
    gpiod = FakeGpiod()
    gpiod.refuses = code
    with pytest.raises(PortError, match=rf"/dev/gpiochip0, GPIO 17: .*{advice}"):
        GpiochipEdges("/dev/gpiochip0", 17, gpiod=gpiod)


def test_closing_twice() -> None:
    bench = Bench()
    bench.edges.close()
    bench.edges.close()
    assert not bench.gpiod.wire.listening


# --- package and chip ----------------------------------------------------------------------------


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(PortError, match=r"gpiod is not installed: pip install 'gpiod>=2\.1'"):
        load_gpiod()


def test_an_old_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gpiod", "gpiod.line"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with pytest.raises(PortError, match="older than 2"):
        load_gpiod()


def chips(folder: Path, **labels: str) -> FakeGpiod:
    for name in labels:
        (folder / name).touch()
    return FakeGpiod({str(folder / name): label for name, label in labels.items()})


def test_the_headers_chip_is_found_by_its_label(tmp_path: Path) -> None:
    gpiod = chips(tmp_path, gpiochip0="gpio-brcmstb@107d508500", gpiochip4="pinctrl-rp1")
    assert header_chip(gpiod, tmp_path) == str(tmp_path / "gpiochip4")


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        ({}, "there is none at all"),
        ({"gpiochip0": "INT34C5:00"}, "gpiochip0 is INT34C5:00"),
    ],
)
def test_no_pi(labels: dict[str, str], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(PortError, match=f"no GPIO chip of a Raspberry Pi's header.*{complaint}"):
        header_chip(chips(tmp_path, **labels), tmp_path)


def test_no_permission(tmp_path: Path) -> None:
    gpiod = chips(tmp_path, gpiochip0="pinctrl-rp1")
    gpiod.denied = set(gpiod.labels)
    with pytest.raises(PortError, match=r"Permission denied .*group gpio"):
        header_chip(gpiod, tmp_path)
