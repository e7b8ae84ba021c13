"""The AC charger's interlock: each row alone, its bounds and times, latches, and an oracle."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import interlock_ac
from controller.interlock_ac import OBSTACLES, RULES, AcInterlock, AcSnapshot
from controller.interlock_rules import InterlockConfig, Severity
from controller.signals import ControlPilotState, Permits, Phase, PilotFault, ResetRequest

P = ControlPilotState
NOW = 1000.0
PERIOD_S = 0.005
VENTILATED = InterlockConfig(ventilation=True)

CHARGING = AcSnapshot(
    now=NOW,
    pilot=P.C2,
    pilot_age_s=0.0,
    pilot_power_s=1.0,
    diode_ok=True,
    heartbeat_age_s=0.02,
    believed_phase=Phase.CHARGE,
    offered_a=16.0,
    allowed_a=32.0,
    contactors_commanded=True,
    contactors_closed=True,
    contactors_valid=True,
    contactors_age_s=0.0,
    emergency_stop=False,
    hardware_interlock=True,
    interlock_tested=True,
    coils_live=True,
    live_behind=True,
    phases=3,
    current_a=15.9,
    ac_age_s=0.0,
    ac_valid=True,
    connector_unknown=False,
)
OPEN = replace(
    CHARGING,
    contactors_commanded=False,
    contactors_closed=False,
    live_behind=False,
    current_a=0.0,
)
UNPLUGGED = replace(OPEN, pilot=P.A1, believed_phase=Phase.IDLE)


class Run:
    """An interlock that has been granting; `see` shows it something for a while."""

    def __init__(self, config: InterlockConfig | None = None, start: AcSnapshot = CHARGING) -> None:
        self.interlock = AcInterlock(config)
        self.now = NOW
        self.permits = self.see(start)

    def see(self, snapshot: AcSnapshot, seconds: float = 0.0) -> Permits:
        for _ in range(1 + round(seconds / PERIOD_S)):
            self.permits = self.interlock.evaluate(replace(snapshot, now=self.now))
            self.now += PERIOD_S
        return self.permits


def test_all_well_grants_for_a_tenth_of_a_second() -> None:
    assert AcInterlock().evaluate(CHARGING) == Permits(True, True, NOW + 0.1)


def test_ready_to_close_grants_closing() -> None:
    permits = AcInterlock().evaluate(OPEN)
    assert (permits.close_contactors, permits.energise) == (True, False)


def test_nothing_known_grants_nothing() -> None:
    permits = AcInterlock().evaluate(AcSnapshot(now=NOW))
    assert not permits.close_contactors
    assert permits.reasons[0].startswith("emergency stop")


# name of the row, what is different, seconds for which a charge survives it
ROWS: list[tuple[str, dict[str, object], float]] = [
    ("emergency stop", {"emergency_stop": True}, 0.0),
    ("RCD", {"rcd_tripped": True}, 0.0),
    ("contactor fault", {"contactor_fault": "welded"}, 0.0),
    ("contactor feedback", {"contactors_closed": False}, 0.4),
    ("over-current", {"current_a": 18.16}, 7.0),
    ("over-current", {"current_a": 500.0}, 7.0),
    ("hardware", {"hardware_tripped": True}, 0.0),
    ("self-test", {"interlock_tested": False}, 0.0),
    ("coil supply", {"coils_live": False}, 0.0),
    ("CP loss", {"coils_must_be_dead": True}, 0.05),
    ("stop channels", {"stops_disagree": True}, 0.5),
    ("stop without effect", {"emergency_stop": True}, 0.0),
    ("bench mode", {"hardware_interlock": False}, 0.0),
    ("inputs stale", {"ac_valid": False}, 0.0),
    ("inputs stale", {"ac_age_s": 0.501}, 0.0),
    ("inputs stale", {"ac_age_s": nan}, 0.0),
    ("inputs stale", {"ac_age_s": -0.1}, 0.0),
    ("plausible", {"current_a": nan}, 0.0),
    ("plausible", {"current_a": -1.1}, 0.0),
    ("plausible", {"current_a": 1000.1}, 0.0),
    ("plausible", {"phases": 4}, 0.0),
    ("phases", {"phases": 2}, 0.1),
    ("phases", {"phases": 0}, 0.1),
    ("cable", {"allowed_a": 0.0}, 0.0),
    ("cable", {"allowed_a": nan}, 0.0),
    ("hot", {"connector_hot": True}, 6.0),
    ("no temperature", {"connector_unknown": True}, 6.0),
    ("pilot unknown", {"pilot": None}, 0.0),
    ("pilot fault", {"pilot_fault": PilotFault.SHORT}, 0.0),
    ("pilot fault", {"pilot_fault": PilotFault.DIODE, "pilot": P.C1}, 0.0),
    ("pilot open", {"pilot_fault": PilotFault.OPEN, "pilot": P.A2}, 0.0),
    ("toggle", {"pilot_power_s": 0.449}, 0.0),
    ("toggle", {"pilot_power_s": nan}, 0.0),
    ("pilot stale", {"pilot_age_s": 0.051}, 0.0),
    ("pilot stale", {"pilot_age_s": nan}, 0.0),
    ("pilot A", {"pilot": P.A2}, 0.0),
    ("pilot A", {"pilot": P.A1}, 0.0),
    ("pilot B", {"pilot": P.B2}, 0.0),
    ("pilot B", {"pilot": P.B1}, 0.0),
    ("pilot E", {"pilot": P.E}, 0.0),
    ("pilot F", {"pilot": P.F}, 0.0),
    ("pilot C1", {"pilot": P.C1}, 6.0),
    ("ventilation", {"pilot": P.D2}, 0.0),
    ("ventilation", {"pilot": P.D1}, 0.0),
    ("diode", {"diode_ok": False}, 0.0),
    ("heartbeat", {"heartbeat_age_s": 0.101}, 0.0),
    ("heartbeat", {"heartbeat_age_s": nan}, 0.0),
    ("phase", {"believed_phase": Phase.CONNECTED}, 0.0),
    ("phase", {"believed_phase": Phase.IDLE}, 0.0),
    ("phase", {"believed_phase": Phase.FAULT}, 0.0),
    ("phase", {"believed_phase": Phase.CABLE_CHECK}, 0.0),
    ("no offer", {"offered_a": 0.0, "current_a": 0.0}, 6.0),
    ("no offer", {"offered_a": 5.99}, 6.0),
    ("no offer", {"offered_a": nan}, 6.0),
    ("too much offered", {"allowed_a": 13.0}, 6.0),
    ("feedback stale", {"contactors_valid": False}, 0.0),
    ("feedback stale", {"contactors_age_s": 0.101}, 0.0),
]
FINE: list[dict[str, object]] = [
    {"current_a": 18.15},
    {"current_a": -1.0},
    {"ac_age_s": 0.5},
    {"pilot_age_s": 0.05},
    {"heartbeat_age_s": 0.1},
    {"believed_phase": Phase.STOPPING},
    {"offered_a": 6.0, "current_a": 6.0},
    {"allowed_a": 15.9},
    {"offered_a": 32.0, "current_a": 32.0},
    {"contactors_age_s": 0.1},
    {"phases": 3, "phases_needed": 1},
    {"phases": 1, "phases_needed": 1},
]


def ids(value: object) -> str:
    return str(value)


@pytest.mark.parametrize(("name", "different", "survives_s"), ROWS, ids=ids)
def test_each_row_alone(name: str, different: dict[str, object], survives_s: float) -> None:
    run = Run()
    seen = replace(CHARGING, **different)  # type: ignore[arg-type]
    if survives_s:
        assert run.see(seen, survives_s - 2 * PERIOD_S).close_contactors
        run.see(seen, 4 * PERIOD_S)
    else:
        run.see(seen)
    assert not run.permits.close_contactors
    assert not run.permits.energise
    row = next(rule for rule in RULES if rule.name == name)
    told = row.reason.format(s=seen)
    if name == "stop without effect":  # latches behind the emergency stop itself
        run.see(seen, 0.2)
    assert told in run.permits.reasons
    assert bool(run.interlock.report.latched) is row.latches


def test_every_row_is_tested() -> None:
    tested = {name for name, _, _ in ROWS} | {"weld", "live", "contactor open"}
    assert tested == {rule.name for rule in RULES}


@pytest.mark.parametrize("different", FINE, ids=ids)
def test_within_bounds(different: dict[str, object]) -> None:
    run = Run()
    assert run.see(replace(CHARGING, **different), 10.0).close_contactors  # type: ignore[arg-type]
    assert run.interlock.report.latched == ""


@pytest.mark.parametrize(("name", "different", "_"), ROWS, ids=ids)
def test_none_of_it_closes(name: str, different: dict[str, object], _: float) -> None:
    """What a charge may survive for a while is no time to close in."""
    if name in ("over-current", "contactor feedback"):
        return  # they speak of a closed contactor
    interlock = AcInterlock()
    assert not interlock.evaluate(
        replace(OPEN, **different)  # type: ignore[arg-type]
    ).close_contactors


# --- welded contacts -----------------------------------------------------------------------------


def test_voltage_behind_an_open_contactor_is_a_weld() -> None:
    run = Run()
    assert run.see(replace(OPEN, live_behind=True)).close_contactors is False
    assert run.interlock.report.latched == ""  # the contacts take their time to open
    run.see(replace(OPEN, live_behind=True), 0.41)
    assert "welded" in run.interlock.report.latched


def test_a_weld_is_latched_until_someone_looked() -> None:
    run = Run()
    run.see(replace(OPEN, live_behind=True), 0.5)
    run.see(UNPLUGGED, 1.0)
    assert not run.see(OPEN).close_contactors
    run.interlock.receive_signal(ResetRequest())
    assert not run.see(OPEN).close_contactors, "a reset is heeded only without vehicle"
    run.see(UNPLUGGED)
    assert not run.see(OPEN).close_contactors
    run.see(UNPLUGGED)
    run.interlock.receive_signal(ResetRequest())
    run.see(UNPLUGGED)
    assert run.see(OPEN).close_contactors


def test_a_weld_stays_while_the_voltage_is_there() -> None:
    run = Run()
    welded = replace(UNPLUGGED, live_behind=True)
    run.see(welded, 0.5)
    run.interlock.receive_signal(ResetRequest())
    run.see(welded, 0.5)
    assert "welded" in run.interlock.report.latched


@pytest.mark.parametrize("cause", [{"rcd_tripped": True}, {"emergency_stop": True}])
def test_other_latches_hold_until_unplugging(cause: dict[str, object]) -> None:
    run = Run()
    run.see(replace(CHARGING, **cause))  # type: ignore[arg-type]
    assert not run.see(OPEN, 100.0).close_contactors
    run.see(UNPLUGGED)
    assert run.see(OPEN).close_contactors


def test_only_the_emergency_stop_is_an_emergency() -> None:
    """An emergency holds the oscillator off; state F, which tells the driver, needs it free."""
    assert [r.name for r in RULES if r.severity is Severity.EMERGENCY] == ["emergency stop"]


# --- over-current --------------------------------------------------------------------------------


def test_over_current_follows_the_offer() -> None:
    """A vehicle that follows a lower duty within 5 s is not at fault."""
    run = Run()
    reduced = replace(CHARGING, offered_a=6.0)
    run.see(reduced, 5.0)
    run.see(replace(reduced, current_a=6.0), 10.0)
    assert run.permits.close_contactors


def test_over_current_must_last() -> None:
    run = Run()
    for _ in range(10):
        run.see(replace(CHARGING, current_a=30.0), 6.5)
        run.see(CHARGING)
    assert run.permits.close_contactors


# --- ventilation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("pilot", [P.D2, P.C2])
def test_with_ventilation_state_d_is_like_c(pilot: ControlPilotState) -> None:
    assert Run(VENTILATED).see(replace(CHARGING, pilot=pilot)).close_contactors


def test_d1_is_like_c1() -> None:
    run = Run(VENTILATED)
    assert run.see(replace(CHARGING, pilot=P.D1), 5.9).close_contactors
    assert not run.see(replace(CHARGING, pilot=P.D1), 0.2).close_contactors


# --- obstacles to an offer -----------------------------------------------------------------------


@pytest.mark.parametrize(("name", "different", "_"), ROWS, ids=ids)
def test_obstacles(name: str, different: dict[str, object], _: float) -> None:
    seen = replace(OPEN, **({"pilot": P.B2} | different))  # type: ignore[arg-type]
    expected = next((r.reason for r in OBSTACLES if r.name == name), "")
    assert AcInterlock().obstacle(seen) == expected


def test_a_vehicle_that_does_not_ask_is_no_obstacle() -> None:
    assert AcInterlock().obstacle(UNPLUGGED) == ""


# --- an oracle -----------------------------------------------------------------------------------

NUMBERS = st.sampled_from([-1e9, -0.01, 0.0, 0.05, 0.2, 1.0, 6.0, 16.0, 40.0, 1e4, inf, nan])
SNAPSHOTS = st.builds(
    AcSnapshot,
    now=st.just(NOW),
    pilot=st.sampled_from([None, *ControlPilotState]),
    pilot_age_s=NUMBERS,
    diode_ok=st.booleans(),
    heartbeat_age_s=NUMBERS,
    believed_phase=st.sampled_from(Phase),
    offered_a=NUMBERS,
    allowed_a=NUMBERS,
    contactors_commanded=st.booleans(),
    contactors_closed=st.booleans(),
    contactors_valid=st.booleans(),
    contactors_age_s=NUMBERS,
    contactor_fault=st.sampled_from(["", "welded"]),
    emergency_stop=st.booleans(),
    hardware_interlock=st.booleans(),
    hardware_tripped=st.booleans(),
    interlock_tested=st.booleans(),
    coils_live=st.booleans(),
    coils_must_be_dead=st.booleans(),
    stops_disagree=st.booleans(),
    rcd_tripped=st.booleans(),
    live_behind=st.booleans(),
    phases=st.integers(-1, 5),
    phases_needed=st.sampled_from([1, 3]),
    current_a=NUMBERS,
    ac_age_s=NUMBERS,
    ac_valid=st.booleans(),
    connector_hot=st.booleans(),
    connector_unknown=st.booleans(),
)


def may_close(s: AcSnapshot) -> bool:
    """Say from the standard's text, not from the table, whether a contactor may close."""
    return (
        s.pilot is P.C2
        and s.pilot_age_s >= -0.005
        and s.pilot_age_s <= 0.05
        and s.diode_ok
        and s.heartbeat_age_s <= 0.1
        and s.heartbeat_age_s >= -0.005
        and s.believed_phase in (Phase.CHARGE, Phase.STOPPING)
        and 6.0 <= s.offered_a <= s.allowed_a + 0.1
        and s.contactors_valid
        and -0.005 <= s.contactors_age_s <= 0.1
        and not s.contactor_fault
        and not s.emergency_stop
        and s.hardware_interlock
        and not s.hardware_tripped
        and s.interlock_tested
        and s.coils_live
        and not s.coils_must_be_dead
        and not s.stops_disagree
        and not s.rcd_tripped
        and not (s.live_behind and not s.contactors_commanded)
        and s.phases_needed <= s.phases <= 3
        and -1 <= s.current_a <= 1000
        and s.ac_valid
        and -0.005 <= s.ac_age_s <= 0.5
        and not s.connector_hot
        and not s.connector_unknown
    )


@given(SNAPSHOTS)
def test_a_first_permit_only_if_all_is_well(seen: AcSnapshot) -> None:
    # At the start a row that needs time to latch counts as wrong since ever.
    odd = seen.contactors_closed is not seen.contactors_commanded and seen.contactors_valid
    over = seen.contactors_commanded and seen.current_a > interlock_ac.over_current_limit_a(seen)
    granted = AcInterlock().evaluate(seen).close_contactors
    assert granted is (may_close(seen) and not odd and not over)


@given(SNAPSHOTS)
def test_energy_only_through_a_closed_contactor(seen: AcSnapshot) -> None:
    permits = AcInterlock().evaluate(seen)
    if permits.energise:
        assert permits.close_contactors
        assert seen.contactors_commanded
        assert seen.contactors_closed


@given(st.lists(SNAPSHOTS, min_size=1, max_size=6))
def test_a_charge_never_outlives_a_danger(snapshots: list[AcSnapshot]) -> None:
    """Whatever came before: what has to open at once opens at once."""
    interlock = AcInterlock()
    interlock.evaluate(CHARGING)
    for seen in snapshots:
        permits = interlock.evaluate(seen)
        at_once = (
            seen.emergency_stop
            or seen.rcd_tripped
            or seen.pilot not in (P.C1, P.C2)
            or not seen.diode_ok
            or not seen.heartbeat_age_s <= 0.1
            or not seen.allowed_a > 0
        )
        assert not (at_once and permits.close_contactors)
