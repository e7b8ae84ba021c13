"""What both sides of SLAC share: which frames concern us, and what becomes of those that do not.

Whoever is on the powerline may send anything. A frame that is not taken is counted by its reason
in `rejected`; the first few of a plug-in are also reported one by one, so that a flood of them
fills no memory and no trace.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum

from controller.errors import WireError
from controller.machine import TableMachine
from controller.plc import wire
from controller.signals import Output, PeerMisbehaved, SlacPhaseChanged

REPORTS = 10
"""Rejected frames that are reported one by one, of each reason and plug-in."""

CLAUSE = "ISO 15118-3 Annex A"
VLAN_ETHERTYPES = (b"\x81\x00", b"\x88\xa8")


class Rejection(Enum):
    """Why a frame was not taken."""

    MALFORMED = "malformed"
    FRAGMENTED = "a fragment: no message of SLAC is that long"
    VLAN = "in a VLAN"
    OTHER_STATION = "for another station"
    OWN_ADDRESS = "from our own address"
    OTHER_MESSAGE = "not a message that this side takes"
    OUT_OF_TURN = "out of turn"
    FOREIGN_RUN = "of no run of ours"

    __hash__ = object.__hash__  # by identity: a flood must cost little
    FOREIGN_MODEM = "a profile that another station claims to have measured"
    SECURED = "asks for another application or security type"
    BAD_MATCH = "a match request that does not fit"
    BAD_REPORT = "a report that does not fit"
    BAD_MAP = "an amplitude map of no length"
    CROWDED = "more at once than are remembered"


QUIET = frozenset(
    (
        Rejection.OTHER_STATION,
        Rejection.OTHER_MESSAGE,
        Rejection.OUT_OF_TURN,
        Rejection.FOREIGN_RUN,
        Rejection.CROWDED,
    )
)
"""Counted without a report: neighbours and repeated frames do that all day."""


class SlacCore(TableMachine):
    """Base of `EvseSlac` and `PevSlac`."""

    TAKES: frozenset[type] = frozenset()
    """Messages that this side acts on."""

    def __init__(self, mac: bytes) -> None:
        super().__init__()
        self.mac = mac
        self.rejected: Counter[Rejection] = Counter()
        self._reported: Counter[Rejection] = Counter()
        self._phase = ""

    @property
    def phase(self) -> str:
        """Where matching stands, in words."""
        return str(self.state.value)

    def accept(self, frame: bytes) -> wire.Frame | None:
        """Parse a frame that is for us (own address or broadcast); None for all others."""
        why = self._why_not(frame)
        if why is not None:
            self.rejected[why] += 1
            return None
        if not wire.is_homeplug(frame):
            return None
        try:
            rx = wire.parse(frame)
        except WireError as e:
            self.reject(Rejection.MALFORMED, str(e))
            return None
        if type(rx.mme) in self.TAKES:
            return rx
        if wire.is_fragment(frame):
            self.reject(Rejection.FRAGMENTED, f"{rx.mme.name} of {rx.src.hex(':')}: a fragment")
        else:
            self.rejected[Rejection.OTHER_MESSAGE] += 1
        return None

    def _why_not(self, frame: bytes) -> Rejection | None:
        """Look at the addresses alone: a flood must cost little."""
        if not wire.is_homeplug(frame):
            tagged = frame[12:14] in VLAN_ETHERTYPES and frame[16:18] == wire.ETHERTYPE_BYTES
            return Rejection.VLAN if tagged else None
        if frame[6:12] == self.mac:
            return Rejection.OWN_ADDRESS
        if frame[0:6] not in (self.mac, wire.BROADCAST):
            return Rejection.OTHER_STATION
        return None

    def reject(self, why: Rejection, text: str = "") -> None:
        """Count a frame that is not taken, and report the first few."""
        self.rejected[why] += 1
        if why in QUIET or self._reported[why] >= REPORTS:
            return
        self._reported[why] += 1
        self.out.append(PeerMisbehaved(text or why.value, CLAUSE))

    def report_anew(self) -> None:
        """A new plug-in: report again."""
        self._reported.clear()

    def finish(self) -> list[Output]:
        """Take the outputs, after them the phase if it changed."""
        if self.phase != self._phase:
            self._phase = self.phase
            self.out.append(SlacPhaseChanged(self.phase))
        return self.drain()
