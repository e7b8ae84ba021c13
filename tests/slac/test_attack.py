"""Bad input and attacks: memory stays bounded, nothing is forgotten, all is counted by its reason.

In every case the vehicle at our own cable is in the middle of its match, and still gets it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.plc import wire
from controller.plc.sim import seeded_rng
from controller.signals import (
    LinkChanged,
    ModemFound,
    ModemKeySet,
    PeerMisbehaved,
    SendFrame,
    SetModemKey,
    SlacMatched,
    StartSlac,
)
from controller.slac import askers
from controller.slac.amp_map import MAX_CARRIERS
from controller.slac.core import REPORTS, Rejection
from controller.slac.evse import RUNS, EvseSlac, EvseSlacState
from controller.slac.evse_run import MAX_HEARD
from controller.slac.pev_table import PevSlacState
from tests.slac.test_evse import CAR, CAR2, MAC, MODEM, RUN, Car, facts, sent, waiting
from tests.slac.test_pev import FAR, NEAR, Charger

if TYPE_CHECKING:
    from collections.abc import Callable

    from controller.plc.layout import Mme
    from controller.signals import Output

FLOOD = 10_000
"""Frames a second."""


class Attacked(Car):
    """The car at our cable; between its frames somebody else sends his, 10,000 a second."""

    def __init__(self, evse: EvseSlac, forge: Callable[[int], bytes]) -> None:
        super().__init__(evse)
        self.forge = forge
        self.forged = 0
        self.answered = 0

    def say(self, mme: Mme, after: float = 0.0, dst: bytes = wire.BROADCAST) -> list[Output]:
        for _ in range(round(after * FLOOD)):
            self.now += 1 / FLOOD
            self.forged += 1
            out = self.evse.receive_frame(self.forge(self.forged), self.now)
            self.answered += len(out)
        return super().say(mme, 0.0, dst)

    def attack_and_match(self) -> None:
        self.parm(0.05)
        self.start(0.24)  # the slowest cars take that long
        for _ in range(2):
            self.start()
        out: list[Output] = []
        for _ in range(10):
            out += self.sound()
        assert [m for m in sent(out) if isinstance(m, wire.CmAttenCharInd)]
        self.rsp(0.05)
        matched = facts(self.match(0.9), SlacMatched)
        assert [m.peer_mac for m in matched if isinstance(m, SlacMatched)] == [CAR]


def mac_of(number: int) -> bytes:
    return b"\x02\xff" + number.to_bytes(4, "big")


def run_of(number: int) -> bytes:
    return b"\xee" + number.to_bytes(7, "big")


def asks(src: bytes, number: int) -> bytes:
    return wire.build(wire.BROADCAST, src, wire.CmSlacParmReq(run_id=run_of(number)))


def foreign_match(src: bytes, run_id: bytes, **fields: bytes | int) -> bytes:
    values: dict[str, bytes | int] = {"pev_mac": src, "evse_mac": MAC, "run_id": run_id}
    return wire.build(MAC, src, wire.CmSlacMatchReq(**(values | fields)))  # type: ignore[arg-type]


def of_any_kind(number: int) -> bytes:
    """Each message of a vehicle in turn, from an address and with a RunID of its own each time."""
    src, run_id = mac_of(number // 6), run_of(number // 6)
    mmes: list[Mme] = [
        wire.CmSlacParmReq(run_id=run_id),
        wire.CmStartAttenCharInd(forwarding_sta=src, run_id=run_id),
        wire.CmAttenCharRsp(source_address=src, run_id=run_id),
        wire.CmValidateReq(),
        wire.CmSlacMatchReq(pev_mac=src, evse_mac=MAC, run_id=run_id),
        wire.CmAmpMapReq(amplitudes=bytes(MAX_CARRIERS)),
    ]
    return wire.build(wire.BROADCAST, src, mmes[number % 6])


FLOODS: dict[str, tuple[Callable[[int], bytes], Rejection | None]] = {
    "RunIDs of one address": (lambda n: asks(CAR2, n), None),
    "RunIDs of the car's own address": (lambda n: asks(CAR, n), None),
    "addresses and RunIDs": (lambda n: asks(mac_of(n), n), None),
    "every message of a vehicle": (of_any_kind, Rejection.FOREIGN_RUN),
    "match requests of nobody": (
        lambda n: foreign_match(mac_of(n), run_of(n)),
        Rejection.FOREIGN_RUN,
    ),
    "match requests for other runs of the car": (
        lambda n: foreign_match(CAR, run_of(n)),
        Rejection.FOREIGN_RUN,
    ),
    "match requests of another address with the car's RunID": (
        lambda n: foreign_match(CAR2, RUN),
        Rejection.FOREIGN_RUN,
    ),
    "malformed": (
        lambda n: wire.BROADCAST + mac_of(n) + b"\x88\xe1\x01\x64\x60\0\0\0",
        Rejection.MALFORMED,
    ),
    "no header": (lambda n: wire.BROADCAST + mac_of(n) + b"\x88\xe1\x01", Rejection.MALFORMED),
    "fragments": (lambda n: fragment(asks(mac_of(n), n)), Rejection.FRAGMENTED),
    "in a VLAN": (lambda n: tagged(asks(mac_of(n), n)), Rejection.VLAN),
    "for another station": (
        lambda n: CAR2 + asks(mac_of(n), n)[6:],
        Rejection.OTHER_STATION,
    ),
    "from our own address": (lambda n: asks(MAC, n), Rejection.OWN_ADDRESS),
    "secured": (
        lambda n: wire.build(
            wire.BROADCAST, mac_of(n), wire.CmSlacParmReq(run_id=run_of(n), security_type=1)
        ),
        Rejection.SECURED,
    ),
    "answers of chargers": (
        lambda n: wire.build(
            MAC, mac_of(n), wire.CmSlacParmCnf(forwarding_sta=MAC, run_id=run_of(n))
        ),
        Rejection.OTHER_MESSAGE,
    ),
    "profiles that somebody claims to have measured": (
        lambda n: wire.build(
            wire.BROADCAST,
            mac_of(n),
            wire.CmAttenProfileInd(pev_mac=CAR, attenuation=bytes([1]) * 58),
        ),
        Rejection.FOREIGN_MODEM,
    ),
}


def fragment(frame: bytes) -> bytes:
    return frame[:17] + b"\x10" + frame[18:]


def tagged(frame: bytes) -> bytes:
    return frame[:12] + b"\x81\x00\x00\x05" + frame[12:]


@pytest.mark.parametrize("name", FLOODS)
def test_car_matches_in_a_flood(name: str) -> None:
    forge, reason = FLOODS[name]
    evse = waiting()
    evse.receive_signal(ModemFound(MODEM, "MAC"), 1.5)
    car = Attacked(evse, forge)
    car.attack_and_match()
    assert car.forged > 15_000
    assert len(evse.askers) <= askers.LIMIT
    assert len(evse.runs) == RUNS
    if reason is not None:
        assert evse.rejected[reason] >= car.forged // 6
        reports = REPORTS * len(Rejection)
        assert reason is Rejection.FOREIGN_RUN or car.answered <= reports
    assert evse.runs[0].attenuation_db == 20.0  # nobody else's figures


def test_more_requests_than_are_remembered_drop_the_oldest() -> None:
    evse = waiting()
    for number in range(askers.LIMIT + 10):
        evse.receive_frame(asks(mac_of(number), number), 2.0)
    assert len(evse.askers) == askers.LIMIT
    assert evse.rejected[Rejection.CROWDED] == 10
    evse.receive_frame(asks(CAR, 1), 3.1)  # a second later the table is empty again
    assert len(evse.askers) == 1


def test_sounds_of_more_cars_than_runs_take_the_place_of_those_that_only_wait() -> None:
    evse = waiting()
    for number in range(RUNS):
        other = Car(evse, mac_of(number), run_of(number))
        other.until_atten_char()
        other.rsp()
    car = Car(evse)
    car.now = 3.5
    car.until_atten_char()
    car.rsp()
    assert facts(car.match(), SlacMatched)


def test_one_run_keeps_a_bounded_number_of_sounds_and_profiles() -> None:
    car = Car(waiting())
    car.parm()
    car.start()
    for number in range(5 * MAX_HEARD):
        mme = wire.CmMnbcSoundInd(
            countdown=number % 256, run_id=RUN, random=number.to_bytes(16, "big")
        )
        car.say(mme, 0.001)
    (run,) = [r for r in car.evse.runs if r.key == (CAR, RUN)]
    assert len(run._sounds) <= MAX_HEARD


def test_replayed_match_changes_nothing() -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    first = car.match()
    again = [car.match(0.01) for _ in range(50)]
    assert all(sent(out) == sent(first) for out in again)  # only to the car, always the same
    assert not any(facts(out, SlacMatched, SetModemKey) for out in again)
    car.evse.receive_signal(LinkChanged(True), car.now)
    assert car.match() == []
    assert car.evse.rejected[Rejection.OUT_OF_TURN] == 1
    assert car.evse.state is EvseSlacState.MATCHED


def test_replay_in_the_next_plug_in_is_foreign() -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    car.match()
    evse = EvseSlac(MAC, seeded_rng("next"))
    (key, *_) = evse.handle_timer(0.0)
    assert isinstance(key, SetModemKey)
    evse.receive_signal(ModemKeySet(key.nid), 0.1)
    evse.receive_signal(StartSlac(), 1.0)
    car.evse = evse
    assert car.match() == []
    assert evse.rejected[Rejection.FOREIGN_RUN] == 1


@pytest.mark.parametrize("step", ["sound", "rsp", "match"])
def test_change_of_address_on_the_way(step: str) -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.mac = CAR2
    assert getattr(car, step)() == []
    assert car.evse.rejected[Rejection.FOREIGN_RUN] >= 1
    car.mac = CAR
    car.rsp()
    assert facts(car.match(), SlacMatched)


@pytest.mark.parametrize("length", [0, 0x3D, 0x3F, 0x56, 0xFF, 0xFFFF])
def test_wrong_match_length(length: int) -> None:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    out = car.evse.receive_frame(foreign_match(CAR, RUN, mvf_length=length), car.now)
    assert sent(out) == []
    assert facts(out, PeerMisbehaved)
    assert car.evse.rejected[Rejection.BAD_MATCH] == 1
    assert facts(car.match(), SlacMatched)


@pytest.mark.parametrize("groups", [0, 1, 57, 58, 59, 255])
@pytest.mark.parametrize("missing", [0, 1])
def test_profile_of_any_length(groups: int, missing: int) -> None:
    evse = waiting()
    car = Car(evse)
    car.parm()
    car.start()
    for _ in range(10):
        car.sound(measured=None)
        mme = wire.CmAttenProfileInd(pev_mac=CAR, attenuation=bytes([30]) * groups)
        frame = wire.build(wire.BROADCAST, MODEM, mme)
        evse.receive_frame(frame[: 27 + groups - missing], car.now)
    (char, *_) = [m for m in sent(car.wait(0.6)) if isinstance(m, wire.CmAttenCharInd)]
    usable = groups and not missing
    assert char.num_groups == 58
    assert char.attenuation[0] == (30 if usable else 20)
    assert all(20 <= v <= 30 for v in char.attenuation)
    assert evse.rejected[Rejection.MALFORMED] == (10 if missing else 0)
    car.rsp()
    assert facts(car.match(), SlacMatched)


@pytest.mark.parametrize("sounds", [0, 1, 9, 10, 11, 255])
def test_number_of_sounds_announced_does_not_matter(sounds: int) -> None:
    car = Car(waiting())
    car.parm()
    mme = wire.CmStartAttenCharInd(
        num_sounds=sounds, time_out=sounds, forwarding_sta=CAR, run_id=RUN
    )
    car.say(mme, 0.05)
    out = [o for _ in range(10) for o in car.sound()]
    assert [m.num_sounds for m in sent(out) if isinstance(m, wire.CmAttenCharInd)] == [10]


def matched_and_linked() -> Car:
    car = Car(waiting())
    car.until_atten_char()
    car.rsp()
    car.match()
    car.evse.receive_signal(LinkChanged(True), car.now)
    return car


@pytest.mark.parametrize(
    ("carriers", "answers"), [(0, 0), (1, 1), (917, 1), (1155, 1), (1156, 0), (4000, 0)]
)
def test_amplitude_map_of_any_length(carriers: int, answers: int) -> None:
    car = matched_and_linked()
    out = car.say(wire.CmAmpMapReq(amplitudes=bytes(carriers)), 0.1, MAC)
    frames = [o.frame for o in out if isinstance(o, SendFrame)]
    assert len(frames) == 2 * answers  # the confirm, and the map for the own modem
    assert car.evse.rejected[Rejection.BAD_MAP] == 1 - answers
    if answers:
        assert [f[0:6] for f in frames] == [CAR, wire.LOCAL_MODEM]


@pytest.mark.parametrize("announced", [1156, 0xFFFF])
def test_amplitude_map_longer_than_its_frame(announced: int) -> None:
    car = matched_and_linked()
    frame = wire.build(MAC, CAR, wire.CmAmpMapReq(amplitudes=bytes(100)))
    frame = frame[:19] + announced.to_bytes(2, "little") + frame[21:]
    assert not [o for o in car.evse.receive_frame(frame, car.now) if isinstance(o, SendFrame)]
    assert car.evse.rejected[Rejection.MALFORMED] == 1


def test_amplitude_map_of_a_stranger() -> None:
    car = matched_and_linked()
    car.mac = CAR2
    assert car.say(wire.CmAmpMapReq(amplitudes=bytes(917)), 0.1, MAC) == []
    assert car.evse.rejected[Rejection.OUT_OF_TURN] == 1


# --- the vehicle -------------------------------------------------------------------------------


def test_vehicle_keeps_a_bounded_number_of_reports_and_its_own_charger() -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    charger.char(15, NEAR)
    for number in range(2000):
        charger.char(60, mac_of(number))
    assert len(charger.pev.results) <= 16
    (req, *_) = [m for m in sent(charger.wait(1.0)) if isinstance(m, wire.CmSlacMatchReq)]
    assert req.evse_mac == NEAR


@pytest.mark.parametrize("groups", [0, 1, 57, 58, 59, 255])
def test_report_of_any_length(groups: int) -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    charger.char(15, NEAR, groups=groups)
    charger.char(70, FAR)
    (req, *_) = [m for m in sent(charger.wait(1.0)) if isinstance(m, wire.CmSlacMatchReq)]
    assert req.evse_mac == (NEAR if groups else FAR)


def test_report_about_somebody_else() -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    mme = wire.CmAttenCharInd(
        source_address=FAR, run_id=charger.pev.run_id, num_sounds=10, attenuation=bytes([9]) * 58
    )
    assert sent(charger.say(mme)) == []
    assert charger.pev.rejected[Rejection.BAD_REPORT] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (fragment, Rejection.FRAGMENTED),
        (tagged, Rejection.VLAN),
        (lambda f: FAR + f[6:], Rejection.OTHER_STATION),
        (lambda f: f[:30], Rejection.MALFORMED),
        (lambda f: f[:6] + NEAR + f[12:40] + bytes(7) + f[47:], None),
    ],
)
def test_vehicle_counts_what_it_does_not_take(
    change: Callable[[bytes], bytes], reason: Rejection | None
) -> None:
    charger = Charger()
    mme = wire.CmSlacParmCnf(forwarding_sta=b"\2" * 6, run_id=charger.pev.run_id)
    frame = wire.build(charger.pev.mac, NEAR, mme)
    charger.pev.receive_frame(change(frame), charger.now)
    assert charger.pev.rejected[reason or Rejection.FOREIGN_RUN] == 1
    assert charger.pev.phase == PevSlacState.WAIT_PARM_CNF.value
    charger.parm()
    assert charger.pev.phase == PevSlacState.STARTING.value
