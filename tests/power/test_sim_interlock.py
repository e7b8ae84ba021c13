"""The simulated interlock behaves as the contract says: opens in time, closes only when asked."""

from __future__ import annotations

from math import inf

import pytest

from controller.cp.sim import PilotCircuit
from controller.power.sim_interlock import (
    CP_LOST_S,
    EDGE_S,
    WATCHDOG_OPENS_S,
    SimInterlock,
    SimWatchdog,
)

PERIOD_S = 0.005
CONTRACT_S = 0.02


def in_c2() -> PilotCircuit:
    pilot = PilotCircuit()
    pilot.plugged = pilot.s2_closed = True
    pilot.duty = 0.05
    return pilot


def live(pilot: PilotCircuit | None = None) -> SimInterlock:
    """An interlock that feeds the coils at t = 1 s."""
    chain = SimInterlock(pilot or in_c2())
    chain.watchdog.toggle(on=True, now=0.0)
    chain.advance(0.0)
    chain.advance(1.0)
    return chain


# --- watchdog ------------------------------------------------------------------------------------


def test_open_at_power_up_and_closed_by_the_second_edge() -> None:
    watchdog = SimWatchdog()
    assert not watchdog.is_closed(0.0)
    assert watchdog.next_change(0.0) == inf
    watchdog.edge(0.0)
    assert not watchdog.is_closed(0.0)
    watchdog.edge(PERIOD_S)
    assert watchdog.is_closed(PERIOD_S)


def test_one_edge_is_not_enough() -> None:
    watchdog = SimWatchdog()
    watchdog.edge(0.0)
    for k in range(30):
        assert not watchdog.is_closed(k * 0.001)
    watchdog.edge(0.1)
    assert not watchdog.is_closed(0.1)


def test_opens_within_the_contract_after_the_last_edge() -> None:
    watchdog = SimWatchdog()
    for k in range(10):
        watchdog.edge(k * PERIOD_S)
    last = 9 * PERIOD_S
    assert watchdog.is_closed(last + WATCHDOG_OPENS_S - 0.001)
    assert watchdog.next_change(last) == pytest.approx(last + WATCHDOG_OPENS_S)
    assert not watchdog.is_closed(last + WATCHDOG_OPENS_S)
    assert WATCHDOG_OPENS_S < CONTRACT_S


def test_a_late_period_is_ridden_out_but_a_gap_begins_anew() -> None:
    watchdog = SimWatchdog()
    for at in (0.0, 0.005, 0.010, 0.022):  # 12 ms between two edges
        watchdog.edge(at)
    assert watchdog.is_closed(0.022)
    watchdog.edge(0.045)  # 21 ms
    assert not watchdog.is_closed(0.045)


def test_toggling_by_itself_equals_edges() -> None:
    watchdog = SimWatchdog()
    watchdog.toggle(on=True, now=5.0)
    assert not watchdog.is_closed(5.0)
    assert watchdog.next_change(5.0) == pytest.approx(5.0 + EDGE_S)
    assert watchdog.is_closed(3600.0)
    assert watchdog.next_change(3600.0) == inf
    watchdog.toggle(on=False, now=3600.0)
    assert watchdog.is_closed(3600.0 + WATCHDOG_OPENS_S / 2)
    assert not watchdog.is_closed(3600.0 + WATCHDOG_OPENS_S)


@pytest.mark.parametrize("stuck", [True, False])
def test_a_stuck_watchdog_ignores_its_input(stuck: bool) -> None:
    watchdog = SimWatchdog()
    watchdog.stuck = stuck
    assert watchdog.is_closed(0.0) is stuck
    watchdog.toggle(on=True, now=0.0)
    assert watchdog.is_closed(1.0) is stuck


# --- chain and coils -----------------------------------------------------------------------------


def test_all_closed_feeds_the_coils() -> None:
    chain = live()
    assert chain.chain_closed
    assert chain.coils_live
    assert chain.modules_enabled
    assert not chain.coils_on
    chain.command(closed=True, now=1.0)
    assert chain.coils_on


def test_without_c2_the_chain_closes_but_feeds_nothing() -> None:
    pilot = in_c2()
    pilot.s2_closed = False  # B2
    chain = live(pilot)
    assert chain.chain_closed
    assert not chain.coils_live
    chain.command(closed=True, now=1.0)
    assert not chain.coils_on


LOSSES = {
    "unplugged": ("plugged", False),
    "S2 open": ("s2_closed", False),
    "wire broken": ("wire_open", True),
    "short to PE": ("short_ohm", 10.0),
    "no oscillator": ("duty", 1.0),
    "state F": ("duty", 0.0),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_losing_the_pilot_cuts_the_supply(loss: str) -> None:
    chain = live()
    chain.command(closed=True, now=1.0)
    setattr(chain.pilot, *LOSSES[loss])
    chain.advance(2.0)
    assert chain.coils_live  # one-shots have not run out
    assert chain.next_at == pytest.approx(2.0 + CP_LOST_S)
    chain.advance(chain.next_at)
    assert not chain.coils_live
    assert not chain.coils_on
    assert not chain.modules_enabled
    assert chain.chain_closed


@pytest.mark.parametrize("part", ["stop_a", "stop_b", "over_voltage"])
def test_any_part_opens_the_chain_at_once(part: str) -> None:
    chain = live()
    setattr(chain, part, True)
    chain.advance(1.0)
    assert not chain.chain_closed
    assert not chain.coils_live


def test_a_dead_process_opens_everything() -> None:
    chain = live()
    chain.command(closed=True, now=1.0)
    chain.watchdog.toggle(on=False, now=2.0)
    chain.advance(2.0)
    assert chain.coils_on
    chain.advance(chain.next_at)
    assert not chain.coils_on
    assert chain.next_at == inf


def test_a_trip_needs_a_fresh_edge_of_the_command() -> None:
    chain = live()
    chain.command(closed=True, now=1.0)
    chain.stop_a = True
    chain.advance(1.1)
    chain.stop_a = False
    chain.advance(1.2)
    assert chain.coils_live
    assert not chain.coils_on  # the pin is still active: that is no edge
    chain.command(closed=True, now=1.3)
    assert not chain.coils_on
    chain.command(closed=False, now=1.4)
    chain.command(closed=True, now=1.5)
    assert chain.coils_on


# --- faults --------------------------------------------------------------------------------------


def test_bridges_and_dead_parts() -> None:
    chain = SimInterlock(PilotCircuit())
    chain.chain_bridged = True
    chain.advance(0.0)
    assert (chain.chain_closed, chain.coils_live) == (True, False)
    chain.cp_bridged = True
    chain.advance(0.0)
    assert chain.coils_live
    dead = SimInterlock(in_c2())
    dead.cp_dead = True
    dead.watchdog.toggle(on=True, now=0.0)
    dead.advance(0.0)
    dead.advance(1.0)
    assert (dead.chain_closed, dead.coils_live) == (True, False)


def test_a_stuck_read_back_changes_nothing_else() -> None:
    chain = live()
    chain.coils_stuck = False
    assert not chain.coils_live
    assert chain.modules_enabled
    chain.coils_stuck = True
    chain.stop_b = True
    chain.advance(1.0)
    assert chain.coils_live
    assert not chain.modules_enabled


def test_a_board_without_interlock_reads_as_unconnected_and_obeys() -> None:
    chain = SimInterlock(PilotCircuit())
    chain.fitted = False
    chain.advance(0.0)
    assert (chain.chain_closed, chain.coils_live) == (False, False)
    chain.command(closed=True, now=0.0)
    assert chain.coils_on
    assert chain.modules_enabled
