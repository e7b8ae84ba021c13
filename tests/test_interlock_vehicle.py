"""The vehicle's interlock: each row alone, its limits, and latches."""

from __future__ import annotations

from dataclasses import replace
from math import nan

import pytest

from controller import interlock_vehicle
from controller.interlock_rules import Severity
from controller.interlock_vehicle import VEHICLE_RULES, VehicleInterlock, VehicleSnapshot
from controller.signals import Permits, Phase, ResetRequest

NOW = 1000.0
PERIOD_S = 0.005

CHARGING = VehicleSnapshot(
    now=NOW,
    plugged=True,
    digital=True,
    inlet_age_s=0.0,
    heartbeat_age_s=0.0,
    believed_phase=Phase.CHARGE,
    close_requested=True,
    inlet_voltage_v=391.0,
    inlet_current_a=100.0,
    battery_voltage_v=390.0,
    battery_maximum_v=420.0,
    battery_ready=True,
    battery_age_s=0.1,
    contactors_commanded=True,
    contactors_closed=True,
    contactors_valid=True,
    contactors_age_s=0.0,
    emergency_stop=False,
    interlock_tested=True,
    hardware_interlock=True,
)
BEFORE = replace(
    CHARGING,
    believed_phase=Phase.PRE_CHARGE,
    contactors_commanded=False,
    contactors_closed=False,
    inlet_current_a=0.0,
)
UNPLUGGED = replace(CHARGING, plugged=False, digital=False)


class Run:
    def __init__(self, start: VehicleSnapshot = CHARGING) -> None:
        self.interlock = VehicleInterlock()
        self.now = NOW
        self.permits = self.see(start)

    def see(self, snapshot: VehicleSnapshot, seconds: float = 0.0) -> Permits:
        for _ in range(1 + round(seconds / PERIOD_S)):
            self.permits = self.interlock.evaluate(replace(snapshot, now=self.now))
            self.now += PERIOD_S
        return self.permits


ROWS: list[tuple[str, VehicleSnapshot, dict[str, object], bool]] = [
    ("emergency stop", CHARGING, {"emergency_stop": True}, False),
    ("contactor fault", CHARGING, {"contactor_fault": "welded"}, False),
    ("contactor feedback", CHARGING, {"contactors_closed": False}, False),
    ("", CHARGING, {"inlet_voltage_v": 422.0, "battery_voltage_v": 410.0}, True),
    ("over-voltage", CHARGING, {"inlet_voltage_v": 422.1, "battery_voltage_v": 410.0}, False),
    ("", CHARGING, {"inlet_voltage_v": 409.9}, True),
    ("deviation", CHARGING, {"inlet_voltage_v": 410.0}, False),
    ("deviation", CHARGING, {"inlet_voltage_v": 370.0}, False),
    ("", CHARGING, {"inlet_current_a": -5.0}, True),
    ("reverse current", CHARGING, {"inlet_current_a": -5.1}, False),
    ("plausible", CHARGING, {"inlet_current_a": nan}, False),
    ("plausible", CHARGING, {"inlet_voltage_v": nan}, False),
    ("plausible", CHARGING, {"battery_voltage_v": nan}, False),
    ("plausible", CHARGING, {"battery_maximum_v": nan}, False),
    ("plausible", CHARGING, {"battery_maximum_v": 0.0}, False),
    ("", CHARGING, {"battery_maximum_v": 1500.0}, True),
    ("plausible", CHARGING, {"battery_maximum_v": 1500.1}, False),
    ("", CHARGING, {"inlet_current_a": 1500.0}, True),
    ("plausible", CHARGING, {"inlet_current_a": 1500.1}, False),
    ("unplugged", CHARGING, {"plugged": False}, False),
    ("pilot", CHARGING, {"digital": False}, False),
    ("AC", CHARGING, {"offered_a": 6.0}, False),
    ("AC", BEFORE, {"offered_a": 80.0, "digital": False}, False),
    ("inlet fault", CHARGING, {"inlet_fault": True}, False),
    ("", CHARGING, {"button": True}, True),
    ("button", BEFORE, {"button": True}, False),
    ("hardware", CHARGING, {"hardware_tripped": True}, False),
    ("self-test", CHARGING, {"interlock_tested": False}, False),
    ("not proved", CHARGING, {"hardware_interlock": False}, False),
    ("inlet stale", CHARGING, {"inlet_age_s": 0.051}, False),
    ("", CHARGING, {"inlet_age_s": 0.05}, True),
    ("heartbeat", CHARGING, {"heartbeat_age_s": 0.101}, False),
    ("", CHARGING, {"heartbeat_age_s": 0.1}, True),
    ("phase", CHARGING, {"believed_phase": Phase.CABLE_CHECK}, False),
    ("phase", CHARGING, {"believed_phase": Phase.CONNECTED}, False),
    ("", CHARGING, {"believed_phase": Phase.STOPPING}, True),
    ("request", CHARGING, {"close_requested": False}, False),
    ("battery", CHARGING, {"battery_ready": False}, False),
    ("battery", CHARGING, {"battery_age_s": 1.1}, False),
    ("feedback stale", CHARGING, {"contactors_valid": False}, False),
    ("feedback stale", CHARGING, {"contactors_age_s": 0.2}, False),
    ("not pre-charged", BEFORE, {"inlet_voltage_v": 410.0}, False),
    ("not pre-charged", BEFORE, {"inlet_voltage_v": 370.0}, False),
    ("contactors open", BEFORE, {"inlet_voltage_v": 370.1}, True),
    ("contactors open", BEFORE, {"inlet_voltage_v": 409.9}, True),
]


@pytest.mark.parametrize(("name", "base", "changes", "closes"), ROWS)
def test_each_row(
    name: str, base: VehicleSnapshot, changes: dict[str, object], closes: bool
) -> None:
    seen = replace(base, **changes)  # type: ignore[arg-type]
    run = Run()
    assert run.see(seen, 3.0).close_contactors is closes
    if not name:
        assert run.permits.reasons == ()
        return
    rule = next(r for r in VEHICLE_RULES if r.name == name)
    told = rule.reason.format(s=seen)
    assert told in run.permits.reasons
    assert run.interlock.report.latched == (told if rule.latches else "")
    assert run.interlock.report.emergency is (rule.severity is Severity.EMERGENCY)


def test_each_row_of_the_table_is_tested() -> None:
    assert {name for name, *_ in ROWS} - {""} == {rule.name for rule in VEHICLE_RULES}


def test_nothing_known_grants_nothing() -> None:
    permits = VehicleInterlock().evaluate(VehicleSnapshot(now=NOW))
    assert (permits.close_contactors, permits.energise) == (False, False)


@pytest.mark.parametrize("lost", [{"plugged": False}, {"digital": False}])
def test_a_lost_pilot_leaves_the_charger_time_to_stop(lost: dict[str, object]) -> None:
    seen = replace(CHARGING, **lost)  # type: ignore[arg-type]
    run = Run()
    start = run.now
    while run.see(seen).close_contactors:
        assert run.now - start < 0.2
    assert run.now - start >= interlock_vehicle.PILOT_LOST_GRACE_S
    assert not Run(start=seen).permits.close_contactors


def test_closing_contactors_do_not_carry_energy_yet() -> None:
    run = Run(BEFORE)
    permits = run.see(replace(BEFORE, contactors_commanded=True))
    assert (permits.close_contactors, permits.energise) == (True, False)


def test_a_latch_ends_with_unplugging() -> None:
    run = Run()
    run.see(replace(CHARGING, inlet_current_a=-50.0), 0.6)
    assert not run.see(CHARGING).close_contactors
    run.see(UNPLUGGED)
    assert run.see(CHARGING).close_contactors


def test_contactor_faults_need_a_reset() -> None:
    run = Run()
    run.see(replace(CHARGING, contactor_fault="welded"))
    run.see(UNPLUGGED)
    assert not run.see(CHARGING).close_contactors
    run.see(UNPLUGGED)
    run.interlock.receive_signal(ResetRequest())
    run.see(UNPLUGGED)
    assert run.see(CHARGING).close_contactors
