"""CM_VALIDATE on both sides, the count of toggles, the choice by attenuation, amplitude maps."""

from __future__ import annotations

import pytest

from controller.machine import lint_table
from controller.plc import wire
from controller.signals import (
    BcbToggled,
    ControlPilotState,
    LinkChanged,
    ModemKeySet,
    Output,
    PilotChanged,
    S2Request,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import timing
from controller.slac.amp_map import AmplitudeMap
from controller.slac.choice import Policy, ranked
from controller.slac.pev_table import PevSlacState
from controller.slac.toggles import PilotToggles
from tests.slac.test_evse import CAR2, MAC, Car, facts, sent, waiting
from tests.slac.test_pev import FAR, NEAR, NID, Charger


def pilot(letter: str) -> PilotChanged:
    volts = {"A": 12.0, "B": 9.0, "C": 6.0, "F": -12.0}[letter]
    state = ControlPilotState(letter if letter == "F" else letter + "2")
    return PilotChanged(state, volts, -12.0, 0.05, diode_ok=True)


def toggle(car: Car, seconds: float = 0.3, times: int = 1) -> list[Output]:
    out: list[Output] = []
    for _ in range(times):
        car.evse.receive_signal(pilot("C"), car.now)
        out += car.wait(seconds)
        car.evse.receive_signal(pilot("B"), car.now)
        out += car.wait(seconds)
    return out


def reported(*, with_pilot: bool = True) -> Car:
    """A car that has its attenuation and may ask for validation or match."""
    car = Car(waiting())
    if with_pilot:
        car.evse.receive_signal(pilot("B"), car.now)
    car.until_atten_char()
    car.rsp()
    return car


# --- the charger -------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 2, 3])
def test_toggles_are_counted_and_told(times: int) -> None:
    car = reported()
    ready = wire.CmValidateCnf(result=wire.VALIDATE_READY)
    assert sent(car.say(wire.CmValidateReq(), 0.1, MAC)) == [ready]
    assert sent(car.say(wire.CmValidateReq(timer=24), 0.1, MAC)) == []
    assert car.evse.phase == "validating by the control pilot"
    out = toggle(car, times=times) + car.wait(2.5)
    success = wire.CmValidateCnf(toggle_num=times, result=wire.VALIDATE_SUCCESS)
    assert sent(out) == [success]
    assert facts(car.match(), SlacMatched)


@pytest.mark.parametrize(
    ("closed_s", "counts"),
    [(0.1, 0), (0.14, 0), (0.16, 1), (0.2, 1), (0.4, 1), (0.59, 1), (0.61, 0), (2.0, 0)],
)
def test_toggles_of_the_wrong_length_do_not_count(closed_s: float, counts: int) -> None:
    toggles = PilotToggles()
    for at, letter in ((0.0, "B"), (1.0, "C"), (1.0 + closed_s, "B")):
        toggles.receive_signal(pilot(letter), at)
    assert toggles.counted == counts


def test_unplugging_is_no_toggle_and_repeated_reports_count_once() -> None:
    toggles = PilotToggles()
    for at, letter in ((0.0, "B"), (1.0, "C"), (1.3, "A"), (2.0, "B"), (2.1, "C"), (2.2, "C")):
        toggles.receive_signal(pilot(letter), at)
    toggles.receive_signal(pilot("B"), 2.4)
    assert toggles.counted == 1


@pytest.mark.parametrize(("ago", "counts"), [(0.1, 1), (0.25, 0)])
def test_pilot_may_be_faster_than_the_request(ago: float, counts: int) -> None:
    toggles = PilotToggles()
    toggles.receive_signal(pilot("B"), 0.0)
    toggles.receive_signal(pilot("C"), 1.0)
    toggles.restart(1.0 + ago)
    toggles.receive_signal(pilot("B"), 1.35)
    assert toggles.counted == counts


@pytest.mark.parametrize(
    ("late_s", "toggled_s", "counts"),
    [
        (0.0, 0.3, 1),  # both agree: one toggle
        (0.5, 0.3, 1),  # the second change was long on its way: what the pilot core saw counts
        (-0.28, 0.3, 1),  # the first one was
        (0.0, None, 1),  # nobody recognises toggles: the changes do
        (0.5, None, 0),
    ],
)
def test_the_toggle_that_the_pilot_core_saw_counts(
    late_s: float, toggled_s: float | None, counts: int
) -> None:
    toggles = PilotToggles()
    toggles.receive_signal(pilot("B"), 0.0)
    toggles.restart(0.9)
    toggles.receive_signal(pilot("C"), 1.0)
    toggles.receive_signal(pilot("B"), 1.3 + late_s)
    if toggled_s is not None:
        toggles.receive_signal(BcbToggled(toggled_s, 1), 1.3 + late_s)
    assert toggles.counted == counts


def test_a_toggle_from_before_the_request_does_not_count() -> None:
    toggles = PilotToggles()
    toggles.receive_signal(pilot("B"), 0.0)
    toggles.receive_signal(pilot("C"), 1.0)
    toggles.restart(1.29)
    toggles.receive_signal(pilot("B"), 1.3)
    toggles.receive_signal(BcbToggled(0.3, 1), 1.3)
    assert toggles.counted == 0


def test_no_toggle_is_a_failure_and_the_car_may_ask_again() -> None:
    car = reported()
    car.say(wire.CmValidateReq(timer=9), 0.1, MAC)
    failure = wire.CmValidateCnf(result=wire.VALIDATE_FAILURE)
    assert sent(car.wait(1.1)) == [failure]
    car.say(wire.CmValidateReq(timer=9), 0.1, MAC)
    (cnf,) = sent(toggle(car) + car.wait(0.6))
    assert cnf == wire.CmValidateCnf(toggle_num=1, result=wire.VALIDATE_SUCCESS)


def test_counting_ends_after_3_5_s_whatever_time_is_named() -> None:
    car = reported()
    car.say(wire.CmValidateReq(timer=255), 0.1, MAC)
    assert sent(car.wait(timing.TT_EVSE_VALD_TOGGLE_S - 0.01)) == []
    assert len(sent(car.wait(0.02))) == 1


@pytest.mark.parametrize("signal_type", [0, 1])
def test_validation_without_pilot_or_with_another_signal_is_not_required(signal_type: int) -> None:
    car = reported(with_pilot=signal_type == 1)
    (cnf,) = sent(car.say(wire.CmValidateReq(signal_type=signal_type), 0.1, MAC))
    assert cnf == wire.CmValidateCnf(result=wire.VALIDATE_NOT_REQUIRED)


def test_one_validates_at_a_time() -> None:
    car = reported()
    other = Car(car.evse, CAR2)
    other.now = car.now
    other.until_atten_char()
    other.rsp()
    car.now = other.now
    car.say(wire.CmValidateReq(timer=20), 0.01, MAC)
    other.now = car.now
    (cnf,) = sent(other.say(wire.CmValidateReq(timer=20), 0.01, MAC))
    assert cnf == wire.CmValidateCnf(result=wire.VALIDATE_NOT_READY)


def test_match_while_validating_is_answered() -> None:
    car = reported()
    car.say(wire.CmValidateReq(timer=20), 0.1, MAC)
    assert facts(car.match(), SlacMatched)


def test_validation_before_the_report_is_not_answered() -> None:
    car = Car(waiting())
    car.parm()
    car.start()
    car.sound()
    assert car.say(wire.CmValidateReq(), 0.01, MAC) == []


# --- the vehicle -------------------------------------------------------------------------------


def in_doubt(policy: Policy = Policy.FIELD) -> Charger:
    """Two chargers that hear us almost equally well; the nearest is asked."""
    charger = Charger()
    charger.pev.policy = policy
    charger.parm()
    charger.wait(0.5)
    charger.char(18, NEAR)
    charger.char(19, FAR)
    assert sent(charger.wait(0.75)) == [wire.CmValidateReq(result=wire.VALIDATE_READY)]
    return charger


def answer(charger: Charger, result: int, toggles: int = 0, src: bytes = NEAR) -> list[Output]:
    return charger.say(wire.CmValidateCnf(result=result, toggle_num=toggles), src)


def asked_for_match(outputs: list[Output]) -> list[bytes]:
    return [m.evse_mac for m in sent(outputs) if isinstance(m, wire.CmSlacMatchReq)]


def test_vehicle_toggles_and_matches_with_who_saw_it() -> None:
    charger = in_doubt()
    (req,) = sent(answer(charger, wire.VALIDATE_READY))
    assert isinstance(req, wire.CmValidateReq)
    time_s = (req.timer + 1) * 0.1
    began = charger.now
    out = charger.wait(time_s)
    edges = [o.closed for o in out if isinstance(o, S2Request)]
    assert edges == [True, False] * (len(edges) // 2)
    assert 1 <= len(edges) // 2 <= timing.C_EV_VALD_NB_TOGGLES
    assert timing.TP_EV_VALD_TOGGLE_S <= time_s <= timing.TT_EVSE_VALD_TOGGLE_S
    assert charger.now - began >= 0.3 * len(edges)
    out = answer(charger, wire.VALIDATE_SUCCESS, len(edges) // 2)
    assert asked_for_match(out) == [NEAR]
    assert charger.match() != []


@pytest.mark.parametrize("result", [wire.VALIDATE_FAILURE, wire.VALIDATE_SUCCESS])
def test_charger_that_saw_other_toggles_is_passed_over(result: int) -> None:
    charger = in_doubt()
    answer(charger, wire.VALIDATE_READY)
    charger.wait(2.4 if charger.pev._toggles == 3 else 1.8 if charger.pev._toggles == 2 else 1.2)
    out = answer(charger, result, 9)
    assert charger.pev.chosen == FAR
    assert sent(out) == [wire.CmValidateReq(result=wire.VALIDATE_READY)]
    assert asked_for_match(answer(charger, wire.VALIDATE_NOT_REQUIRED, src=FAR)) == [FAR]


def test_charger_that_is_not_ready_is_passed_over_and_then_the_try_is_over() -> None:
    charger = in_doubt()
    answer(charger, wire.VALIDATE_NOT_READY)
    assert charger.pev.chosen == FAR
    answer(charger, wire.VALIDATE_NOT_READY, src=FAR)
    assert charger.pev.state is PevSlacState.PAUSED


def test_validation_that_is_not_required_leads_to_the_match() -> None:
    assert asked_for_match(answer(in_doubt(), wire.VALIDATE_NOT_REQUIRED)) == [NEAR]


@pytest.mark.parametrize(("policy", "matches"), [(Policy.FIELD, 1), (Policy.STANDARD, 0)])
def test_charger_that_does_not_know_validation(policy: Policy, matches: int) -> None:
    charger = in_doubt(policy)
    out = charger.wait(0.65)
    assert len(asked_for_match(out)) >= matches
    assert bool(asked_for_match(out)) is bool(matches)
    assert len([m for m in sent(out) if isinstance(m, wire.CmValidateReq)]) >= 2


def test_strangers_cannot_validate() -> None:
    charger = in_doubt()
    assert answer(charger, wire.VALIDATE_NOT_REQUIRED, src=FAR) == []
    assert charger.pev.state is PevSlacState.WAIT_READY


def test_unplugging_while_toggling_opens_s2_and_leaves() -> None:
    charger = in_doubt()
    answer(charger, wire.VALIDATE_READY)
    charger.wait(0.35)
    out = charger.pev.receive_signal(StopSlac(), charger.now)
    assert S2Request(False) in out
    assert charger.pev.next_timer() is None


def test_new_start_while_toggling_opens_s2() -> None:
    charger = in_doubt()
    answer(charger, wire.VALIDATE_READY)
    charger.wait(0.35)
    assert S2Request(False) in charger.pev.receive_signal(StartSlac(), charger.now)


def test_no_charger_sees_the_toggles() -> None:
    charger = in_doubt()
    failed: list[Output] = []
    for _ in range(400):
        out = charger.wait(0.1)
        state = charger.pev.state
        if state is PevSlacState.WAIT_PARM_CNF:
            out += charger.parm()
        elif state is PevSlacState.COLLECTING:
            out += charger.char(18, NEAR) + charger.char(19, FAR)
        elif state is PevSlacState.WAIT_READY:
            out += answer(charger, wire.VALIDATE_FAILURE, src=charger.pev.chosen)
        failed += facts(out, SlacFailed)
    (fact,) = failed
    assert isinstance(fact, SlacFailed)
    assert "toggles" in fact.reason


@pytest.mark.parametrize(
    ("policy", "means", "expected"),
    [
        (Policy.FIELD, {NEAR: 9}, [(NEAR, False)]),
        (Policy.FIELD, {NEAR: 41}, [(NEAR, False)]),
        (Policy.FIELD, {NEAR: 30, FAR: 36}, [(NEAR, False), (FAR, True)]),
        (Policy.FIELD, {NEAR: 30, FAR: 34}, [(NEAR, True), (FAR, True)]),
        (Policy.FIELD, {NEAR: 8, FAR: 9}, [(NEAR, False), (FAR, False)]),
        (Policy.FIELD, {NEAR: 0, FAR: 60}, [(FAR, False), (NEAR, True)]),  # 0 is no figure
        (Policy.STANDARD, {NEAR: 10, FAR: 15}, [(NEAR, False), (FAR, True)]),
        (Policy.STANDARD, {NEAR: 20, FAR: 21}, [(NEAR, True)]),
        (Policy.STANDARD, {NEAR: 21}, []),
        (Policy.STANDARD, {}, []),
    ],
)
def test_choice(
    policy: Policy, means: dict[bytes, int], expected: list[tuple[bytes, bool]]
) -> None:
    results = {mac: bytes([mean]) * 58 for mac, mean in means.items()}
    assert [(c.mac, c.in_doubt) for c in ranked(results, policy)] == expected


# --- the amplitude map -------------------------------------------------------------------------


def test_map_table_is_clean() -> None:
    assert lint_table(AmplitudeMap) == []


def test_map_is_sent_once_the_link_is_up_and_repeated_until_confirmed() -> None:
    charger = Charger()
    charger.pev.map.own = bytes([2]) * 1155
    charger.asked()
    charger.match()
    charger.pev.receive_signal(ModemKeySet(NID), charger.now)
    out = charger.pev.receive_signal(LinkChanged(True), charger.now)
    assert [m.carriers for m in sent(out) if isinstance(m, wire.CmAmpMapReq)] == [1155]
    assert len(sent(charger.wait(0.21))) == 1
    charger.say(wire.CmAmpMapCnf())
    assert sent(charger.wait(1.0)) == []


def test_map_that_nobody_confirms_is_given_up() -> None:
    charger = Charger()
    charger.pev.map.own = bytes(10)
    charger.asked()
    charger.match()
    charger.pev.receive_signal(ModemKeySet(NID), charger.now)
    charger.pev.receive_signal(LinkChanged(True), charger.now)
    assert len(sent(charger.wait(5.0))) == timing.C_EV_MATCH_RETRY
    assert charger.pev.state is PevSlacState.MATCHED
