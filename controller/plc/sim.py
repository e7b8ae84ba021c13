"""A simulated powerline: modems on a wire, what crosses it, and how long that takes.

Frames of each host go in with the number of its modem, and come out as (modem, frame) deliveries,
at once or later (`handle_timer`). Plain Ethernet bytes in both directions, so that real TAP devices
can be in front of it as well as cores in virtual time.

- Frames to a modem's own address, or to the local one (00:B0:52:00:00:01), are answered by the
  modem and never cross. So are broadcast management messages that do not belong to SLAC.
- SLAC messages cross between all modems that hear each other, joined or not. A modem in EVSE mode
  that hears a sound gives its host the sound and, one millisecond later, its attenuation profile.
- All else (IPv6, AMP_MAP) crosses only between modems of one network: equal NID *and* NMK, both
  awake. A modem is deaf for `SimModem.restart_s` after a key or a reset.

Loss, repetition and delay come from a hook that sees every crossing frame.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256, shake_256
from heapq import heappop, heappush
from itertools import chain, repeat
from typing import TYPE_CHECKING

from controller.errors import WireError
from controller.frozen import quick
from controller.plc import pib, wire

if TYPE_CHECKING:
    from controller.plc.layout import Mme
    from controller.plc.sim_modem import SimModem

NEVER = float("inf")

Delivery = tuple[int, bytes]
"""Number of the modem whose host gets the frame, and the frame."""

ANSWER_S = 0.0005
"""A modem's answer to its host: real ones take 0.5 ms in the median."""
CROSSING_S = 0.002
"""A frame from host to host over the wire."""
PROFILE_S = 0.001
"""CM_ATTEN_PROFILE.IND after its sound: QCA7000 and 7005 need this long."""
DEFAULT_MEAN_DB = 20.0
RIPPLE_DB = 5
"""How far single groups are from the mean; real cables are worse (0 to 116 dB)."""


@quick
@dataclass(frozen=True, slots=True)
class Transit:
    """A frame about to cross the wire."""

    source: int
    target: int
    frame: bytes
    now: float


Fault = Callable[[Transit], Sequence[float]]
"""Extra delays of the copies to deliver: () loses the frame, (0.0,) delivers it, two repeat it."""


RNG_BLOCK = 8192
"""Bytes made at once: noise takes two at a time."""


NOISE_BLOCK = 512
"""Values of noise fetched from an `rng` at once."""


def seeded_rng(seed: str) -> Callable[[int], bytes]:
    """Return a repeatable `rng(n)` for simulations and tests (SHAKE-256 of seed and counter)."""
    made, at, count = b"", 0, 0

    def rng(length: int) -> bytes:
        nonlocal made, at, count
        while len(made) - at < length:
            made, at = made[at:] + shake_256(f"{seed}/{count}".encode()).digest(RNG_BLOCK), 0
            count += 1
        at += length
        return made[at - length : at]

    return rng


def noise_of(rng: Callable[[int], bytes] | None) -> Iterator[float]:
    """Return noise between -1 and 1 for ever; without an `rng` there is none."""
    return repeat(0.0) if rng is None else chain.from_iterable(_blocks_of_noise(rng))


def _blocks_of_noise(rng: Callable[[int], bytes]) -> Iterator[list[float]]:
    while True:
        yield [raw / 32767.5 - 1.0 for raw in array("H", rng(2 * NOISE_BLOCK))]


def no_fault(transit: Transit) -> Sequence[float]:
    """Deliver each frame once, on time."""
    return (0.0,)


class SimPowerline:
    """Several modems and the wire between them, in whatever time `now` is."""

    def __init__(
        self,
        modems: Sequence[SimModem],
        *,
        seed: str = "powerline",
        crossing_s: float = CROSSING_S,
        fault: Fault = no_fault,
    ) -> None:
        self.modems = tuple(modems)
        self.seed = seed
        self.crossing_s = crossing_s
        self.fault = fault
        self.on_queued: Callable[[float], object] = lambda at: None
        """Called with the time of each delivery that has to be fetched with `handle_timer`."""
        self.answer_fault: Fault = no_fault
        """The same for what a modem tells its own host (source and target are one)."""
        self._coupling: dict[tuple[int, int], float | None] = {}
        self._queue: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._flashless = tuple(i for i, modem in enumerate(self.modems) if modem.boot_loader)

    # --- the wire ---

    def set_coupling(self, a: int, b: int, mean_db: float | None) -> None:
        """Set the attenuation between two modems; None: they do not hear each other (unplugged)."""
        self._coupling[min(a, b), max(a, b)] = mean_db

    def coupling_db(self, a: int, b: int) -> float | None:
        """Mean attenuation between two modems, or None."""
        return self._coupling.get((min(a, b), max(a, b)), DEFAULT_MEAN_DB)

    def is_joined(self, a: int, b: int, now: float) -> bool:
        """Ask whether two modems are in one network and hear each other."""
        one, other = self.modems[a], self.modems[b]
        return (
            a != b
            and self._hear(a, b, now)
            and one.is_awake(now)
            and (one.nid, one.nmk) == (other.nid, other.nmk)
        )

    def profile(self, source: int, target: int) -> bytes:
        """Attenuation per group between two modems, the same at each call but for 1 dB of noise."""
        mean = self.coupling_db(source, target) or 0.0
        pair = f"{self.seed}/{min(source, target)}/{max(source, target)}"
        ripple = sha256(pair.encode()).digest() * 2
        noise = sha256(f"{pair}/{self._count}".encode()).digest() * 2
        values = []
        for group in range(self.modems[target].profile_groups):
            off = ripple[group] % (2 * RIPPLE_DB + 1) - RIPPLE_DB
            values.append(min(max(round(mean + off + noise[group] % 3 - 1), 1), 127))
        return bytes(values)

    # --- verbs ---

    def receive_frame(self, source: int, frame: bytes, now: float) -> list[Delivery]:
        """Take a frame from the host of modem `source`; return what is due at once."""
        modem = self.modems[source]
        if len(frame) >= 14 and modem.is_awake(now):
            modem.hosts.add(frame[6:12])
            if wire.is_homeplug(frame):
                self._take_homeplug(source, frame, now)
            else:
                self._cross(source, frame, now, joined_only=True)
        return self.handle_timer(now)

    def handle_timer(self, now: float) -> list[Delivery]:
        """Return what is due."""
        for index in self._flashless:
            self._ask_host(index, now)
        due = []
        while self._queue and self._queue[0][0] <= now:
            _, _, target, frame = heappop(self._queue)
            due.append((target, frame))
        return due

    def next_timer(self) -> float | None:
        """Absolute time of the next delivery."""
        at = self._queue[0][0] if self._queue else None
        for index in self._flashless:
            asks_at = self._asks_at(index)
            if asks_at < NEVER and (at is None or asks_at < at):
                at = asks_at
        return at

    # --- inside ---

    def _asks_at(self, index: int) -> float:
        """When a modem without flash memory says what it wants (0: it was just switched on)."""
        modem = self.modems[index]
        loader = modem.boot_loader
        return NEVER if loader is None else max(loader.asks_at(modem.restarting_until), 0.0)

    def _ask_host(self, index: int, now: float) -> None:
        modem = self.modems[index]
        if modem.boot_loader is not None and now >= self._asks_at(index):
            self._push(now, index, modem.frame(wire.BROADCAST, modem.boot_loader.ask(now)))

    def _hear(self, source: int, target: int, now: float) -> bool:
        return self.coupling_db(source, target) is not None and self.modems[target].is_awake(now)

    def _joined_with(self, index: int, now: float) -> list[SimModem]:
        numbers = range(len(self.modems))
        return [self.modems[i] for i in numbers if self.is_joined(index, i, now)]

    def _push(self, at: float, target: int, frame: bytes) -> None:
        self._count += 1
        heappush(self._queue, (at, self._count, target, frame))
        self.on_queued(at)

    def _take_homeplug(self, source: int, frame: bytes, now: float) -> None:
        modem, dst = self.modems[source], frame[0:6]
        is_slac = wire.mmtype_of(frame) in wire.SLAC_MMTYPES
        try:
            mme = wire.parse(frame).mme
        except WireError:
            return
        if dst in (wire.LOCAL_MODEM, modem.mac) or (dst == wire.BROADCAST and not is_slac):
            self._answer(source, frame[6:12], mme, now)
        elif is_slac:
            self._cross(source, frame, now, joined_only=False)
        else:
            self._ask_remote(source, frame, mme, now)

    def _answer(self, source: int, host: bytes, mme: Mme, now: float) -> None:
        modem = self.modems[source]
        src = modem.mac  # the answer may make it restart under another address
        for answer in modem.answer(mme, now, self._joined_with(source, now)):
            frame = modem.frame(host, answer, src)
            for extra_s in self.answer_fault(Transit(source, source, frame, now)):
                self._push(now + ANSWER_S + extra_s, source, frame)

    def _ask_remote(self, source: int, frame: bytes, mme: Mme, now: float) -> None:
        for index, remote in enumerate(self.modems):
            if remote.mac == frame[0:6] and self.is_joined(source, index, now):
                for answer in remote.answer_remote(mme):
                    at = now + 2 * self.crossing_s
                    self._push(at, source, remote.frame(frame[6:12], answer))
                return
        self._cross(source, frame, now, joined_only=True)

    def _targets(self, source: int, frame: bytes) -> list[int]:
        others = [i for i in range(len(self.modems)) if i != source]
        if frame[0] & 1:
            return others
        behind = [i for i in others if frame[0:6] in self.modems[i].hosts]
        return behind or others

    def _cross(self, source: int, frame: bytes, now: float, joined_only: bool) -> None:
        self.modems[source].sent += 1
        for target in self._targets(source, frame):
            if joined_only and not self.is_joined(source, target, now):
                continue
            if not joined_only and not self._hear(source, target, now):
                continue
            for extra_s in self.fault(Transit(source, target, frame, now)):
                self._arrive(source, target, frame, now + self.crossing_s + extra_s)

    def _arrive(self, source: int, target: int, frame: bytes, at: float) -> None:
        modem = self.modems[target]
        modem.received += 1
        self._push(at, target, frame)
        measures = (
            modem.slac_mode == pib.SLAC_EVSE and wire.mmtype_of(frame) == wire.CmMnbcSoundInd.MMTYPE
        )
        if measures:
            measured = wire.CmAttenProfileInd(
                pev_mac=frame[6:12], attenuation=self.profile(source, target)
            )
            self._push(at + PROFILE_S, target, modem.frame(wire.BROADCAST, measured))
