"""The vehicle's core alone: what real chargers answer, and whom it must not believe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.machine import lint_table
from controller.plc import wire
from controller.plc.sim import seeded_rng
from controller.signals import (
    ModemFailed,
    ModemKeySet,
    Output,
    SendFrame,
    SetModemKey,
    SlacFailed,
    SlacMatched,
    StartSlac,
    StopSlac,
)
from controller.slac import timing
from controller.slac.pev import PevSlac
from controller.slac.pev_table import PevSlacState

if TYPE_CHECKING:
    from controller.plc.layout import Mme

MAC = bytes.fromhex("02000000cc01")
NEAR = bytes.fromhex("02000000ee01")
FAR = bytes.fromhex("02000000ee02")
NID = bytes.fromhex("11223344556603")
"""Does not derive from NMK: so at 39 of 190 real chargers."""
NMK = bytes(range(16))


def sent(outputs: list[Output]) -> list[Mme]:
    return [wire.parse(o.frame).mme for o in outputs if isinstance(o, SendFrame)]


def facts(outputs: list[Output], *kinds: type[Output]) -> list[Output]:
    return [o for o in outputs if isinstance(o, kinds)]


class Charger:
    """Chargers that say exactly what a test wants."""

    def __init__(self) -> None:
        self.pev = PevSlac(MAC, seeded_rng("pev"))
        self.now = 1.0
        self.out = self.pev.receive_signal(StartSlac(), self.now)

    def say(self, mme: Mme, src: bytes = NEAR, dst: bytes = MAC) -> list[Output]:
        return self.pev.receive_frame(wire.build(dst, src, mme), self.now)

    def wait(self, seconds: float) -> list[Output]:
        end = self.now + seconds
        out: list[Output] = []
        while (at := self.pev.next_timer()) is not None and at <= end:
            self.now = at
            out += self.pev.handle_timer(at)
        self.now = end
        return out

    def parm(self, **fields: int) -> list[Output]:
        run_id = self.pev.run_id
        return self.say(wire.CmSlacParmCnf(forwarding_sta=MAC, run_id=run_id, **fields))  # type: ignore[arg-type]

    def char(
        self, mean: int, src: bytes = NEAR, sounds: int = 10, groups: int = 58
    ) -> list[Output]:
        return self.say(
            wire.CmAttenCharInd(
                source_address=MAC,
                run_id=self.pev.run_id,
                num_sounds=sounds,
                attenuation=bytes([mean]) * groups,
            ),
            src,
        )

    def match(
        self, src: bytes = NEAR, dst: bytes = MAC, run_id: bytes | None = None
    ) -> list[Output]:
        return self.say(
            wire.CmSlacMatchCnf(
                pev_mac=MAC,
                evse_mac=src,
                run_id=self.pev.run_id if run_id is None else run_id,
                nid=NID,
                nmk=NMK,
            ),
            src,
            dst,
        )

    def asked(self) -> list[Output]:
        """Go on until the match request is out."""
        self.parm()
        self.wait(0.5)
        self.char(20)
        return self.wait(1.0)


def test_table_is_clean() -> None:
    assert lint_table(PevSlac) == []


def test_sounds_are_announced_and_count_down() -> None:
    charger = Charger()
    assert isinstance(sent(charger.out)[0], wire.CmSlacParmReq)
    charger.parm()
    mmes = sent(charger.wait(0.6))
    starts = [m for m in mmes if isinstance(m, wire.CmStartAttenCharInd)]
    sounds = [m for m in mmes if isinstance(m, wire.CmMnbcSoundInd)]
    assert len(starts) == 3
    assert {(s.num_sounds, s.time_out, s.response_type) for s in starts} == {(10, 6, 1)}
    assert [s.countdown for s in sounds] == list(range(9, -1, -1))
    assert len({s.random for s in sounds}) == 10
    assert {s.run_id for s in starts} == {s.run_id for s in sounds} == {charger.pev.run_id}


@pytest.mark.parametrize(("asked", "sounds"), [(10, 10), (5, 5), (0, 1), (255, 10)])
def test_number_of_sounds_is_the_chargers(asked: int, sounds: int) -> None:
    charger = Charger()
    charger.parm(num_sounds=asked)
    mmes = sent(charger.wait(0.6))
    assert len([m for m in mmes if isinstance(m, wire.CmMnbcSoundInd)]) == sounds


@pytest.mark.parametrize("sounds", [10, 9, 2, 0])
@pytest.mark.parametrize("after", [0.45, 0.6, 1.1])
def test_reports_of_real_chargers_are_taken(sounds: int, after: float) -> None:
    charger = Charger()
    charger.parm()
    charger.wait(after)
    (rsp,) = sent(charger.char(30, sounds=sounds))
    assert rsp == wire.CmAttenCharRsp(source_address=MAC, run_id=charger.pev.run_id)
    mmes = sent(charger.wait(1.3 - after))
    assert [m for m in mmes if isinstance(m, wire.CmSlacMatchReq)]


@pytest.mark.parametrize("first", [NEAR, FAR])
def test_lowest_mean_is_chosen_not_the_first(first: bytes) -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    second = FAR if first == NEAR else NEAR
    for src in (first, second):
        charger.char(18 if src == NEAR else 45, src)
    (req,) = sent(charger.wait(0.8))
    assert req == wire.CmSlacMatchReq(pev_mac=MAC, evse_mac=NEAR, run_id=charger.pev.run_id)


def test_charger_without_figures_is_the_last_choice() -> None:
    charger = Charger()
    charger.parm()
    charger.wait(0.5)
    charger.char(0, FAR, groups=0)
    charger.char(60, NEAR)
    (req,) = sent(charger.wait(0.8))
    assert isinstance(req, wire.CmSlacMatchReq)
    assert req.evse_mac == NEAR


def test_network_is_taken_as_sent() -> None:
    charger = Charger()
    charger.asked()
    assert facts(charger.match(), SetModemKey) == [SetModemKey(NID, NMK)]
    assert facts(charger.pev.receive_signal(ModemKeySet(bytes(7)), 3.0), SlacMatched) == []
    (match,) = facts(charger.pev.receive_signal(ModemKeySet(NID), 3.0), SlacMatched)
    assert match == SlacMatched(NEAR, charger.pev.run_id, NID, NMK, 20.0)


def test_strangers_are_not_believed() -> None:
    charger = Charger()
    charger.asked()
    assert charger.match(src=FAR) == []
    assert charger.match(dst=wire.BROADCAST) == []
    assert charger.match(run_id=bytes(8)) == []
    assert facts(charger.match(), SetModemKey)
    # a second confirm, or one for a neighbour, must not set the modem's key again
    charger.pev.receive_signal(ModemKeySet(NID), 3.0)
    assert charger.match() == []


def test_parameters_for_another_vehicle_are_ignored() -> None:
    charger = Charger()
    charger.say(wire.CmSlacParmCnf(forwarding_sta=MAC, run_id=bytes(8)))
    charger.say(wire.CmSlacParmCnf(forwarding_sta=MAC, run_id=charger.pev.run_id), dst=FAR)
    assert charger.pev.state is PevSlacState.WAIT_PARM_CNF


def test_repeated_report_is_confirmed_again() -> None:
    charger = Charger()
    charger.asked()
    assert sent(charger.char(20)) == [
        wire.CmAttenCharRsp(source_address=MAC, run_id=charger.pev.run_id)
    ]


def test_requests_are_repeated_twice_then_the_try_is_over() -> None:
    charger = Charger()
    assert len(sent(charger.out + charger.wait(0.59))) == 3
    run_id = charger.pev.run_id
    assert charger.pev.state is PevSlacState.WAIT_PARM_CNF
    charger.wait(0.02)
    assert charger.pev.state.value == "pause before the next try"
    charger.wait(timing.TT_MATCHING_RATE_S)
    assert charger.pev.run_id != run_id


@pytest.mark.parametrize(
    ("deaf_to", "reason"),
    [
        ("parm", "no charger answers"),
        ("char", "no charger measured"),
        ("match", "does not answer CM_SLAC_MATCH.REQ"),
    ],
)
def test_failure_says_where_the_last_try_ended(deaf_to: str, reason: str) -> None:
    charger = Charger()
    failed: list[Output] = []
    for _ in range(400):
        out = charger.wait(0.1)
        state = charger.pev.state
        if deaf_to != "parm" and state is PevSlacState.WAIT_PARM_CNF:
            out += charger.parm()
        if deaf_to == "match" and state is PevSlacState.COLLECTING:
            out += charger.char(20)
        failed += facts(out, SlacFailed)
    assert len(failed) == 1
    assert isinstance(failed[0], SlacFailed)
    assert reason in failed[0].reason


def test_modem_that_takes_no_key() -> None:
    charger = Charger()
    charger.asked()
    charger.match()
    (failed,) = facts(charger.pev.receive_signal(ModemFailed("it is dead"), 3.0), SlacFailed)
    assert isinstance(failed, SlacFailed)
    assert "it is dead" in failed.reason
    charger = Charger()
    charger.asked()
    charger.match()
    assert facts(charger.wait(timing.PEV_WAIT_KEY_S + 0.1), SlacFailed)


def test_unplugging_stops_everything() -> None:
    charger = Charger()
    charger.asked()
    charger.pev.receive_signal(StopSlac(), charger.now)
    assert charger.pev.next_timer() is None
    assert charger.match() == []
