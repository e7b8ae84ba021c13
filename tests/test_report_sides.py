"""What a summary says where only one side is ours."""

from __future__ import annotations

import pytest

from controller.report import Report
from controller.scene import succeeded, summary_lines
from controller.signals import (
    ContactorReading,
    InletReport,
    InletSample,
    MessageReceived,
    MessageSent,
    PevInputs,
    SessionEnded,
)

NODE = "pev.communication"


def inputs(now: float, voltage_v: float, current_a: float, soc: float) -> PevInputs:
    vehicle = InletReport(
        voltage_v, current_a, 390.0, soc, 420.0, 200.0, 415.0, 100.0, False, True, now
    )
    return PevInputs(InletSample(9.0, 0.05, True, now), ContactorReading(False, now), vehicle)


def vehicle_session(*, last_v: float = 0.0) -> Report:
    report = Report(watched="pev")
    report.observe(0.0, "pev.realtime", "in", inputs(0.0, 0.0, 0.0, 79.0))
    for at, name in ((1.0, "CableCheck"), (2.0, "PreCharge"), (3.0, "CurrentDemand")):
        report.observe(at, NODE, "out", MessageSent(f"{name}Req", "din"))
        report.observe(at + 0.5, NODE, "out", MessageReceived(f"{name}Res", "din"))
    report.observe(4.0, "pev.realtime", "in", inputs(4.0, 400.0, 100.0, 79.5))
    report.observe(13.0, "pev.realtime", "in", inputs(13.0, 400.0, 100.0, 80.0))
    report.observe(14.0, NODE, "out", MessageSent("PowerDeliveryReq", "din"))
    report.observe(16.0, NODE, "out", MessageReceived("SessionStopRes", "din"))
    report.observe(16.0, NODE, "out", SessionEnded("target of 80 % reached", True))
    report.observe(17.0, "pev.realtime", "in", inputs(17.0, last_v, 0.0, 80.0))
    return report


def test_a_vehicle_alone_has_phases_and_power() -> None:
    summary = vehicle_session().summary(80.0)
    took = {p["name"]: p["duration_s"] for p in summary["phases"] if p["duration_s"] is not None}
    assert took["cable check"] == took["pre-charge"] == took["charge"] == 0.5
    assert took["shut-down"] == 2.0
    assert summary["peak_power_w"] == 40_000.0
    assert summary["messages"] == 8
    assert summary["reached_target"]
    assert summary["ended_safe"]


def test_a_vehicle_alone_is_not_safe_with_voltage_at_its_inlet() -> None:
    assert not vehicle_session(last_v=100.0).summary(80.0)["ended_safe"]


def test_a_charger_alone_ignores_the_vehicles_messages() -> None:
    report = Report()
    report.observe(1.0, NODE, "out", MessageSent("CableCheckReq", "din"))
    assert report.messages == 0


@pytest.mark.parametrize(
    ("target_matters", "changed", "good"),
    [
        (True, {}, True),
        (True, {"reached_target": False}, False),
        (True, {"normal": False}, False),
        (True, {"normal": False, "interrupted": True}, False),
        (False, {"reached_target": False}, True),
        (False, {"normal": False}, False),
        (False, {"normal": False, "interrupted": True}, True),
        (False, {"ended_safe": False, "interrupted": True}, False),
        (False, {"given_up": "a process died", "interrupted": True}, False),
    ],
)
def test_exit_code(target_matters: bool, changed: dict[str, object], good: bool) -> None:
    summary: dict[str, object] = {
        "given_up": "",
        "ended_safe": True,
        "normal": True,
        "reached_target": True,
        "interrupted": False,
    }
    assert succeeded(summary | changed, target_matters=target_matters) is good


def test_a_charger_alone_says_nothing_of_a_target() -> None:
    more = {"given_up": "", "folder": "x"}
    assert "target" not in "\n".join(summary_lines(Report().summary(80.0) | more))
    text = "\n".join(summary_lines(vehicle_session().summary(80.0) | more))
    assert "SoC 79.0 -> 80.0 %, target reached" in text
    assert "slowest answer" not in text
