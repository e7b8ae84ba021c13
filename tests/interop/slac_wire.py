"""A powerline in real time: two TAP devices, the simulated modem pair behind them, and a record.

It runs in the process that calls `pump`, in a network namespace of its own. What the hosts send is
kept with its time, and can be written as a capture for tshark.
"""

import select
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from controller.plc import pib, wire
from controller.plc.driver_tap import open_tap
from controller.plc.layout import Mme
from controller.plc.sim import SimPowerline
from controller.plc.sim_modem import SimModem

NAMES = ("slac-evse", "slac-pev")
MACS = (bytes.fromhex("020000005101"), bytes.fromhex("020000005102"))
MODEM_MACS = (bytes.fromhex("00b052005101"), bytes.fromhex("00b052005102"))
RESTART_S = 0.05  # a modem of the bench: the peers wait only 50 ms for theirs
LONGEST_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame from a host (0 charger, 1 car) to its modem, or the other way (`sent` is False)."""

    at: float
    host: int
    sent: bool
    frame: bytes

    @property
    def mme(self) -> Mme:
        return wire.parse(self.frame).mme


class RealWire:
    """The two TAP devices and what is between them."""

    def __init__(self, seed: str = "interop") -> None:
        self.taps = [open_tap(name, mac) for name, mac in zip(NAMES, MACS, strict=True)]
        modes = (pib.SLAC_EVSE, pib.SLAC_PEV)
        modems = [
            SimModem(mac, slac_mode=mode, restart_s=RESTART_S)
            for mac, mode in zip(MODEM_MACS, modes, strict=True)
        ]
        self.line = SimPowerline(modems, seed=seed)
        self.seen: list[Seen] = []

    def close(self) -> None:
        for tap in self.taps:
            tap.close()

    def pump(self, until: Callable[[], bool], timeout_s: float) -> bool:
        """Carry frames until the condition holds; False when it did not in time."""
        deadline = time.monotonic() + timeout_s
        while not until():
            now = time.monotonic()
            if now >= deadline:
                return False
            self._deliver(self.line.handle_timer(now))
            due = self.line.next_timer()
            wait_s = LONGEST_S if due is None else min(LONGEST_S, max(0.0, due - time.monotonic()))
            for fd in select.select([tap.fileno() for tap in self.taps], [], [], wait_s)[0]:
                self._take(next(i for i, tap in enumerate(self.taps) if tap.fileno() == fd))
        return True

    def joined(self) -> bool:
        """Whether both modems are in one network."""
        return self.line.is_joined(0, 1, time.monotonic())

    def first(self, kind: type[Mme]) -> Seen | None:
        """The first message of a kind that a host sent."""
        return next((s for s in self.seen if s.sent and is_kind(s.frame, kind)), None)

    def matching_s(self) -> float | None:
        """From the CM_SLAC_PARM.REQ of the try that matched to its CM_SLAC_MATCH.CNF."""
        given = self.first(wire.CmSlacMatchCnf)
        sent = [s for s in self.seen if s.sent and is_kind(s.frame, wire.CmSlacParmReq)]
        asked = [s.at for s in sent if given is not None and s.at < given.at]
        return given.at - asked[-1] if given is not None and asked else None

    def write(self, path: Path, host: int) -> int:
        """Write a pcap of what one host sent; returns how many frames."""
        frames = [s for s in self.seen if s.sent and s.host == host and wire.is_homeplug(s.frame)]
        with path.open("wb") as out:
            out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
            for seen in frames:
                whole, part = divmod(seen.at, 1.0)
                size = len(seen.frame)
                out.write(struct.pack("<IIII", int(whole), int(part * 1e6), size, size))
                out.write(seen.frame)
        return len(frames)

    def _take(self, host: int) -> None:
        while (frame := self.taps[host].receive()) is not None:
            now = time.monotonic()
            if wire.is_homeplug(frame):
                self.seen.append(Seen(now, host, True, frame))
            self._deliver(self.line.receive_frame(host, frame, now))

    def _deliver(self, due: list[tuple[int, bytes]]) -> None:
        for host, frame in due:
            if wire.is_homeplug(frame):
                self.seen.append(Seen(time.monotonic(), host, False, frame))
            self.taps[host].send(frame)


def is_kind(frame: bytes, kind: type[Mme]) -> bool:
    """Look at the type alone."""
    return wire.is_homeplug(frame) and wire.mmtype_of(frame) == kind.MMTYPE
