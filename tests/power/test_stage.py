"""The power stage on the simulated circuit: a whole session, and every way it can go wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from math import nan

import pytest

from controller.machine import lint_table
from controller.power import limits
from controller.power.stage import PowerStage
from controller.power.stage_table import ENERGISED, S
from controller.signals import (
    CableCheckState,
    ContactorReading,
    ContactorRequest,
    ControlPilotState,
    IsolationStatus,
    Output,
    OutputReading,
    OutputRequest,
    Permits,
    Phase,
    PowerStageChanged,
    SetOutput,
)
from tests.power.site import Site

OFF = SetOutput(0.0, 0.0, False)


def checked() -> Site:
    site = Site()
    site.run(0.1)
    site.ask(Phase.CABLE_CHECK)
    site.run_until(S.READY, 10.0)
    return site


def charging() -> Site:
    site = checked()
    battery_v = site.circuit.battery.open_voltage_v
    site.ask(Phase.PRE_CHARGE, battery_v, 1.0)
    site.run(1.5)
    assert site.circuit.voltage_v == pytest.approx(battery_v, abs=1.0)
    site.circuit.inlet_contactors.set_closed(True)
    site.run(0.1)
    site.ask(Phase.CHARGE, 410.0, 100.0)
    site.run(5.0)
    assert site.circuit.current_a == pytest.approx(100.0)
    return site


def test_the_table_is_clean() -> None:
    assert lint_table(PowerStage) == []


# --- the good way ---------------------------------------------------------------------------------


def test_cable_check_in_order_and_in_time() -> None:
    site = Site()
    site.run(0.1)
    site.ask(Phase.CABLE_CHECK)
    took_s = site.run_until(S.READY, limits.CABLE_CHECK_S)
    assert took_s < 8.0
    names = [o.state for _, o in site.log if isinstance(o, PowerStageChanged)]
    assert names == [s.value for s in (S.DISCHARGE, S.CLOSE, S.RAISE, S.MEASURE, S.LOWER, S.READY)]
    report = site.stage.report(site.now)
    assert report.cable_check is CableCheckState.PASSED
    assert report.isolation is IsolationStatus.VALID
    assert report.contactors_closed
    assert not report.output_on
    assert report.voltage_v < 60.0
    tested = [o for _, o in site.log if isinstance(o, SetOutput) and o.on]
    assert {(o.voltage_v, o.current_a) for o in tested} == {(470.0, 2.0)}


def test_a_whole_session_and_a_second_one() -> None:
    site = charging()
    site.ask(Phase.STOPPING)
    assert site.run_until(S.OFF, 3.0) < 1.5
    site.ask(Phase.CONNECTED)
    site.circuit.inlet_contactors.set_closed(False)
    assert site.circuit.worst_opening_current_a < 1.0
    assert site.circuit.worst_closing_step_v < 20.0
    site.run(1.0)
    assert site.circuit.voltage_v < 60.0
    assert site.stage.cable_check is CableCheckState.IDLE
    site.ask(Phase.CABLE_CHECK)
    site.run_until(S.READY, 10.0)


def test_pre_charge_gives_two_amperes_whatever_is_asked() -> None:
    for asked_a in (0.0, 1.0, 50.0):
        site = checked()
        site.ask(Phase.PRE_CHARGE, 350.0, asked_a)
        site.run(0.1)
        assert site.last_setpoint() == SetOutput(350.0, 2.0, True)


def test_ramp_up_is_25_a_per_second() -> None:
    site = charging()
    rising = [(t, o.current_a) for t, o in site.log if isinstance(o, SetOutput) and o.on]
    steps = [
        (b[1] - a[1], b[0] - a[0])
        for a, b in itertools.pairwise(rising)
        if a[1] >= 2.0 and b[1] > a[1]
    ]
    assert len(steps) > 20
    assert all(step_a <= 25.0 * step_s + 0.2 for step_a, step_s in steps)


def test_stop_ramps_down_and_then_opens() -> None:
    site = charging()
    site.log.clear()
    site.ask(Phase.STOPPING)
    site.run_until(S.OFF, 3.0)
    falling = [(t, o.current_a) for t, o in site.log if isinstance(o, SetOutput) and o.on]
    rate = (falling[0][1] - falling[-1][1]) / (falling[-1][0] - falling[0][0])
    assert 80.0 < rate <= 101.0
    kinds = [type(o).__name__ for _, o in site.log if o == OFF or isinstance(o, ContactorRequest)]
    assert kinds[:2] == ["SetOutput", "ContactorRequest"]


def test_targets_follow_and_are_clamped() -> None:
    site = charging()
    site.target(current_a=40.0)
    site.run(1.0)
    assert site.circuit.current_a == pytest.approx(40.0)
    assert not site.stage.report(site.now).current_limited
    site.target(current_a=200.0)
    site.run(5.0)
    report = site.stage.report(site.now)
    assert report.current_limited
    assert site.circuit.current_a == pytest.approx(125.0)
    site.target(voltage_v=900.0)
    site.run(0.1)
    assert site.last_setpoint().voltage_v == 420.0  # never above the vehicle's maximum
    site.stage.receive_signal(replace(site.stage.envelope, maximum_power_w=20_000.0), site.now)
    site.run(2.0)
    report = site.stage.report(site.now)
    assert report.power_limited
    assert report.voltage_v * report.current_a == pytest.approx(20_000.0, rel=0.01)
    site.stage.receive_signal(replace(site.stage.envelope, maximum_voltage_v=400.0), site.now)
    site.run(0.1)
    assert site.stage.report(site.now).voltage_limited


def test_the_set_point_is_resent() -> None:
    site = charging()
    site.run(5.0)
    site.log.clear()
    site.run(2.0)
    sent = [t for t, o in site.log if isinstance(o, SetOutput)]
    gaps = [b - a for a, b in itertools.pairwise(sent)]
    assert max(gaps) <= limits.SETPOINT_PERIOD_S + 2 * site.period_s
    off = Site()
    off.run(3.5)
    assert [o for _, o in off.log] == [OFF] * 3  # the first went out before the log


def test_the_timer_alone_keeps_everything_going() -> None:
    site = charging()
    stage, now = site.stage, site.now
    stage.receive_signal(Permits(True, True, now + 1.0), now)
    sent: list[Output] = []
    for _ in range(100):
        due = stage.next_timer()
        assert due is not None
        assert due > now, "a timer that fires must move on"
        now = due
        sent += stage.handle_timer(now)
        if stage.state is S.ABORTED:
            break
    assert stage.state is S.ABORTED
    assert stage.failure == "permit expired"
    assert sent.index(OFF) < sent.index(ContactorRequest(False))


# --- without permits ----------------------------------------------------------------------------


def test_without_permits_nothing_is_ever_on() -> None:
    stage = PowerStage()
    stage.receive_signal(Site().stage.envelope, 0.0)
    out: list[Output] = []
    for i, phase in enumerate([*Phase] * 3):
        now = 1.0 + i
        out += stage.receive_signal(OutputRequest(phase, 400.0, 100.0, 420.0), now)
        out += stage.receive_sample(OutputReading(0.0, 0.0, now), now)
        out += stage.receive_sample(ContactorReading(True, now), now)
        out += stage.receive_sample(OutputReading(0.0, 0.0, now), now)
    assert all(o == OFF for o in out if isinstance(o, SetOutput))
    assert stage.state not in ENERGISED


@pytest.mark.parametrize("state", ENERGISED)
def test_a_lost_permit_switches_off_first_of_all(state: S) -> None:
    site = Site()
    site.run(0.1)
    if state in (S.RAISE, S.MEASURE):
        site.ask(Phase.CABLE_CHECK)
        site.run_until(state, 10.0)
    elif state is S.PRE_CHARGE:
        site = checked()
        site.ask(Phase.PRE_CHARGE, 350.0, 1.0)
    else:
        site = charging()
        if state is S.STOPPING:
            site.ask(Phase.STOPPING)
    assert site.stage.state is state
    gone = Permits(False, False, site.now + 0.1, ("because",))
    out = site.stage.receive_signal(gone, site.now)
    assert out[0] == OFF
    assert ContactorRequest(False) in out
    assert site.stage.failure == "because"
    failed = state in (S.RAISE, S.MEASURE)
    assert (site.stage.cable_check is CableCheckState.FAILED) is failed
    # The permit comes back: nothing runs again before a phase without power.
    site.obey(out)
    site.run(2.0)
    assert site.stage.state is S.ABORTED
    assert site.last_setpoint() == OFF
    site.ask(Phase.CHARGE, 400.0, 100.0)
    site.run(1.0)
    assert site.stage.state is S.ABORTED
    site.ask(Phase.CONNECTED)
    assert site.state_name() == "off"


@pytest.mark.parametrize(
    ("spoil", "limit_s"),
    [
        ({"pilot": ControlPilotState.B2}, 0.1),
        ({"pilot": ControlPilotState.A2}, 0.1),
        ({"pilot": ControlPilotState.E}, 0.1),
        ({"emergency_stop": True}, 0.1),
    ],
)
def test_loss_under_load_ends_within_its_time(spoil: dict[str, object], limit_s: float) -> None:
    site = charging()
    for name, value in spoil.items():
        setattr(site, name, value)
    site.run(limit_s)
    assert site.circuit.current_a < 1.0
    assert not site.circuit.evse_contactors.is_closed
    assert site.permits is not None
    assert site.permits.reasons != ()
    site.run(0.5)
    assert site.circuit.voltage_v < 60.0


def test_a_silent_heartbeat_ends_it() -> None:
    site = charging()
    site.heartbeat_at = site.now
    site.run(0.095)
    assert site.stage.state is S.CHARGE
    site.run(0.05)
    assert site.state_name() == "aborted"
    assert not site.circuit.evse_contactors.is_closed


def test_an_isolation_fault_during_charge_ends_it() -> None:
    site = charging()
    site.monitor.resistance_ohm = 99_999.0
    site.run(1.0)
    assert site.stage.isolation is IsolationStatus.FAULT
    assert site.stage.state is S.ABORTED
    assert site.interlock.report.latched.startswith("insulation fault")
    assert not site.interlock.report.emergency


def test_a_silent_module_ends_it() -> None:
    site = charging()
    site.circuit.silent = True
    site.run(0.1)
    assert site.stage.state is S.ABORTED
    assert not site.stage.report(site.now).valid


def test_contactors_that_drop_end_it() -> None:
    site = charging()
    site.contacts.contactors.feedback_stuck = False
    site.run(0.1)
    assert site.stage.state is S.ABORTED
    assert site.last_setpoint() == OFF


def test_contactors_that_drop_while_stopping() -> None:
    site = charging()
    site.ask(Phase.STOPPING)
    for i in range(4):
        site.stage.receive_sample(ContactorReading(False, site.now + i * 0.01), site.now + i * 0.01)
    assert site.stage.state is S.OFF


# --- the cable check goes wrong ------------------------------------------------------------------


def failed_check(site: Site, within_s: float = 37.0) -> str:
    site.run(0.1)
    site.ask(Phase.CABLE_CHECK)
    took_s = site.run_until(S.ABORTED, within_s)
    assert took_s < 38.0
    assert site.stage.cable_check is CableCheckState.FAILED
    site.run(1.0)
    assert site.last_setpoint() == OFF
    assert not site.circuit.evse_contactors.is_closed
    assert site.circuit.voltage_v < 60.0 or site.circuit.discharge_s > 1.0
    return site.stage.failure


def test_check_output_stays_live() -> None:
    site = Site()
    site.circuit.voltage_v, site.circuit.discharge_s = 400.0, 1000.0
    assert "60 V" in failed_check(site)


@pytest.mark.parametrize("low_ohm", [0.0, 50_000.0, 99_999.0, nan])
def test_check_insulation(low_ohm: float) -> None:
    site = Site()
    site.monitor.resistance_ohm = low_ohm
    assert failed_check(site).startswith("insulation resistance is")
    assert site.stage.isolation is IsolationStatus.FAULT


def test_check_insulation_just_good() -> None:
    site = Site()
    site.monitor.resistance_ohm = 100_000.0
    site.run(0.1)
    site.ask(Phase.CABLE_CHECK)
    site.run_until(S.READY, 10.0)


def test_check_self_test() -> None:
    site = Site()
    site.monitor.self_test_fails = True
    assert "self-test" in failed_check(site)


def test_check_monitor_silent() -> None:
    site = Site()
    site.monitor.silent = True
    assert "isolation monitor" in failed_check(site)


def test_check_short_circuit() -> None:
    site = Site()
    site.circuit.load_ohm = 0.1
    assert "test voltage" in failed_check(site)


def test_check_current_flows() -> None:
    site = Site()
    site.circuit.load_ohm = 50.0
    site.circuit.setpoint = SetOutput(0.0, 0.0, False)
    site.run(0.1)
    site.ask(Phase.CABLE_CHECK)
    site.run_until(S.RAISE, 5.0)
    site.obey(site.stage.receive_sample(OutputReading(100.0, 5.1, site.now), site.now))
    assert site.stage.failure == "5.1 A flow during the cable check"
    assert site.stage.state is S.ABORTED


def test_check_contactors_do_not_close() -> None:
    site = Site()
    site.contacts.contactors.stuck_open = True
    assert "contactors" in failed_check(site)


def test_check_no_state_c() -> None:
    site = Site()
    site.pilot = ControlPilotState.B2
    assert "contactors did not close, or no permit" in failed_check(site)


def test_check_stopped_by_the_session() -> None:
    site = Site()
    site.run(0.1)
    site.ask(Phase.CABLE_CHECK)
    site.run_until(S.MEASURE, 10.0)
    site.ask(Phase.STOPPING)
    assert site.stage.state is S.ABORTED
    assert site.stage.failure == "stopped during the cable check"
    site.ask(Phase.IDLE)
    assert site.stage.cable_check is CableCheckState.IDLE


def test_all_steps_together_have_one_deadline() -> None:
    site = Site()
    site.circuit.voltage_v, site.circuit.discharge_s = 400.0, 4.8  # 9.1 s to 60 V
    site.monitor.silent = True
    site.run(0.1)
    start = site.now
    site.ask(Phase.CABLE_CHECK)
    site.run_until(S.ABORTED, 40.0)
    assert site.now - start == pytest.approx(limits.CABLE_CHECK_S, abs=0.02)


# --- odd requests --------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.PRE_CHARGE, Phase.CHARGE, Phase.STOPPING])
def test_no_energy_without_a_passed_check(phase: Phase) -> None:
    site = Site()
    site.ask(phase, 400.0, 10.0)
    site.run(1.0)
    assert site.stage.state is S.OFF
    told = [o for _, o in site.log if isinstance(o, PowerStageChanged)]
    assert bool(told) is (phase is not Phase.STOPPING)


def test_no_charge_without_pre_charge() -> None:
    site = checked()
    site.ask(Phase.CHARGE, 400.0, 10.0)
    site.run(1.0)
    assert site.stage.state is S.READY
    site.ask(Phase.STOPPING)
    site.run_until(S.OFF, 1.0)


@pytest.mark.parametrize("field", ["voltage_v", "current_a", "vehicle_maximum_voltage_v"])
@pytest.mark.parametrize("value", [nan, -1.0, float("inf")])
def test_nonsense_switches_off(field: str, value: float) -> None:
    site = charging()
    site.target(**{field: value})
    assert site.last_setpoint() == OFF
    assert site.stage.state is S.OFF
    assert site.stage.failure == "output request is not plausible"


@pytest.mark.parametrize("phase", [Phase.IDLE, Phase.CONNECTED, Phase.FAULT])
def test_a_phase_without_power_is_off_at_once(phase: Phase) -> None:
    site = charging()
    site.ask(phase)
    assert site.stage.state is S.OFF
    assert site.last_setpoint() == OFF
    assert not site.contactors.is_commanded


def test_a_welded_contactor_after_stopping() -> None:
    site = charging()
    site.contacts.contactors.welded = True
    site.ask(Phase.STOPPING)
    site.run_until(S.ABORTED, 5.0)
    assert site.stage.failure == "contactors did not open in time"
    assert "welded" in site.interlock.report.latched


def test_a_stop_without_readings_is_hard_after_its_time() -> None:
    site = charging()
    stage, now = site.stage, site.now
    stage.receive_signal(Permits(True, True, now + 60.0), now)
    stage.receive_signal(OutputRequest(Phase.STOPPING), now)
    stage.receive_sample(OutputReading(390.0, 90.0, now, valid=False), now)
    stage.handle_timer(now + limits.STOPPING_S - 0.01)
    assert stage.state is S.STOPPING
    out = stage.handle_timer(now + limits.STOPPING_S)
    assert out[0] == OFF
    assert ContactorRequest(False) in out


def test_an_unknown_output_says_so() -> None:
    report = PowerStage().report(5.0)
    assert not report.valid
    assert not report.contactors_closed
    assert report.envelope == limits.NO_ENVELOPE
