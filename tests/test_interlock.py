"""The charger's interlock: each row alone, dense values round each limit, latches, both permits."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest

from controller import interlock, interlock_chain, interlock_heat
from controller.errors import ConfigError
from controller.interlock import RULES, Interlock, Snapshot
from controller.interlock_rules import HOLDING_FAULTS, InterlockConfig, Severity
from controller.power import limits
from controller.signals import (
    CableCheckState,
    ControlPilotState,
    IsolationStatus,
    Permits,
    Phase,
    PilotFault,
    ResetRequest,
)

P = ControlPilotState
NOW = 1000.0
PERIOD_S = 0.005

CHARGING = Snapshot(
    now=NOW,
    pilot=P.C2,
    pilot_age_s=0.0,
    pilot_power_s=1.0,
    diode_ok=True,
    heartbeat_age_s=0.02,
    believed_phase=Phase.CHARGE,
    requested_phase=Phase.CHARGE,
    voltage_v=390.0,
    current_a=100.0,
    reading_age_s=0.1,
    reading_valid=True,
    contactors_commanded=True,
    contactors_closed=True,
    contactors_valid=True,
    contactors_age_s=0.0,
    isolation=IsolationStatus.VALID,
    cable_check=CableCheckState.PASSED,
    emergency_stop=False,
    vehicle_maximum_v=420.0,
    charger_maximum_v=500.0,
    charger_maximum_a=125.0,
    hardware_interlock=True,
    interlock_tested=True,
    coils_live=True,
    connector_unknown=False,
)
UNPLUGGED = replace(CHARGING, pilot=P.A1, voltage_v=0.0, current_a=0.0)


class Run:
    """An interlock that has been granting; `see` shows it something for a while."""

    def __init__(self, config: InterlockConfig | None = None, start: Snapshot = CHARGING) -> None:
        self.interlock = Interlock(config)
        self.now = NOW
        self.permits = self.see(start)

    def see(self, snapshot: Snapshot, seconds: float = 0.0) -> Permits:
        for _ in range(1 + round(seconds / PERIOD_S)):
            self.permits = self.interlock.evaluate(replace(snapshot, now=self.now))
            self.now += PERIOD_S
        return self.permits


def both(permits: Permits) -> tuple[bool, bool]:
    return permits.close_contactors, permits.energise


def test_all_well_grants_both_for_a_tenth_of_a_second() -> None:
    permits = Interlock().evaluate(CHARGING)
    assert permits == Permits(True, True, NOW + 0.1)


def test_nothing_known_grants_nothing() -> None:
    permits = Interlock().evaluate(Snapshot(now=NOW))
    assert both(permits) == (False, False)
    assert permits.reasons[0].startswith("emergency stop")
    assert "pilot state is not known" in permits.reasons


def test_before_the_first_evaluation_the_report_grants_nothing() -> None:
    report = Interlock().report
    assert (report.close_contactors, report.energise) == (False, False)


COMES_AFTER = {"stop without effect": "emergency stop"}
"""Rows that can only latch behind another one."""
NEITHER, CLOSE_ONLY, GRANTED = (False, False), (True, False), (True, True)

# name of the row (or "" for none), what is different, permits after a long time of it
ROWS: list[tuple[str, dict[str, object], tuple[bool, bool]]] = [
    ("emergency stop", {"emergency_stop": True}, NEITHER),
    # IEC 61851-23 table 103 (software sees it late; hardware must act)
    ("", {"voltage_v": 549.0, "vehicle_maximum_v": 549.0, "charger_maximum_v": 1000.0}, GRANTED),
    ("emergency over-voltage", {"voltage_v": 550.1, "vehicle_maximum_v": 500.0}, NEITHER),
    ("emergency over-voltage", {"voltage_v": 825.1, "vehicle_maximum_v": 750.0}, NEITHER),
    # over-current: nameplate 125 A x 1.1 + 5 A
    ("", {"current_a": 142.5}, GRANTED),
    ("over-current", {"current_a": 142.6}, NEITHER),
    # over-voltage: vehicle's maximum 420 V + 2 V
    ("", {"voltage_v": 422.0}, GRANTED),
    ("over-voltage", {"voltage_v": 422.1}, NEITHER),
    ("over-voltage", {"voltage_v": 390.0, "vehicle_maximum_v": 380.0}, NEITHER),
    # isolation
    ("isolation", {"isolation": IsolationStatus.FAULT}, NEITHER),
    ("", {"isolation": IsolationStatus.WARNING}, GRANTED),
    ("", {"isolation": IsolationStatus.INVALID}, GRANTED),
    # contactors
    ("contactor fault", {"contactor_fault": "welded"}, NEITHER),
    ("contactor feedback", {"contactors_closed": False}, NEITHER),
    ("feedback stale", {"contactors_valid": False}, NEITHER),
    ("feedback stale", {"contactors_age_s": 0.101}, NEITHER),
    ("", {"contactors_age_s": 0.1}, GRANTED),
    ("feedback stale", {"contactors_age_s": nan}, NEITHER),
    # hardware
    ("hardware", {"hardware_tripped": True}, NEITHER),
    ("self-test", {"interlock_tested": False}, NEITHER),
    ("coil supply", {"coils_live": False}, NEITHER),
    ("", {"coils_live": False, "hardware_interlock": False, "voltage_v": 60.0}, GRANTED),
    ("CP loss", {"coils_must_be_dead": True}, NEITHER),
    ("", {"coils_must_be_dead": True, "hardware_interlock": False, "voltage_v": 60.0}, GRANTED),
    ("coil supply", {"coils_must_be_dead": True, "coils_live": False}, NEITHER),
    ("stop channels", {"stops_disagree": True}, NEITHER),
    ("stop without effect", {"emergency_stop": True}, NEITHER),
    ("emergency stop", {"emergency_stop": True, "hardware_tripped": True}, NEITHER),
    ("bench mode", {"hardware_interlock": False}, NEITHER),
    ("", {"hardware_interlock": False, "voltage_v": 60.0}, GRANTED),
    ("bench mode", {"hardware_interlock": False, "voltage_v": 60.1}, NEITHER),
    # plausibility
    ("plausible", {"voltage_v": nan}, NEITHER),
    ("plausible", {"voltage_v": -20.1}, NEITHER),
    ("", {"voltage_v": -20.0}, GRANTED),
    ("plausible", {"current_a": nan}, NEITHER),
    ("plausible", {"current_a": -20.1}, NEITHER),
    ("", {"current_a": -20.0}, GRANTED),
    ("plausible", {"voltage_v": -inf}, NEITHER),
    ("plausible", {"vehicle_maximum_v": nan}, NEITHER),
    ("plausible", {"vehicle_maximum_v": -1.0}, NEITHER),
    ("plausible", {"vehicle_maximum_v": 1500.1}, NEITHER),
    ("", {"vehicle_maximum_v": 1500.0}, GRANTED),
    ("", {"voltage_v": 1375.0, "vehicle_maximum_v": 1500.0, "charger_maximum_v": 1500.0}, GRANTED),
    ("", {"charger_maximum_v": 1500.0}, GRANTED),
    ("plausible", {"charger_maximum_v": 1500.1}, NEITHER),
    ("", {"charger_maximum_v": 0.0}, GRANTED),
    ("plausible", {"charger_maximum_v": -0.1}, NEITHER),
    ("", {"charger_maximum_a": 1500.0}, GRANTED),
    ("plausible", {"charger_maximum_a": 1500.1}, NEITHER),
    ("", {"charger_maximum_a": 0.0, "current_a": 5.0}, GRANTED),
    ("plausible", {"charger_maximum_a": -0.1, "current_a": 0.0}, NEITHER),
    ("plausible", {"charger_maximum_v": nan}, NEITHER),
    ("plausible", {"charger_maximum_a": nan}, NEITHER),
    ("plausible", {"charger_maximum_a": inf}, NEITHER),
    # pilot
    ("pilot unknown", {"pilot": None}, NEITHER),
    ("pilot A", {"pilot": P.A1}, NEITHER),
    ("pilot A", {"pilot": P.A2}, NEITHER),
    ("pilot B", {"pilot": P.B1}, NEITHER),
    ("pilot B", {"pilot": P.B2}, NEITHER),
    ("pilot C1", {"pilot": P.C1}, NEITHER),
    ("pilot C1", {"pilot": P.D1}, NEITHER),
    ("ventilation", {"pilot": P.D2}, NEITHER),
    ("pilot E", {"pilot": P.E}, NEITHER),
    ("pilot F", {"pilot": P.F}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.SHORT}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.RANGE}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.SUPPLY}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.DIODE}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.NEGATIVE_SUPPLY}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.SHORT, "pilot": P.E}, NEITHER),
    ("pilot fault", {"pilot_fault": PilotFault.SUPPLY, "pilot": P.F}, NEITHER),
    ("", {"pilot_fault": PilotFault.VENTILATION}, GRANTED),  # a matter of state D alone
    ("pilot open", {"pilot_fault": PilotFault.OPEN, "pilot": P.A2}, NEITHER),
    ("toggle", {"pilot_power_s": 0.449}, NEITHER),
    ("", {"pilot_power_s": 0.45}, GRANTED),
    ("toggle", {"pilot_power_s": nan}, NEITHER),
    ("toggle", {"pilot_power_s": -1.0}, NEITHER),
    ("", {"pilot_age_s": 0.05}, GRANTED),
    ("pilot stale", {"pilot_age_s": 0.051}, NEITHER),
    ("", {"pilot_age_s": -0.005}, GRANTED),
    ("pilot stale", {"pilot_age_s": -0.006}, NEITHER),
    ("pilot stale", {"pilot_age_s": nan}, NEITHER),
    ("diode", {"diode_ok": False}, NEITHER),
    # communication
    ("", {"heartbeat_age_s": 0.1}, GRANTED),
    ("heartbeat", {"heartbeat_age_s": 0.101}, NEITHER),
    ("heartbeat", {"heartbeat_age_s": -0.1}, NEITHER),
    ("heartbeat", {"heartbeat_age_s": nan}, NEITHER),
    ("heartbeat", {"heartbeat_age_s": inf}, NEITHER),
    ("phase", {"believed_phase": Phase.IDLE}, NEITHER),
    ("phase", {"believed_phase": Phase.CONNECTED}, NEITHER),
    ("phase", {"believed_phase": Phase.FAULT}, NEITHER),
    ("phase", {"requested_phase": Phase.CONNECTED}, NEITHER),
    ("phase mismatch", {"believed_phase": Phase.STOPPING}, NEITHER),
    # readings
    ("reading stale", {"reading_valid": False}, NEITHER),
    ("", {"reading_age_s": 1.0}, GRANTED),
    ("reading stale", {"reading_age_s": 1.001}, NEITHER),
    ("reading stale", {"reading_age_s": nan}, NEITHER),
    # cable check
    ("cable check failed", {"cable_check": CableCheckState.FAILED}, NEITHER),
    ("not checked", {"cable_check": CableCheckState.RUNNING}, NEITHER),
    ("not checked", {"cable_check": CableCheckState.IDLE}, NEITHER),
    # only energy
    ("vehicle maximum", {"vehicle_maximum_v": 0.0}, CLOSE_ONLY),
    (
        "contactors open",
        {"contactors_commanded": False, "contactors_closed": False, "voltage_v": 59.9},
        CLOSE_ONLY,
    ),
    (
        "live output",
        {"contactors_commanded": False, "contactors_closed": False, "voltage_v": 60.0},
        NEITHER,
    ),
]


@pytest.mark.parametrize(("name", "changes", "expected"), ROWS)
def test_each_row(name: str, changes: dict[str, object], expected: tuple[bool, bool]) -> None:
    seen = replace(CHARGING, **changes)  # type: ignore[arg-type]
    run = Run()
    assert both(run.see(seen, 1.0)) == expected
    if not name:
        assert run.permits.reasons == ()
        return
    rule = next(r for r in RULES if r.name == name)
    told = rule.reason.format(s=seen)
    assert told in run.permits.reasons
    first = next(r for r in RULES if r.name == COMES_AFTER.get(name, name))
    assert run.interlock.report.latched == (first.reason.format(s=seen) if rule.latches else "")
    assert run.interlock.report.emergency is (first.severity is Severity.EMERGENCY)


def test_each_row_of_the_table_is_tested() -> None:
    apart = {"over-voltage lasts", "hot", "no temperature"}
    assert {name for name, _, _ in ROWS} - {""} | apart == {rule.name for rule in RULES}


HEAT = [("connector_hot", interlock_heat.HOT), ("connector_unknown", interlock_heat.UNKNOWN)]


@pytest.mark.parametrize(("field", "why"), HEAT)
def test_heat_leaves_a_session_time_to_end(field: str, why: str) -> None:
    run = Run()
    seen = replace(CHARGING, **{field: True})  # type: ignore[arg-type]
    assert both(run.see(seen, interlock_heat.SESSION_S - 2 * PERIOD_S)) == GRANTED
    permits = run.see(seen, 4 * PERIOD_S)
    assert both(permits) == NEITHER
    assert permits.reasons == (why,)


@pytest.mark.parametrize(("field", "why"), HEAT)
def test_what_is_too_hot_is_not_closed(field: str, why: str) -> None:
    hot = {field: True}
    run = Run(start=UNPLUGGED)
    permits = run.see(replace(CHARGING, **hot))  # type: ignore[arg-type]
    assert both(permits) == NEITHER
    assert why in permits.reasons


@pytest.mark.parametrize(("field", "_"), HEAT)
def test_what_was_hot_serves_the_next_vehicle_without_a_reset(field: str, _: str) -> None:
    """A latched fault would be state F, in which nobody sees that nothing is plugged in."""
    hot = {field: True}
    run = Run(start=UNPLUGGED)
    run.see(replace(UNPLUGGED, **hot), 60.0)  # type: ignore[arg-type]
    assert run.interlock.report.latched == ""
    assert both(run.see(CHARGING)) == GRANTED


def test_an_over_voltage_that_lasts_is_an_emergency() -> None:
    run = Run()
    high = replace(CHARGING, voltage_v=430.0)
    run.see(high, 2.4)
    report = run.interlock.report
    assert (report.latched, report.emergency) == (
        "output voltage 430 V is above the vehicle's maximum",
        False,
    )
    run.see(high, 0.2)
    report = run.interlock.report
    assert report.emergency
    assert "is above" in report.latched  # the first reason stays
    assert both(run.permits) == NEITHER


def test_an_over_voltage_that_went_in_time_is_an_error_only() -> None:
    run = Run()
    run.see(replace(CHARGING, voltage_v=430.0), 2.0)
    run.see(CHARGING, 10.0)
    assert run.interlock.report.latched
    assert not run.interlock.report.emergency


@pytest.mark.parametrize("fault", HOLDING_FAULTS)
def test_a_pilot_fault_holds_until_unplugged(fault: PilotFault) -> None:
    run = Run()
    run.see(replace(CHARGING, pilot_fault=fault), 0.01)
    assert both(run.see(CHARGING, 5.0)) == NEITHER
    assert run.interlock.report.latched == fault.value
    assert not run.interlock.report.emergency
    run.see(replace(UNPLUGGED, pilot_fault=fault))
    assert run.interlock.report.latched == ""
    assert both(run.see(CHARGING)) == GRANTED


@pytest.mark.parametrize(
    ("changes", "tolerated_s"),
    [
        ({"voltage_v": 430.0}, limits.OVER_VOLTAGE_S),
        ({"voltage_v": 560.0}, limits.EMERGENCY_OVER_VOLTAGE_S),
        ({"current_a": 200.0}, limits.OVER_CURRENT_S),
        ({"believed_phase": Phase.STOPPING}, interlock.PHASE_MISMATCH_S),
        ({"pilot": P.B2}, 0.0),
        ({"heartbeat_age_s": 0.2}, 0.0),
        ({"emergency_stop": True}, 0.0),
        ({"stops_disagree": True}, interlock_chain.STOP_CHANNELS_S),
        ({"coils_must_be_dead": True}, interlock_chain.CP_LOSS_S),
    ],
)
def test_how_long_it_is_tolerated(changes: dict[str, object], tolerated_s: float) -> None:
    seen = replace(CHARGING, **changes)  # type: ignore[arg-type]
    run = Run()
    start = run.now
    while both(run.see(seen)) == GRANTED:
        assert run.now - start < tolerated_s + 2 * PERIOD_S
    last = run.now - PERIOD_S - start
    assert tolerated_s <= last + 1e-9
    assert last <= tolerated_s + 2 * PERIOD_S


STOOD_STILL = [
    {"voltage_v": 430.0},
    {"current_a": 200.0},
    {"contactors_closed": False},
    {"stops_disagree": True},
    {"coils_must_be_dead": True},
]


@pytest.mark.parametrize("changes", STOOD_STILL)
@pytest.mark.parametrize("away_s", [0.031, 0.06, 0.4, 0.6, 5.0])
def test_a_process_that_stood_still_latches_nothing_over_what_it_saw_before(
    changes: dict[str, object], away_s: float
) -> None:
    """It may be asked half way, before it has read the hardware again."""
    seen = replace(CHARGING, **changes)  # type: ignore[arg-type]
    run = Run()
    run.see(CHARGING, 0.1)
    run.see(seen)
    run.now += away_s
    run.see(seen)  # still the reading from before
    assert both(run.see(CHARGING, 0.1)) == GRANTED
    assert run.interlock.report.latched == ""
    run.see(seen, 1.0)
    assert run.interlock.report.latched


@pytest.mark.parametrize("changes", STOOD_STILL)
def test_what_lasts_latches_in_a_loop_that_is_always_late(changes: dict[str, object]) -> None:
    seen = replace(CHARGING, **changes)  # type: ignore[arg-type]
    run = Run()
    for _ in range(20):
        run.see(seen)
        run.now += 0.04
    assert run.interlock.report.latched


def test_a_gap_tolerates_no_other_phase_for_longer() -> None:
    run = Run()
    mismatch = replace(CHARGING, believed_phase=Phase.STOPPING)
    run.see(mismatch)
    run.now += interlock.PHASE_MISMATCH_S
    assert both(run.see(mismatch)) == NEITHER


def test_contactors_whose_feedback_is_old_are_not_called_wrong() -> None:
    """A daemon that is gone: no permit, and nothing that needs a reset when it is back."""
    run = Run()
    old = replace(
        CHARGING, contactors_commanded=False, contactors_age_s=0.2, voltage_v=0.0, current_a=0.0
    )
    assert both(run.see(old, 5.0)) == NEITHER
    assert run.interlock.report.latched == ""
    assert "contactor feedback is missing" in run.permits.reasons


def test_a_short_over_voltage_is_tolerated_again_and_again() -> None:
    run = Run()
    for _ in range(10):
        assert both(run.see(replace(CHARGING, voltage_v=430.0), 0.39)) == GRANTED
        assert both(run.see(CHARGING)) == GRANTED


def test_tolerance_does_not_help_to_get_a_permit() -> None:
    run = Run(start=replace(CHARGING, heartbeat_age_s=9.0))
    mismatch = replace(CHARGING, believed_phase=Phase.STOPPING)
    assert both(run.see(mismatch)) == NEITHER
    assert both(Run(start=mismatch).permits) == NEITHER


def test_state_d_with_ventilation() -> None:
    run = Run(InterlockConfig(ventilation=True), replace(CHARGING, pilot=P.D2))
    assert both(run.permits) == GRANTED


@pytest.mark.parametrize(
    ("voltage_v", "vehicle_v", "charger_v", "expected"),
    [
        (470.0, 420.0, 500.0, GRANTED),  # test voltage 470 V
        (480.0, 420.0, 500.0, GRANTED),
        (480.1, 420.0, 500.0, NEITHER),
        (835.0, 750.0, 1000.0, GRANTED),  # test voltage 825 V = limit of table 103
        (835.1, 750.0, 1000.0, NEITHER),
        (845.1, 750.0, 1000.0, NEITHER),
    ],
)
def test_the_cable_check_may_exceed_the_vehicle_maximum(
    voltage_v: float, vehicle_v: float, charger_v: float, expected: tuple[bool, bool]
) -> None:
    testing = replace(
        CHARGING,
        believed_phase=Phase.CABLE_CHECK,
        requested_phase=Phase.CABLE_CHECK,
        cable_check=CableCheckState.RUNNING,
        voltage_v=voltage_v,
        vehicle_maximum_v=vehicle_v,
        charger_maximum_v=charger_v,
    )
    assert both(Run(start=replace(testing, voltage_v=100.0)).see(testing, 1.0)) == expected


def test_over_voltage_counts_only_in_power_phases() -> None:
    idle = replace(
        CHARGING,
        believed_phase=Phase.CONNECTED,
        requested_phase=Phase.CONNECTED,
        voltage_v=430.0,
    )
    run = Run(start=idle)
    run.see(idle, 1.0)
    assert run.interlock.report.latched == ""


def test_stopping_keeps_both_permits_for_the_ramp() -> None:
    stopping = replace(CHARGING, believed_phase=Phase.STOPPING, requested_phase=Phase.STOPPING)
    assert both(Run().see(stopping, 5.0)) == GRANTED


@pytest.mark.parametrize(
    ("vehicle_v", "charger_v", "limit_v"),
    [(420.0, 1000.0, 550.0), (800.0, 1000.0, 935.0), (0.0, 1000.0, 1100.0), (0.0, 0.0, 550.0)],
)
def test_table_103_goes_by_the_vehicle_and_else_by_the_charger(
    vehicle_v: float, charger_v: float, limit_v: float
) -> None:
    seen = replace(CHARGING, vehicle_maximum_v=vehicle_v, charger_maximum_v=charger_v)
    assert interlock.emergency_limit_v(seen) == limit_v


def test_closing_contactors_do_not_carry_energy_yet() -> None:
    """Commanded but not confirmed: the row alone, before the disagreement latches."""
    before = replace(CHARGING, contactors_commanded=False, contactors_closed=False, voltage_v=10.0)
    run = Run(start=before)
    assert both(run.see(replace(before, contactors_commanded=True))) == CLOSE_ONLY
    assert both(run.see(replace(before, contactors_closed=True))) == CLOSE_ONLY


@pytest.mark.parametrize("phase", [Phase.CABLE_CHECK, Phase.STOPPING])
def test_isolation_status_in_each_phase(phase: Phase) -> None:
    seen = replace(
        CHARGING,
        believed_phase=phase,
        requested_phase=phase,
        isolation=IsolationStatus.FAULT,
    )
    expected = GRANTED if phase is Phase.CABLE_CHECK else NEITHER
    assert both(Run().see(seen)) == expected


# --- latches -------------------------------------------------------------------------------------


def test_each_fault_is_told_the_first_one_first_and_the_strictest_reset_counts() -> None:
    run = Run()
    run.see(replace(CHARGING, isolation=IsolationStatus.FAULT), 0.1)
    run.see(replace(CHARGING, emergency_stop=True), 0.05)
    run.see(replace(CHARGING, emergency_stop=True), 0.2)
    assert [reason.split()[0] for reason in run.permits.reasons] == [
        "insulation",
        "emergency",
        "the",
    ]
    run.see(UNPLUGGED, 0.1)
    assert run.interlock.report.latched.startswith("insulation")
    run.interlock.receive_signal(ResetRequest())
    run.see(UNPLUGGED)
    assert run.interlock.report.latched == ""


def test_a_latched_fault_holds_until_unplugged() -> None:
    run = Run()
    run.see(replace(CHARGING, isolation=IsolationStatus.FAULT))
    assert both(run.see(CHARGING, 10.0)) == NEITHER
    assert run.permits.reasons == (run.interlock.report.latched,)
    run.see(UNPLUGGED)
    assert run.interlock.report.latched == ""
    assert both(run.see(CHARGING)) == GRANTED


def test_a_stale_state_a_does_not_unlatch() -> None:
    run = Run()
    run.see(replace(CHARGING, isolation=IsolationStatus.FAULT))
    run.see(replace(UNPLUGGED, pilot_age_s=0.2), 1.0)
    assert run.interlock.report.latched != ""


def test_the_first_fault_is_told_and_the_worst_counts() -> None:
    run = Run()
    run.see(replace(CHARGING, isolation=IsolationStatus.FAULT))
    run.see(replace(CHARGING, emergency_stop=True))
    report = run.interlock.report
    assert report.latched.startswith("insulation fault")
    assert report.reasons[0] == report.latched
    assert report.emergency


def test_a_pressed_emergency_stop_latches_again_after_unplugging() -> None:
    run = Run()
    run.see(replace(CHARGING, emergency_stop=True))
    run.see(replace(UNPLUGGED, emergency_stop=True))
    assert run.interlock.report.emergency
    assert both(run.see(CHARGING)) == NEITHER


def test_contactor_faults_need_a_reset_without_vehicle() -> None:
    run = Run()
    run.see(replace(CHARGING, contactor_fault="welded"))
    run.see(UNPLUGGED, 1.0)
    assert both(run.see(CHARGING)) == NEITHER
    run.interlock.receive_signal(ResetRequest())
    assert both(run.see(CHARGING)) == NEITHER  # a vehicle is there: not heeded, and forgotten
    run.see(UNPLUGGED)
    assert both(run.see(CHARGING)) == NEITHER
    run.see(UNPLUGGED)
    run.interlock.receive_signal(ResetRequest())
    run.see(UNPLUGGED)
    assert both(run.see(CHARGING)) == GRANTED


def test_a_report_changes_only_with_its_content() -> None:
    run = Run()
    first = run.interlock.report
    run.see(replace(CHARGING, voltage_v=391.0), 1.0)
    assert run.interlock.report is first
    run.see(replace(CHARGING, pilot=P.B2))
    held = run.interlock.report
    assert held is not first
    run.see(replace(CHARGING, pilot=P.B2), 1.0)
    assert run.interlock.report is held


def test_each_reason_is_a_sentence_for_people() -> None:
    for rule in RULES:
        seen = replace(CHARGING, contactor_fault="contactor welded", pilot_fault=PilotFault.SHORT)
        told = rule.reason.format(s=seen)
        assert len(told) > 15
        assert "{" not in told
        assert rule.latches or "{" not in rule.reason, "a reason that changes floods the log"


@pytest.mark.parametrize(
    "bad",
    [
        {"heartbeat_timeout_s": 0.11},
        {"heartbeat_timeout_s": 0.0},
        {"heartbeat_timeout_s": nan},
        {"pilot_stale_s": 0.06},
        {"pilot_stale_s": -1.0},
    ],
)
def test_configuration_cannot_make_it_lenient(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        InterlockConfig(**bad)  # type: ignore[arg-type]


def test_a_stricter_heartbeat() -> None:
    run = Run(InterlockConfig(heartbeat_timeout_s=0.05))
    assert both(run.see(replace(CHARGING, heartbeat_age_s=0.06))) == NEITHER
