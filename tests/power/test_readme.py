"""The package's page shows the tables and figures of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.machine import TableMachine, mermaid
from controller.power import contactors, limits
from controller.power.contactors import Contactors
from controller.power.stage import PowerStage

README = (Path(__file__).parents[2] / "controller" / "power" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("machine", [PowerStage, Contactors])
def test_the_diagram_is_up_to_date(machine: type[TableMachine]) -> None:
    expected = f"<!-- diagram {machine.__name__} -->\n```mermaid\n{mermaid(machine)}```\n"
    assert expected in README, f"put this into controller/power/README.md:\n{expected}"


@pytest.mark.parametrize(
    "text",
    [
        f"< {limits.SAFE_VOLTAGE_V:g} V",
        f"{limits.CABLE_CHECK_CURRENT_A:g} A; more than {limits.CABLE_CHECK_TRIP_A:g} A",
        f"< {limits.ISOLATION_FAULT_OHM / 1000:g} kOhm, {limits.ISOLATION_SAMPLES} samples",
        f"| {limits.CABLE_CHECK_S:g} s; discharge {limits.CABLE_CHECK_DISCHARGE_S:g}",
        f"measure {limits.CABLE_CHECK_MEASURE_S:g} s",
        f"| {limits.PRE_CHARGE_CURRENT_A:g} A |",
        f"{limits.RAMP_UP_A_PER_S:g} / {limits.RAMP_DOWN_A_PER_S:g} A/s",
        f"< {limits.NO_CURRENT_A:g} A before off",
        f"| {limits.STOPPING_S:g} s, then off",
        f"max + {limits.OVER_VOLTAGE_MARGIN_V:g} V for {limits.OVER_VOLTAGE_S * 1000:g} ms",
        " / ".join(f"{trip:g}" for _, trip in limits.EMERGENCY_OVER_VOLTAGE_V),
        f"x {limits.OVER_CURRENT_RATIO:g} + {limits.OVER_CURRENT_MARGIN_A:g} A",
        f"{contactors.CLOSE_S * 1000:g} / {contactors.OPEN_S * 1000:g} ms",
        f"| {contactors.FEEDBACK_DEBOUNCE_S * 1000:g} ms |",
        f"| {contactors.RECLOSE_S:g} s (configurable)",
        f"<= {limits.BENCH_SETPOINT_V:g} V, trip {limits.BENCH_VOLTAGE_V:g} V",
    ],
)
def test_figures(text: str) -> None:
    assert text in README
