"""Contactors: closing rules, feedback in time, faults that latch."""

from __future__ import annotations

from math import inf, nan

import pytest

from controller.errors import ConfigError
from controller.machine import lint_table
from controller.power.contactors import (
    CLOSE_S,
    FEEDBACK_LOST_S,
    MAINS_RECLOSE_S,
    OPEN_S,
    RECLOSE_S,
    Contactors,
    ContactorsConfig,
    S,
    Side,
)
from controller.signals import (
    CloseContactors,
    ContactorReading,
    ContactorRequest,
    InletReport,
    OpenContactors,
    Output,
    OutputReading,
    Permits,
)

VEHICLE = ContactorsConfig(side=Side.VEHICLE)
MAINS = ContactorsConfig(side=Side.MAINS, reclose_s=MAINS_RECLOSE_S)


class Bench:
    """Contactors whose world is set by hand; `run` samples it every 5 ms."""

    def __init__(self, config: ContactorsConfig | None = None) -> None:
        self.contactors = Contactors(config)
        self.now = 50.0
        self.voltage_v = 0.0
        self.voltage_valid = True
        self.battery_v = 0.0
        self.closed = False
        self.feedback_valid = True
        self.permitted: bool | None = True
        self.out: list[Output] = []

    def sense(self) -> None:
        c, now = self.contactors, self.now
        if c.config.side is not Side.VEHICLE:
            self.out += c.receive_sample(
                OutputReading(self.voltage_v, 0.0, now, self.voltage_valid), now
            )
        else:
            self.out += c.receive_sample(inlet(self.voltage_v, self.battery_v, now), now)
        self.out += c.receive_sample(ContactorReading(self.closed, now, self.feedback_valid), now)
        if self.permitted is not None:
            self.out += c.receive_signal(permits(self.permitted, now), now)

    def run(self, seconds: float) -> list[Output]:
        self.out = []
        for _ in range(round(seconds / 0.005)):
            self.now += 0.005
            self.sense()
        return self.out

    def want(self, closed: bool) -> list[Output]:
        return self.contactors.receive_signal(ContactorRequest(closed), self.now)

    def close(self) -> None:
        self.run(0.05)
        self.want(True)
        self.run(0.03)
        self.closed = True
        self.run(0.05)
        assert self.contactors.is_closed


def permits(close: bool, now: float) -> Permits:
    return Permits(close, close, now + 0.1, () if close else ("because",))


def inlet(inlet_v: float, battery_v: float, now: float) -> InletReport:
    return InletReport(inlet_v, 0.0, battery_v, 50.0, 420.0, 100.0, 400.0, 100.0, False, True, now)


def test_the_table_is_clean() -> None:
    assert lint_table(Contactors) == []


def test_close_and_open() -> None:
    bench = Bench()
    bench.close()
    assert bench.contactors.is_commanded
    assert bench.want(False) == [OpenContactors("requested")]
    assert not bench.contactors.is_commanded
    bench.closed = False
    assert bench.run(1.0) == []
    assert bench.contactors.state is S.OPEN
    assert bench.contactors.fault == ""


def test_nothing_closes_without_request() -> None:
    assert Bench().run(1.0) == []


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ({"permitted": None}, "no permit"),
        ({"permitted": False}, "no permit"),
        ({"voltage_v": 60.0}, "voltage across"),
        ({"voltage_v": -60.0}, "voltage across"),
        ({"voltage_v": 400.0}, "voltage across"),
        ({"voltage_v": nan}, "voltage across"),
        ({"voltage_v": inf}, "voltage across"),
        ({"voltage_valid": False}, "voltage across"),
    ],
)
def test_what_keeps_the_charger_side_open(spoil: dict[str, object], why: str) -> None:
    bench = Bench()
    for name, value in spoil.items():
        setattr(bench, name, value)
    bench.want(True)
    assert bench.run(0.5) == []
    assert bench.contactors.waiting_for(bench.now).startswith(why)
    for name in spoil:
        setattr(bench, name, getattr(Bench(), name))
    assert bench.run(0.01) == [CloseContactors()]


@pytest.mark.parametrize("voltage_v", [0.0, 59.9, -59.9, 5.0])
def test_below_sixty_volts_the_charger_side_closes(voltage_v: float) -> None:
    bench = Bench()
    bench.voltage_v = voltage_v
    bench.want(True)
    assert bench.run(0.05) == [CloseContactors()]


@pytest.mark.parametrize(
    ("inlet_v", "battery_v", "closes"),
    [
        (350.0, 350.0, True),
        (330.1, 350.0, True),
        (330.0, 350.0, False),
        (369.9, 350.0, True),
        (370.0, 350.0, False),
        (0.0, 350.0, False),
        (nan, 350.0, False),
        (350.0, nan, False),
    ],
)
def test_the_vehicle_side_closes_on_equal_voltage(
    inlet_v: float, battery_v: float, closes: bool
) -> None:
    bench = Bench(VEHICLE)
    bench.voltage_v, bench.battery_v = inlet_v, battery_v
    bench.want(True)
    assert (CloseContactors() in bench.run(0.05)) is closes


def test_an_old_voltage_closes_nothing() -> None:
    contactors = Contactors()
    contactors.receive_sample(OutputReading(0.0, 0.0, 10.0), 10.0)
    contactors.receive_signal(permits(True, 11.0), 11.0)
    assert contactors.receive_signal(ContactorRequest(True), 11.0) == []
    assert contactors.waiting_for(11.0) == "no fresh voltage to close on"
    assert contactors.waiting_for(9.0) == "no fresh voltage to close on"


def test_a_withdrawn_permit_opens_in_the_same_call() -> None:
    bench = Bench()
    bench.close()
    gone = permits(False, bench.now)
    assert bench.contactors.receive_signal(gone, bench.now) == [OpenContactors("because")]


def test_a_withdrawn_permit_without_reason_opens_as_well() -> None:
    bench = Bench()
    bench.close()
    gone = Permits(False, False, bench.now + 0.1)
    assert bench.contactors.receive_signal(gone, bench.now) == [OpenContactors("no permit")]


@pytest.mark.parametrize("expires_at", [nan, -inf])
def test_a_permit_without_sound_expiry_is_none(expires_at: float) -> None:
    bench = Bench()
    bench.close()
    bad = Permits(True, True, expires_at)
    assert bench.contactors.receive_signal(bad, bench.now) == [OpenContactors("permit expired")]


def test_an_expired_permit_opens_by_timer_and_by_any_call() -> None:
    bench = Bench()
    bench.close()
    due = bench.contactors.next_timer()
    assert due is not None
    assert due == pytest.approx(bench.now + 0.1)
    assert bench.contactors.handle_timer(due - 0.001) == []
    assert bench.contactors.handle_timer(due) == [OpenContactors("permit expired")]
    other = Bench()
    other.close()
    other.now += 0.2
    reading = OutputReading(400.0, 1.0, other.now)
    assert other.contactors.receive_sample(reading, other.now) == [OpenContactors("permit expired")]


def test_a_request_withdrawn_while_closing_opens() -> None:
    bench = Bench()
    bench.run(0.05)
    bench.want(True)
    bench.run(0.01)
    assert bench.want(False) == [OpenContactors("requested")]


def test_reclosing_waits() -> None:
    bench = Bench()
    bench.close()
    bench.want(False)
    bench.closed = False
    bench.run(0.1)
    bench.want(True)
    assert bench.run(RECLOSE_S - 0.2) == []
    assert bench.contactors.waiting_for(bench.now) == "contactors opened a moment ago"
    assert bench.run(0.2) == [CloseContactors()]


# --- faults --------------------------------------------------------------------------------------


def test_a_contactor_that_does_not_close() -> None:
    bench = Bench()
    bench.want(True)
    assert bench.run(CLOSE_S - 0.01) == [CloseContactors()]
    (opened,) = bench.run(0.03)
    assert isinstance(opened, OpenContactors)
    assert bench.contactors.fault == "contactor did not close within 250 ms"
    assert bench.contactors.state is S.FAULT


def test_a_welded_contactor() -> None:
    bench = Bench()
    bench.close()
    bench.want(False)
    assert bench.run(OPEN_S - 0.01) == []
    bench.run(0.02)
    assert "welded" in bench.contactors.fault
    bench.want(True)
    assert bench.run(20.0) == []
    bench.contactors.reset(bench.now)
    assert bench.contactors.state is S.FAULT  # still closed
    bench.closed = False
    bench.run(0.1)
    bench.contactors.reset(bench.now)
    assert (bench.contactors.state, bench.contactors.fault) == (S.OPEN, "")


def test_closed_without_a_command() -> None:
    bench = Bench()
    bench.closed = True
    bench.run(0.02)
    assert "without a command" in bench.contactors.fault


def test_opened_by_itself() -> None:
    bench = Bench()
    bench.close()
    bench.closed = False
    (opened,) = bench.run(0.02)
    assert opened == OpenContactors(bench.contactors.fault)
    assert "opened by itself" in bench.contactors.fault


@pytest.mark.parametrize("closed", [False, True])
def test_a_single_feedback_glitch_is_none(closed: bool) -> None:
    bench = Bench()
    if closed:
        bench.close()
    bench.closed = not closed
    bench.run(0.005)
    bench.closed = closed
    assert bench.run(0.1) == []
    assert bench.contactors.fault == ""


def test_lost_feedback_of_closed_contactors() -> None:
    bench = Bench()
    bench.close()
    bench.feedback_valid = False
    assert bench.run(FEEDBACK_LOST_S - 0.005) == []
    assert len(bench.run(0.02)) == 1
    assert "feedback was lost" in bench.contactors.fault


def test_lost_feedback_does_not_prove_opening_and_is_waited_for() -> None:
    """As long as the pigpio daemon is gone nobody knows; what is seen then counts."""
    bench = Bench()
    bench.close()
    bench.want(False)
    bench.feedback_valid = False
    bench.run(5.0)
    assert bench.contactors.state.value == "opening"
    bench.want(True)
    assert bench.run(5.0) == []  # permitted and wanted, and not closed: it may be welded
    bench.want(False)
    bench.closed, bench.feedback_valid = False, True
    bench.run(0.02)
    assert bench.contactors.state is S.OPEN
    assert bench.contactors.fault == ""


def test_feedback_that_comes_back_closed_is_a_weld() -> None:
    bench = Bench()
    bench.close()
    bench.want(False)
    bench.feedback_valid = False
    bench.run(1.0)
    bench.feedback_valid = True
    bench.run(OPEN_S + 0.02)
    assert "welded?" in bench.contactors.fault


@pytest.mark.parametrize("stands_still_s", [0.05, 0.12, 0.29, 0.31, 0.35, 2.0])
@pytest.mark.parametrize("timer_first", [True, False])
@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.015])
def test_a_process_that_stood_still_while_they_opened_finds_them_open(
    stands_still_s: float, timer_first: bool, after_s: float
) -> None:
    bench = Bench()
    bench.close()
    bench.want(False)
    bench.run(after_s)
    bench.closed = False
    bench.now += stands_still_s
    if timer_first:
        assert bench.contactors.handle_timer(bench.now) == []
        assert (bench.contactors.next_timer() or bench.now + 1) > bench.now
    bench.run(0.1)
    assert bench.contactors.state is S.OPEN
    assert bench.contactors.fault == ""


def test_a_weld_is_found_by_a_process_that_stood_still_too() -> None:
    bench = Bench()
    bench.close()
    bench.want(False)
    bench.now += 0.5
    bench.contactors.handle_timer(bench.now)
    bench.run(OPEN_S + 0.02)
    assert "welded?" in bench.contactors.fault


def test_contacts_seen_open_at_the_last_moment_are_open() -> None:
    bench = Bench()
    bench.close()
    bench.want(False)
    bench.run(OPEN_S - 0.01)
    bench.closed = False
    bench.run(0.03)
    assert bench.contactors.state is S.OPEN


def test_reset_without_fault_does_nothing() -> None:
    bench = Bench()
    bench.close()
    assert bench.contactors.reset(bench.now) == []
    assert bench.contactors.is_closed


def test_at_rest_there_is_no_timer() -> None:
    contactors = Contactors()
    assert contactors.next_timer() is None
    assert contactors.handle_timer(9.0) == []


# --- the mains contactor of an AC charger ---------------------------------------------------------


def test_the_mains_contactor_closes_whatever_the_voltage() -> None:
    bench = Bench(MAINS)
    bench.voltage_v, bench.voltage_valid = 325.0, False
    bench.close()


def test_the_mains_contactor_without_permit_stays_open() -> None:
    bench = Bench(MAINS)
    bench.permitted = False
    bench.want(True)
    assert bench.run(1.0) == []
    assert bench.contactors.waiting_for(bench.now) == "no permit to close the contactors"


def test_the_mains_contactor_rests_ten_seconds() -> None:
    bench = Bench(MAINS)
    bench.close()
    bench.want(False)
    bench.closed = False
    bench.run(0.1)
    bench.want(True)
    assert bench.run(MAINS_RECLOSE_S - 0.2) == []
    assert bench.contactors.waiting_for(bench.now) == "contactors opened a moment ago"
    assert CloseContactors() in bench.run(0.2)


@pytest.mark.parametrize("reclose_s", [0.0, 60.0])
def test_configuration_at_its_bounds(reclose_s: float) -> None:
    assert ContactorsConfig(reclose_s=reclose_s).reclose_s == reclose_s


def test_waiting_for_to_the_instant() -> None:
    contactors = Contactors()
    contactors.receive_sample(OutputReading(0.0, 0.0, 16.0), 16.0)
    contactors.receive_signal(Permits(True, True, 17.0), 16.0)
    assert contactors.waiting_for(16.5) == ""  # a voltage 0.5 s old
    assert contactors.waiting_for(16.501) == "no fresh voltage to close on"
    contactors.receive_sample(OutputReading(0.0, 0.0, 16.9), 16.9)
    assert contactors.waiting_for(16.9) == ""
    assert contactors.waiting_for(17.0) == "no permit to close the contactors"


@pytest.mark.parametrize("reclose_s", [-0.1, 60.1, nan])
def test_configuration_has_bounds(reclose_s: float) -> None:
    with pytest.raises(ConfigError):
        ContactorsConfig(reclose_s=reclose_s)
