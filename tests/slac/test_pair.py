"""Charger and vehicle through the simulated powerline: good case, faults, unplugging."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from controller.plc import wire
from controller.plc.sim import Fault, Transit, seeded_rng
from controller.signals import (
    LinkChanged,
    ModemKeySet,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    SlacPhaseChanged,
    StartSlac,
    StopSlac,
    WatchLink,
)
from controller.slac import timing
from controller.slac.evse import EvseSlacState
from controller.slac.pev_table import PevSlacState
from tests.slac.pair import EVSE_MAC, Host, Pair

if TYPE_CHECKING:
    from collections.abc import Sequence

EVSE_MATCHED, PEV_MATCHED = EvseSlacState.MATCHED, PevSlacState.MATCHED


def plugged(pair: Pair) -> Pair:
    pair.advance(5.0)
    for host in pair.hosts:
        pair.signal(host, StartSlac())
    return pair


def match_of(host: Host) -> SlacMatched:
    found = host.facts(SlacMatched)
    assert found, host.log[-5:]
    last = found[-1]
    assert isinstance(last, SlacMatched)
    return last


def both_matched(pair: Pair) -> bool:
    return pair.evse.slac.state is EVSE_MATCHED and pair.pev.slac.state is PEV_MATCHED


def test_good_case_joins_both_modems() -> None:
    pair = plugged(Pair())
    pair.advance(1.5)
    evse, pev = match_of(pair.evse), match_of(pair.pev)
    assert (evse.nid, evse.nmk, evse.run_id) == (pev.nid, pev.nmk, pev.run_id)
    assert evse.peer_mac == pair.pev.slac.mac
    assert pev.peer_mac == pair.evse.slac.mac
    assert evse.attenuation_db == pytest.approx(pev.attenuation_db)
    assert 10 < evse.attenuation_db < 30
    for host in pair.hosts:
        pair.signal(host, WatchLink(True))
    assert not pair.evse.facts(LinkChanged)
    pair.advance(timing.TT_MATCH_JOIN_S)
    for host in pair.hosts:
        assert host.facts(LinkChanged) == [LinkChanged(True)]
        assert not host.facts(SlacFailed)


def test_phases_tell_the_story() -> None:
    pair = plugged(Pair())
    pair.advance(2.0)
    phases = [o.phase for o in pair.evse.facts(SlacPhaseChanged) if isinstance(o, SlacPhaseChanged)]
    assert phases == [
        "unplugged",
        "waiting for the vehicle",
        "vehicle asked for parameters",
        "sounding",
        "attenuation reported",
        "waiting for the match request",
        "matched",
    ]


def test_every_interval_is_within_the_standard() -> None:
    pair = plugged(Pair())
    pair.advance(2.0)
    pev, evse = pair.pev, pair.evse
    (parm_req,) = pev.sent(wire.CmSlacParmReq)
    (parm_cnf,) = evse.sent(wire.CmSlacParmCnf)
    starts, sounds = pev.sent(wire.CmStartAttenCharInd), pev.sent(wire.CmMnbcSoundInd)
    (char,) = evse.sent(wire.CmAttenCharInd)
    (rsp,) = pev.sent(wire.CmAttenCharRsp)
    (match_req,) = pev.sent(wire.CmSlacMatchReq)
    (match_cnf,) = evse.sent(wire.CmSlacMatchCnf)
    assert parm_cnf - parm_req <= timing.TP_MATCH_RESPONSE_S
    assert starts[0] - parm_cnf <= timing.TP_MATCH_SEQUENCE_S
    assert len(starts) == 3
    assert len(sounds) == 10
    batch = [*starts, *sounds]
    gaps = [b - a for a, b in itertools.pairwise(batch)]
    assert min(gaps) >= 0.0199
    assert max(gaps) <= 0.0501
    assert char - starts[0] <= 0.7
    assert rsp - char <= timing.TP_MATCH_RESPONSE_S
    assert match_req - starts[0] == pytest.approx(timing.TT_EV_ATTEN_RESULTS_S)
    assert match_cnf - match_req <= timing.TP_MATCH_RESPONSE_S


def test_modem_that_measures_nothing_gets_the_fallback() -> None:
    pair = plugged(Pair(profile_groups=0))
    pair.advance(2.0)
    assert match_of(pair.pev).attenuation_db == 20.0
    (char,) = pair.evse.sent(wire.CmAttenCharInd)
    (first, *_) = pair.pev.sent(wire.CmStartAttenCharInd)
    assert 0.59 < char - first < 0.7  # waits for the window's end, not longer


def drop_nth(mmtype: int, *numbers: int) -> Fault:
    """Lose these copies (counting from 0) of one message."""
    seen = [0]

    def fault(transit: Transit) -> Sequence[float]:
        if wire.mmtype_of(transit.frame) != mmtype:
            return (0.0,)
        seen[0] += 1
        return () if seen[0] - 1 in numbers else (0.0,)

    return fault


LOSABLE = [
    wire.CmSlacParmReq,
    wire.CmSlacParmCnf,
    wire.CmStartAttenCharInd,
    wire.CmMnbcSoundInd,
    wire.CmAttenCharInd,
    wire.CmAttenCharRsp,
    wire.CmSlacMatchReq,
    wire.CmSlacMatchCnf,
]


@pytest.mark.parametrize("lost", [(0,), (0, 1)], ids=["first", "first two"])
@pytest.mark.parametrize("mme", LOSABLE, ids=lambda m: m.NAME)
def test_retries_cover_losses(mme: type[wire.CmSlacParmReq], lost: tuple[int, ...]) -> None:
    pair = plugged(Pair(fault=drop_nth(mme.MMTYPE, *lost)))
    pair.advance(3.0)
    assert both_matched(pair)
    assert len(pair.pev.sent(wire.CmSlacParmReq)) <= 3  # within the first try


@pytest.mark.parametrize("mme", LOSABLE, ids=lambda m: m.NAME)
def test_a_lost_try_is_repeated(mme: type[wire.CmSlacParmReq]) -> None:
    pair = plugged(Pair(fault=drop_nth(mme.MMTYPE, *range(3))))
    pair.advance(8.0)
    assert both_matched(pair)
    assert match_of(pair.evse).run_id == match_of(pair.pev).run_id


def random_faults(seed: str, loss: int, repeat: int, late: int) -> Fault:
    """Lose, repeat and delay (past the next frames) so many of 256 frames."""
    rng = seeded_rng(seed)

    def fault(transit: Transit) -> Sequence[float]:
        a, b, c, d = rng(4)
        delay = 0.001 * (d % 60) if c < late else 0.0
        if a < loss:
            return ()
        return (delay, delay + 0.015) if b < repeat else (delay,)

    return fault


@pytest.mark.parametrize("number", range(60))
def test_faulty_wire_ends_matched_on_both_sides(number: int) -> None:
    seed = f"faulty {number}"
    pair = plugged(Pair(seed=seed, fault=random_faults(seed, loss=26, repeat=26, late=40)))
    pair.advance(40.0)
    assert both_matched(pair)
    evse, pev = match_of(pair.evse), match_of(pair.pev)
    assert (evse.run_id, evse.nmk) == (pev.run_id, pev.nmk)


def test_nobody_at_the_charger() -> None:
    pair = Pair()
    pair.advance(5.0)
    pair.signal(pair.evse, StartSlac())
    pair.advance(timing.TT_EVSE_SLAC_INIT_S + 0.1)
    (failed,) = pair.evse.facts(SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "no CM_SLAC_PARM.REQ" in failed.reason


def test_no_charger_in_earshot() -> None:
    pair = Pair()
    pair.line.set_coupling(0, 1, None)
    plugged(pair)
    pair.advance(29.0)
    assert not pair.pev.facts(SlacFailed)
    pair.advance(3.0)
    (failed,) = pair.pev.facts(SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "no charger answers" in failed.reason


@pytest.mark.parametrize(
    ("vehicle_stops_after", "step"),
    [(0.001, "parm"), (0.07, "start"), (0.2, "sounds"), (0.41, "results"), (1.235, "match")],
)
def test_unplugged_on_the_way_and_plugged_in_again(vehicle_stops_after: float, step: str) -> None:
    pair = plugged(Pair())
    pair.advance(vehicle_stops_after)
    first_nmk = pair.evse.facts(SetModemKey)[-1]
    for host in pair.hosts:
        pair.signal(host, StopSlac())
    pair.line.set_coupling(0, 1, None)
    pair.advance(0.5)
    assert pair.evse.slac.state is EvseSlacState.UNPLUGGED
    assert pair.pev.slac.state is PevSlacState.IDLE
    assert pair.evse.facts(SetModemKey)[-1] != first_nmk
    assert not pair.pev.facts(SlacMatched)
    # at once again: the charger's modem is still restarting with its new key
    pair.line.set_coupling(0, 1, 20.0)
    for host in pair.hosts:
        pair.signal(host, StartSlac())
    pair.advance(8.0)
    assert both_matched(pair)
    assert match_of(pair.pev).nmk == match_of(pair.evse).nmk


def test_each_plug_in_has_its_own_key() -> None:
    pair = Pair()
    keys = []
    for _ in range(3):
        plugged(pair)
        pair.advance(6.0)  # both modems were deaf for a while: they left the network
        keys.append(match_of(pair.evse).nmk)
        for host in pair.hosts:
            pair.signal(host, StopSlac())
    assert len(set(keys)) == 3
    assert keys[-1] == match_of(pair.pev).nmk


def test_vehicle_that_lost_every_confirm_begins_again() -> None:
    pair = plugged(Pair(fault=drop_nth(wire.CmSlacMatchCnf.MMTYPE, 0, 1, 2)))
    pair.advance(1.4)
    assert pair.evse.slac.state is EVSE_MATCHED
    assert pair.pev.slac.state is PevSlacState.WAIT_MATCH_CNF
    pair.advance(3.0)
    assert both_matched(pair)
    assert len(pair.evse.facts(SlacMatched)) == 2


def test_vehicle_takes_the_nearest_charger() -> None:
    pair = Pair(chargers=2)
    pair.line.set_coupling(0, 2, 45.0)
    pair.line.set_coupling(1, 2, 18.0)
    plugged(pair)
    pair.advance(2.0)
    assert match_of(pair.pev).peer_mac == pair.hosts[1].slac.mac != EVSE_MAC
    assert pair.hosts[0].slac.state is EvseSlacState.WAITING
    assert not pair.hosts[0].facts(SlacMatched)


@pytest.mark.parametrize("vehicles", [2, 5])
def test_vehicles_at_once_are_all_measured(vehicles: int) -> None:
    pair = plugged(Pair(vehicles=vehicles))
    pair.advance(1.0)
    assert len(pair.evse.sent(wire.CmAttenCharInd)) == vehicles
    pair.advance(1.0)
    assert len(pair.evse.facts(SlacMatched)) == 1  # one cable: the first that asks
    matched = [h for h in pair.hosts[1:] if h.slac.state is PEV_MATCHED]
    assert [h.slac.mac for h in matched] == [match_of(pair.evse).peer_mac]


def test_a_neighbour_cannot_disturb_a_session() -> None:
    pair = Pair(vehicles=2)
    pair.advance(5.0)
    pair.signal(pair.evse, StartSlac())
    pair.signal(pair.pev, StartSlac())
    pair.advance(2.0)
    assert both_matched(pair)
    pair.signal(pair.evse, WatchLink(True))
    pair.signal(pair.pev, WatchLink(True))
    pair.advance(10.0)
    before = len(pair.evse.log)
    pair.signal(pair.hosts[2], StartSlac())
    pair.advance(5.0)
    assert not pair.evse.sent(wire.CmSlacParmCnf)[1:]
    assert all(not isinstance(o, SlacMatched) for _, o in pair.evse.log[before:])


def test_no_modem_no_matching() -> None:
    pair = Pair()
    pair.line.modems[0].restarting_until = float("inf")
    pair.advance(1.0)
    pair.signal(pair.evse, StartSlac())
    pair.advance(30.0)
    (failed,) = pair.evse.facts(SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "modem on eth0" in failed.reason
    # a modem that comes later gets a key, and the next plug-in works
    pair.signal(pair.evse, StopSlac())
    pair.line.modems[0].restarting_until = pair.now
    pair.advance(20.0)
    assert pair.evse.facts(ModemKeySet)
    pair.signal(pair.evse, StartSlac())
    pair.signal(pair.pev, StartSlac())
    pair.advance(3.0)
    assert both_matched(pair)


def test_whole_exchange_is_repeatable() -> None:
    def run() -> list[str]:
        pair = plugged(Pair(seed="again", fault=random_faults("again", 20, 20, 20)))
        pair.advance(10.0)
        return [f"{at:.6f} {o!r}" for host in pair.hosts for at, o in host.log]

    assert run() == run()
