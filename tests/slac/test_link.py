"""Only the link tells whether a match was one: stations, pilot, faults and retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.plc import wire
from controller.plc.sim import Transit, no_fault
from controller.signals import SessionEnded, SetModemKey, SlacFailed, SlacMatched, StopRequest
from controller.slac import timing
from controller.slac.choice import Policy
from controller.station import EvseState
from controller.station_pev import PevState
from tests.slac.plug import Plug, chance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from controller.plc.sim import Fault


def dropped(mmtype: int, until: Callable[[], bool] = lambda: False) -> Fault:
    """Lose every frame of one type."""

    def fault(transit: Transit) -> Sequence[float]:
        lost = wire.mmtype_of(transit.frame) == mmtype and not until()
        return () if lost else (0.0,)

    return fault


def test_undisturbed() -> None:
    outcome = Plug().session(no_fault, 30.0)
    assert (outcome.evse_matched, outcome.pev_matched, outcome.linked) == (True, True, True)
    assert outcome.matched_s == pytest.approx(1.24, abs=0.02)
    assert outcome.linked_s < timing.TT_MATCH_JOIN_S
    assert (outcome.misunderstandings, outcome.steps) == (0, 0)


def test_five_percent_of_each_fault_still_link() -> None:
    plug = Plug(seed="five percent")
    outcomes = [plug.session(chance(seed, 0.05, 0.05, 0.05), 150.0) for seed in range(60)]
    assert all(o.linked and o.evse_matched and o.pev_matched for o in outcomes)
    assert all(o.steps == 0 for o in outcomes)  # within the tries of one matching


def test_every_fourth_frame_lost_is_resolved_too() -> None:
    plug = Plug(seed="quarter")
    outcomes = [plug.session(chance(seed, 0.25, 0.25, 0.25), 150.0) for seed in range(40)]
    assert all(o.linked for o in outcomes)
    assert any(o.misunderstandings for o in outcomes)  # it did happen, and ended well


def test_confirm_that_never_arrives_fails_on_both_sides() -> None:
    plug = Plug()
    outcome = plug.session(dropped(wire.CmSlacMatchCnf.MMTYPE), 150.0)
    assert not outcome.linked
    assert not outcome.pev_matched
    assert not outcome.evse_matched
    assert outcome.steps == timing.C_SEQU_RETRY


def test_step_through_f_resolves_a_one_sided_match() -> None:
    plug = Plug()
    outcome = plug.session(dropped(wire.CmSlacMatchCnf.MMTYPE, lambda: plug.steps > 0), 150.0)
    assert outcome.linked
    assert outcome.steps == 1
    assert outcome.misunderstandings > 0


def test_link_that_does_not_come_is_tried_again() -> None:
    plug = Plug()
    vehicle = plug.line.modems[1]
    vehicle.restart_s = 20.0  # too long for TT_match_join: only the first time

    def slow_once(transit: Transit) -> Sequence[float]:
        if plug.steps:
            vehicle.restart_s = 3.5
        return (0.0,)

    outcome = plug.session(slow_once, 200.0)
    assert outcome.linked
    assert outcome.steps >= 1
    assert outcome.evse_matched
    assert outcome.pev_matched


def test_unplugged_while_stepping_is_over() -> None:
    plug = Plug()
    plug.line.fault = dropped(wire.CmSlacMatchCnf.MMTYPE)
    plug.plug()
    while plug.steps == 0:
        plug.advance(0.5)
    assert plug.stations[id(plug.evse)].state is EvseState.STEPPING
    plug.unplug()
    plug.advance(10.0)
    assert plug.stations[id(plug.evse)].state is EvseState.UNPLUGGED
    assert plug.stations[id(plug.pev)].state is PevState.UNPLUGGED
    assert plug.session(no_fault, 40.0).linked


def test_vehicle_that_was_asked_to_stop_does_not_begin_anew() -> None:
    plug = Plug()
    plug.line.fault = dropped(wire.CmSlacMatchCnf.MMTYPE)
    plug.plug()
    plug.advance(2.0)
    station = plug.stations[id(plug.pev)]
    plug.obey(plug.pev, station.receive_signal(StopRequest("driver"), plug.now))
    while plug.steps == 0:
        plug.advance(0.5)
    plug.advance(6.0)
    assert station.state is PevState.ENDED
    assert len(plug.pev.facts(SessionEnded)) == 1


def test_pilot_without_oscillator_ends_matching_and_leaves_the_network() -> None:
    plug = Plug()
    plug.plug()
    plug.advance(2.0)
    assert plug.pev.facts(SlacMatched)
    keys = len(plug.pev.facts(SetModemKey))
    plug.duty = 0.0
    plug._pilot()
    assert plug.stations[id(plug.pev)].state is PevState.WAITING
    plug.advance(timing.TP_MATCH_LEAVE_S)
    assert len(plug.pev.facts(SetModemKey)) == keys + 1


@pytest.mark.parametrize("attenuation_db", [15.0, 8.0])
def test_validation_toggles_the_pilot_and_is_counted(attenuation_db: float) -> None:
    plug = Plug()
    plug.pev.slac.policy = Policy.STANDARD  # type: ignore[union-attr]
    plug.line.set_coupling(0, 1, attenuation_db)
    plug.plug()
    plug.advance(6.0)
    toggled = len(plug.pev.sent(wire.CmValidateReq))
    assert plug.pev.facts(SlacMatched)
    assert toggled == (2 if attenuation_db > 10 else 0)
    assert not plug.s2


def test_too_far_away_for_the_standard() -> None:
    plug = Plug()
    plug.pev.slac.policy = Policy.STANDARD  # type: ignore[union-attr]
    plug.line.set_coupling(0, 1, 30.0)
    plug.plug()
    plug.advance(45.0)
    (failed, *_) = plug.pev.facts(SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "no charger" in failed.reason
