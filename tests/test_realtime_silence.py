"""The pilot and the contactors when the communication process falls silent, dies, comes back."""

from __future__ import annotations

from math import nan

import pytest

from controller.cp import timing
from controller.cp.evse import SILENT
from controller.realtime_base import HEARTBEAT_TIMEOUT_S
from controller.signals import (
    CloseContactors,
    ContactorRequest,
    ControlPilotState,
    DutyRequest,
    Heartbeat,
    InterlockReport,
    OpenContactors,
    Output,
    OutputRequest,
    Phase,
    PilotChanged,
    PowerReport,
    SetDuty,
    SetOutput,
)
from tests.test_realtime import STEP_S, Charger, of

S = ControlPilotState
LATEST_S = HEARTBEAT_TIMEOUT_S + 2 * STEP_S


class Site(Charger):
    """A charger whose communication process may die and be replaced."""

    def die(self) -> None:
        self.beating = None
        self.obey(self.core.communication_lost(self.now))

    def replace(self, phase: Phase = Phase.IDLE) -> None:
        self.obey(self.core.communication_found(self.now))
        self.beating, self.sequence = phase, 0

    def unplug(self) -> None:
        self.high_v = 12.0
        self.run(0.1)

    def connect(self) -> None:
        """Plug a vehicle in; the session asks for 5 %."""
        self.run(0.2)
        self.high_v = 9.0
        self.run(0.1)
        self.beating = Phase.CONNECTED
        self.feed(DutyRequest(0.05))
        self.run(0.1)

    def charge(self) -> None:
        self.connect()
        self.high_v = 6.0
        self.beating = Phase.CABLE_CHECK
        self.feed(ContactorRequest(closed=True))
        self.feed(OutputRequest(Phase.CABLE_CHECK, 400.0, 1.0, 420.0))
        self.run(1.0)
        assert self.closed

    @property
    def pilot(self) -> PilotChanged:
        return next(o for o in reversed(self.out) if isinstance(o, PilotChanged))

    @property
    def duty(self) -> float:
        return self.core.pilot.duty


def flood(site: Site) -> None:
    """Garbage without a valid heartbeat: requests of every kind, old and nonsensical beats."""
    site.beating = None
    for item in (
        DutyRequest(nan),
        DutyRequest(0.05),
        Heartbeat(-5, Phase.CHARGE),
        Heartbeat(0, Phase.CHARGE),
        OutputRequest(Phase.CHARGE, nan, nan, nan),
        OutputRequest(Phase.CABLE_CHECK, 400.0, 1.0, 420.0),
        ContactorRequest(closed=True),
    ):
        site.feed(item)


def hang(site: Site) -> None:
    site.beating = None


@pytest.mark.parametrize("way", [hang, flood])
def test_with_power_on_everything_ends_together(way: object) -> None:
    site = Site()
    site.charge()
    assert callable(way)
    until = site.now + 0.1
    way(site)
    site.run(LATEST_S)
    assert site.now <= until
    assert not site.closed
    assert not site.setpoint.on
    assert site.duty == 1.0
    assert site.pilot.state is S.C1
    site.run(1.0)
    assert site.pilot.held == SILENT
    site.run(9.0)
    assert site.duty == 1.0
    reason = of(OpenContactors, site.out)[0]
    assert isinstance(reason, OpenContactors)
    assert way is flood or "silent" in reason.reason


def test_death_is_noticed_at_once() -> None:
    site = Site()
    site.charge()
    site.die()
    assert not site.closed
    assert site.duty == 1.0
    site.run(STEP_S)
    assert not site.setpoint.on


def test_before_power_a_hiccup_is_borne() -> None:
    """Nothing can flow: a garbage collection shall not cost a plug-in, but half a second does."""
    site = Site()
    site.connect()
    site.beating = None
    site.run(timing.PILOT_SILENCE_S - 2 * STEP_S)
    assert site.duty == 0.05
    site.beating = Phase.CONNECTED
    site.run(1.0)
    assert (site.duty, site.pilot.held) == (0.05, "")
    site.beating = None
    site.run(timing.PILOT_SILENCE_S + 2 * STEP_S)
    assert (site.duty, site.pilot.state, site.pilot.held) == (1.0, S.B1, SILENT)


@pytest.mark.parametrize("charging", [False, True])
@pytest.mark.parametrize("dead", [False, True])
def test_it_stays_off_for_this_vehicle_and_the_next_one_charges(charging: bool, dead: bool) -> None:
    site = Site()
    site.charge() if charging else site.connect()
    if dead:
        site.die()
    site.beating = None
    site.run(2.0)
    site.replace()
    for duty in (0.05, 0.5, 0.05):
        site.feed(DutyRequest(duty))
        site.run(8.0)
        assert site.duty == 1.0
    assert site.pilot.held == SILENT
    out = site.run(1.0)
    assert of(CloseContactors, out) == []
    site.voltage_v = 0.0
    site.unplug()
    assert (site.pilot.state, site.pilot.held) == (S.A1, "")
    site.charge()
    assert site.closed


def test_a_vehicle_that_was_never_asked_to_talk_may_charge_with_the_new_process() -> None:
    """The process died in the night, the car was plugged in, the process came back."""
    site = Site()
    site.run(0.2)
    site.die()
    site.run(1.0)
    site.high_v = 9.0
    site.run(3.0)
    site.replace()
    site.charge()
    assert site.duty == 0.05


def test_a_vehicle_whose_session_was_over_is_not_started_again() -> None:
    """B2 to B1 is for good (CharIN design guide), also for a process that knows nothing of it."""
    site = Site()
    site.connect()
    site.feed(DutyRequest(1.0))
    site.run(1.0)
    assert site.pilot.held == ""
    site.die()
    site.run(0.2)
    site.replace()
    site.feed(DutyRequest(0.05))
    site.run(6.0)
    assert (site.duty, site.pilot.held) == (1.0, SILENT)


def test_without_a_process_the_charger_is_not_available() -> None:
    site = Site()
    site.run(0.2)
    site.die()
    site.run(timing.ABSENT_S - 0.1)
    assert site.duty == 1.0
    site.run(0.2)
    assert site.duty == 0.0
    site.high_v = -12.0
    site.run(5.0)
    assert site.pilot.state is S.F
    site.replace()
    site.run(2 * STEP_S)
    assert site.duty == 1.0
    site.high_v = 9.0  # someone plugged in meanwhile: nobody saw it, so it is a new vehicle
    site.run(timing.T_HOLD_X1_S)
    site.charge()


def test_a_silent_process_is_absent_after_a_while_too() -> None:
    site = Site()
    site.run(0.2)
    site.beating = None
    site.run(timing.ABSENT_S + 0.1)
    assert site.duty == 0.0
    site.beating = Phase.IDLE
    site.run(2 * STEP_S)
    assert site.duty == 1.0  # nobody was plugged in: nobody has to be shown F for long


def test_a_process_that_never_came_is_absent() -> None:
    site = Site()
    site.beating = None
    site.run(timing.ABSENT_S + 0.1)
    assert site.duty == 0.0


def test_a_vehicle_at_f_sees_it_for_t_step_ef() -> None:
    site = Site()
    site.run(0.2)
    site.high_v = 9.0
    site.run(0.2)
    site.die()
    site.run(timing.ABSENT_S + 0.1)
    assert site.duty == 0.0
    site.high_v = -12.0
    site.replace()
    began = site.now
    site.feed(DutyRequest(0.05))
    while site.duty == 0.0 and site.now < began + 10.0:
        site.step()
    assert timing.T_STEP_EF_S - 0.2 <= site.now - began <= timing.T_STEP_EF_S
    site.high_v = 9.0
    off_at = site.now
    while site.duty == 1.0 and site.now < off_at + 10.0:
        site.step()
    assert site.now - off_at == pytest.approx(timing.T_HOLD_X1_S, abs=2 * STEP_S)
    assert site.duty == 0.05


def test_a_held_vehicle_is_watched_in_x1_so_that_its_end_is_seen() -> None:
    """At -12 V nobody could see it being unplugged, and the next one would be taken for it."""
    site = Site()
    site.connect()
    site.die()
    site.run(timing.ABSENT_S + 5.0)
    assert (site.duty, site.pilot.state) == (1.0, S.B1)
    site.unplug()
    site.run(STEP_S)
    assert site.duty == 0.0  # now nobody is there, and nobody could be served
    site.high_v = -12.0
    site.run(1.0)
    site.replace()
    site.high_v = 9.0
    site.charge()


def test_a_new_process_is_waited_for_before_it_is_called_silent() -> None:
    site = Site()
    site.run(0.2)
    site.die()
    site.run(5.0)
    site.obey(site.core.communication_found(site.now))
    site.feed(DutyRequest(0.05))
    site.run(0.2)
    assert site.duty == 0.05
    site.beating, site.sequence = Phase.IDLE, 0
    site.run(2.0)
    assert site.duty == 0.05


def test_what_a_dead_process_asked_of_the_output_is_void() -> None:
    """Died in the cable check, vehicle gone, a new process that only ever asks for the next one."""
    site = Site()
    site.charge()
    site.die()
    site.run(0.5)
    site.unplug()
    site.replace()
    site.charge()
    assert site.closed


def test_what_it_is_told_says_why_it_may_not_charge() -> None:
    site = Site()
    site.charge()
    site.die()
    site.run(0.1)
    told = site.core.communication_found(site.now)
    pilot = next(o for o in told if isinstance(o, PilotChanged))
    power = next(o for o in told if isinstance(o, PowerReport))
    assert of(InterlockReport, told)
    assert (pilot.state, pilot.held) == (S.C1, SILENT)
    assert not power.output_on


def test_a_wish_right_behind_the_beat_counts() -> None:
    """A process that hung asks in the same instant in which it beats again."""
    site = Site()
    site.connect()
    site.beating = None
    site.run(1.0)
    site.unplug()
    site.high_v = 9.0
    site.run(0.1)
    assert site.pilot.held == ""
    site.sequence += 1
    site.feed(DutyRequest(0.05))
    assert site.duty == 1.0
    site.feed(Heartbeat(site.sequence, Phase.CONNECTED))
    site.feed(DutyRequest(0.05))
    assert site.duty == 0.05


def test_deadlines_act_without_inputs() -> None:
    """The hardware's inputs stop too: the timers alone stop the oscillator and open."""
    site = Site()
    site.charge()
    site.beating = None
    out: list[Output] = []
    until = site.now + 12.0
    while (due := site.core.next_timer()) is not None and due <= until:
        site.now = max(site.now, due)
        out += site.core.handle_timer(site.now)
    assert of(OpenContactors, out)
    assert next(o for o in out if isinstance(o, SetOutput)).on is False
    assert [o.duty for o in out if isinstance(o, SetDuty)] == [1.0]


def test_an_emergency_is_stronger_than_absence() -> None:
    site = Site()
    site.charge()
    site.emergency = True
    site.run(0.1)
    site.die()
    site.run(timing.ABSENT_S + 1.0)
    assert site.duty == 1.0
    site.emergency = False
    site.unplug()
    site.run(1.0)
    assert site.duty == 0.0
