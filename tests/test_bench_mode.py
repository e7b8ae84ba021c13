"""Without a proved hardware interlock: 60 V at most, and nobody can miss it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from controller import scene
from controller.config import BatterySection, CarConfig, ChargerConfig, ChargerSection, SiteSection
from controller.interlock_test import BENCH_MODE, NOT_CONFIGURED, bench_text
from controller.power.limits import BENCH_VOLTAGE_V
from controller.realtime import EvseRealtime
from controller.report import Report
from controller.signals import InterlockTested
from controller.sim import SimWorld
from controller.view import CELLS, self_test_text
from tests.test_scene import summary

if TYPE_CHECKING:
    from pathlib import Path

ON_THE_BENCH = ChargerConfig(
    charger=ChargerSection(interlock="none"),
    site=SiteSection(isolation_test_s=0.1, module_ramp_v_per_s=2000.0),
)
SMALL_BATTERY = CarConfig(
    battery=BatterySection(
        capacity_wh=20.0,
        soc_percent=75.0,
        maximum_voltage_v=60.0,
        maximum_current_a=20.0,
        voltage_v=((0.0, 40.0), (100.0, 50.0)),
        current_a=((0.0, 20.0), (100.0, 10.0)),
    )
)
FAILED = InterlockTested("interlock", ok=False, detail=bench_text("the watchdog is deaf"))
PASSED = InterlockTested("interlock", ok=True, detail="proved in 105 ms")


def play(charger: ChargerConfig, car: CarConfig) -> tuple[SimWorld, float]:
    """Play a session; returns the highest voltage at the output, too."""
    world = SimWorld(charger, car)
    highest_v = 0.0

    def watch(now: float, node: str, direction: str, item: object) -> None:
        nonlocal highest_v
        highest_v = max(highest_v, world.world.circuit.voltage_v)

    world.observers.append(watch)
    world.run_session(limit_s=600.0)
    return world, highest_v


def test_a_small_battery_goes_through_every_phase_on_the_bench() -> None:
    world, highest_v = play(ON_THE_BENCH, SMALL_BATTERY)
    assert all(normal for _, normal in world.report.reasons.values()), world.report.reasons
    assert world.report.safe
    assert 40.0 < highest_v < BENCH_VOLTAGE_V
    assert world.report.bench_mode == bench_text(NOT_CONFIGURED)


def test_a_real_car_gets_no_voltage_on_the_bench() -> None:
    world, highest_v = play(ON_THE_BENCH, CarConfig())
    assert set(world.report.reasons) == {"evse", "pev"}
    assert highest_v < BENCH_VOLTAGE_V


@pytest.mark.parametrize("fault", ["cp_bridged", "chain_bridged"])
def test_a_configured_interlock_that_fails_its_test_is_the_same(fault: str) -> None:
    world = SimWorld(replace(ON_THE_BENCH, charger=ChargerSection()), SMALL_BATTERY)
    setattr(world.world.interlock, fault, True)
    world.run(1.0)
    assert BENCH_MODE in world.report.bench_mode
    assert "self-test failed" in world.report.bench_mode
    assert isinstance(world.evse, EvseRealtime)
    assert world.evse.stage.envelope.maximum_voltage_v < BENCH_VOLTAGE_V


# --- loud ----------------------------------------------------------------------------------------


def test_report_and_summary_say_so() -> None:
    report = Report()
    report.observe(0.0, "evse.realtime", "out", FAILED)
    assert report.summary()["bench_mode"] == FAILED.detail
    lines = scene.summary_lines(summary(bench_mode=FAILED.detail))
    assert lines[1].startswith("!!")
    assert BENCH_MODE in lines[1]
    report.observe(0.0, "evse.realtime", "out", PASSED)
    assert report.summary()["bench_mode"] == ""
    assert not any(BENCH_MODE in line for line in scene.summary_lines(summary(bench_mode="")))


def test_the_view_says_so() -> None:
    assert self_test_text(FAILED) == FAILED.detail
    assert self_test_text(PASSED) == "hardware interlock proved in 105 ms"
    assert self_test_text(InterlockTested("CP", ok=True, detail="x")) == "self-test ok: CP: x"
    assert self_test_text(InterlockTested("CP", ok=False, detail="x")) == "self-test FAILED: CP: x"
    cells = CELLS[InterlockTested]
    assert cells(FAILED) == {"hardware": BENCH_MODE}
    assert cells(PASSED) == {"hardware": "interlock proved"}
    assert cells(InterlockTested("CP loss", ok=True, detail="x")) == {}


def test_the_command_line_and_the_trace_say_so(tmp_path: Path) -> None:
    charger, folder = tmp_path / "charger.toml", tmp_path / "session"
    charger.write_text('[charger]\ninterlock = "none"\n')
    words = ["sim", "--plain", "--link", "loopback", "--speed", "500", "--out", str(folder)]
    command = [sys.executable, "-m", "controller.main", *words, "--charger", str(charger)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 1, done.stderr  # a 400 V battery is nothing for 60 V
    printed = done.stdout.splitlines()
    banner = f"!! {bench_text(NOT_CONFIGURED)}"
    assert banner in printed[:4]
    assert any(line.startswith("!!  ") and BENCH_MODE in line for line in printed[-25:])
    trace = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    tested = [record for record in trace if record.get("type") == "InterlockTested"]
    assert tested
    assert BENCH_MODE in tested[0]["detail"]
    assert BENCH_MODE in json.loads((folder / "summary.json").read_text())["bench_mode"]
