"""Every captured SLAC exchange runs through our cores: the car's frames through the charger's, the
charger's through the car's. What ours say is compared field by field with what the others said.

Only these differ, and are named: when a frame is sent, the network (ours is our own), the mean
attenuation by a rounding, and how many sounds a charger says that it heard.
"""

from __future__ import annotations

import gzip
import io
import itertools
from dataclasses import dataclass, field, replace
from functools import cache
from statistics import median
from typing import TYPE_CHECKING

import dpkt
import pytest

from controller.errors import WireError
from controller.plc import wire
from controller.signals import (
    ModemKeySet,
    Output,
    PeerMisbehaved,
    SendFrame,
    SetModemKey,
    SlacMatched,
    StartSlac,
)
from controller.slac.choice import Policy, ranked
from controller.slac.evse import EvseSlac, EvseSlacState
from controller.slac.pev import PevSlac
from controller.slac.pev_table import PevSlacState
from tests.plc.test_captures import CAPTURES, ETHERNET, needs_captures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.plc.layout import Mme

LATE_S = 15.0
PAUSE_S = 10.0  # a car that is silent for so long was plugged in again


@dataclass(slots=True)
class Exchange:
    """What was captured of one car and RunID, from its first request."""

    capture: str
    car: bytes
    run_id: bytes
    frames: list[tuple[float, wire.Frame]] = field(default_factory=list)

    def of(self, *kinds: type[Mme]) -> list[wire.Frame]:
        return [f for _, f in self.frames if isinstance(f.mme, kinds)]

    @property
    def charger(self) -> bytes:
        """MAC of the charger: who gave its network, else who answered first."""
        answers = self.of(wire.CmSlacMatchCnf) or self.of(wire.CmSlacParmCnf)
        return answers[0].src if answers else b""

    @property
    def counts_up(self) -> bool:
        """Seres counts its sounds from 0 to 9, where all others count down to 0."""
        return [f.mme.countdown for f in self.of(wire.CmMnbcSoundInd)[:2]] == [0, 1]  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return f"{self.capture[:40]}/{self.car.hex()}/{self.run_id.hex()}"


def timed_frames(path: Path) -> Iterator[tuple[float, wire.Frame]]:
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    reader = dpkt.pcap.UniversalReader(io.BytesIO(data))
    if reader.datalink() != ETHERNET:
        return
    try:
        for at, frame in reader:
            if wire.is_homeplug(frame):
                yield float(at), wire.parse(frame)
    except (dpkt.NeedData, WireError):
        return


def key_of(frame: wire.Frame) -> tuple[bytes, bytes] | None:
    """Car and RunID of a SLAC frame."""
    mme = frame.mme
    run_id = getattr(mme, "run_id", None)
    if run_id is None:
        return None
    answers = wire.CmSlacParmCnf | wire.CmAttenCharInd | wire.CmSlacMatchCnf
    return (frame.dst if isinstance(mme, answers) else frame.src), run_id


def split(path: Path) -> list[Exchange]:
    """Cut a capture into exchanges; a request after sounds begins another one."""
    current: dict[tuple[bytes, bytes], Exchange] = {}
    done: list[Exchange] = []
    for at, frame in timed_frames(path):
        if isinstance(frame.mme, wire.CmAttenProfileInd):
            for exchange in current.values():
                if exchange.car == frame.mme.pev_mac:
                    exchange.frames.append((at, frame))
            continue
        key = key_of(frame)
        if key is None:
            continue
        begun = current.get(key)
        anew = begun is None or begun.of(wire.CmMnbcSoundInd) or at - begun.frames[-1][0] > PAUSE_S
        if isinstance(frame.mme, wire.CmSlacParmReq) and anew:
            begun = current[key] = Exchange(path.name, *key)
            done.append(begun)
        if begun is not None:
            begun.frames.append((at, frame))
    return done


@cache
def exchanges() -> list[Exchange]:
    """All exchanges in which a charger answered."""
    return [e for path in CAPTURES for e in split(path) if e.charger]


def fed_rng(*pieces: bytes) -> object:
    """Give these pieces in turn, then zeros: our core with the other's chance."""
    rest = list(pieces)

    def rng(length: int) -> bytes:
        piece = rest.pop(0) if rest else b""
        return piece[:length].ljust(length, b"\0")

    return rng


# --- the car's frames through our charger ------------------------------------------------------


class Replayed:
    """Our charger, with the captured charger's address and network."""

    def __init__(self, exchange: Exchange, receive_path_db: float = 0.0) -> None:
        self.exchange = exchange
        cnf = exchange.of(wire.CmSlacMatchCnf)
        nmk = cnf[0].mme.nmk if cnf else bytes(16)  # type: ignore[attr-defined]
        rng = fed_rng(nmk)
        self.evse = EvseSlac(
            exchange.charger,
            rng,  # type: ignore[arg-type]
            receive_path_db=receive_path_db,
        )
        self.evse.handle_timer(0.0)
        self.evse.receive_signal(ModemKeySet(self.evse.nid), 0.1)
        self.evse.receive_signal(StartSlac(), 0.2)
        self.out: list[Output] = []

    def run(self) -> list[Mme]:
        began = self.exchange.frames[0][0]
        ours = self.exchange.charger
        unmeasured = not self.exchange.of(wire.CmAttenProfileInd)  # captured at the car
        now = 1.0
        for at, frame in self.exchange.frames:
            now = 1.0 + at - began
            self.pass_time(now)
            if frame.src != ours and frame.dst in (ours, wire.BROADCAST):
                data = wire.build(frame.dst, frame.src, frame.mme, frame.mmv)
                self.out += self.evse.receive_frame(data, now)
            if unmeasured and isinstance(frame.mme, wire.CmMnbcSoundInd):
                mme = wire.CmAttenProfileInd(pev_mac=frame.src, attenuation=bytes([20]) * 58)
                measured = wire.build(wire.BROADCAST, bytes(5) + b"\1", mme)
                self.out += self.evse.receive_frame(measured, now)
        self.pass_time(now + 1.0)
        return [wire.parse(o.frame).mme for o in self.out if isinstance(o, SendFrame)]

    def pass_time(self, until: float) -> None:
        while (at := self.evse.next_timer()) is not None and at <= until:
            self.out += self.evse.handle_timer(at)


def firsts(mmes: list[Mme]) -> dict[type[Mme], Mme]:
    """The first message of each kind."""
    found: dict[type[Mme], Mme] = {}
    for each in mmes:
        found.setdefault(type(each), each)
    return found


def differences(ours: Mme, theirs: Mme, but: set[str]) -> list[str]:
    """Fields that differ."""
    names = [name for name, _ in type(ours).ITEMS if name not in but]
    return [
        f"{ours.name}.{name}: {getattr(ours, name)!r} not {getattr(theirs, name)!r}"
        for name in names
        if getattr(ours, name) != getattr(theirs, name)
    ]


@needs_captures
def test_captures_hold_exchanges() -> None:
    found = exchanges()
    matched = [e for e in found if e.of(wire.CmSlacMatchCnf)]
    assert len(found) >= 70
    assert len(matched) >= 60
    assert len({e.car for e in found}) >= 20


@needs_captures
def test_cars_match_with_our_charger() -> None:
    wrong: list[str] = []
    compared = 0
    for exchange in exchanges():
        if not exchange.of(wire.CmSlacParmReq):
            continue
        replay = Replayed(exchange, receive_path_db(exchange))
        ours = firsts(replay.run())
        theirs = firsts([f.mme for _, f in exchange.frames if f.src == exchange.charger])
        for kind, mme in theirs.items():
            if kind not in (wire.CmSlacParmCnf, wire.CmAttenCharInd, wire.CmSlacMatchCnf):
                continue
            mine = ours.get(kind)
            if mine is None:
                wrong.append(f"{exchange}: no {kind.NAME}")
                continue
            compared += 1
            wrong += [f"{exchange}: {d}" for d in judged(mine, mme, exchange)]
        misbehaved = [o for o in replay.out if isinstance(o, PeerMisbehaved)]
        wrong += [f"{exchange}: {o.reason}" for o in misbehaved]
        if wire.CmSlacMatchCnf in theirs and replay.evse.state is not EvseSlacState.MATCHED:
            wrong.append(f"{exchange}: not matched")
    assert not wrong, "\n".join(wrong[:20])
    assert compared > 200


def receive_path_db(exchange: Exchange) -> float:
    """What the captured charger subtracted from the profiles of its modem: 0, or its coupling."""
    theirs = exchange.of(wire.CmAttenCharInd)
    ours = firsts(Replayed(exchange).run()).get(wire.CmAttenCharInd)
    measured = exchange.of(wire.CmAttenProfileInd)
    if not theirs or not measured or not isinstance(ours, wire.CmAttenCharInd):
        return 0.0
    mme = theirs[0].mme
    assert isinstance(mme, wire.CmAttenCharInd)
    return median(a - b for a, b in zip(ours.attenuation, mme.attenuation, strict=True))


def judged(ours: Mme, theirs: Mme, exchange: Exchange) -> list[str]:
    """Compare one message; what may differ is compared loosely."""
    if isinstance(ours, wire.CmSlacMatchCnf):
        assert isinstance(theirs, wire.CmSlacMatchCnf)
        derives = theirs.nid == wire.nid_from_nmk(theirs.nmk)
        return differences(ours, theirs, set() if derives else {"nid"})
    if not isinstance(ours, wire.CmAttenCharInd):
        return differences(ours, theirs, set())
    assert isinstance(theirs, wire.CmAttenCharInd)
    wrong = differences(ours, theirs, {"attenuation", "num_sounds"})
    profiles = [f.mme for f in exchange.of(wire.CmAttenProfileInd)]
    if any(p.attenuation for p in profiles if isinstance(p, wire.CmAttenProfileInd)):
        gaps = [a - b for a, b in zip(ours.attenuation, theirs.attenuation, strict=True)]
        if max(map(abs, gaps)) > 3 or abs(sum(gaps) / len(gaps)) > 1:  # others round each sound
            wrong.append(f"attenuation {ours.attenuation.hex()} not {theirs.attenuation.hex()}")
    if not 0 < ours.num_sounds <= 10:
        wrong.append(f"{ours.num_sounds} sounds")
    return wrong


# --- the charger's frames through our car ------------------------------------------------------


class ReplayedCar:
    """Our car with the captured car's address, RunID and sounds; chargers answer when it asks."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        sounds = [f.mme.random for f in exchange.of(wire.CmMnbcSoundInd)]  # type: ignore[attr-defined]
        rng = fed_rng(exchange.run_id, *sounds)
        self.pev = PevSlac(exchange.car, rng)  # type: ignore[arg-type]
        self.now = 1.0
        self.out: list[Output] = []

    def answer(self, *kinds: type[Mme]) -> None:
        for frame in self.exchange.of(*kinds):
            if frame.dst == self.exchange.car:
                data = wire.build(frame.dst, frame.src, frame.mme, frame.mmv)
                self.out += self.pev.receive_frame(data, self.now)

    def until(self, *states: PevSlacState) -> bool:
        end = self.now + LATE_S
        while self.pev.state not in states:
            at = self.pev.next_timer()
            if at is None or at > end:
                return False
            self.now = max(self.now, at)
            self.out += self.pev.handle_timer(self.now)
        return True

    def run(self) -> list[Mme]:
        self.out += self.pev.receive_signal(StartSlac(), self.now)
        self.answer(wire.CmSlacParmCnf)
        if self.until(PevSlacState.COLLECTING):
            self.answer(wire.CmAttenCharInd)
        if self.until(PevSlacState.WAIT_MATCH_CNF):
            self.answer(wire.CmSlacMatchCnf)
        return [wire.parse(o.frame).mme for o in self.out if isinstance(o, SendFrame)]


@needs_captures
def test_chargers_match_with_our_car() -> None:
    wrong: list[str] = []
    compared = 0
    for exchange in exchanges():
        if not (exchange.of(wire.CmSlacMatchCnf) and exchange.of(wire.CmSlacMatchReq)):
            continue
        car = ReplayedCar(exchange)
        ours = car.run()
        theirs = [f.mme for _, f in exchange.frames if f.src == exchange.car]
        for kind in (
            wire.CmSlacParmReq,
            wire.CmStartAttenCharInd,
            wire.CmMnbcSoundInd,
            wire.CmAttenCharRsp,
            wire.CmSlacMatchReq,
        ):
            mine = [m for m in ours if isinstance(m, kind)]
            other = [m for m in theirs if isinstance(m, kind)]
            for a, b in zip(mine, other, strict=False):
                compared += 1
                counts_up = {"countdown"} if exchange.counts_up else set()
                wrong += [f"{exchange}: {d}" for d in differences(a, b, counts_up)]
            if other and not mine:
                wrong.append(f"{exchange}: no {kind.NAME}")
        (cnf, *_) = exchange.of(wire.CmSlacMatchCnf)
        assert isinstance(cnf.mme, wire.CmSlacMatchCnf)
        if SetModemKey(cnf.mme.nid, cnf.mme.nmk) not in car.out:
            wrong.append(f"{exchange}: the modem did not get the network as sent")
        car.out += car.pev.receive_signal(ModemKeySet(cnf.mme.nid), car.now)
        if not any(isinstance(o, SlacMatched) for o in car.out):
            wrong.append(f"{exchange}: not matched")
    assert not wrong, "\n".join(wrong[:20])
    assert compared > 800


@needs_captures
def test_nearest_of_two_captured_chargers_is_chosen() -> None:
    doubles = 0
    for exchange in exchanges():
        reports = {f.src: f.mme for f in exchange.of(wire.CmAttenCharInd)}
        if len(reports) < 2:
            continue
        doubles += 1
        results = {m: r.attenuation for m, r in reports.items()}  # type: ignore[attr-defined]
        near, far, *_ = ranked(results, Policy.FIELD)
        assert near.mean_db < far.mean_db
        assert not near.in_doubt
        matched = exchange.of(wire.CmSlacMatchReq)
        if matched:
            assert matched[0].dst == near.mac, f"{exchange}: the car chose otherwise"
    assert doubles >= 1


@pytest.mark.parametrize("name", ["attenuation", "num_sounds"])
def test_differences_are_found(name: str) -> None:
    mme = wire.CmAttenCharInd(
        source_address=bytes(6), run_id=bytes(8), num_sounds=10, attenuation=bytes(58)
    )
    changed = {
        "attenuation": replace(mme, attenuation=b"\1" * 58),
        "num_sounds": replace(mme, num_sounds=9),
    }
    other = changed[name]
    assert len(differences(mme, other, set())) == 1
    assert differences(mme, other, {name}) == []
    assert list(itertools.islice(firsts([mme, other]).values(), 2)) == [mme]
