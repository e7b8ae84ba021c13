"""The start of a session, step by step, as public write-ups of it count the steps.

Each step has its test, and where cheap adapters made people give up, the trap is in its name.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING

import pytest

from controller.plc import wire
from controller.plc.modem import Modem
from controller.plc.sim import no_fault
from controller.signals import (
    DUTY_DIGITAL,
    DutyRequest,
    LinkChanged,
    ModemKeySet,
    SendFrame,
    SetModemKey,
    SlacMatched,
    StartSdp,
    StartSlac,
    StopSlac,
    WatchLink,
)
from controller.slac import timing
from controller.slac.evse import EvseSlacState
from controller.station import EvseState
from controller.station_pev import PevState
from tests.slac.pair import Host, Pair
from tests.slac.plug import Plug
from tests.slac.test_evse import CAR, MAC, Car, keyed, sent, waiting
from tests.slac.test_pev import FAR, NEAR, NID, NMK, Charger

if TYPE_CHECKING:
    from controller.plc.layout import Mme


def plugged() -> Plug:
    plug = Plug(seed="flow")
    plug.line.fault = no_fault
    plug.plug()
    plug.advance(6.0)
    return plug


@cache
def flow() -> Plug:
    """One undisturbed plug-in, from the plug to the link; only looked at."""
    return plugged()


def after_plug(host: Host, kind: type[Mme]) -> list[float]:
    return [at for at in host.sent(kind) if at >= 9.0]


def test_step_01_charger_makes_a_random_network_and_gives_it_to_its_modem() -> None:
    plug = Plug(seed="one")
    (key,) = plug.evse.facts(SetModemKey)
    assert isinstance(key, SetModemKey)
    assert key.nid == wire.nid_from_nmk(key.nmk)
    assert (plug.line.modems[0].nid, plug.line.modems[0].nmk) == (key.nid, key.nmk)
    (other,) = Plug(seed="two").evse.facts(SetModemKey)
    assert other != key


def test_step_01_trap_key_confirm_that_reads_rejected_means_accepted() -> None:
    modem = Modem(MAC)
    modem.receive_signal(SetModemKey(NID, NMK), 0.0)
    cnf = wire.CmSetKeyCnf(result=1)  # the standard's "failure"
    out = modem.receive_frame(wire.build(MAC, b"\x00\xb0\x52\0\0\7", cnf), 0.1)
    assert ModemKeySet(NID) in out


def test_step_02_steady_12_v_without_vehicle() -> None:
    plug = Plug(seed="idle")
    assert not plug.evse.facts(DutyRequest)
    assert plug.duty == 1.0
    assert plug.stations[id(plug.evse)].state is EvseState.UNPLUGGED


def test_step_03_and_04_plug_pulls_the_pilot_to_state_b() -> None:
    plug = Plug(seed="b")
    plug.plug()
    assert plug.stations[id(plug.evse)].state is EvseState.MATCHING
    assert plug.stations[id(plug.pev)].state is PevState.MATCHING


def test_step_05_charger_drives_5_percent() -> None:
    assert flow().evse.facts(DutyRequest)[0] == DutyRequest(DUTY_DIGITAL)


def test_step_06_vehicle_reads_5_percent_as_digital_communication() -> None:
    plug = Plug(seed="six")
    plug.plug()
    assert plug.pev.slac.phase == "looking for a charger"


def test_step_07_vehicle_asks_all_chargers_for_parameters() -> None:
    (asked, *_) = after_plug(flow().pev, wire.CmSlacParmReq)
    assert asked - 9.0 <= timing.TP_EV_SLAC_INIT_S


@pytest.mark.parametrize("gap", [0.0, 0.001, 0.2, 0.4])
def test_step_07_trap_two_requests_in_a_row(gap: float) -> None:
    car = Car(waiting())
    answers = sent(car.parm()) + sent(car.parm(gap))
    assert [type(m) for m in answers] == [wire.CmSlacParmCnf] * 2
    car.start(0.1)
    (char,) = [m for _ in range(10) for m in sent(car.sound())]
    assert isinstance(char, wire.CmAttenCharInd)
    assert char.num_sounds == 10


def test_step_07_trap_second_request_in_the_middle_of_the_sounds() -> None:
    car = Car(waiting())
    car.parm()
    car.start()
    for _ in range(5):
        car.sound()
    assert [type(m) for m in sent(car.parm(0.001))] == [wire.CmSlacParmCnf]
    (char,) = [m for _ in range(5) for m in sent(car.sound())]
    assert isinstance(char, wire.CmAttenCharInd)
    assert char.num_sounds == 10


def test_step_08_charger_confirms_with_the_run_id_and_fixed_parameters() -> None:
    (cnf,) = sent(Car(waiting(), run_id=b"TESLA EV").parm())
    assert isinstance(cnf, wire.CmSlacParmCnf)
    assert (cnf.num_sounds, cnf.time_out, cnf.response_type) == (10, 6, 1)
    assert (cnf.run_id, cnf.forwarding_sta, cnf.sound_target) == (b"TESLA EV", CAR, wire.BROADCAST)


def test_step_09_vehicle_announces_its_sounds_three_times_within_100_ms_of_the_confirm() -> None:
    plug = flow()
    starts = after_plug(plug.pev, wire.CmStartAttenCharInd)
    (cnf,) = after_plug(plug.evse, wire.CmSlacParmCnf)
    assert len(starts) == 3
    assert 0 < starts[0] - cnf <= timing.TP_MATCH_SEQUENCE_S


def test_step_10_vehicle_sounds_ten_times_20_to_50_ms_apart() -> None:
    plug = flow()
    batch = after_plug(plug.pev, wire.CmStartAttenCharInd)
    batch += after_plug(plug.pev, wire.CmMnbcSoundInd)
    gaps = [b - a for a, b in itertools.pairwise(batch)]
    assert len(batch) == 13
    assert 0.0199 < min(gaps) <= max(gaps) < 0.0501


def test_step_11_modem_of_the_charger_measures_each_sound() -> None:
    car = Car(waiting())
    car.parm()
    car.start()
    out = [m for level in (10, 20) for _ in range(5) for m in sent(car.sound(measured=level))]
    (char,) = out
    assert isinstance(char, wire.CmAttenCharInd)
    assert char.attenuation == bytes([15]) * 58


@pytest.mark.parametrize("profile", [b"", bytes(58)], ids=["no group", "all zero"])
def test_step_11_trap_modem_that_measures_nothing(profile: bytes) -> None:
    car = Car(waiting())
    car.parm()
    car.start()
    for _ in range(10):
        car.sound(measured=None)
        mme = wire.CmAttenProfileInd(pev_mac=CAR, attenuation=profile)
        car.evse.receive_frame(wire.build(wire.BROADCAST, b"\0\xb0\x52\0\0\7", mme), car.now)
    (char, *_) = sent(car.wait(0.6))
    assert isinstance(char, wire.CmAttenCharInd)
    assert char.num_sounds == 10
    assert min(char.attenuation) >= 1  # a vehicle takes zeros for a defect


def test_step_12_charger_reports_at_the_latest_700_ms_after_the_first_announcement() -> None:
    plug = flow()
    (char, *_) = after_plug(plug.evse, wire.CmAttenCharInd)
    assert char - after_plug(plug.pev, wire.CmStartAttenCharInd)[0] <= 0.7
    car = Car(waiting())
    car.parm()
    car.start()
    began = car.now
    car.sound(measured=None)
    while not sent(car.wait(0.001)):
        assert car.now - began <= 0.7


@pytest.mark.parametrize(("near", "far"), [(32, 52), (25, 31)])
def test_step_13_vehicle_takes_the_nearest_of_several_chargers(near: int, far: int) -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    charger.char(far, FAR)
    charger.char(near, NEAR)
    (req,) = sent(charger.wait(0.8))
    assert isinstance(req, wire.CmSlacMatchReq)
    assert req.evse_mac == NEAR


def test_step_14_vehicle_confirms_the_report() -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    (rsp,) = sent(charger.char(20))
    assert rsp == wire.CmAttenCharRsp(source_address=charger.pev.mac, run_id=charger.pev.run_id)


def test_step_15_vehicle_asks_the_charger_for_its_network() -> None:
    plug = flow()
    (req,) = after_plug(plug.pev, wire.CmSlacMatchReq)
    first = after_plug(plug.pev, wire.CmStartAttenCharInd)[0]
    assert req - first == pytest.approx(timing.TT_EV_ATTEN_RESULTS_S)


def test_step_16_charger_gives_its_network_to_this_vehicle_alone() -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    frames = [wire.parse(o.frame) for o in car.match() if isinstance(o, SendFrame)]
    assert [f.dst for f in frames] == [CAR]
    cnf = frames[0].mme
    assert isinstance(cnf, wire.CmSlacMatchCnf)
    assert (cnf.nid, cnf.nmk) == (car.evse.nid, car.evse.nmk)


def test_step_17_vehicle_gives_the_network_to_its_modem_as_sent() -> None:
    charger = Charger()
    charger.asked()
    assert SetModemKey(NID, NMK) in charger.match()
    assert wire.nid_from_nmk(NMK) != NID


def test_step_18_both_modems_are_in_one_network_and_only_then_sdp_begins() -> None:
    plug = flow()
    a, b = plug.line.modems
    assert (a.nid, a.nmk) == (b.nid, b.nmk)
    for host in (plug.evse, plug.pev):
        log = [o for _, o in host.log]
        assert log.index(WatchLink(on=True)) < log.index(LinkChanged(True)) < log.index(StartSdp())
        assert [o for o in log if isinstance(o, SlacMatched)]


def test_afterwards_charger_has_a_fresh_network_before_the_next_plug() -> None:
    plug = plugged()
    used = plug.line.modems[0].nmk
    plug.unplug()
    plug.advance(9.0)
    assert plug.line.modems[0].nmk != used
    assert plug.evse.slac.state is EvseSlacState.UNPLUGGED
    assert plug.line.modems[1].nmk != used  # the vehicle has left, too


def test_afterwards_each_unplug_brings_another_key_even_without_a_match() -> None:
    pair = Pair()
    keys = set()
    for _ in range(4):
        pair.advance(10.0)
        keys.add(pair.line.modems[0].nmk)
        pair.signal(pair.evse, StartSlac())
        pair.advance(1.0)
        pair.signal(pair.evse, StopSlac())
    assert len(keys) == 4
    assert keyed().state is EvseSlacState.UNPLUGGED
