"""The charger's core alone: what real cars send, and what must not disturb it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.machine import TableMachine, lint_table
from controller.plc import wire
from controller.plc.sim import seeded_rng
from controller.signals import (
    LinkChanged,
    ModemFailed,
    ModemFound,
    ModemKeySet,
    Output,
    PeerMisbehaved,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import timing
from controller.slac.core import REPORTS, Rejection
from controller.slac.evse import RUNS, EvseSlac, EvseSlacState
from controller.slac.evse_run import EvseRun

if TYPE_CHECKING:
    from controller.plc.layout import Mme

MAC = bytes.fromhex("02000000ee01")
CAR = bytes.fromhex("02000000cc01")
CAR2 = bytes.fromhex("02000000cc02")
MODEM = bytes.fromhex("00b052aa0001")
RUN = bytes.fromhex("0102030405060708")


def sent(outputs: list[Output]) -> list[Mme]:
    return [wire.parse(o.frame).mme for o in outputs if isinstance(o, SendFrame)]


def facts(outputs: list[Output], *kinds: type[Output]) -> list[Output]:
    return [o for o in outputs if isinstance(o, kinds)]


def keyed() -> EvseSlac:
    evse = EvseSlac(MAC, seeded_rng("evse"))
    (key, _phase) = evse.handle_timer(0.0)
    assert isinstance(key, SetModemKey)
    assert key.nid == wire.nid_from_nmk(key.nmk)
    evse.receive_signal(ModemKeySet(key.nid), 0.1)
    return evse


def waiting() -> EvseSlac:
    evse = keyed()
    evse.receive_signal(StartSlac(), 1.0)
    assert evse.state is EvseSlacState.WAITING
    return evse


class Car:
    """A vehicle that says exactly what a test wants."""

    def __init__(self, evse: EvseSlac, mac: bytes = CAR, run_id: bytes = RUN) -> None:
        self.evse, self.mac, self.run_id = evse, mac, run_id
        self.now = 2.0
        self.left = 10

    def say(self, mme: Mme, after: float = 0.0, dst: bytes = wire.BROADCAST) -> list[Output]:
        self.now += after
        out: list[Output] = []
        while (at := self.evse.next_timer()) is not None and at <= self.now:
            out += self.evse.handle_timer(at)
        return out + self.evse.receive_frame(wire.build(dst, self.mac, mme), self.now)

    def wait(self, seconds: float) -> list[Output]:
        end = self.now + seconds
        out: list[Output] = []
        while (at := self.evse.next_timer()) is not None and at <= end:
            out += self.evse.handle_timer(at)
        self.now = end
        return out

    def parm(self, after: float = 0.0) -> list[Output]:
        return self.say(wire.CmSlacParmReq(run_id=self.run_id), after)

    def start(self, after: float = 0.04) -> list[Output]:
        mme = wire.CmStartAttenCharInd(forwarding_sta=self.mac, run_id=self.run_id)
        return self.say(mme, after)

    def sound(self, after: float = 0.04, *, measured: int | None = 20) -> list[Output]:
        self.left = (self.left - 1) % 10
        mme = wire.CmMnbcSoundInd(countdown=self.left, run_id=self.run_id, random=bytes(16))
        out = self.say(mme, after)
        if measured is not None:
            profile = wire.CmAttenProfileInd(pev_mac=self.mac, attenuation=bytes([measured]) * 58)
            frame = wire.build(wire.BROADCAST, MODEM, profile)
            out += self.evse.receive_frame(frame, self.now)
        return out

    def rsp(self, after: float = 0.01) -> list[Output]:
        mme = wire.CmAttenCharRsp(source_address=self.mac, run_id=self.run_id)
        return self.say(mme, after, MAC)

    def match(self, after: float = 0.05, **fields: bytes) -> list[Output]:
        values = {"pev_mac": self.mac, "evse_mac": MAC, "run_id": self.run_id} | fields
        return self.say(wire.CmSlacMatchReq(**values), after, MAC)  # type: ignore[arg-type]

    def until_atten_char(self) -> list[Output]:
        self.parm()
        for _ in range(3):
            self.start()
        out: list[Output] = []
        for _ in range(10):
            out += self.sound()
        return out


@pytest.mark.parametrize("cls", [EvseSlac, EvseRun])
def test_tables_are_clean(cls: type[TableMachine]) -> None:
    assert lint_table(cls) == []


@pytest.mark.parametrize(
    "run_id",
    [RUN, bytes(8), b"TESLA EV", CAR + b"\0\0", CAR + b"\0\1", b"\xff" * 8],
    ids=lambda b: b.hex(),
)
def test_run_id_is_echoed_untouched(run_id: bytes) -> None:
    car = Car(waiting(), run_id=run_id)
    (cnf,) = sent(car.parm())
    assert cnf == wire.CmSlacParmCnf(forwarding_sta=CAR, run_id=run_id)
    for _ in range(3):
        car.start()
    out = [o for _ in range(10) for o in car.sound()]
    (char,) = sent(out)
    assert isinstance(char, wire.CmAttenCharInd)
    assert (char.run_id, char.num_sounds) == (run_id, 10)
    car.rsp()
    (match,) = facts(car.match(), SlacMatched)
    assert isinstance(match, SlacMatched)
    assert match.run_id == run_id


# name, CNF -> START, START gap, sound gap, last START -> first sound, RSP -> MATCH (seconds)
CARS = [
    ("Ioniq 28", 0.21, 0.020, 0.020, 0.020, 0.920),
    ("Tesla", 0.125, 0.024, 0.024, 0.024, 0.906),
    ("VW id.3", 0.24, 0.040, 0.040, 0.040, 0.002),
    ("BMW iX", 0.11, 0.030, 0.030, 0.030, 0.851),
    ("Polestar 2", 0.24, 0.040, 0.040, 0.040, 1.012),
    ("Ampera-e", 0.10, 0.049, 0.049, 0.049, 0.002),
    ("MG4", 0.24, 0.030, 0.039, 0.108, 0.100),
    ("Seres", 0.012, 0.053, 0.055, 0.008, 0.053),
    ("dSPACE", 0.311, 0.020, 0.021, 0.021, 0.504),
]


@pytest.mark.parametrize(("name", "cnf", "gap", "sound", "first", "match"), CARS)
def test_timing_of_real_cars(
    name: str, cnf: float, gap: float, sound: float, first: float, match: float
) -> None:
    car = Car(waiting(), run_id=name.encode()[:8].ljust(8))
    car.parm()
    car.start(cnf)
    started = car.now
    car.start(gap)
    car.start(gap)
    out = car.sound(first)
    for _ in range(9):
        out += car.sound(sound)
    out += car.wait(max(0.0, started + 0.7 - car.now))
    assert isinstance(sent(out)[0], wire.CmAttenCharInd), name
    car.rsp(0.0)
    assert facts(car.match(match), SlacMatched)


def test_window_counts_from_the_first_start_whatever_comes() -> None:
    car = Car(waiting())
    car.parm()
    car.start(0.1)
    began = car.now
    car.start(0.3)
    car.sound(0.2)  # two sounds of ten, the second without a profile
    car.sound(0.05, measured=None)
    assert car.evse.next_timer() == pytest.approx(began + timing.TT_EVSE_MATCH_MNBC_S)
    (char,) = sent(car.wait(0.06))
    assert isinstance(char, wire.CmAttenCharInd)
    assert (char.num_sounds, char.attenuation) == (2, bytes([20]) * 58)


def test_unheard_vehicle_gets_no_report() -> None:
    car = Car(waiting())
    car.parm()
    car.start()
    assert sent(car.wait(5.0)) == []
    assert car.evse.phase == "waiting for the vehicle"


def test_report_is_repeated_with_the_same_figures() -> None:
    car = Car(waiting())
    (first,) = sent(car.until_atten_char())
    assert sent(car.wait(0.21)) == [first]
    assert sent(car.wait(0.21)) == [first]
    assert sent(car.wait(0.21)) == []
    assert facts(car.match(), SlacMatched)  # only its confirms were lost


def test_requests_are_answered_again() -> None:
    car = Car(waiting())
    assert sent(car.parm()) == sent(car.parm(0.2))
    car.until_atten_char()
    car.rsp()
    first, again = car.match(), car.match(0.2)
    assert sent(first) == sent(again) != []
    assert len(facts(first + again, SlacMatched)) == 1


def test_match_confirm_is_unicast_and_holds_the_modems_key() -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    (frame,) = [o.frame for o in car.match() if isinstance(o, SendFrame)]
    assert frame[0:6] == CAR
    cnf = wire.parse(frame).mme
    assert isinstance(cnf, wire.CmSlacMatchCnf)
    assert (cnf.nid, cnf.nmk) == (car.evse.nid, car.evse.nmk)
    assert (cnf.mvf_length, cnf.pev_mac, cnf.evse_mac) == (0x56, CAR, MAC)


@pytest.mark.parametrize("fields", [{"pev_mac": CAR2}, {"evse_mac": CAR2}])
def test_match_for_somebody_else_is_refused(fields: dict[str, bytes]) -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    out = car.match(0.05, **fields)
    assert sent(out) == []
    assert facts(out, PeerMisbehaved)
    assert facts(car.match(), SlacMatched)


def test_other_fields_of_the_match_request_vary() -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    req = wire.CmSlacMatchReq(
        pev_mac=CAR, evse_mac=MAC, run_id=RUN, pev_id=b"P" * 17, evse_id=b"E" * 17
    )
    assert facts(car.say(req, 0.1, MAC), SlacMatched)


def test_validation_is_answered_as_not_required() -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    (cnf,) = sent(car.say(wire.CmValidateReq(), 0.1, MAC))
    assert cnf == wire.CmValidateCnf(result=4)
    assert facts(car.match(), SlacMatched)


def test_match_before_sounding_is_not_answered() -> None:
    car = Car(waiting())
    car.parm()
    assert car.match() == []
    car.start()
    assert car.match() == []


@pytest.mark.parametrize("step", ["start", "sound", "rsp", "match"])
def test_foreign_runs_are_ignored(step: str) -> None:
    car = Car(waiting())
    car.until_atten_char()
    foreign_run = Car(car.evse, CAR, bytes(8))
    foreign_mac = Car(car.evse, CAR2, RUN)
    for foreign in (foreign_run, foreign_mac):
        foreign.now = car.now
        assert getattr(foreign, step)(0.001) == []
    car.rsp()
    assert facts(car.match(), SlacMatched)


def test_same_run_id_of_two_teslas() -> None:
    evse = waiting()
    one, two = Car(evse, CAR, b"TESLA EV"), Car(evse, CAR2, b"TESLA EV")
    one.parm()
    two.parm()
    one.start()
    two.start()
    for _ in range(10):
        one.sound(measured=40)
        two.now = one.now
        out = two.sound(0.0, measured=15)
    (char,) = [m for m in sent(out) if isinstance(m, wire.CmAttenCharInd)]
    assert (char.source_address, char.attenuation[0]) == (CAR2, 15)
    two.rsp()
    (match,) = facts(two.match(), SlacMatched)
    assert isinstance(match, SlacMatched)
    assert (match.peer_mac, match.attenuation_db) == (CAR2, 15.0)


def test_many_requests_do_not_crowd_out_the_own_vehicle() -> None:
    evse = waiting()
    for i in range(3 * RUNS):
        Car(evse, bytes.fromhex("0200000000") + bytes([i]), RUN).parm()
    car = Car(evse)
    out = car.until_atten_char()
    assert [m for m in sent(out) if isinstance(m, wire.CmAttenCharInd)]


@pytest.mark.parametrize("field", ["application_type", "security_type"])
def test_secured_slac_is_refused(field: str) -> None:
    car = Car(waiting())
    out = car.say(wire.CmSlacParmReq(run_id=RUN, **{field: 1}))
    assert sent(out) == []
    assert facts(out, PeerMisbehaved)


def test_bad_frames_are_counted_and_reported_a_few_times() -> None:
    evse = waiting()
    frame = wire.BROADCAST + CAR + b"\x88\xe1\x01\x64\x60\0\0\0"
    out = [o for _ in range(50) for o in evse.receive_frame(frame, 2.0)]
    assert len(facts(out, PeerMisbehaved)) == REPORTS
    assert evse.rejected[Rejection.MALFORMED] == 50


@pytest.mark.parametrize("state", ["start", "unplugged", "matched, link up"])
def test_nobody_is_answered_out_of_turn(state: str) -> None:
    evse = {"start": lambda: EvseSlac(MAC, bytes), "unplugged": keyed}.get(state, waiting)()
    if state.startswith("matched"):
        car = Car(evse)
        car.until_atten_char()
        car.rsp()
        car.match()
        evse.receive_signal(LinkChanged(True), 9.0)
    assert (
        evse.receive_frame(wire.build(wire.BROADCAST, CAR, wire.CmSlacParmReq(run_id=RUN)), 10.0)
        == []
    )


def test_unplugging_changes_the_key_and_forgets_the_vehicle() -> None:
    car = Car(waiting())
    car.until_atten_char()
    old = car.evse.nmk
    (key,) = facts(car.evse.receive_signal(StopSlac(), 5.0), SetModemKey)
    assert isinstance(key, SetModemKey)
    assert key.nmk != old
    assert car.match() == []
    car.evse.receive_signal(StartSlac(), 6.0)
    assert car.evse.state is EvseSlacState.WAIT_KEY
    assert car.parm() == []
    car.evse.receive_signal(ModemKeySet(bytes(7)), 6.1)  # of another key
    assert car.evse.state is EvseSlacState.WAIT_KEY
    car.evse.receive_signal(ModemKeySet(key.nid), 6.2)
    assert car.evse.phase == EvseSlacState.WAITING.value


def test_plug_in_before_anything_sets_the_key_first() -> None:
    evse = EvseSlac(MAC, seeded_rng("early"))
    assert facts(evse.receive_signal(StartSlac(), 0.0), SetModemKey)
    assert evse.state is EvseSlacState.WAIT_KEY


def test_modem_without_key_fails_and_recovers() -> None:
    evse = EvseSlac(MAC, seeded_rng("x"))
    evse.receive_signal(StartSlac(), 0.0)
    (failed,) = facts(evse.receive_signal(ModemFailed("it is dead"), 9.0), SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "it is dead" in failed.reason
    assert facts(evse.receive_signal(StopSlac(), 10.0), SetModemKey)
    evse.receive_signal(ModemFailed("still dead"), 19.0)
    assert facts(evse.receive_signal(ModemFound(MODEM, "MAC"), 30.0), SetModemKey)


def test_run_begun_in_time_may_end_late() -> None:
    evse = waiting()
    car = Car(evse)
    car.now = 1.0 + timing.TT_EVSE_SLAC_INIT_S - 0.2
    car.until_atten_char()
    assert evse.state is EvseSlacState.LAST_RUN
    car.rsp()
    assert facts(car.match(), SlacMatched)


def test_run_that_never_matches_ends_with_its_reason() -> None:
    evse = waiting()
    car = Car(evse)
    car.now = 1.0 + timing.TT_EVSE_SLAC_INIT_S - 0.2
    car.until_atten_char()
    (failed,) = facts(car.wait(20.0), SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "no vehicle completed matching (1 requests)" in failed.reason
    assert failed.begun
